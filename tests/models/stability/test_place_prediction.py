"""Value, interval and probability of the energy above the hull are read from one distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matloop.data.candidates.formula import parse_formulas
from matloop.models.stability.competition import Competition
from matloop.models.stability.error_distribution import ErrorDistribution, NearbyValues
from matloop.models.stability.hull import HullDistances
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.place_prediction import predict_places

LIMIT = 0.05
SHIFT = 0.03
OXIDES, _ = parse_formulas(["MgO", "MgO"])


def places(*values: float) -> HullDistances:
    n = len(values)
    return HullDistances(np.array(values), [()] * n, np.zeros(n, np.int64), np.zeros(n, bool), np.full(n, ""))


def errors(*residuals: float) -> ErrorDistribution:
    found = np.array(residuals)
    compositions, _ = parse_formulas(["MgO"] * len(found))
    return ErrorDistribution.of(np.zeros(len(found)), found, compositions, local=False)


def always(*values: float) -> NearbyValues:
    return NearbyValues.of(np.zeros(len(values)), np.array(values), len(values))


def predicted(
    alone: tuple[float, float], together: tuple[float, float], *, sibling: int = -1, share: float = 0.0,
    **given_: NearbyValues,
) -> LocalPrediction:  # fmt: skip
    """Two candidates, all errors of which are the same shift; the second may be decided by the first."""
    found = Competition(places(*alone), places(*together), np.array([-1, sibling]), np.array([0.0, share]))
    return predict_places(errors(SHIFT, SHIFT), found, OXIDES, **given_)


def test_the_shift_of_a_potential_cancels_between_siblings() -> None:
    found = predicted((-0.2, -0.19), (-0.2, 0.01), sibling=0)
    assert found.median == pytest.approx([0.0, 0.01])  # 0.04 with the shift against known phases
    # On the hull of known phases the lower one lies at 0.02 with its shift, which the higher one has too.
    assert predicted((-0.01, 0.0), (-0.01, 0.01), sibling=0).median == pytest.approx([0.02, 0.03])


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_shift_cancels_as_far_as_candidates_compete(share: float) -> None:
    found = predicted((-0.2, -0.1), (-0.2, 0.04), share=share)
    assert found.median[1] == pytest.approx(0.04 + (1 - share) * SHIFT)
    # Known phases still compete, with all of the shift.
    assert predicted((-0.2, 0.04), (-0.2, 0.041), share=share).median[1] == pytest.approx(
        0.041 - 0.001 + SHIFT, abs=2e-3
    )


def test_a_missing_phase_is_in_probability_value_and_interval() -> None:
    rises = always(*[0.0] * 30, *[0.2] * 30, *[np.inf] * 40)
    found = predicted((-0.1, 0.0), (-0.1, 0.0), missing=rises)
    assert found.probability_between(-np.inf, LIMIT) == pytest.approx([0.3, 0.3], abs=0.01)
    assert found.median == pytest.approx([0.13, 0.23])
    low, high = found.interval(0.9)
    assert low == pytest.approx([0.0, SHIFT])
    assert np.isinf(high).all()
    assert (found.sigma < 0.2).all()


def test_a_missing_phase_raises_the_lowest_sibling_and_the_others_with_it() -> None:
    found = predicted((-0.1, -0.09), (-0.1, 0.01), sibling=0, missing=always(*[0.0] * 40, *[0.2] * 60))
    assert found.median == pytest.approx([0.13, 0.14])


NUMBERS = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=40)


@given(st.floats(-0.5, 0.3), NUMBERS, st.lists(st.floats(0, 1) | st.just(np.inf), min_size=1, max_size=20))
def test_numbers_agree_whatever_the_errors(place: float, residuals: list[float], rises: list[float]) -> None:
    lone = Competition.of_nobody(places(place, place))
    found = predict_places(errors(*residuals), lone, OXIDES, missing=always(*rises))
    value, chance = found.median[0], found.probability_between(-np.inf, LIMIT)[0]
    ends: tuple[NDArray[np.float64], NDArray[np.float64]] = found.interval(0.9)
    low, high = (float(end[0]) for end in ends)
    assert low <= value <= high
    assert (chance > 0.5) == (value <= LIMIT)
    assert high > 0 or chance >= 0.9
