"""Writing reduced formulas: the spelling is pymatgen's."""

import numpy as np
import pytest
from hypothesis import given
from pymatgen.core import Composition

from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.elements import SYMBOLS, element_table
from tests.strategies import formula_of, formula_texts, whole_compositions

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")


def written(*formulas: str) -> list[str]:
    compositions, codes = parse_formulas(formulas, exact=True)
    assert not codes.any()
    return write_formulas(compositions)


def test_packaged_formulas_are_written_as_pymatgen_writes_them(embedded_formulas: list[str]) -> None:
    assert written(*embedded_formulas) == [Composition(formula).reduced_formula for formula in embedded_formulas]
    assert written(*embedded_formulas) == embedded_formulas


@given(whole_compositions())
def test_whole_compositions_are_written_as_pymatgen_writes_them(composition: dict[str, int]) -> None:
    assert written(formula_of(composition)) == [Composition(composition).reduced_formula]


def test_elements_without_electronegativity_come_last() -> None:
    electronegativity = element_table().columns(("pauling_electronegativity",))[1:, 0]
    for number in np.flatnonzero(np.isnan(electronegativity)) + 1:
        formula = f"{SYMBOLS[number]}Na2O4"
        assert written(formula) == [Composition(formula).reduced_formula] == [f"Na2O4{SYMBOLS[number]}"]


@pytest.mark.parametrize(
    ("formula", "reduced"),
    [
        ("O4P1Fe1Li1", "LiFePO4"),
        ("Ca3P2O8", "Ca3(PO4)2"),
        ("O3Fe2", "Fe2O3"),
        ("LiO", "Li2O2"),
        ("H4O4", "H2O2"),
        ("N", "N2"),
        ("Fe3", "Fe"),
        ("Ga0.5In0.5As", "InGaAs2"),
        ("Si0.99999Ge0.00001", "Si0.99999Ge0.00001"),
    ],
)
def test_examples(formula: str, reduced: str) -> None:
    assert written(formula) == [reduced]


def test_dilute_amounts_keep_six_digits_and_no_exponent() -> None:
    assert written("Al2O3Cr0.00000001234567") == ["Al2Cr0.0000000123457O3"]
    assert written("Si999999.5Ge0.0001") == ["Si1000000Ge0.0001"]


@given(formula_texts())
def test_what_is_written_is_read_back(formula: str) -> None:
    before, _ = parse_formulas([formula], exact=True)
    after, codes = parse_formulas(write_formulas(before), exact=True)
    assert not codes.any()
    np.testing.assert_array_equal(after.elements, before.elements)
    np.testing.assert_allclose(after.fractions, before.fractions, rtol=1e-5)


@given(formula_texts())
def test_writing_twice_changes_nothing(formula: str) -> None:
    once = written(formula)
    assert written(*once) == once


def test_no_formulas() -> None:
    assert write_formulas(parse_formulas([])[0]) == []
