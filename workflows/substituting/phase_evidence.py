"""What is known of the phases of compositions: lists that hold them, distances from hulls, coverage, P(makeable).

P(phase) is 1 for a composition that the Materials Project computed near its hull, and 0 for one that it, or else OQMD,
computed farther above. That a composition lies near the hull of OQMD proves less, because OQMD holds many compounds
that nobody has made: it has P(makeable phase), like a composition that no list holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.packaged.known_compositions import KNOWN_LISTS, lists_holding
from matloop.models.stability.makeable import listed_distances
from matloop.models.stability.packaged_stability import known_phases
from matloop.workflows.stages.makeable import makeable_phases

NEAR_HULL = 0.05
"""eV/atom above the hull up to which a phase counts as one that can be made."""
DATABASES = ("materials_project", "oqmd")


class PhaseEvidence(NamedTuple):
    """What is known of the phases of one composition.

    Attributes:
        lists: Lists of known compositions that hold it, by name.
        distances: eV/atom above the hull of a database, by its name, where that computed the composition.
        coverage: Share of the other known compositions of its elements whose energy the hull has.
        known: How many other compositions of its elements are known.
        makeable: P(makeable phase), as if the composition were new; nan for an alloy or an element.
        probability: P(phase), from all of it.
    """

    lists: tuple[str, ...]
    distances: Mapping[str, float]
    coverage: float
    known: int
    makeable: float
    probability: float


def phase_evidence(compositions: Compositions, *, near_hull: float = NEAR_HULL) -> list[PhaseEvidence]:
    """Collect what is known of the phases of compositions.

    Args:
        compositions: n compositions.
        near_hull: eV/atom above the hull up to which a phase counts as one that can be made.

    Raises:
        DatasetError: If a packaged file is not the one that was released.
    """
    if not len(compositions):
        return []
    holding = lists_holding(compositions)
    distances = {name: listed_distances(compositions, database=name) for name in DATABASES}
    coverage = known_phases().coverage(compositions)
    makeable = makeable_phases(compositions, near_hull)
    chances = phase_probabilities(distances, makeable, near_hull=near_hull)
    return [
        PhaseEvidence(
            tuple(name for name, held in zip(KNOWN_LISTS, holding[row].tolist(), strict=True) if held),
            {name: float(found[row]) for name, found in distances.items() if math.isfinite(found[row])},
            float(coverage.shares[row]), int(coverage.known[row]), float(makeable[row]), float(chances[row]),
        )
        for row in range(len(compositions))
    ]  # fmt: skip


def phase_probabilities(
    distances: Mapping[str, NDArray[np.float64]], makeable: NDArray[np.float64], *, near_hull: float
) -> NDArray[np.float64]:
    """P(phase) of n compositions, shape (n,).

    Args:
        distances: eV/atom above the hull by database, infinite where it lacks the composition, each (n,).
        makeable: P(makeable phase), shape (n,).
        near_hull: eV/atom above the hull up to which a phase counts as one that can be made.

    >>> above = {"materials_project": np.array([0.0, 0.2, np.inf]), "oqmd": np.array([0.0, 0.0, 0.3])}
    >>> phase_probabilities(above, np.array([0.4, 0.4, 0.4]), near_hull=0.05).tolist()
    [1.0, 0.0, 0.0]
    """
    first, second = (distances[name] for name in DATABASES)
    elsewhere = np.where(np.isfinite(second) & (second > near_hull), 0.0, makeable)
    return np.where(np.isfinite(first), np.where(first <= near_hull, 1.0, 0.0), elsewhere)
