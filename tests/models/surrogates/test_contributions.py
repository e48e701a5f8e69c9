"""Contributions against Shapley values worked out by definition, and what else explains a prediction."""

import itertools
import math

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.ensembles import BoostedTrees, Ensemble, ExtraTrees
from matloop.models.families.stack import Stack
from matloop.models.surrogates.contributions import (
    background_of,
    contributions,
    levels,
    nearest_training,
    training_features,
    value_at_probability,
)
from matloop.models.surrogates.surrogate import Surrogate

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
    parts = contributions(ensemble, ROWS, VALUES[:40])
    assert parts is not None
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), ensemble.predict(ROWS)[0], rtol=1e-9)
    assert np.abs(parts.values).max() > 0.1


def test_forest_contributions_are_shapley_values_by_definition() -> None:
    ensemble, background = forest(), VALUES[10:17]
    parts = contributions(ensemble, ROWS[:2], background)
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
    together, alone = contributions(ensemble, ROWS, VALUES[:30]), contributions(ensemble, ROWS[3:4], VALUES[29::-1])
    assert together is not None
    assert alone is not None
    np.testing.assert_allclose(together.values[3], alone.values[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", [ExtraTrees, BoostedTrees])
def test_a_target_of_one_feature_is_explained_by_it(family: type) -> None:
    ensemble = family().fit(VALUES, 5 * VALUES[:, 3])
    parts = contributions(ensemble, ROWS, VALUES[:40])
    assert parts is not None
    np.testing.assert_array_equal(np.abs(parts.values).argmax(axis=1)[np.abs(ROWS[:, 3]) > 0.5], 3)
    assert (np.sign(parts.values[:, 3]) == np.sign(ROWS[:, 3] - VALUES[:40, 3].mean())).mean() > 0.7


def test_a_stack_of_trees_adds_up_and_one_with_another_family_has_none() -> None:
    trees = Stack(families=[{"extra_trees": {"trees": 20}}, {"boosted_trees": {"boosters": 2, "rounds": 30}}])
    trees.fit(VALUES, TARGET)
    parts = contributions(trees, ROWS, VALUES[:40])
    assert parts is not None
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), trees.predict(ROWS)[0], rtol=1e-9)
    smooth = Stack(families=["gaussian_process", {"extra_trees": {"trees": 3}}]).fit(VALUES, VALUES[:, 0])
    assert smooth.weights["gaussian_process"] > 0
    assert contributions(smooth, ROWS, VALUES) is None


def test_a_family_without_exact_contributions_has_none() -> None:
    class Other:
        family = "other"

    assert contributions(Other(), ROWS, VALUES) is None  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    positive = 100 + 10 * TARGET
    return Surrogate.fit("bulk_modulus_vrh", features(VALUES), positive, np.arange(len(VALUES)))


def features(values: np.ndarray) -> FeatureMatrix:
    n = len(values)
    names = tuple(f"feature {column}" for column in range(WIDTH))
    return FeatureMatrix(values, names, "planted", np.zeros((n, 119), bool), np.full(n, "", "<U32"))


def test_training_features_and_background_come_back_from_the_domain(surrogate: Surrogate) -> None:
    np.testing.assert_allclose(training_features(surrogate), VALUES, atol=1e-4)
    background = background_of(surrogate, rows=11)
    order = np.argsort(TARGET, kind="stable")
    np.testing.assert_allclose(background[[0, -1]], VALUES[order[[0, -1]]], atol=1e-4)
    assert len(background_of(surrogate, rows=1000)) == len(VALUES)


def test_levels_are_shares_of_the_training_rows(surrogate: Surrogate) -> None:
    assert levels(surrogate, VALUES.max(axis=0)[None] + 1)[0] == pytest.approx(1)
    assert levels(surrogate, VALUES.min(axis=0)[None] - 1)[0] == pytest.approx(0)
    assert levels(surrogate, np.median(VALUES, axis=0)[None])[0] == pytest.approx(0.5)


def test_nearest_training_rows_are_those_of_the_domain(surrogate: Surrogate) -> None:
    rows, distances = nearest_training(surrogate, ROWS)
    weighted = (VALUES - VALUES.mean(0)) / VALUES.std(0) * np.sqrt(surrogate.ensemble.importances())
    asked = (ROWS - VALUES.mean(0)) / VALUES.std(0) * np.sqrt(surrogate.ensemble.importances())
    expected, nearest = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(weighted).kneighbors(asked)
    np.testing.assert_array_equal(rows, nearest)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_allclose(distances.mean(axis=1), surrogate.domain.distances(ROWS), rtol=1e-5)


@pytest.mark.parametrize("ends", [(100.0, np.inf), (-np.inf, 100.0), (80.0, 130.0)])
def test_value_at_probability_gives_that_probability(surrogate: Surrogate, ends: tuple[float, float]) -> None:
    prediction = surrogate.predict(features(ROWS))
    present = prediction.probability_between(*ends)
    row = int(np.argmax(present))
    wanted = 0.6 * float(present[row])
    value = value_at_probability(prediction, row, ends=ends, probability=wanted)
    assert value is not None
    moved = surrogate.predict(features(ROWS[[row]]))
    moved.centre[0] = value  # the model scale of this surrogate is that of the property
    assert moved.probability_between(*ends)[0] == pytest.approx(wanted, abs=0.02)
    moved.centre[0] = (value + prediction.mean[row]) / 2  # halfway the candidate is still above
    assert moved.probability_between(*ends)[0] > wanted
    assert value_at_probability(prediction, row, ends=ends, probability=1.5) is None
