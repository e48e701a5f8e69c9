"""What a prediction is compared with, and the value at which it would cross a cut."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.surrogates.prediction import value_at_probability
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training_comparison import background_of, levels, nearest_training, training_features

WIDTH = 6
RNG = np.random.default_rng(7)
VALUES = RNG.normal(size=(240, WIDTH)) * [1, 2, 3, 1, 1, 1]
TARGET = VALUES[:, 0] * VALUES[:, 1] + 3 * np.sin(VALUES[:, 2])
ROWS = RNG.normal(size=(5, WIDTH)) * 2


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
    moved.centre[0] += value - moved.median[0]  # the model scale of this surrogate is that of the property
    assert moved.probability_between(*ends)[0] == pytest.approx(wanted, abs=0.02)
    moved.centre[0] += (prediction.median[row] - moved.median[0]) / 2  # halfway the candidate is still above
    assert moved.probability_between(*ends)[0] > wanted
    assert value_at_probability(prediction, row, ends=ends, probability=1.5) is None
