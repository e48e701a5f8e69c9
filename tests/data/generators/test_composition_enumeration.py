"""Charge-neutral compositions: none missing, none twice, none that the charge check or pymatgen would refuse."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.oxidation_states import LIKE_ANIONS, OXIDATION_STATES
from matloop.data.errors import GeneratorError, UnknownNameError
from matloop.data.generators.composition_enumeration import CompositionEnumeration
from matloop.data.generators.pools import element_pool
from tests.strategies import batch_of, formula_of

CHARGED = sorted(OXIDATION_STATES)
pools = st.lists(st.sampled_from(CHARGED), min_size=2, max_size=5, unique=True)


def formulas_of(source: CompositionEnumeration, size: int = 1000) -> list[str]:
    return [formula for intake in source.intakes(size) for formula in intake.batch.formulas]


def every_reduced_composition(pool: list[str], widths: range, largest: int) -> CandidateBatch:
    found = [
        formula_of(dict(zip(symbols, amounts, strict=True)))
        for width in widths
        for symbols in itertools.combinations(pool, width)
        for amounts in itertools.product(range(1, largest + 1), repeat=width)
        if math.gcd(*amounts) == 1
    ]
    return batch_of(*found)


@settings(deadline=None, max_examples=60)
@given(pools, st.integers(2, 5), st.integers(1, 4), st.booleans())
def test_exactly_those_the_charge_check_passes(pool: list[str], most: int, largest: int, metallic: bool) -> None:
    largest = min(largest, 3) if most > 3 else largest
    source = CompositionEnumeration(pool, most_elements=most, largest_coefficient=largest, metallic=metallic)
    every = every_reduced_composition(pool, range(2, min(most, len(pool)) + 1), largest)
    found = charge_balance(every.compositions)
    passes = found.neutral | (found.metallic & metallic)
    made = formulas_of(source)
    assert sorted(made) == sorted(every.take(np.flatnonzero(passes)).formulas)
    assert source.count() == len(made) == len(set(made))


def test_large_coefficients_need_several_words() -> None:
    # Os8+ with twelve atoms carries 96 charges, more than one machine word of 64 bits can count.
    source = CompositionEnumeration(["Os", "Xe", "B"], largest_coefficient=12)
    every = every_reduced_composition(["Os", "Xe", "B"], range(2, 4), 12)
    neutral = charge_balance(every.compositions).neutral
    assert source.count() == neutral.sum()
    assert set(formulas_of(source)) == set(every.take(np.flatnonzero(neutral)).formulas)


def test_pymatgen_finds_charges_that_balance_too() -> None:
    pool = "Li Ba Ti Mn Fe Cu P As S O Cl".split()
    source = CompositionEnumeration(pool, most_elements=4, largest_coefficient=4)
    formulas = formulas_of(source)
    assert source.count() == len(formulas) > 20_000
    # Bonds between like anions leave them any charge below that of the octet.
    allowed = {
        symbol: list(range(OXIDATION_STATES[symbol][0], 0)) + [s for s in OXIDATION_STATES[symbol] if s > 0] + [0]
        if symbol in LIKE_ANIONS
        else list(OXIDATION_STATES[symbol])
        for symbol in pool
    }
    for formula in np.random.default_rng(0).choice(formulas, 150, replace=False):
        assert Composition(formula).oxi_state_guesses(oxi_states_override=allowed), formula


def test_order_is_that_of_width_elements_and_amounts() -> None:
    source = CompositionEnumeration(["O", "Fe", "Ba"], largest_coefficient=3)
    parts = list(source.compositions(10_000))
    (part,) = parts
    rows = [
        (b - a, *part.elements[a:b].tolist(), *part.amounts[a:b].tolist()) for a, b in itertools.pairwise(part.offsets)
    ]
    assert rows == sorted(rows)
    assert len(np.unique(composition_keys(part))) == len(part)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_limit_cuts_the_same_stream(size: int) -> None:
    settings = {"elements": ["Na", "Fe", "O", "S"], "largest_coefficient": 3}
    whole = formulas_of(CompositionEnumeration(**settings))
    limited = CompositionEnumeration(**settings, limit=40)
    assert limited.count() == 40
    assert formulas_of(limited, size) == whole[:40]
    assert CompositionEnumeration(**settings, limit=10**9).count() == len(whole)


def test_required_elements_are_in_every_composition() -> None:
    settings = {"elements": ["Na", "Fe", "O", "S"], "largest_coefficient": 3}
    whole = formulas_of(CompositionEnumeration(**settings))
    with_both = CompositionEnumeration(**settings, required=["Fe", "O"])
    expected = [formula for formula in whole if {"Fe", "O"} <= set(Composition(formula).as_dict())]
    assert formulas_of(with_both) == expected
    assert with_both.count() == len(expected) > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"elements": ["Fe"]}, "1 elements"),
        ({"elements": ["Fe", "O", "Fe"]}, "Fe more than once"),
        ({"elements": "FeO"}, "as one text"),
        ({"fewest_elements": 1}, "from 2 to 5"),
        ({"most_elements": 6}, "from 3 to 5"),
        ({"largest_coefficient": 13}, "from 1 to 12"),
        ({"largest_coefficient": 2.0}, "from 1 to 12"),
        ({"required": ["Mg"]}, "Mg outside the pool"),
        ({"limit": 0}, "at least 1"),
        ({"limit": 1e5}, "at least 1"),
        ({"metallic": "yes"}, "true or false"),
        ({"required": ["Fe", "O", "S"], "fewest_elements": 2, "most_elements": 2}, "3 of them required"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict, message: str) -> None:
    settings = {"elements": ["Fe", "O", "S"], "fewest_elements": 3, "most_elements": 3}
    with pytest.raises(GeneratorError, match=f"E-GENERATOR: .*{message}"):
        CompositionEnumeration(**{**settings, **wrong})


@pytest.mark.parametrize(("wrong", "near"), [("fe", "Fe"), ("Fee", "Fe"), ("D", "Dy"), (None, "one of 118")])
def test_unknown_elements_get_the_nearest_symbol(wrong: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown element") as caught:
        element_pool(["O", wrong])
    assert near in str(caught.value)
    with pytest.raises(UnknownNameError):
        CompositionEnumeration(["O", "Fe"], required=[wrong])
