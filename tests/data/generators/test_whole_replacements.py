"""Another element in the whole place of one: ions of equal charge, elements where there are no ions."""

import numpy as np
import pytest

from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.elements import SYMBOLS
from matloop.data.errors import SubstitutionError
from matloop.data.generators.whole_replacements import NO_SUCH_ION, REFUSALS, WholeReplacements, replace_whole_element


def replaced(formula: str, symbol: str, by: list[str] | None = None) -> WholeReplacements:
    return replace_whole_element(parse_formulas([formula])[0], symbol, by=by)


@pytest.mark.parametrize(("formula", "symbol"), [("LiCoO2", "Co"), ("In2O3", "In"), ("CdS", "Cd"), ("SrTiO3", "Ti")])
def test_ions_keep_amounts_and_balance(formula: str, symbol: str) -> None:
    found = replaced(formula, symbol)
    assert found.by_ions
    charge = found.leaving.removeprefix(symbol)
    assert {new.ion.removeprefix(SYMBOLS[new.element]) for new in found.new} == {charge}
    assert charge_balance(found.compositions).neutral.all()
    before, _ = parse_formulas([formula])
    assert set(found.compositions.totals.tolist()) == set(before.totals.tolist())
    assert not found.compositions.element_mask()[:, SYMBOLS.index(symbol)].any()
    chances = [new.probability for new in found.new]
    assert chances == sorted(chances, reverse=True)


def test_known_neighbours_are_among_the_most_probable() -> None:
    named = write_formulas(replaced("LiCoO2", "Co").compositions)
    assert {"LiFeO2", "LiNiO2", "LiMnO2", "LiAlO2"} <= set(named[:10])
    zinc = next(new for new in replaced("CdS", "Cd").new if new.ion == "Zn2+")
    assert zinc.radius_change == pytest.approx(0.74 / 0.95 - 1, abs=0.05)  # Shannon 1976, coordination of six


def test_elements_replace_elements_where_there_are_no_ions() -> None:
    found = replaced("Bi2Te3", "Te")
    assert not found.by_ions
    assert write_formulas(found.compositions)[:2] == ["Bi2Se3", "Bi2S3"]
    assert all(np.isnan(new.radius_change) for new in found.new)
    assert replaced("Co3O4", "Co", ["Fe", "Mg"]).refused == {"Mg": "R-REPLACE-BALANCE"}


def test_an_element_may_become_one_that_is_there_and_keeps_its_charge() -> None:
    assert write_formulas(replaced("CdZnS2", "Cd", ["Zn"]).compositions) == ["ZnS"]
    assert replaced("CdZnS2", "Cd", ["S"]).refused == {"S": NO_SUCH_ION}


def test_what_cannot_replace_is_named_with_a_reason() -> None:
    found = replaced("CdS", "Cd", ["Na", "Cd", "S", "Og"])
    assert not found.new
    assert set(found.refused) == {"Na", "Cd", "S", "Og"}
    assert set(found.refused.values()) <= set(REFUSALS)


@pytest.mark.parametrize(("formula", "symbol"), [("CdS", "Zn"), ("Cd", "Cd")])
def test_an_element_that_is_not_there_is_refused(formula: str, symbol: str) -> None:
    with pytest.raises(SubstitutionError, match="E-SUBSTITUTION"):
        replaced(formula, symbol)
