"""Pareto fronts against comparing all pairs, and against known sizes of fronts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matloop.screening.ranking.pareto import NOT_COMPARED, StreamedFronts, pareto_fronts

Gains = NDArray[np.float64]


def fronts_by_pairs(gains: Gains) -> NDArray[np.int64]:
    """Peel front after front: those that no other one that is left beats."""
    found = np.full(len(gains), NOT_COMPARED)
    known = ~np.isnan(gains).any(axis=1)
    beaten = (gains[None] >= gains[:, None]).all(2) & (gains[None] > gains[:, None]).any(2)
    front = 0
    while (left := known & (found == NOT_COMPARED)).any():
        front += 1
        found[left & ~(beaten & left[None]).any(axis=1)] = front
    return found


@st.composite
def many_gains(draw: st.DrawFn, *, most: int = 60) -> Gains:
    rows, objectives = draw(st.integers(0, most)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.integers(0, draw(st.sampled_from([2, 4, 20, 10**6])), (rows, objectives)).astype(float)
    values[random.random(values.shape) < draw(st.sampled_from([0.0, 0.05]))] = np.nan
    return values


@given(many_gains(), st.integers(1, 4))
def test_fronts_are_those_of_comparing_all_pairs(gains: Gains, wanted: int) -> None:
    expected = fronts_by_pairs(gains)
    assert pareto_fronts(gains).tolist() == expected.tolist()
    assert pareto_fronts(gains, fronts=wanted).tolist() == np.where(expected <= wanted, expected, 0).tolist()


@pytest.mark.parametrize("objectives", [2, 3, 4, 5])
@pytest.mark.parametrize("values", [5, 40, 10**9])
def test_large_sets_are_cut_and_swept(objectives: int, values: int) -> None:
    gains = np.random.default_rng(objectives).integers(0, values, (1200, objectives)).astype(float)
    assert pareto_fronts(gains).tolist() == fronts_by_pairs(gains).tolist()


def test_candidates_in_a_chain_and_candidates_that_nobody_beats() -> None:
    steps = np.arange(5000.0)
    assert pareto_fronts(np.column_stack([steps] * 4)).tolist() == list(range(5000, 0, -1))
    mixtures = np.random.default_rng(0).dirichlet(np.ones(4), 5000)  # their sum is the same: to gain is to lose
    assert (pareto_fronts(mixtures) == 1).all()


def test_size_of_the_first_front_is_the_known_mean() -> None:
    """With two independent objectives the mean size of the first front is the harmonic number of n (Bentley 1978)."""
    random = np.random.default_rng(0)
    sizes = [(pareto_fronts(random.random((200, 2)), fronts=1) == 1).sum() for _ in range(400)]
    harmonic = sum(1 / k for k in range(1, 201))
    deviation = math.sqrt(harmonic)  # of the number of records, which it is; an upper bound
    assert np.mean(sizes) == pytest.approx(harmonic, abs=3 * deviation / math.sqrt(400))


def test_what_is_not_a_number_is_compared_with_nobody() -> None:
    best = [9.0, np.nan]
    assert pareto_fronts(np.array([best, [1.0, 1.0], [0.0, 0.0]])).tolist() == [0, 1, 2]
    assert pareto_fronts(np.array([[np.nan]])).tolist() == [0]
    assert pareto_fronts(np.empty((0, 3))).tolist() == []


@given(many_gains(most=80), st.integers(1, 3), st.data())
def test_fronts_of_parts_merge_to_those_of_all(gains: Gains, wanted: int, data: st.DataObject) -> None:
    ids = np.array([f"x{row:03}" for row in range(len(gains))], str)
    streamed = StreamedFronts(wanted)
    left = data.draw(st.permutations(range(len(gains))))
    while left:
        size = data.draw(st.integers(1, 30))
        rows, left = np.array(left[:size]), left[size:]
        streamed.add(ids[rows], gains[rows])
    names, fronts = streamed.result()
    expected = fronts_by_pairs(gains)
    of_all = sorted((front, name) for front, name in zip(expected, ids, strict=True) if 1 <= front <= wanted)
    assert list(zip(fronts.tolist(), names.tolist(), strict=True)) == of_all
    assert streamed.not_compared == int(np.isnan(gains).any(axis=1).sum())


@given(many_gains())
def test_order_and_scale_change_nothing(gains: Gains) -> None:
    order = np.random.default_rng(1).permutation(len(gains))
    assert pareto_fronts(gains[order]).tolist() == pareto_fronts(gains)[order].tolist()
    assert pareto_fronts(3.0 * gains + 7.0).tolist() == pareto_fronts(gains).tolist()
