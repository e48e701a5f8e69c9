"""What a hull does not know: compositions that are known to exist and have no energy in it.

A distance from a hull means as much as the phases that the hull holds. Of the compositions that are known of a chemical
system, the hull has the energies of some; each of the others may lie below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.chemical_systems import SystemIndex
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import write_formulas
from matloop.models.stability.hull import Hull, HullDistances

MOST_NAMES = 10
"""How many known phases without an energy are named."""
DEEPEST = -0.03
"""A candidate that lies farther below the hull than this, in eV/atom, shows that a reference phase is missing: of 1,000
new compounds hardly one does."""
ELEMENT_PRODUCTS = "element_products"
"""References are incomplete because a compound would decompose into elements."""
FAR_BELOW = "far_below"
"""References are incomplete because the candidate lies below :data:`DEEPEST`."""
_ELEMENT = re.compile("[A-Z][a-z]?[0-9]*")


@dataclass(frozen=True)
class Coverage:
    """What is known of the chemical systems of n candidates, their own compositions and the elements apart.

    Attributes:
        shares: Share of the known compositions that have an energy in the hull, 0 where none is known, shape (n,).
        known: Number of known compositions, with an energy or without, shape (n,).
        without_energy: Reduced formulas of known compositions without an energy, at most :data:`MOST_NAMES` of each.
        spans_system: Whether a reference phase holds all the elements of the candidate, shape (n,).
    """

    shares: NDArray[np.float64]
    known: NDArray[np.int64]
    without_energy: list[tuple[str, ...]]
    spans_system: NDArray[np.bool_]


class KnownPhases:
    """Which compositions are known, and which of them a hull has the energy of.

    Args:
        hull: The hull.
        known: Compositions that are known, those that matter most first; they may repeat those of the hull.
    """

    def __init__(self, hull: Hull, known: Compositions) -> None:
        references = hull.references.compositions
        self._references = references.take(np.flatnonzero(references.lengths > 1))
        self._with_energy = composition_keys(self._references)
        keys = composition_keys(known)
        first = np.sort(np.unique(keys, return_index=True)[1])
        first = first[(known.lengths[first] > 1) & ~np.isin(keys[first], self._with_energy)]
        self._others, self._other_keys = known.take(first), keys[first]
        self._reference_systems, self._other_systems = SystemIndex(self._references), SystemIndex(self._others)

    def coverage(self, candidates: Compositions) -> Coverage:
        """Return what is known of the chemical system of each candidate."""
        keys, n = composition_keys(candidates), len(candidates)
        shares, known, spans = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, bool)
        names: list[tuple[str, ...]] = []
        for row in range(n):
            elements = candidates.elements[candidates.offsets[row] : candidates.offsets[row + 1]].tolist()
            have = self._reference_systems.within(elements)
            have = have[self._with_energy[have] != keys[row]]
            lack = self._other_systems.within(elements)
            lack = lack[self._other_keys[lack] != keys[row]]
            known[row] = len(have) + len(lack)
            shares[row] = len(have) / max(known[row], 1)
            spans[row] = bool((self._references.lengths[have] == len(elements)).any())
            names.append(tuple(write_formulas(self._others.take(lack[:MOST_NAMES]))))
        return Coverage(shares, known, names, spans)


def incomplete_references(candidates: Compositions, distances: HullDistances) -> NDArray[np.object_]:
    """Tell where a place on the hull shows that reference phases are missing.

    Args:
        candidates: Compositions of n candidates.
        distances: Where they lie.

    Returns:
        :data:`ELEMENT_PRODUCTS` and :data:`FAR_BELOW`, separated by a comma, or an empty text, shape (n,).
    """
    reasons: list[str] = []
    for row, products in enumerate(distances.products):
        found = []
        if candidates.lengths[row] > 1 and any(_ELEMENT.fullmatch(product.formula) for product in products):
            found.append(ELEMENT_PRODUCTS)
        if distances.energy_above_hull[row] < DEEPEST:
            found.append(FAR_BELOW)
        reasons.append(", ".join(found))
    return np.array(reasons, dtype=object)
