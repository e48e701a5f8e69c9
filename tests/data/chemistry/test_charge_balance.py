"""The charge check against a search in plain Python, textbook compounds and pymatgen's tables."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Element

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.charge_balance import MOST_WAYS, ORDER_TOLERANCE, charge_balance, element_roles
from matloop.data.chemistry.oxidation_states import LIKE_ANIONS, METALS, MIXED_VALENCE, OXIDATION_STATES
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from tests.strategies import batch_of, formula_of, whole_compositions

ELECTRONEGATIVITY = {symbol: element_roles().electronegativity[z] for symbol, z in ATOMIC_NUMBERS.items()}
CHARGED = sorted(set(OXIDATION_STATES) - {"Kr", "Xe"})
small_compositions = st.dictionaries(st.sampled_from(CHARGED), st.integers(1, 5), min_size=2, max_size=4)


def by_hand(composition: dict[str, int]) -> tuple[int, float]:
    """Neutral assignments and the smallest imbalance, by trying everything."""
    divisor = np.gcd.reduce(list(composition.values()))
    amounts = {symbol: amount // divisor for symbol, amount in composition.items()}
    symbols = sorted(amounts, key=lambda symbol: -ELECTRONEGATIVITY[symbol])
    ways, nearest = 0, np.inf
    for top in [*range(len(symbols)), None]:  # the most electronegative cation; None: all are anions
        ceiling = np.inf if top is None else ELECTRONEGATIVITY[symbols[top]]
        choices = []
        for place, symbol in enumerate(symbols):
            count, states = amounts[symbol], OXIDATION_STATES[symbol]
            options: list[tuple[int, bool]] = []  # total charge of the element, whether it is spread
            first = top is None or place < top
            if first or (place > top and ELECTRONEGATIVITY[symbol] > ceiling - ORDER_TOLERANCE):
                options += [(state * count, False) for state in states if state < 0]
                limit, least, most = LIKE_ANIONS.get(symbol, (-1.0, 0.0, 0.0))
                if ceiling <= limit and states[0] < 0:
                    whole = range(1, -states[0] * count)
                    options += [(-n, True) for n in whole if least * count - 1e-9 <= n <= most * count + 1e-9]
            if not first:
                positive = [state for state in states if state > 0]
                options += [(state * count, False) for state in positive]
                if symbol in MIXED_VALENCE:
                    for low, high in itertools.pairwise(positive):
                        options += [(charge, True) for charge in range(low * count + 1, high * count)]
            choices.append(options)
        for assignment in itertools.product(*choices):
            if sum(spread for _, spread in assignment) <= 1:
                total = sum(charge for charge, _ in assignment)
                nearest = min(nearest, abs(total))
                ways += total == 0
    return ways, nearest / sum(amounts.values())


@settings(deadline=None, max_examples=300)
@given(small_compositions)
def test_same_as_trying_everything(composition: dict[str, int]) -> None:
    found = charge_balance(batch_of(formula_of(composition)).compositions)
    ways, imbalance = by_hand(composition)
    assert found.ways[0] == ways
    assert found.neutral[0] == (ways > 0)
    assert found.imbalance[0] == pytest.approx(imbalance, abs=1e-12)


@settings(deadline=None)
@given(whole_compositions(), st.integers(2, 7))
def test_always_finite_and_the_same_for_multiples_and_any_order(composition: dict[str, int], factor: int) -> None:
    reversed_multiple = {symbol: amount * factor for symbol, amount in reversed(composition.items())}
    both = charge_balance(batch_of(formula_of(composition), formula_of(reversed_multiple)).compositions)
    assert np.isfinite(both.imbalance).all()
    assert (both.imbalance >= 0).all()
    for values in both:
        assert values[0] == values[1]
    assert both.neutral[0] == (both.imbalance[0] == 0) == (both.ways[0] > 0)


@pytest.mark.parametrize(
    "formula",
    [
        "NaCl", "CaTiO3", "Al2SiO5", "Fe3O4", "Pb3O4", "BaBiO3", "Cs2AuAuCl6", "BaO2", "KO2", "FeS2", "K2S5", "NaSi",
        "CaSi2", "Na8Si46", "PtAs2", "NaN3", "CaC2", "NH4NO3", "LiFePO4", "XeF2", "Na2SO4", "CuFeS2", "Li3N", "LaH2",
    ],
)  # fmt: skip
def test_real_compounds_are_neutral(formula: str) -> None:
    found = charge_balance(batch_of(formula).compositions)
    assert found.neutral[0], found


@pytest.mark.parametrize("formula", ["NaCl2", "Al2O", "CaF3", "KBr5", "Li3O", "AlCl4", "Na2NO"])
def test_impossible_compounds_are_not(formula: str) -> None:
    found = charge_balance(batch_of(formula).compositions)
    assert not found.neutral[0]
    assert not found.metallic[0]
    assert found.imbalance[0] > 0


def test_order_of_electronegativity_is_kept() -> None:
    # Balanced by charge alone only with the more electronegative element as cation: oxygen above fluorine's -1.
    assert charge_balance(batch_of("OF2").compositions).neutral[0] == np.False_
    assert charge_balance(batch_of("Cl2O7").compositions).neutral[0]


@pytest.mark.parametrize(
    ("formula", "metallic"),
    [("Ni3Al", True), ("Fe3C", True), ("MgB2", False), ("TiB", True), ("Fe", True), ("Si", False), ("FeO", False),
     ("Cu3Sb", True), ("CuS", False)],
)  # fmt: skip
def test_metals_are_marked(formula: str, metallic: bool) -> None:
    assert charge_balance(batch_of(formula).compositions).metallic[0] == metallic


def test_an_element_alone_is_neutral() -> None:
    found = charge_balance(batch_of("Fe", "O2", "He", "S8").compositions)
    assert found.neutral.all()
    assert found.ways.tolist() == [1, 1, 1, 1]
    assert not found.imbalance.any()


def test_no_compositions() -> None:
    empty = Compositions(np.zeros(1, np.int64), np.empty(0, np.uint8), np.empty(0))
    assert [len(values) for values in charge_balance(empty)] == [0, 0, 0, 0]


def test_fractional_amounts_count_within_rounding() -> None:
    fractions = batch_of("Li0.33333La0.55556TiO3", "La0.7Sr0.3MnO3", "Na0.51234Cl")
    assert charge_balance(fractions.compositions).neutral.tolist() == [True, True, False]


def test_work_is_bounded_for_large_units_and_many_elements() -> None:
    many = "".join(symbol for symbol in SYMBOLS[20:] if len(OXIDATION_STATES.get(symbol, ())) > 3) + "O60"
    formulas = ("Cr20Mn20Fe20Co20Ni20O133", many, "Fe123456O165431", "Fe0.123457Mn0.7654321O1.234567")
    compositions = batch_of(*formulas).compositions
    charge_balance(compositions)
    start = time.process_time()
    found = charge_balance(compositions)
    assert time.process_time() - start < 2
    assert found.ways[1] == MOST_WAYS
    assert np.isfinite(found.imbalance).all()


def test_few_known_compounds_are_refused_and_many_made_up_ones(materials: CandidateBatch) -> None:
    reduced, _ = materials.compositions.reduced()
    found = charge_balance(reduced)
    assert np.mean(~found.neutral & ~found.metallic) < 0.05
    random = np.random.default_rng(0)
    shuffled = Compositions(reduced.offsets, random.permutation(reduced.elements), reduced.amounts)
    distinct = np.array([len(set(shuffled.elements[a:b])) == b - a for a, b in itertools.pairwise(reduced.offsets)])
    made_up = charge_balance(shuffled.take(np.flatnonzero(distinct)))
    assert np.mean(~made_up.neutral) > 2 * np.mean(~found.neutral)


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
def test_table_holds_the_states_pymatgen_calls_common_or_finds_in_solids() -> None:
    # C1+ stands in organic molecules; the smaller negative states come from bonds between like atoms.
    for z in range(1, 104):
        element = Element.from_Z(z)
        theirs = set(element.icsd_oxidation_states) | set(element.common_oxidation_states)
        positive = {state for state in theirs if state > 0} - ({1} if element.symbol == "C" else set())
        ours = set(OXIDATION_STATES.get(element.symbol, ()))
        assert positive <= ours, element.symbol
        assert min(theirs, default=0) >= min(ours, default=0), element.symbol


def test_tables_agree_with_each_other() -> None:
    assert {symbol for symbol in SYMBOLS[1:104] if Element(symbol).is_metal} | {"Po"} == METALS
    assert all(list(states) == sorted(set(states)) and 0 not in states for states in OXIDATION_STATES.values())
    assert all(sum(state < 0 for state in states) <= 1 for states in OXIDATION_STATES.values())
    assert all(OXIDATION_STATES[symbol][0] < 0 for symbol in LIKE_ANIONS)
    assert all(sum(state > 0 for state in OXIDATION_STATES[symbol]) > 1 for symbol in MIXED_VALENCE)
