"""Ranking by the probability of meeting all targets, and a shortlist spread over chemistry and structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.comparison.structure_distance import structure_distances

_UNALIKE = 10.0  # steps on the Mendeleev-number axis: HfO2 is 0.7 from TiO2, NaCl is 31
_UNALIKE_STRUCTURES = 0.3


def ranking_order(
    probability: NDArray[np.float64], ids: Sequence[str], *, among_equal: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Order rows from most to least probable, whatever their input order.

    A row whose probability is not a number is left out: it never ranks.

    Args:
        probability: Of n rows, shape (n,).
        ids: Of the rows; they order those that are equal in everything else.
        among_equal: Orders rows of equal probability, the largest first, shape (n,).
    """
    rankable = np.flatnonzero(np.isfinite(probability))
    names = np.array(ids, dtype=str)[rankable]
    beyond = np.zeros(len(rankable)) if among_equal is None else among_equal[rankable]
    return rankable[np.lexsort((names, -beyond, -probability[rankable]))]


def diverse_choice(
    probability: NDArray[np.float64], compositions: Compositions, *, size: int, diversity: float,
    structures: NDArray[np.float64] | None = None, structural_diversity: float = 0.0,
) -> list[int]:  # fmt: skip
    """Choose the rows of a shortlist, best first.

    The choice is greedy, farthest first: each pick maximises ``probability * (1 - diversity * likeness) * (1 -
    structural_diversity * structural likeness)``, where likeness is the largest with any earlier pick (maximal marginal
    relevance, Carbonell and Goldstein, SIGIR 1998). The same composition is never picked twice. Of equal candidates the
    earlier row is picked.

    Args:
        probability: Of n ranked candidates, or another score of them that is not negative, shape (n,).
        compositions: Of the same candidates.
        size: Number of rows to pick; fewer are returned if there are too few compositions.
        diversity: 0 to 1, in chemistry (:func:`chemical_likeness`).
        structures: Fingerprints of the crystals, shape (n, k); nan where there is none, which counts as alike.
        structural_diversity: 0 to 1, in the places of atoms (:func:`structural_likeness`).
    """
    likeness, structural = np.zeros(len(probability)), np.zeros(len(probability))
    picks: list[int] = []
    available = np.isfinite(probability)
    while len(picks) < size and available.any():
        worth = (1 - diversity * likeness) * (1 - structural_diversity * structural)
        best = int(np.where(available, probability * worth, -np.inf).argmax())
        picks.append(best)
        # One pick at a time: all pairs of 100,000 candidates would fill 80 GB.
        distances = composition_distances(compositions.take(np.array([best])), compositions)[0]
        likeness = np.maximum(likeness, chemical_likeness(distances))
        if structures is not None and structural_diversity > 0:
            apart = structure_distances(structures[[best]], structures)[0]
            structural = np.maximum(structural, structural_likeness(apart))
        available &= distances > 1e-9
    return picks


def chemical_likeness(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """How alike compositions are: ``1 - d / 10``, not below 0, with the element mover's distance d; same shape.

    >>> chemical_likeness(np.array([0.0, 5.0, 31.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return np.asarray(np.maximum(1 - distances / _UNALIKE, 0))


def structural_likeness(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """How alike crystals are: ``1 - d / 0.3``, not below 0, with the distance d of their fingerprints; same shape.

    Of the packaged crystals, nine in ten pairs with the same kind of formula and space group are nearer than 0.25, and
    three in four random pairs are farther apart than 0.28; rock salt and fluorite are 0.32 apart. What has no crystal
    is as alike as can be: unknown is never good.

    >>> structural_likeness(np.array([0.0, 0.15, 0.32, np.nan])).tolist()
    [1.0, 0.5, 0.0, 1.0]
    """
    return np.asarray(np.maximum(1 - np.where(np.isnan(distances), 0, distances) / _UNALIKE_STRUCTURES, 0))
