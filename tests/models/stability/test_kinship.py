"""Kinship against a count by hand, and what it must not depend on."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from pymatgen.core import Composition

from matloop.data.candidates.formula import parse_formulas
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.models.stability.kinship import Kinship

KNOWN = [
    "NaCl", "KCl", "RbCl", "NaBr", "KBr", "MgO", "CaO", "SrO", "BaTiO3", "SrTiO3", "CaTiO3", "BaZrO3", "SrZrO3",
    "MgAl2O4", "ZnAl2O4", "MgCr2O4", "Fe2O3", "Al2O3", "Cr2O3", "KMgF3", "NaMgF3",
]  # fmt: skip


def kinship(formulas: list[str]) -> Kinship:
    return Kinship.of(parse_formulas(formulas)[0])


def scores(of: Kinship, *formulas: str) -> np.ndarray:
    return of.scores(parse_formulas(list(formulas))[0])


def places(formula: str) -> list[tuple[tuple, str]]:
    """Each place of a compound, and the element that holds it, from pymatgen's reduced formula."""
    amounts = Composition(formula).reduced_composition.get_el_amt_dict()
    return [
        ((tuple(sorted((other, n) for other, n in amounts.items() if other != element)), amount), element)
        for element, amount in amounts.items()
    ]


def counted_by_hand(formula: str) -> float:
    """The sum of likeness from the definition, with dictionaries."""
    holders = defaultdict(set)
    for known in KNOWN:
        for place, element in places(known):
            holders[place].add(element)
    seen, times = defaultdict(float), defaultdict(float)
    for those in holders.values():
        for one in those if len(those) > 1 else ():
            times[one] += 1
            for other in those - {one}:
                seen[one, other] += 1 / (len(those) - 1)
    total = sum(times.values())
    return sum(
        seen[element, other] / (times[element] * times[other] / total + 1)
        for place, element in places(formula)
        for other in holders.get(place, set()) - {element}
    )


@pytest.mark.parametrize("formula", ["RbBr", "CaZrO3", "BaO", "ZnCr2O4", "BaTiO3", "CsCl", "Al2O3", "SiO2"])
def test_scores_are_sums_of_likeness_counted_by_hand(formula):
    assert scores(kinship(KNOWN), formula)[0] == pytest.approx(counted_by_hand(formula))


def test_a_composition_is_no_relative_of_itself_and_its_multiple_is_the_same():
    alone = kinship(["NaCl", "MgO"])
    assert scores(alone, "NaCl", "Na2Cl2").tolist() == [0, 0]
    found = scores(kinship(KNOWN), "CaZrO3", "O3ZrCa", "Ca2Zr2O6")
    assert found[0] > 0
    assert np.ptp(found) == 0


def test_repeats_and_the_order_of_known_compounds_do_not_matter():
    twice = kinship([*reversed(KNOWN), *KNOWN, "Ba2Ti2O6"])
    once = kinship(KNOWN)
    assert np.array_equal(twice.places, once.places)
    assert np.array_equal(twice.holders, once.holders)
    assert np.allclose(twice.likeness, once.likeness)


def test_elements_that_replace_each_other_are_more_alike_than_chance():
    likeness = kinship(KNOWN).likeness
    number = ATOMIC_NUMBERS
    assert np.allclose(likeness, likeness.T)
    assert min(likeness[number["Na"], number["K"]], likeness[number["Cl"], number["Br"]]) > 1
    assert likeness[number["Na"], number["O"]] == likeness[number["Au"], number["Pt"]] == 0  # never seen
