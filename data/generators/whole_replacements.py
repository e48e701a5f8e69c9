"""Compositions in which another element takes the whole place of one element, with the charge of its ion.

In a material of ions, an ion of the published substitution table (Hautier et al., Inorg. Chem. 50, 656 (2011)) replaces
one of the same charge, so that the amounts and the other ions stay as they are. In any other material, elements replace
elements by how often they do so in the packaged crystals (:mod:`matloop.data.generators.element_substitution`). The
usual oxidation states must neutralise the new composition if they neutralise the old one; a metallic one may stay so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.ions import assign_ions, load_ions
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import SubstitutionError
from matloop.data.generators.element_substitution import element_replacements
from matloop.data.label import Label

NO_SUCH_ION = "R-REPLACE-CHARGE"
"""The table of substitutions has no ion of the element with the charge that is needed."""
NOT_NEUTRAL = "R-REPLACE-BALANCE"
"""The usual oxidation states cannot neutralise the new composition."""
SAME_COMPOUND = "R-REPLACE-SAME"
"""The new composition is the old one, or an element alone."""
NO_CRYSTALS = "R-REPLACE-UNKNOWN"
"""The packaged crystals do not tell how probably the element replaces others."""


class Replacing(NamedTuple):
    """One element in the place of another.

    Attributes:
        element: Atomic number of the new element.
        ion: The new ion, such as ``Zn2+``; the symbol where the material has no ions.
        probability: How probably it takes the place.
        radius_change: Change of the ionic radius (Shannon) as a share of the old one; nan without ions.
    """

    element: int
    ion: str
    probability: float
    radius_change: float


REFUSALS: Mapping[str, Label] = {
    NO_SUCH_ION: Label("no ion of the charge that is needed", "没有所需电荷的离子"),
    NOT_NEUTRAL: Label("oxidation states that do not add up to zero", "氧化态无法使电荷平衡"),
    SAME_COMPOUND: Label("the same compound, or an element alone", "得到同一化合物或单质"),
    NO_CRYSTALS: Label("no packaged crystals that tell how it replaces others", "内置晶体未给出其替换他者的记录"),
}
"""What each code says, in both languages."""


class WholeReplacements(NamedTuple):
    """Compositions in which other elements take the whole place of one element.

    Attributes:
        leaving: The ion that is replaced, or the symbol of the element.
        by_ions: Whether ions replace ions.
        new: What replaces it, the most probable first.
        compositions: One for each of ``new``.
        refused: Elements that cannot take the place, by symbol, with the code of the reason.
    """

    leaving: str
    by_ions: bool
    new: tuple[Replacing, ...]
    compositions: Compositions
    refused: dict[str, str]


def replace_whole_element(
    composition: Compositions, symbol: str, *, by: Sequence[str] | None = None
) -> WholeReplacements:
    """Put other elements into the place of one element of a material.

    Args:
        composition: The material, one row.
        symbol: Element that is replaced.
        by: Symbols of the elements that may replace it; all elements if None.

    Raises:
        SubstitutionError: If the material lacks the element, or is that element alone.

    >>> cadmium_sulphide, _ = parse_formulas(["CdS"])
    >>> found = replace_whole_element(cadmium_sulphide, "Cd", by=["Zn", "Na"])
    >>> found.leaving, [new.ion for new in found.new], found.refused
    ('Cd2+', ['Zn2+'], {'Na': 'R-REPLACE-CHARGE'})
    """
    elements = composition.elements.astype(int).tolist()
    number = ATOMIC_NUMBERS[symbol]
    if number not in elements or len(elements) == 1:
        held = ", ".join(SYMBOLS[element] for element in elements)
        raise SubstitutionError(
            f"a material of {held} in which {symbol} is to be replaced", "an element of a compound of several elements"
        )
    reduced, _ = composition.reduced()
    chosen, by_ions = assign_ions(reduced, load_ions())
    if by_ions[0]:
        leaving, new, refused = _ions_of_same_charge(int(chosen[elements.index(number)]))
    else:
        leaving, new, refused = symbol, *_elements_in_place_of(number)
    asked = set(SYMBOLS[1:]) if by is None else set(by)
    kept = sorted((one for one in new if SYMBOLS[one.element] in asked), key=lambda one: -one.probability)
    compositions, wrong = _made(reduced, number, kept)
    if by_ions[0]:  # an element keeps the charge that it has elsewhere in the material
        present = {load_ions().label(ion) for ion in chosen.tolist()}
        other = [one.element in elements and one.ion not in present for one in kept]
        wrong[np.array(other, bool)] = NO_SUCH_ION
    refused |= {SYMBOLS[one.element]: str(code) for one, code in zip(kept, wrong, strict=True) if code}
    good = [row for row, code in enumerate(wrong) if not code]
    return WholeReplacements(
        leaving, bool(by_ions[0]), tuple(kept[row] for row in good), compositions.take(np.array(good, np.int64)),
        {name: refused[name] for name in sorted(asked & set(refused), key=SYMBOLS.index)},
    )  # fmt: skip


def _ions_of_same_charge(leaving: int) -> tuple[str, list[Replacing], dict[str, str]]:
    """The ion that leaves, those that may replace it, and the elements without such an ion."""
    ions = load_ions()
    fitting = np.flatnonzero((ions.charges == ions.charges[leaving]) & (ions.elements != ions.elements[leaving]))
    changes = ions.radii[fitting] / ions.radii[leaving] - 1
    probabilities = np.exp(ions.log_probability[leaving, fitting])
    new = [
        Replacing(int(ions.elements[ion]), ions.label(ion), float(probability), float(change))
        for ion, probability, change in zip(fitting.tolist(), probabilities, changes, strict=True)
    ]
    there = {one.element for one in new}
    refused = {name: NO_SUCH_ION for number, name in enumerate(SYMBOLS) if number and number not in there}
    return ions.label(leaving), new, {**refused, SYMBOLS[ions.elements[leaving]]: SAME_COMPOUND}


def _elements_in_place_of(number: int) -> tuple[list[Replacing], dict[str, str]]:
    """The elements that may replace one, and those of which the packaged crystals tell nothing."""
    known = element_replacements()
    there = known.elements.astype(int).tolist()
    if number not in there:
        return [], dict.fromkeys(SYMBOLS[1:], NO_CRYSTALS)
    chances = np.exp(known.log_probability[there.index(number)])
    new = [
        Replacing(element, SYMBOLS[element], float(chance), float("nan"))
        for element, chance in zip(there, chances, strict=True)
        if element != number
    ]
    refused = {name: NO_CRYSTALS for other, name in enumerate(SYMBOLS) if other and other not in there}
    return new, {**refused, SYMBOLS[number]: SAME_COMPOUND}


def _made(composition: Compositions, number: int, new: Sequence[Replacing]) -> tuple[Compositions, NDArray[np.str_]]:
    """The new compositions, and the code of each that may not be, empty otherwise."""
    entries = list(zip(composition.elements.astype(int).tolist(), composition.amounts.tolist(), strict=True))
    formulas = [
        "".join(f"{SYMBOLS[one.element if element == number else element]}{amount:.12g}" for element, amount in entries)
        for one in new
    ]
    made, codes = parse_formulas(formulas, exact=True)
    before, after = charge_balance(composition), charge_balance(made)
    if before.metallic[0]:
        allowed = after.neutral | after.metallic
    else:
        allowed = after.neutral | (not before.neutral[0])
    wrong = np.where((codes == "") & allowed, "", NOT_NEUTRAL).astype("<U32")
    same = (composition_keys(made) == composition_keys(composition)[0]) | (made.lengths == 1)
    wrong[same] = SAME_COMPOUND
    return made, wrong
