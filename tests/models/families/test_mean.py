"""The mean of families: its value and spread, what each family reads, files, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.elements import SYMBOLS
from matloop.data.errors import ModelError
from matloop.models.families.boosted_trees import BoostedTrees
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.gaussian_process import GaussianProcess
from matloop.models.families.making import needed_columns, settings_by_name
from matloop.models.families.mean import Mean

RANDOM = np.random.default_rng(8)
VALUES = RANDOM.normal(size=(160, 5))
TARGET = VALUES[:, 0] + np.sin(3 * VALUES[:, 1]) + 0.1 * RANDOM.normal(size=160)
FAMILIES: list[Any] = [{"extra_trees": {"trees": 30}}, {"gaussian_process": {"rounds": 5}}]


@pytest.fixture(scope="module")
def mean() -> Mean:
    return Mean(families=FAMILIES).fit(VALUES[:120], TARGET[:120])


def members() -> tuple[np.ndarray, np.ndarray]:
    """Predictions and spreads of the families alone, each (2, 40)."""
    alone = [ExtraTrees(trees=30), GaussianProcess(rounds=5)]
    found = np.stack([family.fit(VALUES[:120], TARGET[:120]).predict(VALUES[120:]) for family in alone])
    return found[:, 0], found[:, 1]


def test_prediction_is_the_mean_and_spread_that_of_draws_from_either_family(mean: Mean) -> None:
    means, spreads = members()
    found, spread = mean.predict(VALUES[120:])
    np.testing.assert_allclose(found, means.mean(axis=0))
    draws = RANDOM.normal(means[:, :3, None], spreads[:, :3, None], size=(2, 3, 400_000))
    np.testing.assert_allclose(spread[:3], draws.swapaxes(0, 1).reshape(3, -1).std(axis=1), rtol=5e-3)


def test_squared_error_is_at_most_the_mean_of_theirs(mean: Mean) -> None:
    means, _ = members()
    of_families = ((means - TARGET[120:]) ** 2).mean(axis=1)
    assert ((mean.predict(VALUES[120:])[0] - TARGET[120:]) ** 2).mean() < of_families.mean()


def test_loaded_mean_keeps_settings_and_numbers(mean: Mean, tmp_path: Path) -> None:
    mean.save(tmp_path)
    loaded = Mean.load(tmp_path)
    assert loaded.parameters == mean.parameters == {"families": FAMILIES, "weights": None, "seed": 0}
    np.testing.assert_array_equal(loaded.predict(VALUES), mean.predict(VALUES))


def test_contributions_are_the_mean_of_those_of_trees_and_none_where_a_family_has_none(mean: Mean) -> None:
    families = [{"extra_trees": {"trees": 9}}, {"boosted_trees": {"boosters": 1, "rounds": 9}}]
    trees = Mean(families=families).fit(VALUES, TARGET)
    parts = trees.contributions(VALUES[:9], VALUES)
    alone = [ExtraTrees(trees=9), BoostedTrees(boosters=1, rounds=9)]
    expected = [family.fit(VALUES, TARGET).contributions(VALUES[:9], VALUES).values for family in alone]  # type: ignore[union-attr]
    assert parts is not None
    np.testing.assert_allclose(parts.values, np.mean(expected, axis=0))
    assert mean.contributions(VALUES[:2], VALUES) is None


def test_weights_of_rows_reach_every_family() -> None:
    weights = np.where(np.arange(160) < 80, 1.0, 9.0)
    one = Mean(families=FAMILIES).fit(VALUES, TARGET, weights=weights).predict(VALUES[:5])[0]
    alone = [ExtraTrees(trees=30), GaussianProcess(rounds=5)]
    found = [family.fit(VALUES, TARGET, weights=weights).predict(VALUES[:5])[0] for family in alone]
    np.testing.assert_allclose(one, np.mean(found, axis=0))


def test_only_the_family_that_needs_fractions_reads_them() -> None:
    names = [*SYMBOLS[1:], "density"]
    assert settings_by_name("mean", {"families": ["extra_trees", "element_attention"]}, names)["families"] == [
        {"extra_trees": {"columns": [[118, None]]}}, {"element_attention": {"first": 0}},
    ]  # fmt: skip
    assert needed_columns("mean", {"families": ["extra_trees", "element_attention"]}) == SYMBOLS[1:]
    assert needed_columns("mean", {}) == ()


def test_weights_of_families_are_kept(tmp_path: Path) -> None:
    weighted = Mean(families=FAMILIES, weights=[1.0, 3.0]).fit(VALUES[:120], TARGET[:120])
    means, _ = members()
    np.testing.assert_allclose(weighted.predict(VALUES[120:])[0], 0.25 * means[0] + 0.75 * means[1])
    weighted.save(tmp_path)
    np.testing.assert_array_equal(Mean.load(tmp_path).predict(VALUES), weighted.predict(VALUES))
    for wrong in ([1.0], [1.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(ModelError, match="one positive number for each"):
            Mean(families=FAMILIES, weights=wrong)


def test_what_is_no_mean_is_refused() -> None:
    with pytest.raises(ModelError, match="a mean of 1 families"):
        Mean(families=["extra_trees"])
    with pytest.raises(ModelError, match="a mean inside a mean"):
        Mean(families=["extra_trees", "mean"])
