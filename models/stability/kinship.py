"""Kinship: how many known compounds differ from a composition by one element, and how alike the two elements are.

SrHfO3 is a relative of BaHfO3, of SrZrO3 and of SrHfS3. A relative counts by how often its element and that of the
composition hold the same place in known compounds, against how often two elements of that frequency would by chance.
Such counts of replacements order the elements as a chemist would (Glawe, Sanna, Gross and Marques, New J. Phys. 18,
093011 (2016), doi:10.1088/1367-2630/18/9/093011). A composition with many and close relatives is likely to be a
compound itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, mix_bits, sum_rows_of_keys
from matloop.data.elements import SYMBOLS

_PRIOR = 1.0  # expected replacements are counted so many too high, or a rare pair seen once would outweigh all others


@dataclass(frozen=True)
class Kinship:
    """The places of known compounds, and which elements hold each.

    A place is a composition with one element left open, such as SrXO3.

    Attributes:
        places: Key of each place, ascending, shape (p,).
        offsets: Shape (p + 1,) into ``holders``.
        holders: Atomic numbers of the elements that hold each place.
        likeness: How often element i replaces element j in known compounds, over how often it would by chance; shape
            (119, 119), symmetric.
    """

    places: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    holders: NDArray[np.uint8]
    likeness: NDArray[np.float64]

    @classmethod
    def of(cls, known: Compositions) -> Self:
        """Collect the places of known compounds.

        Args:
            known: Their compositions; repeated ones count once.
        """
        reduced, _ = known.reduced()
        holders = reduced.elements.astype(np.int64)
        pairs = np.unique(np.stack([_places(reduced), holders.astype(np.uint64)], axis=1), axis=0)
        places, sizes = np.unique(pairs[:, 0], return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        elements = pairs[:, 1].astype(np.uint8)
        return cls(places, offsets, elements, _likeness(offsets, elements, len(SYMBOLS)))

    def scores(self, compositions: Compositions) -> NDArray[np.float64]:
        """Sum the likeness of the relatives of n compositions, shape (n,); 0 for one without relatives.

        A composition is no relative of itself: it is judged in the same way whether it is known or not.

        >>> from matloop.data.candidates.formula import parse_formulas
        >>> kinship = Kinship.of(parse_formulas(["BaHfO3", "SrZrO3", "SrHfO3"])[0])
        >>> kinship.scores(parse_formulas(["SrHfO3", "NaCl"])[0])[1].item()
        0.0
        """
        reduced, _ = compositions.reduced()
        found = _sums(_places(reduced), reduced.elements, self.places, self.offsets, self.holders, self.likeness)
        return np.bincount(reduced.rows, found, len(reduced)).astype(np.float64)


def _places(reduced: Compositions) -> NDArray[np.uint64]:
    """Key of the place that each entry of reduced compositions holds: the other entries, and its own amount."""
    amounts = np.rint(reduced.amounts * 1e4).astype(np.uint64)
    with np.errstate(over="ignore"):
        entries = mix_bits(mix_bits(reduced.elements.astype(np.uint64)) + amounts)
        others = sum_rows_of_keys(reduced.offsets, entries)[reduced.rows] - entries
        return np.asarray(mix_bits(others) + mix_bits(amounts))


@numba.njit(cache=True, nogil=True)
def _likeness(offsets, holders, elements):  # type: ignore[no-untyped-def]
    """How often two elements hold one place over how often they would by chance, shape (elements, elements).

    A place of m elements is one replacement for each of them, shared among the m - 1 others. Elements that never hold
    one place are not alike at all.
    """
    seen, times = np.zeros((elements, elements)), np.zeros(elements)
    for place in range(len(offsets) - 1):
        start, stop = offsets[place], offsets[place + 1]
        if stop - start < 2:
            continue
        for one in range(start, stop):
            times[holders[one]] += 1
            for other in range(start, stop):
                if other != one:
                    seen[holders[one], holders[other]] += 1.0 / (stop - start - 1)
    expected = np.outer(times, times) / max(times.sum(), 1.0)
    return seen / (expected + _PRIOR)


@numba.njit(cache=True, nogil=True)
def _sums(wanted, elements, places, offsets, holders, likeness):  # type: ignore[no-untyped-def]
    """Sum the likeness of each entry's element to the other elements that hold its place."""
    sums = np.zeros(len(wanted))
    for entry in range(len(wanted)):
        place = np.searchsorted(places, wanted[entry])
        if place == len(places) or places[place] != wanted[entry]:
            continue
        for k in range(offsets[place], offsets[place + 1]):
            if holders[k] != elements[entry]:
                sums[entry] += likeness[elements[entry], holders[k]]
    return sums
