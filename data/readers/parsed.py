"""The cell that every reader of structure files returns. Its sites may be shared or partly filled."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.readers.structure_split import Unreadable

FULL = 1.0 - 1e-3
"""Smallest occupancy that counts as full, because files round to three or four digits."""

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?)(?:\([0-9]+\))?")
_HEAVY = re.compile(r"[DT](?:\d{0,3}|\d?\.?\d{0,2}[+-]{1,2}|[+-]\d?|[_.]\w*)|[23]H\d?[+-]?\d?")


class ParsedCell(NamedTuple):
    """A cell as a file states it.

    Attributes:
        lattice: Row vectors in Å, shape (3, 3).
        frac_coords: Shape (sites, 3).
        occupancies: Symbol -> occupancy of each site.
        stated: Numbers that the file states about the crystal, by column name.
        settings: With what settings the file says that they were computed, as JSON; empty if it says nothing.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    occupancies: list[dict[str, float]]
    stated: Mapping[str, float] = MappingProxyType({})
    settings: str = ""

    @property
    def is_ordered(self) -> bool:
        """Whether every site holds one whole atom."""
        return all(len(site) == 1 and min(site.values()) >= FULL for site in self.occupancies)

    def numbers(self) -> NDArray[np.uint8]:
        """Atomic number of each site of an ordered cell."""
        return np.array([ATOMIC_NUMBERS[next(iter(site))] for site in self.occupancies], np.uint8)

    def amounts(self) -> dict[str, float]:
        """Sum of the occupancies of each element in the cell, by symbol, in order of atomic number."""
        total: dict[str, float] = {}
        for site in self.occupancies:
            for symbol, occupancy in site.items():
                total[symbol] = total.get(symbol, 0.0) + occupancy
        return {symbol: total[symbol] for symbol in SYMBOLS if total.get(symbol, 0.0) > 0}

    def formula(self) -> str:
        """Formula of the cell; amounts have at most four decimals."""
        words = [(symbol, f"{amount:.4f}".rstrip("0").rstrip(".")) for symbol, amount in self.amounts().items()]
        return "".join(symbol + ("" if amount == "1" else amount) for symbol, amount in words if amount != "0")


def number(word: str) -> float:
    """Read a number as CIF or Fortran write it, such as ``1.234(5)`` or ``1.5D-3``.

    Raises:
        Unreadable: If the text is not a number, or the number is not finite.

    >>> number("-3.140(12)"), number("1.5D-3")
    (-3.14, 0.0015)
    """
    text = word.strip()
    if len(text) <= 60:
        match = _NUMBER.fullmatch(text)
        value = float(re.sub("[dD]", "e", match[1])) if match else math.nan
        if math.isfinite(value):
            return value
        if match or re.fullmatch(r"[+-]?(nan|inf|infinity)", text, re.IGNORECASE):
            raise Unreadable("E-STRUCT-NONFINITE", text)
    raise Unreadable("E-FILE-SYNTAX", f"'{text[:60]}' is no number")


def numbers(words: list[str]) -> list[float]:
    """Read several numbers with :func:`number`."""
    return [number(word) for word in words]


def symbol_of(word: str) -> str:
    """Return the symbol of an element without its charge.

    Raises:
        Unreadable: If the text is not an element, or a share of one (``Fe0.5``) or several (``Fe1Mg1``). D, T, X and
            vacancies are not accepted.

    >>> symbol_of("Fe3+"), symbol_of("CL"), symbol_of("O2-")
    ('Fe', 'Cl', 'O')
    """
    match = re.fullmatch(r"([A-Za-z]{1,2})(?!\d*\.\d+$)(?:[0-9+\-_.][^A-Z/]*)?", word.strip()[:40])
    symbol = match[1].capitalize() if match else ""
    if symbol not in ATOMIC_NUMBERS:
        raise no_element(word)
    return symbol


def no_element(word: str) -> Unreadable:
    """Make the refusal of a text that names no element. It has a way out for deuterium and tritium."""
    text = word.strip()[:40]
    return Unreadable(
        "E-STRUCT-ELEMENT", text + ("; write H for deuterium and tritium" if _HEAVY.fullmatch(text) else "")
    )


def element(word: str) -> str:
    """Symbol of an element that is given by its symbol or its atomic number."""
    if word.isascii() and word.isdecimal() and len(word) < 4:
        if 0 < int(word) < len(SYMBOLS):
            return SYMBOLS[int(word)]
        raise Unreadable("E-STRUCT-ELEMENT", word)
    return symbol_of(word)


def fractional(cartesian: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert coordinates in Å, shape (n, 3), to fractional ones of a cell with the row vectors ``lattice``.

    Raises:
        Unreadable: If the cell vectors are not finite or lie in a plane.
    """
    if not np.isfinite(lattice).all() or not abs(np.linalg.det(lattice)) > 1e-12:
        raise Unreadable("E-STRUCT-CELL", "the cell vectors lie in a plane")
    return np.asarray(np.linalg.solve(lattice.T, cartesian.T).T)


def read_vectors(lines: list[str]) -> NDArray[np.float64]:
    """Read the three numbers at the start of each line, shape (len(lines), 3)."""
    rows = [line.split(None, 3)[:3] for line in lines]
    if any(len(row) != 3 for row in rows):
        raise Unreadable("E-FILE-SYNTAX", "a line with fewer than three numbers")
    return np.array([numbers(row) for row in rows]).reshape(-1, 3)


def site_count(word: str, lines_left: int) -> int:
    """Read the declared number of atoms, and check it against the limit and the number of lines."""
    if not (word.isascii() and word.isdecimal()):
        raise Unreadable("E-FILE-SYNTAX", f"'{word[:40]}' is no number of atoms")
    count = int(word) if len(word) < 12 else 10**12
    if count > MAX_SITES:
        raise Unreadable("E-STRUCT-SIZE", f"{count:,} atoms declared")
    if count > lines_left:
        raise Unreadable("E-FILE-SYNTAX", f"{count:,} atoms declared, {lines_left:,} lines left")
    return count
