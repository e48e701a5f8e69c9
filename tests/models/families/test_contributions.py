"""Contributions of each feature against Shapley values worked out by definition."""

import itertools
import math

import numpy as np
import pytest

from matloop.models.families.boosted_trees import BoostedTrees
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.gaussian_process import GaussianProcess
from matloop.models.families.stack import Stack

WIDTH = 6
RNG = np.random.default_rng(7)
VALUES = RNG.normal(size=(240, WIDTH)) * [1, 2, 3, 1, 1, 1]
TARGET = VALUES[:, 0] * VALUES[:, 1] + 3 * np.sin(VALUES[:, 2])
ROWS = RNG.normal(size=(5, WIDTH)) * 2


def forest() -> ExtraTrees:
    return ExtraTrees(trees=25, smallest_leaf=2, feature_share=0.5).fit(VALUES, TARGET)


def boosters() -> BoostedTrees:
    return BoostedTrees(boosters=3, rounds=40).fit(VALUES, TARGET)


@pytest.mark.parametrize("ensemble", [forest(), boosters()], ids=["extra trees", "boosted trees"])
def test_contributions_add_up_to_the_prediction(ensemble: Ensemble) -> None:
    parts = ensemble.contributions(ROWS, VALUES[:40])
    assert parts is not None
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), ensemble.predict(ROWS)[0], rtol=1e-9)
    assert np.abs(parts.values).max() > 0.1


def test_forest_contributions_are_shapley_values_by_definition() -> None:
    ensemble, background = forest(), VALUES[10:17]
    parts = ensemble.contributions(ROWS[:2], background)
    assert parts is not None

    def worth(row: np.ndarray, coalition: tuple[int, ...]) -> float:
        mixed = background.copy()
        mixed[:, list(coalition)] = row[list(coalition)]
        return float(ensemble.predict(mixed)[0].mean())

    everyone = range(WIDTH)
    coalitions = [c for size in range(WIDTH + 1) for c in itertools.combinations(everyone, size)]
    for row, found in zip(ROWS, parts.values, strict=False):
        worths = {coalition: worth(row, coalition) for coalition in coalitions}
        for feature in everyone:
            expected = sum(
                math.factorial(len(c)) * math.factorial(WIDTH - len(c) - 1) / math.factorial(WIDTH)
                * (worths[tuple(sorted((*c, feature)))] - worths[c])
                for c in coalitions if feature not in c
            )  # fmt: skip
            assert found[feature] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("ensemble", [forest(), boosters()], ids=["extra trees", "boosted trees"])
def test_contributions_do_not_depend_on_what_else_is_asked_nor_on_order(ensemble: Ensemble) -> None:
    together, alone = ensemble.contributions(ROWS, VALUES[:30]), ensemble.contributions(ROWS[3:4], VALUES[29::-1])
    assert together is not None
    assert alone is not None
    np.testing.assert_allclose(together.values[3], alone.values[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", [ExtraTrees, BoostedTrees])
def test_a_target_of_one_feature_is_explained_by_it(family: type) -> None:
    ensemble = family().fit(VALUES, 5 * VALUES[:, 3])
    parts = ensemble.contributions(ROWS, VALUES[:40])
    assert parts is not None
    np.testing.assert_array_equal(np.abs(parts.values).argmax(axis=1)[np.abs(ROWS[:, 3]) > 0.5], 3)
    assert (np.sign(parts.values[:, 3]) == np.sign(ROWS[:, 3] - VALUES[:40, 3].mean())).mean() > 0.7


def test_a_stack_of_trees_adds_up_and_one_with_another_family_has_none() -> None:
    trees = Stack(families=[{"extra_trees": {"trees": 20}}, {"boosted_trees": {"boosters": 2, "rounds": 30}}])
    trees.fit(VALUES, TARGET)
    parts = trees.contributions(ROWS, VALUES[:40])
    assert parts is not None
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), trees.predict(ROWS)[0], rtol=1e-9)
    smooth = Stack(families=["gaussian_process", {"extra_trees": {"trees": 3}}]).fit(VALUES, VALUES[:, 0])
    assert smooth.weights["gaussian_process"] > 0
    assert smooth.contributions(ROWS, VALUES) is None


def test_a_family_without_exact_contributions_has_none() -> None:
    process = GaussianProcess(rows=50, tuning_rows=30, rounds=2).fit(VALUES, TARGET)
    assert process.contributions(ROWS, VALUES) is None
