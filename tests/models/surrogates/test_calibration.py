import numpy as np
import pytest
from crepes import ConformalPredictiveSystem
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from matloop.models.surrogates.calibration import Calibration, bin_edges, tail_value

values = st.floats(-1e3, 1e3)
residual_lists = arrays(float, st.integers(1, 60), elements=values).map(np.sort)


def heteroscedastic(count: int, seed: int, *, skewed: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, mean and spread, where the noise is 1.7 times the spread, which varies tenfold."""
    random = np.random.default_rng(seed)
    spread = 10 ** random.uniform(-1, 0, count)
    noise = random.exponential(size=count) - 1 if skewed else random.normal(size=count)
    mean = random.normal(size=count)
    return mean + 1.7 * spread * noise, mean, spread


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("level", [0.5, 0.683, 0.9, 0.95])
def test_intervals_hold_what_they_promise_on_fresh_data(level: float, skewed: bool) -> None:
    calibration = Calibration.fit(*heteroscedastic(3000, 0, skewed=skewed))
    target, mean, spread = heteroscedastic(20_000, 1, skewed=skewed)
    scale = spread + calibration.floor
    low, high = (mean + scale * calibration.quantile(p) for p in ((1 - level) / 2, (1 + level) / 2))
    assert ((target >= low) & (target <= high)).mean() == pytest.approx(level, abs=0.02)
    # Equal tails, and in both halves of the spread: the interval follows the noise.
    assert (target < low).mean() == pytest.approx((1 - level) / 2, abs=0.015)
    for half in (spread < np.median(spread), spread >= np.median(spread)):
        assert ((target >= low) & (target <= high))[half].mean() == pytest.approx(level, abs=0.035)


def test_finite_sample_correction_is_exact_for_small_calibration_sets() -> None:
    # With 39 residuals the 2nd smallest and 2nd largest enclose a fresh one with probability 36/40 = 0.9.
    random = np.random.default_rng(5)
    residuals = np.sort(random.normal(size=(20_000, 39)), axis=1)
    fresh = random.normal(size=20_000)
    inside = [tail_value(row, 0.05) <= x <= tail_value(row, 0.95) for row, x in zip(residuals, fresh, strict=True)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.007)


def test_floor_grows_when_the_spread_says_little() -> None:
    target, mean, spread = heteroscedastic(2000, 2)
    shuffled = np.random.default_rng(0).permutation(spread)
    assert Calibration.fit(target, mean, shuffled).floor > 4 * Calibration.fit(target, mean, spread).floor


def test_errors_that_will_be_smaller_make_narrower_distributions() -> None:
    target, mean, spread = heteroscedastic(500, 3)
    plain, shrunk = Calibration.fit(target, mean, spread), Calibration.fit(target, mean, spread, shrinkage=0.9)
    assert shrunk.floor == plain.floor
    np.testing.assert_allclose(shrunk.residuals, 0.9 * plain.residuals)


@pytest.mark.parametrize("error", [0.0, 0.3])
def test_no_spread_at_all_still_gives_a_width_above_zero(error: float) -> None:
    target = np.linspace(0, 1, 50)
    calibration = Calibration.fit(target, target + error * np.resize([1, -1], 50), np.zeros(50))
    assert calibration.floor > 0
    assert np.isfinite(calibration.residuals).all()
    width = calibration.floor * (calibration.quantile(0.95) - calibration.quantile(0.05))
    assert width == pytest.approx(2 * error)


@given(residual_lists, arrays(float, 30, elements=st.floats(-1e6, 1e6)))
def test_cumulative_is_monotone_and_never_0_or_1(residuals: np.ndarray, thresholds: np.ndarray) -> None:
    probability = Calibration(0.1, residuals).cumulative(np.sort(thresholds))
    assert (np.diff(probability) >= 0).all()
    assert ((probability > 0) & (probability < 1)).all()


@given(residual_lists)
def test_cumulative_orders_what_lies_beyond_all_residuals(residuals: np.ndarray) -> None:
    calibration = Calibration(0.1, residuals)
    m = len(residuals)
    above = calibration.cumulative(residuals[-1] + np.array([0.0, 1.0, 10.0, 1e3]))
    below = calibration.cumulative(residuals[0] - np.array([0.1, 1.0, 10.0, 1e3]))
    assert (np.diff(above) > 0).all()
    assert (np.diff(below) < 0).all()
    assert above[0] == pytest.approx(m / (m + 1))
    assert below[0] < 1 / (m + 1)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=60, unique=True), st.floats(0.001, 0.999))
def test_cumulative_of_the_quantile_is_the_probability(residuals: list[int], probability: float) -> None:
    m = len(residuals)
    assume(1 / (m + 1) <= probability <= m / (m + 1))
    calibration = Calibration(0.1, np.sort(residuals) / 100)
    there_and_back = calibration.cumulative(calibration.quantile(probability))[0]
    outward = there_and_back - probability if probability >= 0.5 else probability - there_and_back
    assert -1e-6 <= outward <= 1 / (m + 1) + 1e-6  # rounded outwards, by one residual at most


@given(residual_lists)
def test_quantile_is_monotone_and_one_of_the_residuals(residuals: np.ndarray) -> None:
    quantiles = [tail_value(residuals, p) for p in (0.0, 0.01, 0.05, 0.3, 0.49, 0.51, 0.7, 0.95, 1.0)]
    assert quantiles == sorted(quantiles)
    assert set(quantiles) <= set(residuals.tolist())


def test_cumulative_of_nan_is_nan() -> None:
    probability = Calibration(0.1, np.array([-1.0, 0.0, 1.0])).cumulative(np.array([np.nan, 0.0, np.inf, -np.inf]))
    np.testing.assert_array_equal(probability, [np.nan, 0.5, 1.0, 0.0])


def test_distributions_are_those_of_crepes() -> None:
    target, mean, spread = heteroscedastic(300, 7)
    calibration = Calibration.fit(target, mean, spread)
    oracle = ConformalPredictiveSystem()
    oracle.fit(target - mean, spread + calibration.floor)
    _, centre, fresh = heteroscedastic(2000, 8)
    scale = fresh + calibration.floor
    ends = [centre + scale * calibration.quantile(p) for p in (0.05, 0.95)]
    np.testing.assert_allclose(np.transpose(ends), oracle.predict_int(centre, scale, confidence=0.9))
    expected = oracle.predict_p(centre, np.full(2000, 0.4), scale, smoothing=False)
    # Ours is interpolated between the steps of theirs.
    np.testing.assert_allclose(calibration.cumulative((0.4 - centre) / scale), expected, atol=1.01 / 301)


def by_distance(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Errors that grow with the distance, of which the spread knows nothing."""
    random = np.random.default_rng(seed)
    distance, mean, spread = random.exponential(size=count), random.normal(size=count), random.uniform(0.5, 1, count)
    return mean + spread * distance * random.normal(size=count), mean, spread, distance


def test_bins_are_those_of_mondrian_crepes_and_hold_in_each_bin() -> None:
    target, mean, spread, distance = by_distance(4000, 0)
    calibration = Calibration.fit(target, mean, spread, distance)
    assert calibration.sizes.tolist() == [2000, 1200, 600, 200]
    np.testing.assert_allclose(calibration.edges, np.quantile(distance, [0.5, 0.8, 0.95]))
    oracle = ConformalPredictiveSystem()
    oracle.fit(target - mean, spread + calibration.floor, calibration.bins(distance))
    target, mean, spread, distance = by_distance(20_000, 1)
    bins, scale = calibration.bins(distance), spread + calibration.floor
    low, high = (mean + scale * calibration.quantile(p)[bins] for p in (0.05, 0.95))
    np.testing.assert_allclose(np.transpose([low, high]), oracle.predict_int(mean, scale, bins, confidence=0.9))
    expected = oracle.predict_p(mean, np.full(20_000, 0.4), scale, bins, smoothing=False)
    found = calibration.cumulative((0.4 - mean) / scale, bins)
    np.testing.assert_allclose(found, expected, atol=1.01 / 201)
    inside = (low <= target) & (target <= high)
    for number in range(4):
        assert inside[bins == number].mean() == pytest.approx(0.9, abs=0.05)
    single = Calibration.fit(*by_distance(4000, 0)[:3])
    low, high = (mean + (spread + single.floor) * single.quantile(p) for p in (0.05, 0.95))
    assert ((low <= target) & (target <= high))[bins == 3].mean() < 0.7


@pytest.mark.parametrize(("rows", "sizes"), [(150, [150]), (400, [200, 200]), (700, [350, 210, 140])])
def test_small_sets_have_fewer_bins(rows: int, sizes: list[int]) -> None:
    assert Calibration.fit(*by_distance(rows, 2)).sizes.tolist() == sizes


def test_an_edge_lies_at_the_limit_of_the_domain_if_enough_rows_are_on_both_sides() -> None:
    own, far = np.linspace(0, 1, 800), np.linspace(1.01, 2, 200)
    both = np.concatenate([own, far])
    np.testing.assert_allclose(bin_edges(both, own=own, limit=0.95), [0.5, 0.8, 0.95], atol=0.003)
    np.testing.assert_allclose(bin_edges(both, own=own, limit=0.8), [0.5, 0.8], atol=0.003)
    assert 0.95 not in bin_edges(both[:850], own=own, limit=0.95)


def test_equal_distances_share_a_bin() -> None:
    target, mean, spread, _ = by_distance(4000, 0)
    calibration = Calibration.fit(target, mean, spread, np.full(4000, 3.0))
    assert calibration.quantile(0.9)[calibration.bins(np.array([3.0]))][0] == Calibration.fit(
        target, mean, spread
    ).quantile(0.9)
