"""From ranked candidates to a shortlist: equal crystals merged, unlike ones chosen, each held against what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.comparison.equal_crystals import crystal_groups
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.explaining.novelty import novelty_reports
from matloop.screening.ranking.ranking import diverse_choice
from matloop.workflows.stages.outcomes import REJECTED, SHORTLISTED, OutcomeCounts

MOST_COMPARED = 50
"""Crystals of one composition that are compared with each other."""
EQUAL = "equal to a more probable candidate"


def distinct(ranked: CandidateBatch, counts: OutcomeCounts, stage: str) -> CandidateBatch:
    """Of equal crystals only the most probable; the others are counted as rejected.

    Args:
        ranked: Candidates, the most probable first.
        counts: Changed in place.
        stage: Where the others end.
    """
    compared = _first_of_each_composition(ranked)
    groups = crystal_groups(ranked.take(compared))
    repeats = [compared[row] for rows in groups.members for row in np.sort(rows)[1:]]
    if repeats:
        counts[stage, REJECTED, EQUAL] += len(repeats)
        ranked = ranked.take(np.setdiff1d(np.arange(len(ranked)), repeats))
    return ranked


def _first_of_each_composition(ranked: CandidateBatch) -> NDArray[np.int64]:
    """Rows of the most probable candidates of each composition: comparing all pairs of thousands would take hours."""
    order = np.argsort(composition_keys(ranked.compositions), kind="stable")
    keys = composition_keys(ranked.compositions)[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
    place = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    return np.sort(order[place < MOST_COMPARED])


def choose(ranked: CandidateBatch, campaign: Campaign, counts: OutcomeCounts) -> CandidateBatch:
    """Mark the shortlisted among the ranked, and settle the outcome of them all.

    Args:
        ranked: Candidates, the most probable first, with the column ``expected_misses``.
        campaign: Says how many and how unlike.
        counts: Changed in place.

    Returns:
        The ranked with the columns ``rank`` (from 1) and ``shortlisted`` (1, 2, 3 ... or 0).
    """
    wanted, limit = campaign.shortlist, campaign.shortlist.max_false_discovery
    probability = ranked.column(Column.PROBABILITY)
    if limit is not None:
        refused = ~(ranked.column(Column.EXPECTED_MISSES) <= limit)
        counts["shortlist", REJECTED, f"expected share of misses above {limit:g}"] = int(refused.sum())
        probability = np.where(refused, np.nan, probability)
    picks = diverse_choice(probability, ranked.compositions, size=wanted.size, diversity=wanted.diversity)
    place = np.zeros(len(ranked), np.int64)
    place[picks] = np.arange(1, len(picks) + 1)
    counts["shortlist", REJECTED, "ranked, not chosen"] = int(np.isfinite(probability).sum()) - len(picks)
    counts["shortlist", SHORTLISTED, ""] = len(picks)
    return ranked.with_columns({Column.RANK: np.arange(1, len(ranked) + 1), Column.SHORTLISTED: place})


def shortlisted(ranked: CandidateBatch) -> CandidateBatch:
    """The chosen among the ranked, best place first."""
    place = ranked.column(Column.SHORTLISTED)
    return ranked.take(np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")])


def novelty(
    ranked: CandidateBatch, known: KnownMaterials, *, references: Sequence[CandidateBatch] = ()
) -> list[dict[str, Any]]:
    """What is new about each shortlisted candidate, best place first, as plain JSON values.

    Args:
        ranked: What :func:`choose` returned.
        known: What the run knows.
        references: Further known crystals, with a column ``origin``.
    """
    chosen = shortlisted(ranked)
    if not len(chosen):
        return []
    parts = [known.rows.to_arrow(), *(batch.to_arrow() for batch in references)]
    rows = CandidateBatch.from_arrow(pa.concat_tables(parts, promote_options="permissive"))
    further = [name for batch in references for name in batch.table.column(Column.ORIGIN).to_pylist()]
    return [asdict(report) for report in novelty_reports(chosen, rows, names=[*known.names, *further])]
