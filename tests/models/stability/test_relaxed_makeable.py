"""Kinship and potentials together: more of either raises P, and neither alone decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.models.stability.relaxed_makeable import HIGHEST, highest_makeable, makeable_after_relaxing

CHANCES = st.floats(0.001, 0.999)


def together(by_kinship: float, by_potentials: float) -> float:
    return float(makeable_after_relaxing(np.array([by_kinship]), np.array([by_potentials]))[0])


@given(CHANCES, CHANCES, CHANCES)
def test_more_of_either_is_never_less_probable(kinship: float, potential: float, other: float) -> None:
    low, high = sorted((potential, other))
    assert together(kinship, low) <= together(kinship, high) + 1e-12
    assert together(low, kinship) <= together(high, kinship) + 1e-12


def test_a_crystal_far_above_the_hull_is_hardly_makeable_whatever_its_kin() -> None:
    assert together(0.6, 0.0) < 0.02
    assert together(0.01, 1.0) > together(0.01, 0.5)
    assert together(0.001, 1.0) < 0.5


def test_what_is_unknown_stays_so() -> None:
    assert together(np.nan, 0.3) == pytest.approx(0.3)
    assert np.isnan(together(0.3, np.nan))


def test_the_largest_probability_is_that_of_the_limit() -> None:
    assert [highest_makeable(limit) for limit in HIGHEST] == list(HIGHEST.values())
    assert HIGHEST[0.025] < highest_makeable(0.03) < HIGHEST[0.05]  # a wider limit is met more often
    assert highest_makeable(0.2) == HIGHEST[0.1]
