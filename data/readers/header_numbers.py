"""Numbers that the header of an extended XYZ image states about its crystal, such as ``energy=-12.3``."""

from __future__ import annotations

import math
from collections.abc import Iterable

from matloop.data.properties.columns import ENTRY_COLUMNS, Column
from matloop.data.readers.extended_xyz_header import Members, read_members
from matloop.data.readers.parsed import number
from matloop.data.readers.structure_split import TextRow, Unreadable

PREFIX = "extxyz_"
"""Begins the name of a number of a header, so that none can pose as a column of ours."""
PER_ATOM = "_per_atom"
_TOTAL = "energy"  # of ASE, in eV for the whole cell
_EV_PER = {
    "ev": 1.0, "mev": 1e-3, "ha": 27.211386245988, "hartree": 27.211386245988, "ry": 13.605693122994,
    "rydberg": 13.605693122994, "kj/mol": 0.010364269656262175, "kcal/mol": 0.043364104241800935,
}  # fmt: skip
"""eV in a unit of energy by CODATA 2018, by its name in lower case."""
_UNIT_KEYS = ("energy_unit", "energy_units", "energyunit", "energyunits")
_NO_NUMBERS = ("lattice", "properties", "pbc", "occupancy")


def is_total_energy(key: str) -> bool:
    """Whether the name of a number says that it is an energy of the whole cell.

    >>> is_total_energy("REF_energy"), is_total_energy("energy_per_atom"), is_total_energy("band_gap")
    (True, False, False)
    """
    name = key.casefold()
    return _TOTAL in name and "hull" not in name and not name.endswith((PER_ATOM, "peratom", "/atom"))


def header_numbers(members: Members, atoms: float) -> dict[str, float]:
    """Return the finite numbers of a header by name.

    ``energy`` becomes ``entry_energy`` and ``entry_energy_per_atom``, as for a ``ComputedStructureEntry``. Every other
    key keeps its name behind ``extxyz_``. A key with ``energy`` in its name stands there a second time with
    ``_per_atom`` behind it, divided by the number of atoms, unless the header states that itself. Energies are in eV.
    Those in the unit that ``energy_unit`` names are converted, or left out where that unit is not known.

    Args:
        members: Keys and values.
        atoms: Number of atoms of the image.

    Raises:
        Unreadable: If a key has two numbers.

    >>> header_numbers([("energy", "-6.0"), ("REF_energy", "-5"), ("config", "bulk")], 2)
    {'entry_energy': -6.0, 'entry_energy_per_atom': -3.0, 'extxyz_REF_energy': -5.0, 'extxyz_REF_energy_per_atom': -2.5}
    """
    stated = _numbers(members)
    factor = _ev_per_unit(members)
    found: dict[str, float] = {}
    for key, value in stated.items():
        if _TOTAL in key.casefold():
            if factor is None:
                continue
            value *= factor
        name = Column.ENTRY_ENERGY.value if key == _TOTAL else PREFIX + key
        found[name] = value
        if is_total_energy(key) and key + PER_ATOM not in stated:
            found[name + PER_ATOM] = value / atoms
    return found


def names_beside(row: TextRow) -> Iterable[str]:
    """Names of what the text of one structure may state beside its crystal: numbers, and their settings."""
    if row.format == "json":
        states_energy = '"energy"' in row.text and '"composition"' in row.text
        settings = (Column.ENTRY_SETTINGS,) if '"parameters"' in row.text else ()
        return (*ENTRY_COLUMNS, *settings) if states_energy else ()
    if row.format != "extxyz":
        return ()
    header = row.text.split("\n", 2)[1:2]
    try:
        return header_numbers(read_members(header[0]), 1.0) if header else ()
    except Unreadable:
        return ()


def _ev_per_unit(members: Members) -> float | None:
    """Return the unit of energy that a header names, in eV: 1 where it names none, None where it is not known."""
    named = [value.strip("\"'{}[] ").casefold() for key, value in members if key.casefold() in _UNIT_KEYS]
    factors = {_EV_PER.get(name) for name in named} or {1.0}
    return factors.pop() if len(factors) == 1 else None


def _numbers(members: Members) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, written in members:
        if key.lower() in _NO_NUMBERS or (value := _finite(written)) is None:
            continue
        if found.setdefault(key, value) != value:
            raise Unreadable("E-FILE-SYNTAX", f"{key[:40]} has two values")
    return found


def _finite(written: str) -> float | None:
    try:
        value = number(written.strip("\"'{}[]"))
    except Unreadable:
        return None
    return value if math.isfinite(value) else None
