"""How alike two candidates are: the distances that kinds of candidates name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.comparison.structure_distance import structure_distances, structure_fingerprints

Distance = Callable[[CandidateBatch, CandidateBatch], NDArray[np.float64]]
"""Distances between all pairs of n and m candidates, shape (n, m); nan where one of the two cannot be compared."""


def distances_of_compositions(one: CandidateBatch, other: CandidateBatch) -> NDArray[np.float64]:
    """Element mover's distances, whatever else is known of the candidates, shape (n, m)."""
    return composition_distances(one.compositions, other.compositions)


def distances_of_structures(one: CandidateBatch, other: CandidateBatch) -> NDArray[np.float64]:
    """Distances of the crystals, nan where one of the two has none, shape (n, m)."""
    if one.crystals is None or other.crystals is None:
        return np.full((len(one), len(other)), np.nan)
    return structure_distances(structure_fingerprints(one.crystals), structure_fingerprints(other.crystals))


DISTANCES: Mapping[str, Distance] = MappingProxyType(
    {"composition": distances_of_compositions, "structure": distances_of_structures}
)
"""Every distance by the name that a kind gives as its likeness."""
