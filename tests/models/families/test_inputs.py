"""Clipping and scaling of features, and blocks of one size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from matloop.data.errors import ModelError
from matloop.models.families.inputs import Scaling, in_blocks, slope_shares

VALUES = np.random.default_rng(1).normal(size=(1000, 3)) * [1, 100, 1e-3] + [0, 5, 0]


def test_scaling_is_scikit_learns_after_clipping() -> None:
    low, high = np.quantile(VALUES, [0.005, 0.995], axis=0)
    clipped = np.clip(VALUES, low, high)
    np.testing.assert_allclose(Scaling.fit(VALUES).apply(VALUES), StandardScaler().fit_transform(clipped), atol=1e-12)


def test_values_far_away_stay_at_the_edge() -> None:
    scaling = Scaling.fit(VALUES)
    np.testing.assert_array_equal(scaling.apply(np.full((1, 3), 1e9)), scaling.apply(VALUES.max(axis=0)[None]))
    assert np.abs(scaling.apply(np.full((1, 3), -1e300))).max() < 4


def test_constant_feature_is_zero_and_a_rare_one_is_kept() -> None:
    values = VALUES.copy()
    values[:, 0] = 0.1 + 0.2  # a mean that rounding takes off the value
    values[:, 1] = np.arange(1000) == 7
    scaled = Scaling.fit(values).apply(values + np.array([1.0, 0, 0]))
    np.testing.assert_array_equal(scaled[:, 0], 0)
    assert scaled[7, 1] > 10
    assert np.ptp(np.delete(scaled[:, 1], 7)) == 0


def test_other_width_is_refused() -> None:
    with pytest.raises(ModelError, match="2 features"):
        Scaling.fit(VALUES).apply(VALUES[:, :2])


def test_scaling_survives_a_file() -> None:
    scaling = Scaling.fit(VALUES)
    np.testing.assert_array_equal(Scaling.from_arrays(scaling.arrays()).apply(VALUES), scaling.apply(VALUES))


@given(count=st.integers(0, 200))
def test_every_row_is_evaluated_once_in_its_place(count: int) -> None:
    sizes = []

    def evaluate(rows: np.ndarray, more: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        return np.column_stack([rows[:, 0], rows[:, 0] + more])

    mean, spread = in_blocks(evaluate, np.arange(count)[:, None], np.arange(count) * 10)
    np.testing.assert_array_equal(mean, np.arange(count))
    np.testing.assert_array_equal(spread, np.arange(count) * 11)
    assert set(sizes) <= {64}


def test_flat_prediction_shares_evenly() -> None:
    np.testing.assert_array_equal(slope_shares(np.zeros((5, 4))), [0.25] * 4)
