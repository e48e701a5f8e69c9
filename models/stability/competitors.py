"""Known phases that compete with candidates and that have no energy by the potential.

The hull of a potential's own energies knows the reference crystals alone. Of the phases that a database lists in the
system of a candidate, those that lie on or near the database's hull matter most; the others change nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.models.stability.hull import Hull, PhaseEnergies

REACH = 0.05
"""How far above the database's hull a phase may lie, in eV/atom, to be worth an energy."""


def missing_competitors(
    hull: Hull, evaluated: Compositions, systems: Compositions, *, reach: float = REACH
) -> PhaseEnergies:
    """List phases of a hull that compete in some chemical systems and are not evaluated, those that matter most first.

    Args:
        hull: Of the phases of a database.
        evaluated: Compositions that have an energy by the potential.
        systems: Compositions whose elements make up the systems, the most important one first.
        reach: Largest energy above the hull in eV/atom.

    Returns:
        Compounds, system by system, and within a system from the hull upwards. A compound of several systems is listed
        once, and one with the composition of the candidate itself is left out.
    """
    references = hull.references
    keys, chosen = composition_keys(references.compositions), list[int]()
    seen = set(composition_keys(evaluated).tolist())
    own = composition_keys(systems)
    for row in range(len(systems)):
        first, stop = systems.offsets[row : row + 2]
        inside = rows_within(references.compositions, systems.elements[first:stop])
        inside = inside[references.compositions.lengths[inside] > 1]
        above = hull.distances(references.take(inside)).energy_above_hull
        order = inside[np.lexsort((inside, above))][: int((above <= reach).sum())]
        fresh = [int(at) for at in order if int(keys[at]) not in seen and keys[at] != own[row]]
        seen.update(int(keys[at]) for at in fresh)
        chosen += fresh
    return references.take(np.array(chosen, np.int64))


def rows_within(compositions: Compositions, elements: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Find the compositions that have no other element than those given."""
    foreign = ~np.isin(compositions.elements, elements)
    return np.flatnonzero(np.bincount(compositions.rows, foreign, len(compositions)) == 0)
