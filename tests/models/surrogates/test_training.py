from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from matloop.data.errors import ModelError
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.surrogates.training import (
    FEWER_FOLDS,
    cross_fitted,
    data_hash,
    expected_shrinkage,
    out_of_fold,
    scores,
)


class Memory:
    """Repeats the target of the nearest training row: perfect on copies of rows it has seen."""

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> "Memory":
        self.values, self.target = values, target
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nearest = np.abs(values[:, :1] - self.values[:, 0]).argmin(axis=1)
        return self.target[nearest], np.ones(len(values))


@given(arrays(int, st.integers(40, 120), elements=st.integers(0, 30)), st.integers(0, 5))
def test_folds_never_share_a_group_and_cover_every_row_once(groups: np.ndarray, seed: int) -> None:
    if len(np.unique(groups)) < FOLDS:
        return
    held = []
    for train, held_out in grouped_folds(groups, seed=seed):
        assert not set(groups[train]) & set(groups[held_out])
        assert sorted([*train, *held_out]) == list(range(len(groups)))
        held += held_out.tolist()
    assert sorted(held) == list(range(len(groups)))


def test_folds_are_the_same_every_time_and_depend_on_the_seed() -> None:
    groups = np.random.default_rng(2).integers(0, 50, 200)
    one, two, other = ([h.tolist() for _, h in grouped_folds(groups, seed=seed)] for seed in (0, 0, 1))
    assert one == two
    assert one != other


def test_out_of_fold_predictions_cannot_look_at_the_own_formula() -> None:
    values = np.repeat(np.arange(60.0), 4)[:, None]  # four copies of each formula
    target = np.repeat(np.random.default_rng(2).normal(size=60), 4)
    mean, _ = out_of_fold(Memory, values, target, np.repeat(np.arange(60), 4))
    assert not np.isclose(mean, target).any()
    leaking, _ = out_of_fold(Memory, values, target, np.arange(240))
    assert np.isclose(leaking, target).mean() > 0.9


@pytest.mark.parametrize(("rows", "groups"), [(19, 19), (60, 9), (0, 0)])
def test_too_few_rows_or_formulas_are_refused(rows: int, groups: int) -> None:
    with pytest.raises(ModelError, match=rf"{rows} training rows of {groups} formulas.*at least 20 rows of 10"):
        out_of_fold(Memory, np.zeros((rows, 1)), np.zeros(rows), np.arange(rows) % max(groups, 1))


def test_rows_with_one_value_are_refused() -> None:
    with pytest.raises(ModelError, match="30 training rows that all have one value"):
        out_of_fold(Memory, np.arange(30.0)[:, None], np.full(30, 0.5), np.arange(30))


def test_a_value_beyond_single_precision_is_refused_by_its_size() -> None:
    target = np.append(np.arange(29.0), 1e300)
    with pytest.raises(ModelError, match=r"a training row with a value of 1e\+300.*at most 1e\+30.*log10"):
        out_of_fold(Memory, target[:, None], target, np.arange(30))


class Wrong:
    """Is wrong by a power of the number of rows it was fitted on."""

    power = 0.25

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> "Wrong":
        self.error = len(target) ** -self.power
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return values[:, 0] + self.error, np.ones(len(values))


class Steep(Wrong):
    power = 2.0


class Worse(Wrong):
    power = -0.1


@pytest.mark.parametrize(("make", "expected"), [(Wrong, 0.8**0.25), (Steep, 0.8**0.5), (Worse, 1.0)])
def test_errors_of_the_whole_model_follow_the_learning_curve_within_reason(make: Any, expected: float) -> None:
    target, groups = np.random.default_rng(1).normal(size=200), np.arange(200)
    mean, _ = out_of_fold(make, target[:, None], target, groups)
    of_half, _ = out_of_fold(make, target[:, None], target, groups, folds=FEWER_FOLDS)
    assert expected_shrinkage(target, mean=mean, of_half=of_half) == pytest.approx(expected)


def test_perfect_predictions_have_no_learning_curve() -> None:
    target = np.random.default_rng(1).normal(size=100)
    assert expected_shrinkage(target, mean=target, of_half=target) == 1.0


@pytest.fixture(scope="module")
def scored() -> dict[str, Any]:
    return _scores(*_sample())


def _scores(
    target: np.ndarray, mean: np.ndarray, spread: np.ndarray, groups: np.ndarray, distance: np.ndarray | None = None
) -> dict[str, Any]:
    crossed = cross_fitted(target, mean, spread, grouped_folds(groups), distance=distance)
    return scores(target, crossed)


def _sample() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(8)
    mean, spread = random.normal(size=2000), random.uniform(0.1, 1, 2000)
    return mean + spread * random.normal(size=2000), mean, spread, np.arange(2000) // 2


def test_errors_are_those_of_scikit_learn(scored: dict[str, Any]) -> None:
    target, mean, spread, groups = _sample()
    median = cross_fitted(target, mean, spread, grouped_folds(groups)).median
    assert scored["mae"] == pytest.approx(mean_absolute_error(target, median))
    assert scored["rmse"] == pytest.approx(root_mean_squared_error(target, median))
    assert scored["r2"] == pytest.approx(r2_score(target, median))
    assert scored["mae_of_mean"] == pytest.approx(mean_absolute_error(target, np.full(2000, target.mean())))


def test_interval_scores(scored: dict[str, Any]) -> None:
    _, _, spread, _ = _sample()
    assert scored["coverage_90"] == pytest.approx(0.9, abs=0.02)
    assert scored["width_90"] == pytest.approx(2 * 1.645 * spread.mean(), rel=0.05)
    assert scored["width_error_rank_correlation"] > 0.3


def test_coverage_is_cross_fitted() -> None:
    # One formula in five is predicted with a tenfold error: in its own fold the others' calibration must fail it.
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(10), 40)
    fold_of = np.empty(400, int)
    for fold, (_, held_out) in enumerate(grouped_folds(groups)):
        fold_of[held_out] = fold
    noise = np.where(fold_of == 0, 10.0, 0.1) * random.normal(size=400)
    coverage = _scores(noise, np.zeros(400), np.full(400, 0.1) + 1e-3 * random.random(400), groups)["coverage_90"]
    assert coverage < 0.85


def test_truths_on_both_ends_of_an_interval_without_width_are_inside() -> None:
    random = np.random.default_rng(5)
    error = np.where(np.arange(400) < 4, random.normal(size=400), 0.0)  # nearly all are predicted exactly
    spread = 1 + 1e-3 * random.random(400)
    assert _scores(error, np.zeros(400), spread, np.arange(400))["coverage_90"] == 0.99


def test_coverage_by_distance_is_cross_fitted_too() -> None:
    random = np.random.default_rng(4)
    distance = random.exponential(size=2000)
    target, nothing, groups = distance * random.normal(size=2000), np.zeros(2000), np.arange(2000)
    spread = np.full(2000, 0.1)
    binned, single = _scores(target, nothing, spread, groups, distance), _scores(target, nothing, spread, groups)
    assert binned["coverage_90"] == pytest.approx(0.9, abs=0.02)
    assert binned["width_error_rank_correlation"] > 0.3 > single["width_error_rank_correlation"]


def test_hash_depends_on_every_value() -> None:
    random = np.random.default_rng(2)
    values, target = random.normal(size=(5, 3)), random.normal(size=5)
    changed = values.copy()
    changed[4, 2] = np.nextafter(changed[4, 2], 9)
    hashes = {data_hash(values, target), data_hash(changed, target), data_hash(values, target[::-1])}
    assert len(hashes) == 3
    assert data_hash(np.asfortranarray(values), target.copy()) in hashes
