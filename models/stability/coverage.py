"""What a hull does not know: compositions that are known to exist and have no energy in it.

A distance from a hull means as much as the phases that the hull holds. Of the compositions that are known of a chemical
system, the hull has the energies of some; each of the others may lie below it. Another database may know more of them.
Its energies never meet those of the hull, but they tell which of its many hypothetical compounds may matter: those that
lie near the hull of their own database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.chemical_systems import SystemIndex
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import write_formulas
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies

MOST_NAMES = 10
"""How many known phases without an energy are named."""
REACH = 0.05
"""How far above the hull of their own database compositions of another database still count as known, in eV/atom."""
DEEPEST = -0.03
"""A candidate that lies farther below the hull than this, in eV/atom, may do so because a reference phase is missing.
It is no proof: of the compounds that the Materials Project added between 2017 and 2019, nearly a quarter lie as far
below the hull of 2017 (``benchmarks/models/stability.py``)."""
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
        known: Compositions that are known; they may repeat those of the hull.
        elsewhere: Hull of another database. Those of its phases count as known that lie within :data:`REACH` of it.
    """

    def __init__(self, hull: Hull, known: Compositions, elsewhere: Hull | None = None) -> None:
        compounds = hull.references.compositions
        self._references = compounds.take(np.flatnonzero(compounds.lengths > 1))
        self._with_energy = composition_keys(self._references)
        others = PhaseEnergies("known", known, np.full(len(known), np.nan), [""] * len(known))
        if elsewhere is not None:
            others = others.joined(replace(elsewhere.references, source="known"))
        keys = composition_keys(others.compositions)
        # Of a composition in both, the energy counts.
        order = np.argsort(np.isnan(others.energies), kind="stable")
        first = np.sort(order[np.unique(keys[order], return_index=True)[1]])
        first = first[(others.compositions.lengths[first] > 1) & ~np.isin(keys[first], self._with_energy)]
        self._others, self._other_keys, self._elsewhere = others.take(first), keys[first], elsewhere
        self._reference_systems = SystemIndex(self._references)
        self._other_systems = SystemIndex(self._others.compositions)

    def coverage(self, candidates: Compositions) -> Coverage:
        """Return what is known of the chemical system of each candidate."""
        keys, n = composition_keys(candidates), len(candidates)
        shares, known, spans = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, bool)
        names: list[tuple[str, ...]] = []
        for row in range(n):
            elements = candidates.elements[candidates.offsets[row] : candidates.offsets[row + 1]].tolist()
            have = self._reference_systems.within(elements)
            have = have[self._with_energy[have] != keys[row]]
            lack = self._without_energy(elements, int(keys[row]))
            known[row] = len(have) + len(lack)
            shares[row] = len(have) / max(known[row], 1)
            spans[row] = bool((self._references.lengths[have] == len(elements)).any())
            names.append(tuple(write_formulas(self._others.compositions.take(lack[:MOST_NAMES]))))
        return Coverage(shares, known, names, spans)

    def _without_energy(self, elements: list[int], own: int) -> NDArray[np.int64]:
        """Rows of known compositions of a system: those that only lists name, then the others from their hull upwards.

        Args:
            elements: Atomic numbers of the system.
            own: Key of the composition of the candidate, which does not compete with itself.
        """
        lack = self._other_systems.within(elements)
        lack = lack[self._other_keys[lack] != own]
        if self._elsewhere is None or not len(lack):
            return lack
        phases = replace(self._others.take(lack), source=self._elsewhere.references.source)
        above = np.nan_to_num(self._elsewhere.distances(phases).energy_above_hull, nan=-1.0)
        order = np.argsort(above, kind="stable")
        return lack[order][above[order] <= REACH]


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
