"""Ranking by the probability of meeting all targets, and a shortlist spread over chemistry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.comparison.composition_distance import composition_distances

_UNALIKE = 10.0  # steps on the Mendeleev-number axis: HfO2 is 0.7 from TiO2, NaCl is 31


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
    probability: NDArray[np.float64], compositions: Compositions, *, size: int, diversity: float
) -> list[int]:
    """Choose the rows of a shortlist, best first.

    The choice is greedy: each pick maximises ``probability * (1 - diversity * likeness)``, where likeness is the
    largest with any earlier pick (maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998), and two
    compositions are alike by ``1 - d / 10``, not below 0, with the element mover's distance d. The same composition is
    never picked twice.

    Args:
        probability: Of n ranked candidates, shape (n,).
        compositions: Of the same candidates.
        size: Number of rows to pick; fewer are returned if there are too few compositions.
        diversity: 0 to 1.
    """
    likeness = np.zeros(len(probability))
    picks: list[int] = []
    available = np.isfinite(probability)
    while len(picks) < size and available.any():
        merit = np.where(available, probability * (1 - diversity * likeness), -np.inf)
        best = int(merit.argmax())
        picks.append(best)
        # One pick at a time: all pairs of 100,000 candidates would fill 80 GB.
        distances = composition_distances(compositions.take(np.array([best])), compositions)[0]
        likeness = np.maximum(likeness, np.maximum(1 - distances / _UNALIKE, 0))
        available &= distances > 1e-9
    return picks
