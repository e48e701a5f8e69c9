"""Read images of extended XYZ files (https://github.com/libAtoms/extxyz), of which one image is one structure."""

from __future__ import annotations

import re

import numpy as np

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.parsed import ParsedCell, element, fractional, numbers, site_count, symbol_of
from matloop.data.readers.structure_split import Unreadable

_LONGEST_HEADER = 20_000  # characters of the comment line
_VALUE = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{[^}]*\}|\[[^\]]*\]|[^\s"'=]+"""
_MEMBER = re.compile(rf"""([^\s"'=\[\]{{}},]+)\s*=\s*({_VALUE})|{_VALUE}""")
_COLUMNS = re.compile(r"(?:[^:\s]+:[SIRLsirl]:[1-9]\d{0,3})(?::[^:\s]+:[SIRLsirl]:[1-9]\d{0,3})*")
_NEEDED = {"pos": ("R", "3"), "species": ("S", "1"), "z": ("I", "1"), "occupancy": ("R", "1")}
_OCCUPANCIES = ("occupancy", "occupancies", "occ", "occupation")
_PLAIN = "species:S:1:pos:R:3"


def read_extended_xyz(text: str) -> ParsedCell:
    """Read one image: the number of atoms, a line of ``key=value`` pairs, and a line for each atom.

    Blank lines between the atoms are passed over. Atoms are named by symbols, or by atomic numbers in a column ``Z``;
    numbers in a column of symbols are types of a simulation, and say nothing about elements.

    Raises:
        Unreadable: If the image has no periodic cell or breaks the rules of the format.
    """
    lines = text.strip("\n").split("\n")
    if len(lines) < 2:
        raise Unreadable("E-FILE-SYNTAX", "fewer than 2 lines")
    atoms = [line for line in lines[2:] if line.strip()]
    count = site_count(lines[0].strip(), len(atoms))
    if len(lines[1]) > _LONGEST_HEADER:
        raise Unreadable("E-FILE-SYNTAX", f"a comment of {len(lines[1]):,} characters")
    if len(atoms) > count:
        raise Unreadable("E-FILE-SYNTAX", f"{count} atoms declared, {len(atoms)} lines given")
    members = _members(lines[1])
    stated = _member(members, "Lattice")
    if stated is None:
        raise Unreadable("E-STRUCT-NOCELL")
    lattice = np.array(numbers(stated.replace(",", " ").split()[:10]))
    if len(lattice) != 9:
        raise Unreadable("E-FILE-SYNTAX", f"a lattice of {len(lattice)} numbers; write the nine of a, b and c in a row")
    periodic = (_member(members, "pbc") or "T T T").replace(",", " ").split()
    if any(word[:1].upper() not in ("T", "1") for word in periodic):
        raise Unreadable("E-STRUCT-NOCELL", f"periodic: {' '.join(periodic)[:40]}")
    units = (_member(members, "units") or "angstrom").lower()
    if units not in ("angstrom", "angstroms", "å", "a"):
        raise Unreadable("E-FILE-SYNTAX", f"units={units[:20]}; extended XYZ states lengths in angstrom")
    columns, width = _columns(_member(members, "Properties") or _PLAIN)
    rows = [line.split() for line in atoms]
    if any(len(row) != width for row in rows):
        raise Unreadable("E-FILE-SYNTAX", f"a line that has not the {width} columns which Properties states")
    at = columns["pos"]
    places = np.array([numbers(row[at : at + 3]) for row in rows]).reshape(-1, 3)
    shares = [numbers([row[columns["occupancy"]]])[0] if "occupancy" in columns else 1.0 for row in rows]
    if not all(0 < share <= 1.02 for share in shares):
        raise Unreadable("E-STRUCT-OCCUPANCY", f"{min(shares):g} to {max(shares):g}")
    species = [{_element(row, columns): min(share, 1.0)} for row, share in zip(rows, shares, strict=True)]
    return ParsedCell(lattice.reshape(3, 3), fractional(places, lattice.reshape(3, 3)), species)


def _members(line: str) -> list[tuple[str, str]]:
    """Return the pairs of key and value. What stands in quotation marks is a value and is not searched for pairs."""
    found = [(match[1], match[2]) for match in _MEMBER.finditer(line) if match[1]]
    return [(key, value.strip("\"'{}[]")) for key, value in found]


def _member(members: list[tuple[str, str]], name: str) -> str | None:
    """Return the value of a key. A key in other case counts where no key is spelt exactly so.

    Raises:
        Unreadable: If the key occurs twice with different values.
    """
    exact = {value for key, value in members if key == name}
    found = exact or {value for key, value in members if key.lower() == name.lower()}
    if len(found) > 1:
        raise Unreadable("E-FILE-SYNTAX", f"{name} has two values")
    return next(iter(found), None)


def _columns(properties: str) -> tuple[dict[str, int], int]:
    """Return the first column of each of positions, symbols, atomic numbers and occupancies, and the width.

    Raises:
        Unreadable: If the text is not made of name:type:number, or lacks positions or elements.
    """
    if not _COLUMNS.fullmatch(properties):
        raise Unreadable("E-FILE-SYNTAX", f"Properties={properties[:60]}; write name:type:number for each column")
    words = properties.split(":")
    columns: dict[str, int] = {}
    width = 0
    for name, kind, count in zip(words[0::3], words[1::3], words[2::3], strict=True):
        plain = "occupancy" if name.lower() in _OCCUPANCIES else name.lower()
        wanted = _NEEDED.get(plain)
        if wanted:
            if plain in columns or (kind.upper(), count) != wanted:
                raise Unreadable("E-FILE-SYNTAX", f"Properties has {name}:{kind}:{count}, or two of them")
            columns[plain] = width
        width += int(count)
    if "pos" not in columns:
        raise Unreadable("E-STRUCT-NOATOMS", "Properties names no positions (pos:R:3)")
    if not {"species", "z"} & set(columns):
        raise Unreadable("E-STRUCT-SYMBOLS", "Properties names no symbols (species:S:1)")
    return columns, width


def _element(row: list[str], columns: dict[str, int]) -> str:
    """Symbol of the element of one atom.

    Raises:
        Unreadable: If it is no element, or symbol and atomic number of one atom differ.
    """
    by_number = element(row[columns["z"]]) if "z" in columns else ""
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
