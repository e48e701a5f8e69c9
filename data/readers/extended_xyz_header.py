"""Read the comment line of an extended XYZ image: its pairs of key and value, its cell, its units and occupancies.

The line of i-PI (``# CELL(abcABC): 5 5 5 90 90 90 positions{angstrom} cell{angstrom}``) is read too.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.deep_parsing import parsing_deeply
from matloop.data.readers.parsed import numbers, symbol_of
from matloop.data.readers.structure_split import Unreadable

_LONGEST = 20_000  # characters of the comment line
_VALUE = (
    r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'|"
    r"\{(?:[^{}]|\{[^{}]*\})*+\}|\[(?:[^\[\]]|\[[^\[\]]*\])*+\]|"
    r"""[^\s"'=]+"""
)
_MEMBER = re.compile(rf"""([^\s"'=\[\]{{}},]+)\s*=\s*({_VALUE})|{_VALUE}""")
_BRACKETS = re.compile(r"[\[\]{},]")
_LENGTH_UNIT = re.compile(r"(?:(?:length|distance|lattice|cell|pos|position|positions|coordinates?)_)?units?")
_ANGSTROM = ("angstrom", "angstroms", "ångström", "ångströms", "ångstrom", "å", "a", "ang")
_ANGSTROM_STYLES = ("metal", "real")  # styles of units of LAMMPS in which lengths are in angstrom
_OTHER_LENGTHS = (
    "bohr", "bohrs", "bohr_radius", "a0", "au", "a.u.", "atomic", "atomic_unit", "atomic_units", "hartree_atomic_units",
    "nm", "nanometer", "nanometers", "nanometre", "nanometres", "nano", "pm", "picometer", "picometers", "picometre",
    "picometres", "m", "meter", "meters", "metre", "metres", "cm", "si", "cgs", "micro", "electron", "lj", "reduced",
    "fractional", "crystal", "scaled", "direct",
)  # fmt: skip
_WRITE_LATTICE = 'write Lattice="ax ay az bx by bz cx cy cz" in angstrom'
_IPI_CELL = re.compile(r"CELL\s*[({\[]\s*(\w+)\s*[)}\]]\s*:?\s*((?:[-+.\dEeDd]+\s+){0,8}[-+.\dEeDd]+)", re.IGNORECASE)
_IPI_UNIT = re.compile(r"\b(\w*)\{\s*(\w+)\s*\}")
_ANY_CELL = re.compile(r"\b(?:cell|box|unit_?cell|lattice\w*|a)\b\s*[=:({\[]|\bcryst1\b", re.IGNORECASE)

Members = list[tuple[str, str]]


def read_members(line: str) -> Members:
    """Return the pairs of key and value. What stands in quotation marks is a value and is not searched for pairs.

    Raises:
        Unreadable: If the line is longer than any header.
    """
    if len(line) > _LONGEST:
        raise Unreadable("E-FILE-SYNTAX", f"a comment of {len(line):,} characters")
    return [(match[1], match[2]) for match in _MEMBER.finditer(line) if match[1]]


def member(members: Members, name: str) -> str | None:
    """Return the value of a key without its quotation marks or brackets.

    A key in other case counts where no key is spelt exactly so.

    Raises:
        Unreadable: If the key occurs twice with different values.
    """
    stated = _raw_member(members, name)
    return None if stated is None else stated.strip("\"'{}[]")


def _raw_member(members: Members, name: str) -> str | None:
    exact = {value for key, value in members if key == name}
    found = exact or {value for key, value in members if key.lower() == name.lower()}
    if len({value.strip("\"'{}[]") for value in found}) > 1:
        raise Unreadable("E-FILE-SYNTAX", f"{name} has two values")
    return next(iter(found), None)


def read_lattice(line: str, members: Members) -> NDArray[np.float64]:
    """Read the row vectors of the cell in Å, shape (3, 3): nine numbers, or a list of three vectors.

    Raises:
        Unreadable: If there is no cell, if it is not periodic in three directions, or if a length is not in angstrom.
    """
    stated = member(members, "Lattice")
    _check_units(members)
    if stated is None:
        return _cell_of_ipi(line)
    values = np.array(numbers(_BRACKETS.sub(" ", stated).split()[:10]))
    if len(values) != 9:
        raise Unreadable("E-FILE-SYNTAX", f"a lattice of {len(values)} numbers; write the nine of a, b and c in a row")
    periodic = (member(members, "pbc") or "T T T").replace(",", " ").split()
    if any(word[:1].upper() not in ("T", "1") for word in periodic):
        raise Unreadable("E-STRUCT-NOCELL", f"periodic: {' '.join(periodic)[:40]}")
    return values.reshape(3, 3)


def _check_units(members: Members) -> None:
    """Refuse a length unit other than angstrom. Units of energies and forces say nothing about lengths.

    Raises:
        Unreadable: If lengths are in another unit.
    """
    for key, value in members:
        name = key.lower()
        if not _LENGTH_UNIT.fullmatch(name):
            continue
        stated = value.strip("\"'{}[] ").lower()
        words = [word for word in re.split(r"[\s,;:=]+", stated) if word]
        is_plain = name in ("unit", "units")
        if any(word in _OTHER_LENGTHS for word in words) or (
            not is_plain and not any(word in (*_ANGSTROM, *_ANGSTROM_STYLES) for word in words)
        ):
            raise Unreadable(
                "E-FILE-SYNTAX",
                f"{key[:20]}={stated[:20]}; extended XYZ states lengths in angstrom, so write cell and positions in it",
            )


def _cell_of_ipi(line: str) -> NDArray[np.float64]:
    """Read lengths and angles of the cell in the comment line of i-PI; ``a`` lies along x, and ``b`` in the xy plane.

    Raises:
        Unreadable: If there is no such cell, or one that says not enough.
    """
    found = _IPI_CELL.search(line)
    if found is None:
        about = "the comment line states a cell in a form that is not read" if _ANY_CELL.search(line) else "no Lattice"
        raise Unreadable("E-STRUCT-NOCELL", f"{about}; {_WRITE_LATTICE}")
    if found[1].lower() != "abcabc":
        raise Unreadable("E-STRUCT-NOCELL", f"a cell CELL({found[1][:10]}) of i-PI is not read; {_WRITE_LATTICE}")
    units = {name.lower(): unit.lower() for name, unit in _IPI_UNIT.findall(line)}
    for name in ("positions", "cell"):
        unit = units.get(name, "no unit")
        if unit != "angstrom":
            raise Unreadable(
                "E-STRUCT-NOCELL",
                f"i-PI states {name} in {unit[:20]}; convert lengths to angstrom, and {_WRITE_LATTICE}",
            )
    parameters = numbers(found[2].split())
    if len(parameters) != 6 or min(parameters) <= 0 or max(parameters[3:]) >= 180:
        raise Unreadable("E-FILE-SYNTAX", f"CELL(abcABC) with {len(parameters)} numbers; three lengths and angles do")
    from ase.geometry import cellpar_to_cell

    with np.errstate(invalid="ignore"):
        try:
            lattice = np.asarray(cellpar_to_cell(parameters), np.float64)
        except AssertionError as error:
            raise Unreadable("E-STRUCT-CELL", "cell lengths and angles span no cell") from error
    if not np.isfinite(lattice).all():
        raise Unreadable("E-STRUCT-CELL", "cell lengths and angles span no cell")
    return lattice


def read_occupancies(members: Members) -> dict[str, dict[str, float]] | float | None:
    """Read the occupancies of the header: as ASE writes them for each kind of site of a CIF, or one number for all.

    Returns:
        Symbol -> occupancy by the number of the kind (the column ``spacegroup_kinds``); one number; None if there are
        no occupancies in the header.

    Raises:
        Unreadable: If they are stated in another form.
    """
    stated = _raw_member(members, "occupancy")
    if stated is None:
        return None
    text = stated.strip("\"'").strip()
    if not text.startswith("_JSON"):
        try:
            (value,) = numbers([text])
        except Unreadable as error:
            raise _unclear_occupancy() from error
        return value
    try:
        with parsing_deeply():
            kinds = json.loads(re.sub(r"\\(.)", r"\1", text.removeprefix("_JSON")))
    except (ValueError, RecursionError) as error:
        raise _unclear_occupancy() from error
    if isinstance(kinds, int | float) and not isinstance(kinds, bool):
        return float(kinds)
    if not isinstance(kinds, dict) or not kinds:
        raise _unclear_occupancy()
    return {kind: _shares(shares) for kind, shares in kinds.items()}


def _shares(stated: Any) -> dict[str, float]:
    """Read the symbols and occupancies of one kind of site."""
    if not isinstance(stated, dict) or not stated:
        raise _unclear_occupancy()
    shares: dict[str, float] = {}
    for word, share in stated.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1.02:
            raise Unreadable("E-STRUCT-OCCUPANCY", f"{word[:10]}: {str(share)[:20]}")
        symbol = symbol_of(word)
        shares[symbol] = shares.get(symbol, 0.0) + float(share)
    if not 0 < sum(shares.values()) <= 1.02:
        raise Unreadable("E-STRUCT-OCCUPANCY", str(stated)[:100])
    return {symbol: share for symbol, share in shares.items() if share > 0}


def _unclear_occupancy() -> Unreadable:
    way_out = "write occupancy:R:1 as a column of Properties, or remove it if all sites are full"
    return Unreadable("E-STRUCT-OCCUPANCY", f"the occupancy in the comment line is not understood; {way_out}")
