"""What every reader of structure files gives: a cell with sites that may be shared or partly filled."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.readers.structure_split import Unreadable

FULL = 1.0 - 1e-3
"""Occupancy from which a site counts as full: files round to three or four digits."""

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?)(?:\(\d+\))?")


class ParsedCell(NamedTuple):
    """A cell as a file states it.

    Attributes:
        lattice: Row vectors in Å, shape (3, 3).
        frac_coords: Shape (sites, 3).
        occupancies: Symbol -> occupancy of each site.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    occupancies: list[dict[str, float]]

    @property
    def is_ordered(self) -> bool:
        """Whether every site holds one whole atom."""
        return all(len(site) == 1 and min(site.values()) >= FULL for site in self.occupancies)

    def numbers(self) -> NDArray[np.uint8]:
        """Atomic number of each site of an ordered cell."""
        return np.array([ATOMIC_NUMBERS[next(iter(site))] for site in self.occupancies], np.uint8)

    def amounts(self) -> dict[str, float]:
        """Atoms of each element in the cell, occupancies added up, by symbol in order of atomic number."""
        total: dict[str, float] = {}
        for site in self.occupancies:
            for symbol, occupancy in site.items():
                total[symbol] = total.get(symbol, 0.0) + occupancy
        return {symbol: total[symbol] for symbol in SYMBOLS if total.get(symbol, 0.0) > 0}

    def formula(self) -> str:
        """Formula of the cell, amounts with at most four decimals."""
        words = [(symbol, f"{amount:.4f}".rstrip("0").rstrip(".")) for symbol, amount in self.amounts().items()]
        return "".join(symbol + ("" if amount == "1" else amount) for symbol, amount in words if amount != "0")


def number(word: str) -> float:
    """A number as CIF and Fortran write it: ``1.234(5)``, ``1.5D-3``.

    Raises:
        Unreadable: If it is none, or not finite.

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
    """Numbers, see :func:`number`."""
    return [number(word) for word in words]


def symbol_of(word: str) -> str:
    """Symbol of an element, charges left out.

    Raises:
        Unreadable: If it is none; D, T, X and vacancies are none.

    >>> symbol_of("Fe3+"), symbol_of("CL"), symbol_of("O2-")
    ('Fe', 'Cl', 'O')
    """
    match = re.fullmatch(r"([A-Za-z]{1,2})(?:[\d+\-_.].*)?", word.strip()[:40])
    symbol = match[1].capitalize() if match else ""
    if symbol not in ATOMIC_NUMBERS:
        raise Unreadable("E-STRUCT-ELEMENT", word.strip()[:40])
    return symbol
