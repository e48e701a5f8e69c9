"""Read images of extended XYZ files (https://github.com/libAtoms/extxyz), of which one image is one structure."""

from __future__ import annotations

import re

import numpy as np

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.extended_xyz_header import member, read_lattice, read_members, read_occupancies
from matloop.data.readers.header_numbers import header_numbers
from matloop.data.readers.parsed import FULL, ParsedCell, element, fractional, numbers, site_count, symbol_of
from matloop.data.readers.structure_split import Unreadable

_COLUMNS = re.compile(r"(?:[^:\s]+:[SIRLsirl]:[1-9]\d{0,3})(?::[^:\s]+:[SIRLsirl]:[1-9]\d{0,3})*")
_NEEDED = {
    "pos": ("R:3",), "species": ("S:1",), "z": ("I:1",), "numbers": ("I:1",), "occupancy": ("R:1", "I:1"),
    "spacegroup_kinds": ("I:1",),
}  # fmt: skip
_OTHER_NAMES = {
    **dict.fromkeys(
        ("occupancies", "occ", "occs", "occup", "occups", "occupation", "occupations", "site_occupancy",
         "site_occupancies", "site_occupation", "site_occ", "atom_site_occupancy"),
        "occupancy",
    ),
    **dict.fromkeys(("atomic_numbers", "atomic_number"), "numbers"),
}  # fmt: skip
_PLAIN = "species:S:1:pos:R:3"


def read_extended_xyz(text: str) -> ParsedCell:
    """Read one image: the number of atoms, a line of ``key=value`` pairs, and a line for each atom.

    Blank lines between the atoms are passed over. Atoms are named by symbols, or by atomic numbers in a column ``Z`` or
    ``numbers``; numbers in a column of symbols are types of a simulation, and say nothing about elements. Occupancies
    are those of a column, or those of the header where ASE has written them for each kind of site. The numbers of the
    header are stated beside the cell (:func:`matloop.data.readers.header_numbers.header_numbers`).

    Raises:
        Unreadable: If the image has no periodic cell or breaks the rules of the format.
    """
    lines = text.strip("\n").split("\n")
    if len(lines) < 2:
        raise Unreadable("E-FILE-SYNTAX", "fewer than 2 lines")
    atoms = [line for line in lines[2:] if line.strip()]
    count = site_count(lines[0].strip(), len(atoms))
    if len(atoms) > count:
        raise Unreadable("E-FILE-SYNTAX", f"{count} atoms declared, {len(atoms)} lines given")
    members = read_members(lines[1])
    lattice = read_lattice(lines[1], members)
    columns, width = _columns(member(members, "Properties") or _PLAIN)
    rows = [line.split() for line in atoms]
    if any(len(row) != width for row in rows):
        raise Unreadable("E-FILE-SYNTAX", f"a line that has not the {width} columns which Properties states")
    at = columns["pos"]
    places = np.array([numbers(row[at : at + 3]) for row in rows]).reshape(-1, 3)
    symbols = [_element(row, columns) for row in rows]
    occupancies = _occupancies(rows, columns, symbols)
    stated = read_occupancies(members)
    if stated is not None:
        kinds = [row[columns["spacegroup_kinds"]] for row in rows] if "spacegroup_kinds" in columns else None
        occupancies = _with_header(occupancies, stated, kinds)
    atoms_in_cell = sum(sum(shares.values()) for shares in occupancies)
    return ParsedCell(
        lattice, fractional(places, lattice), occupancies, header_numbers(members, atoms_in_cell) if rows else {}
    )


def _occupancies(rows: list[list[str]], columns: dict[str, int], symbols: list[str]) -> list[dict[str, float]]:
    """Return symbol and occupancy of each atom; an atom without an occupancy fills its site.

    Raises:
        Unreadable: If an occupancy is negative or larger than one.
    """
    if "occupancy" not in columns:
        return [{symbol: 1.0} for symbol in symbols]
    shares = [numbers([row[columns["occupancy"]]])[0] for row in rows]
    if not all(0 < share <= 1.02 for share in shares):
        raise Unreadable("E-STRUCT-OCCUPANCY", f"{min(shares):g} to {max(shares):g}")
    return [{symbol: min(share, 1.0)} for symbol, share in zip(symbols, shares, strict=True)]


def _with_header(
    occupancies: list[dict[str, float]], stated: dict[str, dict[str, float]] | float, kinds: list[str] | None
) -> list[dict[str, float]]:
    """Return the occupancies of the header for each atom, by its kind.

    Raises:
        Unreadable: If it is not clear which atoms they belong to, or if they contradict the atoms.
    """
    if isinstance(stated, float):
        if stated < FULL:
            raise Unreadable("E-STRUCT-OCCUPANCY", f"the comment line states an occupancy of {stated:g} for all atoms")
        return occupancies
    if kinds is None:
        if all(len(shares) == 1 and min(shares.values()) >= FULL for shares in stated.values()):
            return occupancies
        way_out = "write the column spacegroup_kinds:I:1 with the kind of each atom"
        raise Unreadable("E-STRUCT-DISORDER", f"the comment line states shared or partly filled sites; {way_out}")
    found = []
    for row, (kind, atom) in enumerate(zip(kinds, occupancies, strict=True), 1):
        shares = stated.get(kind, {})
        if not atom.keys() <= shares.keys():
            raise Unreadable(
                "E-STRUCT-OCCUPANCY",
                f"atom {row} is {', '.join(atom)}, and {', '.join(shares) or 'nothing'} by the occupancy of its kind "
                f"{kind[:10]}; remove occupancy from the comment line if it is no longer true",
            )
        found.append({symbol: min(share, 1.0) for symbol, share in shares.items()})
    return found


def _columns(properties: str) -> tuple[dict[str, int], int]:
    """Return the first column of each of the names in ``_NEEDED`` that the text has, and the width.

    Raises:
        Unreadable: If the text is not made of name:type:number, or lacks positions or elements.
    """
    if not _COLUMNS.fullmatch(properties):
        raise Unreadable("E-FILE-SYNTAX", f"Properties={properties[:60]}; write name:type:number for each column")
    words = properties.split(":")
    columns: dict[str, int] = {}
    width = 0
    for name, kind, count in zip(words[0::3], words[1::3], words[2::3], strict=True):
        plain = _OTHER_NAMES.get(name.lower(), name.lower())
        wanted = _NEEDED.get(plain)
        if wanted:
            if plain in columns or f"{kind.upper()}:{count}" not in wanted:
                raise Unreadable("E-FILE-SYNTAX", f"Properties has {name}:{kind}:{count}, or two of them")
            columns[plain] = width
        width += int(count)
    if "pos" not in columns:
        raise Unreadable("E-STRUCT-NOATOMS", "Properties names no positions (pos:R:3)")
    if not {"species", "z", "numbers"} & set(columns):
        raise Unreadable("E-STRUCT-SYMBOLS", "Properties names no symbols (species:S:1)")
    return columns, width


def _element(row: list[str], columns: dict[str, int]) -> str:
    """Symbol of the element of one atom.

    Raises:
        Unreadable: If it is no element, or symbol and atomic number of one atom differ.
    """
    by_number = ""
    for name in ("z", "numbers"):
        if name in columns:
            named = element(row[columns[name]])
            if by_number not in ("", named):
                raise Unreadable("E-STRUCT-SYMBOLS", f"one atom has the atomic numbers of {by_number} and {named}")
            by_number = named
    if "species" not in columns:
        return by_number
    word = row[columns["species"]]
    if word.isdecimal():
        raise Unreadable("E-STRUCT-SYMBOLS", f"'{word[:10]}' is the number of a type; write the symbol of its element")
    symbol = symbol_of(word)
    if len(symbol) == 2 and word[:2].isupper() and word[:1] in ATOMIC_NUMBERS:
        raise Unreadable(
            "E-STRUCT-SYMBOLS", f"'{word[:10]}' may name an atom of a molecule; write {symbol} for the element"
        )
    if by_number not in ("", symbol):
        raise Unreadable("E-STRUCT-SYMBOLS", f"one atom is {symbol} by its symbol and {by_number} by its number")
    return symbol
