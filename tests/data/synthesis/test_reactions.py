"""Every balanced reaction conserves each element to the last atom."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.synthesis.amounts import read_amounts
from matloop.data.synthesis.reactions import Exchange, balance, solve_exactly
from matloop.data.synthesis.routes import find_routes

CATIONS = "Li Na K Mg Ca Sr Ba Al Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo In Sn La Ce Nd Gd W Pb Bi Si P B".split()


def atoms_left(reaction) -> dict[str, Fraction]:
    """Atoms of each element after less before."""
    left: dict[str, Fraction] = {}
    for formula, number in reaction.coefficients().items():
        spelled = formula if formula == reaction.target else formula.replace(".", "·")
        for symbol, amount in read_amounts(spelled, exact=True).items():
            left[symbol] = left.get(symbol, Fraction(0)) + number * amount
    return {symbol: amount for symbol, amount in left.items() if amount}


@settings(deadline=None, max_examples=8)
@given(
    cations=st.lists(st.sampled_from(CATIONS), min_size=1, max_size=6, unique=True),
    amounts=st.lists(st.integers(1, 40), min_size=7, max_size=7),
    oxygen=st.integers(1, 60),
    others=st.sampled_from(["", "N", "F", "Cl", "S"]),
)
def test_elements_are_conserved(cations: list[str], amounts: list[int], oxygen: int, others: str) -> None:
    formula = "".join(f"{symbol}{n / 20:g}" for symbol, n in zip(cations, amounts, strict=False))
    found = find_routes(f"{formula}O{oxygen / 10:g}{others}", exact=True)
    for route in found.routes[:20]:
        assert not atoms_left(route.reaction)
        assert all(term.amount > 0 for term in route.reaction.solids)
        numbers = route.reaction.coefficients().values()
        assert all(isinstance(number, int) for number in numbers)
        assert len({precursor.formula for precursor in route.precursors}) == len(route.precursors)


@settings(deadline=None)
@given(
    columns=st.lists(
        st.dictionaries(st.sampled_from("ABCD"), st.integers(-9, 9).map(Fraction), min_size=1), min_size=1, max_size=4
    ),
    amounts=st.lists(st.fractions(-5, 5, max_denominator=7), min_size=4, max_size=4),
)
def test_a_solution_is_the_one_that_was_put_in(columns: list[dict[str, Fraction]], amounts: list[Fraction]) -> None:
    wanted: dict[str, Fraction] = {}
    for column, amount in zip(columns, amounts, strict=False):
        for symbol, atoms in column.items():
            wanted[symbol] = wanted.get(symbol, Fraction(0)) + atoms * amount
    found = solve_exactly(columns, wanted)
    assert found is None or found == amounts[: len(columns)]  # None: the columns depend on each other


@pytest.mark.parametrize(
    ("target", "precursors"),
    [("BaTiO3", ["BaCO3"]), ("BaTiO3", ["BaCO3", "TiO2", "SrCO3"]), ("BaTiO3", ["BaCO3", "BaO2", "TiO2"])],
    ids=["an element lacks", "an element too much", "more than one solution"],
)
def test_what_does_not_balance_is_none(target: str, precursors: list[str]) -> None:
    assert balance(target, precursors, [Exchange("CO2"), Exchange("O2", taken=True)]) is None


def test_a_gas_in_a_forbidden_direction_is_refused() -> None:
    assert balance("FeO", ["Fe"], [Exchange("O2")]) is None
    assert balance("FeO", ["Fe"], [Exchange("O2", taken=True)]) is not None


def test_a_balance_is_the_smallest_in_whole_numbers() -> None:
    # J. F. Shackelford-type textbook case: Y2O3 + 4 BaCO3 + 6 CuO in oxygen, written for YBa2Cu3O7.
    reaction = balance("YBa2Cu3O7", ["Y2O3", "BaCO3", "CuO"], [Exchange("CO2"), Exchange("O2", taken=True)])
    assert reaction is not None
    assert reaction.coefficients() == {"YBa2Cu3O7": 4, "Y2O3": -2, "BaCO3": -8, "CuO": -12, "CO2": 8, "O2": -1}
