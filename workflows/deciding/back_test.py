"""Back-tests of whole lists: how many hits lists held that were made like the shortlist of a run, of known materials.

A list is made of materials whose truth is known, each predicted as a new one, after the filters and the domain of the
campaign, in its order and with its diversity. Some of the listed materials meet the targets. Their number stands beside
what the probabilities promised for the list, and beside what a random draw of the same materials would hold. To tell
how far that hangs on single compounds, lists are made several times, each time without a random fifth of the
compositions.

A back-test speaks of known materials. Candidates are further from them than they are from each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.screening.campaign.campaign import Shortlist
from matloop.screening.ranking.spread import spread_choice
from matloop.screening.runs.run_summary import BackTestedLists

SIZES = (3, 10, 20)
DRAWS = 20
FEWEST_ROWS_FOR_ONE = 10
"""Materials for each place of a list; of fewer, a random draw would hold as many hits as a list."""
_LEFT_OUT = 0.2


class KnownOutcomes(NamedTuple):
    """Known materials of which the truth of several targets is known, predicted as new ones.

    Attributes:
        materials: n materials.
        probability: Of meeting all of these targets, nan where a filter or the domain takes the material out, (n,).
        score: Orders materials of equal probability, shape (n,).
        met: Whether the truth meets all targets, shape (n,).
    """

    materials: CandidateBatch
    probability: NDArray[np.float64]
    score: NDArray[np.float64]
    met: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> KnownOutcomes:
        """Return some of the materials."""
        return KnownOutcomes(self.materials.take(rows), self.probability[rows], self.score[rows], self.met[rows])


def back_test(
    known: KnownOutcomes, targets: Sequence[str], *, wanted: Shortlist, draws: int = DRAWS
) -> list[BackTestedLists]:
    """Make lists of known materials and count the hits.

    Args:
        known: Known materials.
        targets: The properties.
        wanted: Diversity of the shortlist of the campaign.
        draws: How many times lists are made.

    Returns:
        An entry for each size of a list that there are enough materials for, smallest first.
    """
    known = known.take(np.flatnonzero(np.isfinite(known.probability)))
    sizes = [size for size in SIZES if len(known.met) >= FEWEST_ROWS_FOR_ONE * size]
    if not sizes:
        return []
    compositions = known.materials.groups()
    held = np.zeros((draws, len(sizes), 3))
    for draw in range(draws):
        random = np.random.default_rng(draw)
        present = random.random(compositions.max() + 1)[compositions] >= _LEFT_OUT
        drawn = known.take(np.flatnonzero(present))
        picks = listed(drawn, wanted, size=sizes[-1])
        for place, size in enumerate(sizes):
            rows = picks[:size]
            held[draw, place] = drawn.met[rows].sum(), drawn.probability[rows].sum(), len(rows) * drawn.met.mean()
    return [
        BackTestedLists(
            targets=tuple(targets), materials=len(known.met), hits=int(known.met.sum()), size=size, lists=draws,
            met=means[0], promised=means[1], random=means[2],
        )
        for size, means in zip(sizes, held.mean(axis=0).round(3).tolist(), strict=True)
    ]  # fmt: skip


def listed(known: KnownOutcomes, wanted: Shortlist, *, size: int) -> NDArray[np.int64]:
    """Choose a list as a run chooses its shortlist; return rows, best place first.

    Args:
        known: Known materials with finite probabilities.
        wanted: Diversity of the shortlist.
        size: Of the list.
    """
    order = np.lexsort((np.array(known.materials.ids), -known.score, -known.probability))
    # The best of other compositions reach this share of their probability whatever was picked before.
    share = (1 - wanted.diversity) * (1 - wanted.structural_diversity)
    _, first = np.unique(known.materials.groups()[order], return_index=True)
    least = known.probability[order[np.sort(first)[:size][-1]]]
    order = order[known.probability[order] >= share * least]
    picks = spread_choice(known.probability[order], known.materials.take(order), wanted, size=size)
    return np.asarray(order[picks])
