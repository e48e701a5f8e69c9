from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.difficulty import Difficulty

Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sample(seed: int, count: int = 1500) -> Sample:
    """Features, mean, spread and truth; the error grows with the first feature, of which the spread knows nothing."""
    random = np.random.default_rng(seed)
    values = random.uniform(-1, 1, (count, 4))
    mean, spread = random.normal(size=count), random.uniform(0.2, 0.4, count)
    return values, mean, spread, mean + 10 ** (values[:, 0] - 0.5) * spread * random.normal(size=count)


@pytest.fixture(scope="module")
def difficulty() -> Difficulty:
    return Difficulty.fit(*sample(0))


def test_it_learns_where_errors_are_large(difficulty: Difficulty) -> None:
    values, mean, spread, target = sample(1)
    error = np.abs(target - mean)
    adjusted = difficulty.adjust(values, mean, spread)
    assert spearmanr(adjusted, error).statistic > 0.4 > 0.2 > spearmanr(spread, error).statistic


def test_adjusted_spread_is_positive_even_without_a_spread(difficulty: Difficulty) -> None:
    values, mean, _, _ = sample(1)
    assert (difficulty.adjust(values, mean, np.zeros(len(mean))) > 0).all()


def test_out_of_fold_values_do_not_look_at_the_own_group() -> None:
    values, mean, spread, target = sample(2, 200)
    groups = np.arange(200) // 4
    before = Difficulty.out_of_fold(values, mean, spread, target, grouped_folds(groups))
    changed = np.where(groups == 7, mean + 1e3, target)
    after = Difficulty.out_of_fold(values, mean, spread, changed, grouped_folds(groups))
    np.testing.assert_array_equal(after[groups == 7], before[groups == 7])
    assert (after != before).any()


def test_rows_are_adjusted_one_by_one_and_the_same_after_loading(difficulty: Difficulty, tmp_path: Path) -> None:
    values, mean, spread, _ = (part[:50] for part in sample(3))
    whole = difficulty.adjust(values, mean, spread)
    singles = [difficulty.adjust(values[i : i + 1], mean[i : i + 1], spread[i : i + 1])[0] for i in range(50)]
    np.testing.assert_array_equal(singles, whole)
    difficulty.save(tmp_path / "difficulty")
    loaded = Difficulty.load(tmp_path / "difficulty", softening=difficulty.softening)
    np.testing.assert_array_equal(loaded.adjust(values, mean, spread), whole)
