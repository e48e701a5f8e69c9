import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.compositions import Compositions, composition_keys, gather_rows
from matloop.data.candidates.formula import parse_formulas
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from tests.strategies import formula_of, whole_compositions

many = st.lists(whole_compositions(), min_size=1, max_size=8)


def compositions_of(*formulas: str) -> Compositions:
    compositions, codes = parse_formulas(formulas, exact=True)
    assert set(codes) <= {""}
    return compositions


def as_dicts(compositions: Compositions) -> list[dict[str, float]]:
    bounds = zip(compositions.offsets[:-1], compositions.offsets[1:], strict=True)
    return [
        {SYMBOLS[z]: x for z, x in zip(compositions.elements[a:b], compositions.amounts[a:b].tolist(), strict=True)}
        for a, b in bounds
    ]


@given(many)
def test_views_agree_with_a_dictionary_per_candidate(dictionaries: list[dict[str, int]]) -> None:
    compositions = compositions_of(*map(formula_of, dictionaries))
    assert as_dicts(compositions) == dictionaries
    assert compositions.lengths.tolist() == [len(d) for d in dictionaries]
    assert compositions.totals.tolist() == [sum(d.values()) for d in dictionaries]
    np.testing.assert_allclose(np.bincount(compositions.rows, compositions.fractions), 1.0, rtol=1e-12)
    mask = compositions.element_mask()
    assert mask.shape == (len(dictionaries), 119)
    for row, dictionary in zip(mask, dictionaries, strict=True):
        assert set(np.flatnonzero(row)) == {ATOMIC_NUMBERS[symbol] for symbol in dictionary}


@given(many)
def test_reduced_divides_by_the_greatest_common_divisor(dictionaries: list[dict[str, int]]) -> None:
    reduced, whole = compositions_of(*map(formula_of, dictionaries)).reduced()
    assert whole.all()
    divisors = [math.gcd(*d.values()) for d in dictionaries]
    assert as_dicts(reduced) == [
        {symbol: amount // divisor for symbol, amount in d.items()}
        for d, divisor in zip(dictionaries, divisors, strict=True)
    ]


@pytest.mark.parametrize(
    ("formula", "amounts"),
    [
        ("Ga0.5Al0.5As", [1, 1, 2]),
        ("Li0.3333333Si0.6666667", [1, 2]),
        ("La0.7Sr0.3MnO3", [30, 10, 3, 7]),
        ("Si0.999Ge0.001", [999, 1]),
        ("Fe1000000O500000", [1, 2]),
    ],
)
def test_reduced_turns_simple_fractions_into_whole_numbers(formula: str, amounts: list[int]) -> None:
    reduced, whole = compositions_of(formula).reduced()
    assert whole.tolist() == [True]
    assert reduced.amounts.tolist() == amounts


def test_reduced_leaves_dilute_alloys_as_fractions() -> None:
    reduced, whole = compositions_of("Si3Ge0.000123").reduced()
    assert whole.tolist() == [False]
    np.testing.assert_allclose(reduced.amounts, [3 / 3.000123, 0.000123 / 3.000123], rtol=1e-12)


@given(many, st.data())
def test_take_picks_repeats_and_reorders(dictionaries: list[dict[str, int]], data: st.DataObject) -> None:
    compositions = compositions_of(*map(formula_of, dictionaries))
    rows = data.draw(st.lists(st.integers(0, len(dictionaries) - 1), max_size=10))
    assert as_dicts(compositions.take(np.array(rows, np.int64))) == [dictionaries[row] for row in rows]


def test_take_refuses_a_row_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        compositions_of("NaCl", "SiO2").take(np.array([2]))


def test_no_candidates() -> None:
    nothing = compositions_of("NaCl").take(np.array([], np.int64))
    assert len(nothing) == 0
    assert nothing.totals.shape == nothing.rows.shape == nothing.fractions.shape == (0,)
    assert nothing.element_mask().shape == (0, 119)
    assert len(nothing.reduced()[0]) == 0


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=8), st.data())
def test_gather_rows_of_any_ragged_array(rows: list[list[int]], data: st.DataObject) -> None:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = [value for row in rows for value in row]
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)) if rows else []
    positions, bounds = gather_rows(offsets, np.array(wanted, np.int64))
    picked = [flat[position] for position in positions]
    assert [picked[a:b] for a, b in itertools.pairwise(bounds)] == [rows[row] for row in wanted]


@given(whole_compositions(), st.integers(2, 5))
def test_keys_do_not_depend_on_multiples_or_order(composition: dict[str, int], factor: int) -> None:
    multiple = {symbol: factor * amount for symbol, amount in reversed(composition.items())}
    keys = composition_keys(compositions_of(formula_of(composition), formula_of(multiple)))
    assert keys[0] == keys[1]


def test_keys_of_all_packaged_formulas_differ(embedded_formulas: list[str]) -> None:
    assert len(np.unique(composition_keys(compositions_of(*embedded_formulas)))) == len(embedded_formulas)
