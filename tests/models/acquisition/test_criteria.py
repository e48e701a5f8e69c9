import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from matloop.data.errors import ModelError
from matloop.models.acquisition.criteria import (
    draw_margins,
    expected_improvement,
    probability_of_improvement,
    upper_confidence_bound,
)
from matloop.models.acquisition.outlook import TargetOutlook


@st.composite
def outlooks(draw: st.DrawFn) -> TargetOutlook:
    """One candidate, its range one-sided or a window."""
    ends = sorted(draw(st.lists(st.floats(-2, 2), min_size=2, max_size=2, unique_by=lambda x: round(x, 1))))
    kind = draw(st.sampled_from(["least", "most", "window"]))
    lower = -np.inf if kind == "most" else ends[0]
    upper = np.inf if kind == "least" else ends[1]
    mean, sigma = draw(st.floats(-3, 3)), draw(st.floats(0.05, 1.5))
    return TargetOutlook(np.array([mean]), np.array([sigma]), lower, upper, draw(st.floats(0.3, 3)))


def survival(target: TargetOutlook, least: float) -> float:
    """Probability of a larger margin, by the error function of Python alone."""
    low, high = target.lower + least * target.spread, target.upper - least * target.spread
    below = [
        math.erfc((float(target.mean[0]) - end) / float(target.sigma[0]) / math.sqrt(2)) / 2 for end in (low, high)
    ]
    return max(below[1] - below[0], 0.0)


@given(st.lists(outlooks(), min_size=1, max_size=3), st.floats(0, 1.5))
@settings(max_examples=25, deadline=None)
def test_functions_agree_with_quadrature(targets: list[TargetOutlook], best: float) -> None:
    def all_above(least: float) -> float:
        return float(np.prod([survival(target, least) for target in targets]))

    kinks = [float(target.margin(target.mean)[0]) for target in targets]
    kinks += [target.largest_margin for target in targets if target.is_window]
    end = max(best + 0.1, *kinks, *(float(target.optimistic_margin(9.0)[0]) for target in targets))
    points = sorted({point for point in kinks if best < point < end})
    exact = quad(all_above, best, end, points=points or None, limit=400)[0]
    np.testing.assert_allclose(probability_of_improvement(targets, best), all_above(best), atol=1e-12)
    np.testing.assert_allclose(expected_improvement(targets, best), exact, rtol=2e-3, atol=2e-4)


def test_limits_of_certainty() -> None:
    sure = TargetOutlook(np.array([1.0, 3.0]), np.zeros(2), lower=2.0)
    assert probability_of_improvement([sure]).tolist() == [0.0, 1.0]
    assert expected_improvement([sure, sure], 0.25).tolist() == pytest.approx([0.0, 0.75], abs=1e-9)
    assert upper_confidence_bound([sure]).tolist() == [-1.0, 1.0]
    with pytest.raises(ModelError, match="not empty"):
        TargetOutlook(np.zeros(1), np.ones(1), lower=2.0, upper=1.0)


@given(st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_order_does_not_depend_on_units(scale: float, shift: float) -> None:
    random = np.random.default_rng(0)
    mean, sigma = random.normal(size=50), random.uniform(0.1, 1, 50)
    plain = TargetOutlook(mean, sigma, lower=0.5)
    changed = TargetOutlook(mean * scale + shift, sigma * scale, lower=0.5 * scale + shift, spread=scale)
    for function in (probability_of_improvement, expected_improvement, upper_confidence_bound):
        np.testing.assert_allclose(function([plain]), function([changed]), rtol=1e-6, atol=1e-9)  # type: ignore[operator]


def test_draws_are_joint_and_have_the_stated_widths() -> None:
    loadings = np.array([[0.9, 0.0], [0.9, 0.0], [0.0, 0.5]])
    target = TargetOutlook(np.array([0.0, 1.0, 2.0]), np.array([0.9, 1.0, 1.0]), lower=0.5, loadings=loadings)
    drawn = draw_margins([target], 40_000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [-0.5, 0.5, 1.5], atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), [[0.81, 0.81, 0], [0.81, 1, 0], [0, 0, 1]], atol=0.02)
