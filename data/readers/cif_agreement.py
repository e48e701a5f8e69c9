"""Compare the atoms that were made of a CIF block with what else the block says about them.

A block often states more than its cell, atoms and symmetry: a formula and the number of formula units Z, how often each
site is repeated, a weight, a density. None of these is needed to read the crystal. Each of them shows that an atom or
an operation is missing or wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.formula import parse_formulas
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table
from matloop.data.readers.cif_block import CifBlock
from matloop.data.readers.parsed import ParsedCell, number
from matloop.data.readers.structure_split import Unreadable

_FORMULA_TOLERANCE = 0.03  # atomic fraction
_COUNT_TOLERANCE = 0.03  # of the number of atoms in the cell
_SAME_RATIO = 1e-3  # one atom of 500 is more
_LOOSEST = 40.0  # Å3 an atom; a cell that is emptier lacks atoms
_DEUTERON = 1.006277  # u heavier than the proton (CODATA 2018)
_MASS_TOLERANCE = 0.05  # of the mass of the cell, in which hydrogen may be deuterium
_DALTON_PER_CUBIC_ANGSTROM = 1.66053906660  # g/cm3, CODATA 2018
_FORMULAS = ("_chemical_formula_sum", "_chemical_formula_structural", "_chemical_formula_moiety")
_UNITS = "_cell_formula_units_z"
_MULTIPLICITIES = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
_ORDER = "_atom_site_site_symmetry_order"
_WYCKOFF = ("_atom_site_wyckoff_symbol", "_atom_site_wyckoff_label")


def stated_formula(block: CifBlock) -> dict[str, float]:
    """Return the amounts of the stated formula by symbol, empty if there is none or it cannot be read.

    >>> stated_formula(CifBlock("_chemical_formula_structural 'Ca (O H)2'"))
    {'H': 2.0, 'O': 2.0, 'Ca': 1.0}
    """
    return _amounts(_plain_formula(block))


def _amounts(text: str) -> dict[str, float]:
    stated: dict[str, float] = {}
    if not text or len(text) > 300:
        return stated
    if re.fullmatch(r"(?:[A-Z][a-z]?(?:\d+(?:\.\d*)?|\.\d+)?)+", text):
        for symbol, amount in re.findall(r"([A-Z][a-z]?)([\d.]*)", text):
            stated[symbol] = stated.get(symbol, 0.0) + float(amount or 1)
        return {symbol: amount for symbol, amount in stated.items() if amount > 0}
    compositions, _ = parse_formulas([text], exact=True)  # one with variables gives an empty row
    symbols = [SYMBOLS[element] for element in compositions.elements.tolist()]
    return dict(zip(symbols, compositions.amounts.tolist(), strict=True))


def _as_hydrogen(formula: str) -> str:
    """Write H for deuterium and tritium, which are no elements of their own."""
    return re.sub(r"[DT](?![a-z])", "H", formula)


def check_agreement(block: CifBlock, cell: ParsedCell, images: Sequence[int], rows: Sequence[int], order: int) -> None:
    """Refuse a cell that contradicts the block in its composition, number of atoms, multiplicities or mass.

    Args:
        block: The block.
        cell: The cell made of it.
        images: How many atoms of the cell were made of each listed atom.
        rows: Row of each of these atoms in the table of the block.
        order: Number of symmetry operations.

    Raises:
        Unreadable: If something differs.
    """
    _check_multiplicities(block, images, rows, order)
    _check_formula(block, cell)
    _check_mass(block, cell)


def _plain_formula(block: CifBlock) -> str:
    return _as_hydrogen(re.sub(r"\s", "", block.text(*_FORMULAS)))


def _check_formula(block: CifBlock, cell: ParsedCell) -> None:
    """Compare composition and number of atoms with formula and Z."""
    stated = stated_formula(block)
    if not stated:
        return
    text = _plain_formula(block)
    found = cell.amounts()
    missing = set(stated) - set(found)
    if missing:
        raise Unreadable("E-STRUCT-FORMULA", f"{text} is stated, {', '.join(sorted(missing))} has no atoms")
    if foreign := set(found) - set(stated):
        raise Unreadable("E-STRUCT-FORMULA", f"{text} is stated without {', '.join(sorted(foreign))}")
    of_stated, of_found = sum(stated.values()), sum(found.values())
    gaps = {s: abs(found[s] / of_found - stated.get(s, 0.0) / of_stated) for s in found}
    worst = max(gaps, key=gaps.__getitem__)
    ratios = [found[symbol] / stated[symbol] for symbol in found]
    is_exact = cell.is_ordered and all(amount.is_integer() for amount in stated.values())
    if gaps[worst] > _FORMULA_TOLERANCE or (is_exact and max(ratios) > (1 + _SAME_RATIO) * min(ratios)):
        raise Unreadable("E-STRUCT-FORMULA", f"{text} is stated; {worst} differs most")
    units = _positive(block.text(_UNITS))
    if not units:
        return
    allowed = [units * of_stated]
    volume = float(abs(np.linalg.det(cell.lattice)))
    unit = _amounts(_as_hydrogen(re.sub(r"\s", "", block.text("_chemical_formula_structural"))))
    is_whole_cell = {symbol: amount * units for symbol, amount in unit.items()} == stated
    is_whole_cell |= all((amount / units).is_integer() for amount in stated.values()) and volume <= _LOOSEST * of_stated
    if is_whole_cell:  # some programs state the formula of the whole cell beside Z
        allowed.append(of_stated)
    if all(abs(of_found - count) > _COUNT_TOLERANCE * count for count in allowed):
        raise Unreadable(
            "E-STRUCT-FORMULA", f"{text} and Z = {units:g} are stated, but the symmetry makes {of_found:.5g} atoms"
        )


def _check_mass(block: CifBlock, cell: ParsedCell) -> None:
    """Compare the mass of the cell with density, or with formula weight and Z, where these are stated."""
    amounts = cell.amounts()
    elements = [ATOMIC_NUMBERS[symbol] for symbol in amounts]
    weights = element_table().columns(("atomic_mass",))[elements, 0]
    mass = float(weights @ np.array(list(amounts.values())))
    deuterated = mass + _DEUTERON * amounts.get("H", 0.0)
    volume = float(abs(np.linalg.det(cell.lattice)))
    density, weight, units = (
        _positive(block.text(tag))
        for tag in ("_exptl_crystal_density_diffrn", "_chemical_formula_weight", _UNITS)
    )  # fmt: skip
    stated = [
        (f"a density of {density:g} g/cm3", density * volume / _DALTON_PER_CUBIC_ANGSTROM),
        (f"a weight of {weight:g} and Z = {units:g}", weight * units),
    ]
    for words, expected in stated:
        if expected > 0 and not (1 - _MASS_TOLERANCE) * mass <= expected <= (1 + _MASS_TOLERANCE) * deuterated:
            raise Unreadable(
                "E-STRUCT-FORMULA",
                f"the block states {words}, which is {expected:.5g} u in the cell; its atoms weigh {mass:.5g} u",
            )


def _positive(word: str) -> float:
    """Read a number; a word, such as "not measured", says nothing and becomes 0."""
    try:
        return max(number(word.split()[0]), 0.0) if word else 0.0
    except Unreadable:
        return 0.0


def _check_multiplicities(block: CifBlock, images: Sequence[int], rows: Sequence[int], order: int) -> None:
    """Compare how many atoms were made of each one with the multiplicities, or Wyckoff letters, beside them.

    A program in wide use writes the order of the site symmetry under the tag of the multiplicity, so either may be
    meant, though by all atoms alike.
    """
    made = np.array(images)
    for tag in (*_MULTIPLICITIES, _ORDER):
        words = block.column_beside("_atom_site_fract_x", tag)
        known = [place for place, row in enumerate(rows) if words and words[row]]
        stated: NDArray[np.float64] = np.array([number(words[rows[place]]) for place in known])
        is_multiplicity, is_order = stated == made[known], stated * made[known] == order
        if not (is_order.all() or (tag != _ORDER and is_multiplicity.all())):
            worst = int(np.flatnonzero(~(is_order if tag == _ORDER else is_multiplicity))[0])
            raise Unreadable(
                "E-STRUCT-SYMMETRY",
                f"{tag} of an atom is {stated[worst]:g}, but the {order} operations make {made[known][worst]} of it; "
                "state all symmetry operations, or correct the column",
            )
    letters = [block.column_beside("_atom_site_fract_x", tag) for tag in _WYCKOFF]
    special = {words[row][-1:] for words in letters if words for row in rows if words[row][-1:].isalpha()} - {"a"}
    if order == 1 and special:
        raise Unreadable(
            "E-STRUCT-SYMMETRY",
            f"an atom is on the Wyckoff position {min(special)}, which a crystal without symmetry does not have; "
            "state the space group",
        )
