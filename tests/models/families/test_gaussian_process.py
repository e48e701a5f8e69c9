"""The Gaussian process against scikit-learn's, and what its settings promise."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from matloop.data.errors import ModelError
from matloop.models.families.gaussian_process import GaussianProcess, _misfit, _principal_axes
from matloop.models.families.inputs import Scaling

RANDOM = np.random.default_rng(3)
VALUES = RANDOM.normal(size=(160, 4)) * [1, 10, 0.1, 1]
FRESH = RANDOM.normal(size=(70, 4)) * [1, 10, 0.1, 1]


def truth(values: np.ndarray) -> np.ndarray:
    return np.sin(2 * values[:, 0]) + 0.1 * values[:, 1] + 5


TARGET = truth(VALUES) + 0.05 * RANDOM.normal(size=160)


def test_predictions_are_those_of_scikit_learn() -> None:
    ours = GaussianProcess(rounds=8).fit(VALUES, TARGET)
    signal, noise = ours._arrays["variances"]
    kernel = ConstantKernel(signal) * Matern(1.0, nu=2.5) + WhiteKernel(noise)
    theirs = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0)
    centre, deviation = ours._arrays["level"]
    theirs.fit(ours._arrays["points"], (TARGET - centre) / deviation)
    along = Scaling.from_arrays(ours._arrays).apply(FRESH) @ ours._arrays["axes"]
    mean, spread = theirs.predict(along, return_std=True)
    np.testing.assert_allclose(ours.predict(FRESH)[0], centre + deviation * mean, rtol=1e-6)
    np.testing.assert_allclose(ours.predict(FRESH)[1], deviation * spread, rtol=1e-5)


@pytest.mark.parametrize("shares", [np.ones(40), np.linspace(0.2, 3, 40)], ids=["equal", "weighted"])
def test_marginal_likelihood_is_that_of_scikit_learn_and_its_gradient_is_right(shares: np.ndarray) -> None:
    points, target = VALUES[:40] / VALUES.std(axis=0), (TARGET[:40] - TARGET[:40].mean()) / TARGET[:40].std()
    at = np.log([0.8, 1.5, 3.0, 0.6, 1.7, 0.05])
    misfit, gradient = _misfit(at, points, target, shares)
    kernel = ConstantKernel(1.7) * Matern([0.8, 1.5, 3.0, 0.6], nu=2.5)
    theirs = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.05 * shares).fit(points, target)
    constant = 20 * np.log(2 * np.pi)
    prior = 0.5 * (at[:4] ** 2).sum()
    assert misfit - prior + constant == pytest.approx(-theirs.log_marginal_likelihood_value_)
    steps = 1e-5 * np.eye(6)

    def value(at: np.ndarray) -> float:
        return _misfit(at, points, target, shares)[0]

    numeric = [(value(at + step) - value(at - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


def test_spread_tells_near_from_far_and_holds_what_it_says() -> None:
    process = GaussianProcess().fit(VALUES, TARGET)
    mean, spread = process.predict(FRESH)
    miss = np.abs(mean - truth(FRESH) - 0.05 * np.random.default_rng(0).normal(size=70)) / spread
    assert (miss < 1.645).mean() > 0.75
    assert process.predict(np.array([[0, 40.0, 0, 0]]))[1] >= np.median(spread)
    assert spread.min() > 0.02  # never below the noise of a measurement


def test_importances_find_the_features_that_matter() -> None:
    importances = GaussianProcess().fit(VALUES, TARGET).importances()
    assert importances[:2].sum() > 0.8


def test_slopes_are_those_of_the_prediction() -> None:
    process = GaussianProcess(rounds=5).fit(VALUES, TARGET)
    scaling = Scaling.from_arrays(process._arrays)
    inside = np.flatnonzero((np.clip(FRESH, 0.99 * scaling.low, 0.99 * scaling.high) == FRESH).all(axis=1))[:20]
    slopes = process._slopes(scaling.apply(FRESH[inside]))
    assert len(inside) == 20
    for column in range(4):
        step = 1e-5 * scaling.deviation[column] * np.eye(4)[column]
        change = process.predict(FRESH[inside] + step)[0] - process.predict(FRESH[inside] - step)[0]
        np.testing.assert_allclose(slopes[:, column] * process._arrays["level"][1], change / 2e-5, rtol=1e-3, atol=1e-4)


def test_more_rows_than_allowed_are_drawn_from() -> None:
    process = GaussianProcess(rows=50, tuning_rows=30).fit(VALUES, TARGET)
    assert len(process._arrays["points"]) == 50
    assert np.abs(process.predict(FRESH)[0] - truth(FRESH)).mean() < np.abs(truth(FRESH) - TARGET.mean()).mean()


def test_all_rows_are_used_where_they_fit_whatever_the_seed() -> None:
    one, other = (GaussianProcess(rounds=5, seed=seed).fit(VALUES, TARGET).predict(FRESH) for seed in (0, 1))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [30, 77, 149, 160])
def test_numbers_of_a_row_do_not_depend_on_its_place(count: int) -> None:
    wide = RANDOM.normal(size=(count, 37))
    process = GaussianProcess(rounds=2).fit(wide, wide[:, 0])
    again = np.repeat(wide[:1] * 0.9, 130, axis=0)
    for numbers in process.predict(again):
        assert len(np.unique(numbers)) == 1


def test_components_hold_the_variance() -> None:
    scaled = RANDOM.normal(size=(100, 2)) @ RANDOM.normal(size=(2, 12))
    axes = _principal_axes(scaled, 40)
    assert axes.shape == (12, 2)
    assert (scaled @ axes).var(axis=0).sum() == pytest.approx(1)
    assert _principal_axes(scaled, 1).shape == (12, 1)


def test_constant_target_constant_features_and_copies_are_no_obstacle(tmp_path: Path) -> None:
    copies = np.repeat(VALUES[:10], 3, axis=0)
    mean, spread = GaussianProcess().fit(copies, np.full(30, 4.0)).predict(FRESH)
    np.testing.assert_allclose(mean, 4.0, rtol=1e-9)
    assert np.isfinite(spread).all()
    mean, _ = GaussianProcess().fit(np.ones((30, 3)), TARGET[:30]).predict(np.ones((2, 3)))
    np.testing.assert_allclose(mean, TARGET[:30].mean(), rtol=1e-6)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="4 training rows"):
        GaussianProcess().fit(VALUES[:4], TARGET[:4])
