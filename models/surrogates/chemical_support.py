"""How much training chemistry stands behind a candidate: formulas with its elements, and with two of them together.

A candidate may be near the training rows in its features and yet join elements that no training row joins. Errors are
larger there, whatever the family of the model.

The nonmetals of a compound decide what kind of compound it is. One that hardly a training formula has, such as fluorine
after training on oxides and sulfides, shifts whole classes of compounds together, and how far cannot be learned from
other nonmetals (``docs/measurements.md``); so its compounds lie outside the domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.chemistry.oxidation_states import METALS
from matloop.data.elements import SYMBOLS

_ENOUGH = 10  # formulas with a nonmetal; an element with fewer is not left out in turn either
_SHARE = 0.02  # of the formulas where that is less, since few labels have few of each nonmetal
_UNUSUAL = ("He", "Ne", "Ar", "Kr", "Xe", "At", "Rn", *SYMBOLS[104:])  # other rules are for these, or none
_NONMETALS = np.array([symbol not in (*METALS, *_UNUSUAL) for symbol in SYMBOLS]) & (np.arange(len(SYMBOLS)) > 0)


@dataclass(frozen=True)
class ChemicalSupport:
    """Counts of training formulas.

    Attributes:
        formulas: How many contain two elements together, by atomic numbers, and on the diagonal one element, shape
            (119, 119).
        hardly_seen: Nonmetals that hardly any of them has, shape (119,).
    """

    formulas: NDArray[np.int64]
    hardly_seen: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        elements: NDArray[np.bool_],
        groups: NDArray[np.integer],
        *,
        taught: NDArray[np.bool_] | None = None,
        share: float = 1.0,
    ) -> ChemicalSupport:
        """Count the formulas of training rows.

        A nonmetal is hardly seen that fewer than ten formulas have, or fewer than 2 % of less than 500.

        Args:
            elements: Which elements each row contains, shape (m, 119).
            groups: Formula group of each row, shape (m,). Rows of a group that is no formula count as one formula where
                they have the same elements.
            taught: Elements that a model of computed values knows, from which measured values are transferred, shape
                (119,); none if left out.
            share: Of the rows of a model that these are; what was enough for the model is enough for its part.
        """
        _, first = np.unique(np.column_stack([groups, np.packbits(elements, axis=1)]), axis=0, return_index=True)
        distinct = elements[first].astype(np.int64)
        enough = share * min(_ENOUGH, max(_SHARE * len(distinct) / share, 1))
        rare = _NONMETALS & (distinct.sum(axis=0) < enough)
        return cls(distinct.T @ distinct, rare if taught is None else rare & ~taught)

    @classmethod
    def from_arrays(cls, formulas: NDArray[Any], hardly_seen: NDArray[Any]) -> ChemicalSupport:
        """Check what was saved.

        Raises:
            ValueError: If it is none.
        """
        elements = len(_NONMETALS)
        counts = formulas.shape == (elements, elements) and formulas.dtype.kind in "iu" and (formulas >= 0).all()
        if not counts or hardly_seen.shape != (elements,) or hardly_seen.dtype != bool:
            raise ValueError("counts of formulas by element that are none")
        return cls(formulas.astype(np.int64), hardly_seen)

    def foreign(self, elements: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each candidate has a nonmetal that the training formulas hardly have, shape (n,).

        Args:
            elements: Which elements each candidate contains, shape (n, 119).

        >>> oxides = np.zeros((12, 119), bool)
        >>> oxides[:, 8] = oxides[np.arange(12), 20 + np.arange(12)] = True
        >>> calcium = np.zeros((2, 119), bool)
        >>> calcium[0, [20, 8]] = calcium[1, [20, 16]] = True  # CaO and CaS
        >>> ChemicalSupport.of(oxides, np.arange(12)).foreign(calcium)
        array([False,  True])
        """
        return np.asarray(elements[:, self.hardly_seen].any(axis=1))

    def features(self, elements: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return log(1 + count) of the rarest element and of the rarest pair, and the mean over pairs, shape (n, 3).

        A pure element counts as a pair of its own.

        Args:
            elements: Which elements each candidate contains, shape (n, 119).

        >>> known = np.zeros((3, 119), bool)
        >>> known[0, [11, 17]] = known[1, [19, 17]] = known[2, [19, 35]] = True  # NaCl, KCl, KBr
        >>> wanted = np.zeros((1, 119), bool)
        >>> wanted[0, [11, 35]] = True  # NaBr
        >>> np.expm1(ChemicalSupport.of(known, np.arange(3)).features(wanted)).round(6).tolist()
        [[1.0, 0.0, 0.0]]
        """
        offsets = np.concatenate([[0], np.cumsum(elements.sum(axis=1))])
        found = np.empty((len(elements), 3))
        _least_and_mean(np.log1p(self.formulas), offsets, np.nonzero(elements)[1], found)
        return found


@numba.njit(cache=True, nogil=True)
def _least_and_mean(logarithms, offsets, numbers, found):  # type: ignore[no-untyped-def]
    """Fill in the features of each row, whose elements are the numbers between its offset and the next."""
    for row in range(len(found)):
        start, end = offsets[row], offsets[row + 1]
        element = pair = np.inf
        total, count = 0.0, 0
        for i in range(start, end):
            element = min(element, logarithms[numbers[i], numbers[i]])
            for j in range(i + 1, end):
                together = logarithms[numbers[i], numbers[j]]
                pair, total, count = min(pair, together), total + together, count + 1
        found[row, 0] = element
        found[row, 1] = pair if count else element
        found[row, 2] = total / count if count else element
