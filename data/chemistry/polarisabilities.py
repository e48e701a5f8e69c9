"""The refractive index of a crystal by additive polarisabilities: composition and volume alone.

Lorentz and Lorenz relate the index to the sum of the polarisabilities in a volume. That of an ion varies little from
compound to compound (for oxides and fluorides see R. D. Shannon and R. X. Fischer, Am. Mineral. 101, 2288 (2016),
doi:10.2138/am-2016-5730), so the sum is a second opinion about any surrogate, and one that knows the density. The
polarisabilities are fitted to computed indices (``datasets/build_polarisabilities.py``).
"""

from __future__ import annotations

import csv
import functools
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import BatchError

CLASSES = ("oxides", "fluorides", "halides", "others")
"""Classes of compounds with polarisabilities of their own: what a cation adds depends on its anions."""
_SOFT = tuple(ATOMIC_NUMBERS[symbol] for symbol in ("S", "Cl", "Se", "Br", "Te", "I"))
_HALOGENS = tuple(ATOMIC_NUMBERS[symbol] for symbol in ("Cl", "Br", "I"))
_CHALCOGENS = tuple(ATOMIC_NUMBERS[symbol] for symbol in ("S", "Se", "Te"))
USUAL_ERRORS = (0.059, 0.038, 0.033, 0.091)
"""Decades within which four fifths of the computed indices of each class lie, as the script prints them."""
PARTS = 10
"""Parts into which formulas are divided by their key; each has polarisabilities that it did not teach."""
POLARISABILITY_FILE = Path(__file__).parents[1] / "datasets" / "electronic_polarisabilities.csv"
_LEAST, _MOST = 0.02, 0.93  # of the sum; at 1 the index diverges, and the fit knows nothing of its neighbourhood


def parts_of(compositions: Compositions) -> NDArray[np.int64]:
    """Return the part that the formula of each of n compositions belongs to, shape (n,)."""
    return (composition_keys(compositions) % np.uint64(PARTS)).astype(np.int64)


def classes_of(compositions: Compositions) -> NDArray[np.int64]:
    """Return the place in :data:`CLASSES` of each of n compositions, shape (n,).

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> [CLASSES[kind] for kind in classes_of(parse_formulas(["MgO", "CaF2", "LaOCl", "ZnS"])[0])]
    ['oxides', 'fluorides', 'halides', 'others']
    """
    present = compositions.element_mask()
    soft = present[:, _SOFT].any(axis=1)
    halide = present[:, _HALOGENS].any(axis=1) & ~present[:, _CHALCOGENS].any(axis=1)
    kinds = np.where(halide, CLASSES.index("halides"), CLASSES.index("others"))
    kinds = np.where(present[:, ATOMIC_NUMBERS["F"]] & ~soft, CLASSES.index("fluorides"), kinds)
    return np.where(present[:, ATOMIC_NUMBERS["O"]] & ~soft, CLASSES.index("oxides"), kinds).astype(np.int64)


def lorentz_lorenz_indices(batch: CandidateBatch) -> NDArray[np.float64]:
    """Estimate the refractive index of each crystal from composition and volume, shape (n,).

    Args:
        batch: n candidates with crystals.

    Raises:
        BatchError: If the batch has no crystals.
    """
    return index_of_sum(polarisability_sums(batch))


def disagrees(batch: CandidateBatch, indices: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether indices differ from those by polarisabilities by more than the usual error of the latter, shape (n,).

    Args:
        batch: n candidates.
        indices: By polarisabilities, nan where unknown, shape (n,).
        others: By anything else, likewise.
    """
    usual = np.array(USUAL_ERRORS)[classes_of(batch.compositions)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(np.log10(others / indices)) > usual)


def polarisability_sums(batch: CandidateBatch) -> NDArray[np.float64]:
    """Sum the polarisabilities in each cell, times 4 pi / 3 and divided by its volume, shape (n,).

    Raises:
        BatchError: If the batch has no crystals.
    """
    if batch.crystals is None:
        raise BatchError("candidates without crystals", "a batch with cells and sites")
    cells = batch.crystals.compositions()
    kinds, parts = classes_of(batch.compositions), parts_of(batch.compositions)
    own = polarisabilities()[kinds[cells.rows], cells.elements, parts[cells.rows]]
    return np.bincount(cells.rows, own * cells.amounts, minlength=len(batch)) / batch.crystals.volumes


def index_of_sum(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refractive index of a Lorentz-Lorenz sum.

    >>> float(index_of_sum(np.array([0.25]))[0].round(6))
    1.414214
    """
    bounded = np.clip(sums, _LEAST, _MOST)
    return np.sqrt((1 + 2 * bounded) / (1 - bounded))


@functools.cache
def polarisabilities() -> NDArray[np.float64]:
    """Polarisabilities times 4 pi / 3 in Å3, by class, atomic number and part of formulas, shape (4, 119, 10)."""
    rows = list(csv.reader(POLARISABILITY_FILE.read_text("utf-8").splitlines()))[1:]
    table = np.full((len(CLASSES), len(SYMBOLS), PARTS), np.nan)
    for kind, symbol, *values in rows:
        table[CLASSES.index(kind), ATOMIC_NUMBERS[symbol]] = [float(value) for value in values]
    return table


@functools.cache
def polarisabilities_digest() -> str:
    """Hash of the table, for whatever depends on it."""
    return hashlib.sha256(POLARISABILITY_FILE.read_bytes()).hexdigest()[:16]
