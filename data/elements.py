"""The chemical elements: symbols, and the table of elemental properties that features are made from."""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from matloop.data.errors import UnknownNameError

SYMBOLS: tuple[str, ...] = tuple(
    "n H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts "
    "Og".split()
)
"""Symbol by atomic number; index 0 is unused."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}
"""Atomic number by symbol."""

RADIOACTIVE: frozenset[str] = frozenset({"Tc", "Pm", *SYMBOLS[84:]})
"""Elements without a stable isotope. Bismuth (half-life 2e19 years) counts as stable (IUPAC 2021)."""

_TABLE_FILE = Path(__file__).parent / "datasets" / "elements.csv"


def require_elements(symbols: Sequence[object]) -> list[int]:
    """Atomic numbers of elements by symbol.

    Raises:
        UnknownNameError: Naming every entry that is no symbol, with the symbol that was probably meant.

    >>> require_elements(["O", "Fe"])
    [8, 26]
    >>> require_elements(["pb", "O", "Lead"])
    Traceback (most recent call last):
    ...
    matloop.data.errors.UnknownNameError: E-NAME-UNKNOWN: unknown elements 'pb', 'Lead'. ...
    """
    unknown = [symbol for symbol in symbols if symbol not in ATOMIC_NUMBERS]
    if not unknown:
        return [ATOMIC_NUMBERS[str(symbol)] for symbol in symbols]
    shown = ", ".join(f"'{symbol}'" for symbol in unknown)
    meant = {str(symbol): _nearest_symbol(str(symbol)) for symbol in unknown}
    found = [f"'{symbol}' for '{written}'" for written, symbol in meant.items() if symbol]
    fix = f"write {', '.join(found)}" if found else "write each element as its symbol"
    if len(unknown) == 1 and found:
        fix = f"did you mean {found[0].split()[0]}?"
    raise UnknownNameError(f"unknown element{'s' * (len(unknown) > 1)} {shown}", "one of 118 symbols such as Pb", fix)


def _nearest_symbol(written: str) -> str:
    """The symbol that was probably meant: in other capitals, of that English name, or the nearest; else empty."""
    if written.capitalize() in ATOMIC_NUMBERS:
        return written.capitalize()
    names = {"aluminum": "Al", "cesium": "Cs", "sulphur": "S", **_symbols_by_name()}
    if close := difflib.get_close_matches(written.casefold(), names, n=1, cutoff=0.8):
        return names[close[0]]
    return "".join(difflib.get_close_matches(written, ATOMIC_NUMBERS, n=1, cutoff=0.5))


@functools.cache
def _symbols_by_name() -> dict[str, str]:
    rows = csv.DictReader(_TABLE_FILE.read_text("utf-8").splitlines())
    return {row["name"].casefold(): row["symbol"] for row in rows}


class ElementTable(NamedTuple):
    """Elemental properties as arrays.

    Attributes:
        names: Property names, in column order.
        values: Shape (119, len(names)); row is the atomic number, NaN where the source has no number.
        digest: sha256 of the source file, part of every feature fingerprint.
    """

    names: tuple[str, ...]
    values: np.ndarray
    digest: str

    def columns(self, names: tuple[str, ...]) -> np.ndarray:
        """Values of some properties, shape (119, len(names)).

        >>> element_table().columns(("Number",))[8]
        array([8.])
        """
        return np.ascontiguousarray(self.values[:, [self.names.index(name) for name in names]])


@functools.cache
def element_table() -> ElementTable:
    """The packaged elemental property table (Magpie values and pymatgen masses and radii, see ATTRIBUTION.md)."""
    raw = _TABLE_FILE.read_bytes()
    header, *rows = csv.reader(raw.decode("utf-8").splitlines())
    skip = {"symbol", "name"}
    names = tuple(name for name in header if name not in skip)
    values = np.full((len(SYMBOLS), len(names)), np.nan)
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        values[int(cells["atomic_number"])] = [float(cells[name]) if cells[name] else np.nan for name in names]
    values.setflags(write=False)
    return ElementTable(names, values, hashlib.sha256(raw).hexdigest())
