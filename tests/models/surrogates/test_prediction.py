from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.prediction import Prediction, backward, forward

NORMAL = np.sort(np.random.default_rng(0).normal(size=4999))
RESIDUALS = NORMAL - np.median(NORMAL)
CENTRE = np.array([-0.3, 0.0, 0.05, 1.0, 3.0])


def prediction(**changes: Any) -> Prediction:
    count = len(changes.get("centre", CENTRE))
    parts = {
        "centre": CENTRE, "scale": np.full(count, 0.2), "in_domain": np.ones(count, bool), "codes": np.full(count, ""),
        "calibration": Calibration(0.05, RESIDUALS), "transform": "identity", "bounds": (0.0, 6.0),
    }  # fmt: skip
    return Prediction(**{**parts, **changes})


def draws(of: Prediction, count: int = 20_000) -> np.ndarray:
    """Monte Carlo sample of each predictive distribution, through the quantiles alone."""
    return np.array([of.quantile(p) for p in np.random.default_rng(1).random(count)])


@pytest.mark.parametrize("transform", ["identity", "log10"])
@pytest.mark.parametrize(
    ("lower", "upper"), [(0.0, 0.05), (0.05, 0.3), (0.9, 1.2), (0.0, 6.0), (-1.0, 0.4), (0.8, np.inf), (-np.inf, 0.1)]
)
def test_probability_between_agrees_with_draws(transform: Any, lower: float, upper: float) -> None:
    of = prediction(transform=transform)
    sample = draws(of)
    expected = ((sample >= lower) & (sample <= upper)).mean(axis=0)
    np.testing.assert_allclose(of.probability_between(lower, upper), expected, atol=0.015)


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.97, 1.0])
@pytest.mark.parametrize(("lower", "upper"), [(0.0, 0.05), (0.05, 0.3), (0.9, 1.2), (0.8, np.inf), (-np.inf, 0.1)])
def test_a_chance_of_having_no_value_agrees_with_draws(lower: float, upper: float, chance: float) -> None:
    of = prediction(insulator=np.full(len(CENTRE), chance))
    sample = draws(of)
    expected = ((sample >= lower) & (sample <= upper)).mean(axis=0)
    np.testing.assert_allclose(of.probability_between(lower, upper), expected, atol=0.015)
    if chance in (0.0, 1.0):
        given = np.zeros(len(CENTRE)) if chance == 0.0 else prediction().median
        np.testing.assert_allclose(of.median, given)
        ends = (given, given) if chance == 0.0 else prediction().interval()
        np.testing.assert_allclose(of.interval(), ends)


def test_the_interval_of_the_picked_begins_at_the_bound_where_a_metal_is_not_ruled_out() -> None:
    of = prediction(insulator=np.array([0.5, 0.9, 0.94, 0.96, 1.0]))
    low, high = of.interval_of_errors(-1.0, 1.0)
    alone_low, alone_high = prediction().interval_of_errors(-1.0, 1.0)
    np.testing.assert_array_equal(high, alone_high)
    np.testing.assert_array_equal(low, np.where([True, True, True, False, False], 0.0, alone_low))


def test_probability_counts_what_lies_beyond_a_bound_as_on_it() -> None:
    # A compound predicted at the hull is surely within 0.6 eV/atom above it: nothing lies below the hull.
    of = prediction()
    np.testing.assert_allclose(of.probability_between(0.0, 0.6)[:3], 1.0, atol=1e-2)
    np.testing.assert_array_equal(of.probability_between(0.0, 6.0), 1.0)
    np.testing.assert_array_equal(of.probability_between(-np.inf, np.inf), 1.0)
    np.testing.assert_array_equal(of.probability_between(-2.0, -1.0), 0.0)
    np.testing.assert_array_equal(of.probability_between(7.0, 8.0), 0.0)


@given(st.lists(st.floats(-1, 7), min_size=3, max_size=3).map(sorted))
def test_probabilities_of_adjoining_ranges_add_up(edges: list[float]) -> None:
    low, middle, high = edges
    of = prediction(bounds=(-np.inf, np.inf))
    total = of.probability_between(low, middle) + of.probability_between(middle, high)
    np.testing.assert_allclose(total, of.probability_between(low, high), atol=1e-12)
    assert ((total >= 0) & (total <= 1)).all()


def test_sigma_and_interval_of_normal_residuals() -> None:
    of = prediction(bounds=(-np.inf, np.inf))
    np.testing.assert_allclose(of.median, CENTRE)
    np.testing.assert_allclose(of.sigma, 0.2, rtol=0.05)
    low, high = of.interval(0.9)
    np.testing.assert_allclose(low, CENTRE - 1.645 * 0.2, atol=0.02)
    np.testing.assert_allclose(high, CENTRE + 1.645 * 0.2, atol=0.02)


def test_everything_stays_within_the_physical_bounds() -> None:
    of = prediction(bounds=(0.0, 2.9))
    low, high = of.interval(0.99)
    for values in (of.median, low, high, of.quantile(0.001), of.quantile(0.999)):
        assert ((values >= 0.0) & (values <= 2.9)).all()
    assert of.median[0] == 0.0
    assert of.median[-1] == 2.9


def test_log10_scale() -> None:
    of = prediction(transform="log10", bounds=(0.0, 1e9))
    np.testing.assert_allclose(of.median, 10**CENTRE)
    low, high = of.interval(0.9)
    assert ((low > 0) & (low < of.median) & (of.median < high)).all()
    np.testing.assert_allclose(np.log10(high / low), 2 * 1.645 * 0.2, rtol=0.03)


@pytest.mark.parametrize("transform", ["identity", "log10"])
def test_what_was_not_predicted_is_nan_everywhere(transform: Any) -> None:
    of = prediction(centre=np.array([np.nan, 1.0]), scale=np.array([np.nan, 0.2]), transform=transform)
    for lower, upper in ((0, 1), (-np.inf, np.inf), (0, np.inf), (-2, -1)):
        assert np.isnan(of.probability_between(lower, upper)).tolist() == [True, False]
    for values in (of.median, of.sigma, *of.interval()):
        assert np.isnan(values).tolist() == [True, False]


@given(st.floats(1e-6, 1e6))
def test_transforms_there_and_back(value: float) -> None:
    for transform in ("identity", "log10"):
        assert backward(forward(np.array([value]), transform), transform)[0] == pytest.approx(value)


def test_log10_of_what_has_none_is_minus_infinity() -> None:
    assert forward(np.array([0.0, -1.0, 100.0]), "log10").tolist() == [-np.inf, -np.inf, 2.0]


BINNED = Calibration(0.05, np.concatenate([RESIDUALS, 3 * RESIDUALS]), np.array([1.0]), np.array([4999, 4999]))


def test_each_candidate_has_the_distribution_of_its_bin() -> None:
    bins = np.array([0, 1, 1, 0, 1])
    of = prediction(calibration=BINNED, bins=bins, bounds=(-np.inf, np.inf))
    single = prediction(bounds=(-np.inf, np.inf), scale=np.where(bins == 1, 0.6, 0.2))
    for found, expected in (
        (of.sigma, single.sigma), (of.interval()[0], single.interval()[0]), (of.interval()[1], single.interval()[1]),
        (of.probability_between(0.1, 0.9), single.probability_between(0.1, 0.9)),
    ):  # fmt: skip
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("transform", ["identity", "log10"])
def test_relative_errors_measure_in_half_widths_of_the_interval(transform: Any) -> None:
    of = prediction(transform=transform, calibration=BINNED, bins=np.array([0, 1, 1, 0, 1]), bounds=(-np.inf, np.inf))
    low, high = of.interval(0.9)
    np.testing.assert_allclose(of.relative_error(high) - of.relative_error(low), 2.0)
    for end, error in zip(of.interval_of_errors(-0.4, 1.7), (-0.4, 1.7), strict=True):
        np.testing.assert_allclose(of.relative_error(end), error)


def test_intervals_of_errors_stay_within_the_physical_bounds() -> None:
    low, high = prediction(bounds=(0.0, 2.9)).interval_of_errors(-10.0, 10.0)
    assert ((low >= 0) & (high <= 2.9) & (low < high)).all()


def skewed(**changes: Any) -> Any:
    """Predictions whose errors are skewed, with an even number of them near the training data and few far from it."""
    random = np.random.default_rng(3)
    near, far = (np.sort(random.exponential(1.0, count) - 0.3) for count in (120, 19))
    calibration = Calibration(0.0, np.concatenate([near, far]), np.array([1.0]), np.array([120, 19]))
    count = 40
    centre, scale = random.uniform(-1.0, 4.0, count), random.uniform(0.05, 1.0, count)
    return prediction(
        centre=centre, scale=scale, in_domain=np.ones(count, bool), codes=np.full(count, ""), calibration=calibration,
        bins=np.arange(count) % 2, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("insulator", [None, 0.0, 0.3, 0.51, 0.6, 0.97, 1.0])
@given(share=st.floats(0, 1))
def test_the_median_agrees_with_probability_and_interval(insulator: float | None, share: float) -> None:
    chance = None if insulator is None else np.full(40, insulator)
    of = skewed(bounds=(0.0, 6.0), insulator=chance)
    (low, high), value = of.interval(0.9), of.median
    assert ((low <= value) & (value <= high)).all()
    limit = 1e-3 + 5.9 * share
    above, far = of.probability_between(limit, np.inf), np.abs(value - limit) > 1e-9
    assert ((above > 0.5) == (value > limit))[far].all()
    assert ((of.probability_between(-np.inf, limit) > 0.5) == (value < limit))[far].all()


def test_the_median_is_not_the_mean_of_the_ensemble() -> None:
    of = skewed(bounds=(-np.inf, np.inf))
    assert np.abs(of.median - of.centre).min() > 0
    on_logarithms = skewed(bounds=(0.0, 1e9), transform="log10")
    np.testing.assert_allclose(on_logarithms.scaled_median, of.median)
    np.testing.assert_allclose(of.probability_between(-np.inf, float(of.median[0]))[0], 0.5)


@pytest.mark.parametrize("insulator", [None, 0.9])
def test_a_value_that_was_predicted_exactly_counts_in_ranges_that_end_on_it(insulator: float | None) -> None:
    """Labels 0 and 1, or metals with a gap of 0: most residuals are exactly zero."""
    residuals = np.sort([-1.0] * 5 + [0.0] * 90 + [1.0] * 5)
    of = prediction(
        centre=np.ones(1), calibration=Calibration(0.05, residuals),
        insulator=None if insulator is None else np.array([insulator]),
    )  # fmt: skip
    share = 1.0 if insulator is None else insulator
    assert of.median.tolist() == [1.0]
    np.testing.assert_allclose(of.probability_between(1.0, np.inf), 0.95 * share, atol=0.01)
    np.testing.assert_allclose(of.probability_between(1.0, 1.0), 0.90 * share, atol=0.02)
    np.testing.assert_allclose(of.probability_between(-np.inf, 1.0), 0.95 * share + 1 - share, atol=0.01)
