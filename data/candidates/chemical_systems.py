"""Which compositions lie within a chemical system, found without a look at the others."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions

_MOST_SUBSETS = 12  # elements; of more, looking at every set of elements is quicker than making all subsets


class SystemIndex:
    """Rows of n compositions by their set of elements.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> index = SystemIndex(parse_formulas(["MgO", "Al2O3", "MgAl2O4", "O2", "TiO2"])[0])
    >>> index.within([8, 12, 13]).tolist(), index.spanning([8, 12, 13]).tolist()
    ([0, 1, 2, 3], [2])
    """

    def __init__(self, compositions: Compositions) -> None:
        sets = element_sets(compositions)
        order = np.lexsort((sets[:, 0], sets[:, 1]))  # stable, so rows ascend within a set
        ordered = sets[order]
        changes = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
        starts = np.concatenate([[0], changes]) if len(order) else np.empty(0, np.int64)
        self._order, self._bounds = order, np.append(starts, len(order)).astype(np.int64)
        low, high = ordered[starts].T.tolist() if len(order) else ([], [])
        self._place = {first | second << 64: place for place, (first, second) in enumerate(zip(low, high, strict=True))}

    def within(self, elements: list[int]) -> NDArray[np.int64]:
        """Rows that consist of some or all of the elements and of no other, ascending.

        Args:
            elements: Atomic numbers.
        """
        system = sum(1 << number for number in set(elements))
        if len(elements) > _MOST_SUBSETS:
            places = [place for mask, place in self._place.items() if not mask & ~system]
        else:
            bits = [1 << number for number in set(elements)]
            subsets = (sum(chosen) for size in range(1, len(bits) + 1) for chosen in combinations(bits, size))
            places = [self._place[mask] for mask in subsets if mask in self._place]
        return np.sort(np.concatenate([np.empty(0, np.int64), *map(self._rows, places)]))

    def spanning(self, elements: list[int]) -> NDArray[np.int64]:
        """Rows that consist of all of the elements and of no other, ascending.

        Args:
            elements: Atomic numbers.
        """
        place = self._place.get(sum(1 << number for number in set(elements)))
        return np.empty(0, np.int64) if place is None else self._rows(place)

    def _rows(self, place: int) -> NDArray[np.int64]:
        return self._order[self._bounds[place] : self._bounds[place + 1]]


def element_sets(compositions: Compositions) -> NDArray[np.uint64]:
    """Sets of elements as bits: number z is bit z of the first word, or bit z - 64 of the second; shape (n, 2)."""
    bits = np.left_shift(np.uint64(1), compositions.elements.astype(np.uint64) % np.uint64(64))
    sets = np.zeros((len(compositions), 2), np.uint64)
    np.bitwise_or.at(sets, (compositions.rows, compositions.elements // 64), bits)
    return sets
