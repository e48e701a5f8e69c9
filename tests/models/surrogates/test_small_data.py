"""From twenty labels on, intervals are wide and hold what they say."""

import numpy as np
import pytest

from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.surrogates.surrogate import Surrogate


def features(values: np.ndarray) -> FeatureMatrix:
    names = tuple(f"x{k}" for k in range(values.shape[1]))
    elements = np.zeros((len(values), 119), bool)
    elements[:, 8] = True
    return FeatureMatrix(values, names, "made up", elements, np.full(len(values), ""))


@pytest.mark.parametrize("family", ["extra_trees", "gaussian_process"])
def test_intervals_of_twenty_rows_hold(family: str) -> None:
    inside, widths = [], {20: [], 80: []}
    for seed in range(6):
        random = np.random.default_rng(seed)
        values = random.normal(size=(580, 5))
        truth = 3 + values[:, 0] + 0.5 * values[:, 1] ** 2 + random.normal(scale=0.5, size=580)
        for count, found in widths.items():
            rows, new = np.arange(count), np.arange(80, 580)
            surrogate = Surrogate.fit(
                "band_gap", features(values[rows]), truth[rows], rows, family=family, parameters={"seed": seed}
            )
            low, high = surrogate.predict(features(values[new])).interval(0.9)
            found.append(float(np.median(high - low)))
            if count == 20:
                inside.append(((truth[new] >= low) & (truth[new] <= high)).mean())
    assert np.mean(inside) > 0.85
    assert np.mean(widths[20]) > np.mean(widths[80])
