"""Compositions of many candidates as flat arrays (compressed sparse rows)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.blocks import list_array, list_parts
from matloop.data.elements import SYMBOLS
from matloop.data.properties.columns import Column


@dataclass(frozen=True)
class Compositions:
    """Elements and amounts of ``n`` candidates in compressed sparse rows.

    Attributes:
        offsets: Shape (n + 1,); row ``i`` lies at ``offsets[i]:offsets[i + 1]``.
        elements: Atomic numbers, ascending within a row, no repeats.
        amounts: Atoms per formula unit, positive.
    """

    offsets: NDArray[np.int64]
    elements: NDArray[np.uint8]
    amounts: NDArray[np.float64]

    columns: ClassVar[tuple[str, ...]] = (Column.ELEMENTS, Column.AMOUNTS)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of elements of each candidate, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Candidate index of each entry, shape (len(elements),)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def totals(self) -> NDArray[np.float64]:
        """Atoms per formula unit, shape (n,)."""
        return np.bincount(self.rows, self.amounts, len(self)).astype(np.float64)

    @property
    def fractions(self) -> NDArray[np.float64]:
        """Atomic fraction of each entry."""
        return self.amounts / self.totals[self.rows]

    def take(self, indices: NDArray[np.integer]) -> Compositions:
        """The candidates at ``indices``, in that order."""
        flat, offsets = gather_rows(self.offsets, np.asarray(indices, np.int64))
        return Compositions(offsets, self.elements[flat], self.amounts[flat])

    def present(self) -> NDArray[np.bool_]:
        """Every candidate has a composition."""
        return np.ones(len(self), bool)

    def to_columns(self) -> dict[str, pa.Array]:
        """Elements and amounts as list columns."""
        return {
            Column.ELEMENTS: list_array(self.offsets, self.elements),
            Column.AMOUNTS: list_array(self.offsets, self.amounts),
        }

    @classmethod
    def from_columns(cls, arrays: Mapping[str, pa.Array]) -> Self:
        """Read the compositions that :meth:`to_columns` wrote."""
        offsets, elements = list_parts(arrays[Column.ELEMENTS])
        return cls(offsets, elements, list_parts(arrays[Column.AMOUNTS])[1])

    def element_mask(self) -> NDArray[np.bool_]:
        """Which elements each candidate contains, shape (n, 119)."""
        mask = np.zeros((len(self), len(SYMBOLS)), bool)
        mask[self.rows, self.elements] = True
        return mask

    def reduced(self) -> tuple[Compositions, NDArray[np.bool_]]:
        """Amounts as the smallest whole numbers.

        Returns:
            The reduced compositions, and which rows are whole, shape (n,). Rows that stay fractional after
            multiplication by up to 1000 (dilute alloys) become atomic fractions instead.
        """
        amounts, whole = _reduce(self.offsets, self.amounts)
        return Compositions(self.offsets, self.elements, amounts), whole


def gather_rows(
    offsets: NDArray[np.int64], indices: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compute flat positions and new offsets that pick rows out of a ragged array.

    Args:
        offsets: Shape (n + 1,) offsets of the ragged array.
        indices: Rows wanted, in the wanted order.

    Returns:
        Positions into the flat array, and the offsets of the picked rows, shape (len(indices) + 1,).
    """
    lengths = (offsets[1:] - offsets[:-1])[indices]
    new = np.zeros(len(indices) + 1, np.int64)
    np.cumsum(lengths, out=new[1:])
    flat = np.arange(new[-1]) + np.repeat(offsets[:-1][indices] - new[:-1], lengths)
    return flat, new


def composition_keys(compositions: Compositions) -> NDArray[np.uint64]:
    """Compute a 64-bit key of each reduced composition, independent of the order of its entries."""
    reduced, _ = compositions.reduced()
    amounts = np.rint(reduced.amounts * 1e4).astype(np.uint64)
    entry = mix_bits(mix_bits(compositions.elements.astype(np.uint64)) + amounts)
    return sum_rows_of_keys(compositions.offsets, entry)


def sum_rows_of_keys(offsets: NDArray[np.int64], values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sum keys per row, modulo 2^64: the result does not depend on the order within a row."""
    return np.add.reduceat(values, offsets[:-1]) if len(values) else np.empty(0, np.uint64)


def mix_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): spreads every bit over all others."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _whole_multiplier(amounts):  # type: ignore[no-untyped-def]
    """Find the smallest factor up to 1000 that makes all amounts whole; 0 if there is none."""
    for factor in range(1, 1001):
        whole = True
        for amount in amounts:
            value = amount * factor
            if np.rint(value) < 1 or abs(value - np.rint(value)) > 1e-6 * max(factor, value):
                whole = False
                break
        if whole:
            return factor
    return 0


@numba.njit(cache=True, nogil=True)
def _reduce(offsets, amounts):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    reduced, whole = np.empty_like(amounts), np.zeros(n, np.bool_)
    for i in range(n):
        start, stop = offsets[i], offsets[i + 1]
        factor = _whole_multiplier(amounts[start:stop])
        whole[i] = factor > 0
        divisor = np.int64(0)
        for k in range(start, stop):
            a, b = divisor, np.int64(np.rint(amounts[k] * factor))
            while b:
                a, b = b, a % b
            divisor = a
        total = amounts[start:stop].sum()
        for k in range(start, stop):
            reduced[k] = np.rint(amounts[k] * factor) / divisor if whole[i] else amounts[k] / total
    return reduced, whole
