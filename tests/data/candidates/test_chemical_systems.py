import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.candidates.chemical_systems import SystemIndex, element_sets
from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS

SETS = st.lists(st.sets(st.sampled_from([1, 8, 26, 63, 64, 65, 94, 118]), min_size=1, max_size=5), max_size=30)


def compositions_of(sets: list[set[int]]) -> Compositions:
    elements = [number for chosen in sets for number in sorted(chosen)]
    offsets = np.concatenate([[0], np.cumsum([len(chosen) for chosen in sets])]).astype(np.int64)
    return Compositions(offsets, np.array(elements, np.uint8), np.ones(len(elements)))


@settings(max_examples=60, deadline=None)
@given(sets=SETS, system=st.sets(st.sampled_from([1, 8, 26, 63, 64, 65, 94, 118]), min_size=1))
def test_rows_are_those_that_sets_of_symbols_give(sets: list[set[int]], system: set[int]) -> None:
    index = SystemIndex(compositions_of(sets))
    assert index.within(sorted(system)).tolist() == [row for row, chosen in enumerate(sets) if chosen <= system]
    assert index.spanning(sorted(system)).tolist() == [row for row, chosen in enumerate(sets) if chosen == system]


@pytest.mark.parametrize("count", [12, 13, 40])
def test_wide_systems_are_searched_another_way(count: int) -> None:
    sets = [{1 + row % 50, 1 + (7 * row) % 60} for row in range(200)]
    system = list(range(1, count + 1))
    expected = [row for row, chosen in enumerate(sets) if chosen <= set(system)]
    assert SystemIndex(compositions_of(sets)).within(system).tolist() == expected


def test_sets_tell_all_elements_apart() -> None:
    sets = element_sets(compositions_of([{number} for number in range(1, len(SYMBOLS))]))
    assert len(np.unique(sets, axis=0)) == len(SYMBOLS) - 1
    assert (sets > 0).sum(axis=1).tolist() == [1] * (len(SYMBOLS) - 1)
