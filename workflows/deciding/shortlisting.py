"""From ranked candidates to a shortlist: merge equal crystals, choose diverse ones, compare with known ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import (
    CHOSEN,
    EQUAL_CRYSTAL,
    EXPECTED_MISSES,
    NO_EVIDENCE,
    NOT_CHOSEN,
    UNKNOWN_OBJECTIVE,
    Reason,
)  # fmt: skip
from matloop.data.comparison.equal_crystals import crystal_groups
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownCompositions, KnownMaterials
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.explaining.novelty import novelty_reports
from matloop.screening.ranking.criteria import merits
from matloop.screening.ranking.non_dominated import non_dominated_probability
from matloop.screening.ranking.objectives import gains, unknown_objectives
from matloop.screening.ranking.pareto import pareto_fronts
from matloop.screening.ranking.spread import spread_choice
from matloop.screening.ranking.tradeoffs import Tradeoff
from matloop.workflows.stages.fates import REJECTED, SHORTLISTED, fate_table

MOST_COMPARED = 50
"""Crystals of one composition that are compared with each other."""
EQUAL = "equal-crystals"
"""Name of the merge of equal crystals."""
CHOICE = "choice"
"""Name of the stage's merge that chooses the shortlist."""
STAGE = "shortlist"


class Decided(NamedTuple):
    """Result of a merge: the remaining candidates, and the fates of the others.

    Attributes:
        ranked: The candidates that the merge leaves, best first.
        fates: The fates of those that end in it.
    """

    ranked: CandidateBatch
    fates: pa.Table


def distinct(ranked: CandidateBatch, stage: str) -> Decided:
    """Keep the first of equal crystals; the others end.

    Args:
        ranked: Candidates, best first.
        stage: Part of the funnel where the others end.
    """
    compared = _first_of_each_composition(ranked)
    groups = crystal_groups(ranked.take(compared))
    first_of = {int(compared[row]): int(compared[rows.min()]) for rows in groups.members for row in np.sort(rows)[1:]}
    repeats = sorted(first_of)
    reasons = [Reason(EQUAL_CRYSTAL, source=ranked.ids[first_of[row]]) for row in repeats]
    fates = fate_table(ranked.table.take(pa.array(repeats, pa.int64())), REJECTED, stage, reasons)
    if repeats:
        ranked = ranked.take(np.setdiff1d(np.arange(len(ranked)), repeats))
    return Decided(ranked, fates)


def _first_of_each_composition(ranked: CandidateBatch) -> NDArray[np.int64]:
    """Find the most probable candidates of each composition: comparing all pairs of thousands would take hours."""
    groups = ranked.groups()
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < MOST_COMPARED])


def put_in_order(ranked: CandidateBatch, criterion: Tradeoff) -> Decided:
    """Order the candidates that passed every stage by objectives; those of which one is not known end here.

    Args:
        ranked: Candidates with the columns of the objectives.
        criterion: Weighs the objectives.

    Returns:
        The candidates, best first, with the columns ``tradeoff_score``, ``pareto_front`` and
        ``non_dominated_probability``; and the fates of the others.
    """
    unknown = unknown_objectives(criterion.objectives, ranked.table)
    ending = [row for row, name in enumerate(unknown) if name]
    reasons = [Reason(UNKNOWN_OBJECTIVE, unknown[row], source=criterion.name) for row in ending]
    fates = fate_table(ranked.table.take(pa.array(ending, pa.int64())), REJECTED, STAGE, reasons)
    ranked = ranked.take([row for row, name in enumerate(unknown) if not name])
    values = gains(criterion.objectives, ranked.table)
    deviations = np.column_stack([objective.deviations(ranked.table) for objective in criterion.objectives])
    ranked = ranked.with_columns(
        {
            Column.TRADEOFF_SCORE: criterion.scores(ranked.table),
            Column.PARETO_FRONT: pareto_fronts(values),
            Column.NON_DOMINATED: non_dominated_probability(values, deviations, ranked.ids, seed=criterion.seed),
        }
    )
    return Decided(ranked.take(criterion.order(ranked.table)), fates)


def choose(ranked: CandidateBatch, campaign: Campaign) -> Decided:
    """Mark the shortlisted among the ranked, and decide the fate of them all.

    Args:
        ranked: Candidates, best first, with the column ``expected_misses``.
        campaign: Names the size and the diversity of the shortlist.

    Returns:
        The ranked candidates with the columns ``rank`` (from 1) and ``shortlisted`` (1, 2, 3 ... or 0), and the fates
        of all.
    """
    wanted, limit = campaign.shortlist, campaign.shortlist.max_false_discovery
    merit, misses = eligible_merits(ranked, limit), ranked.column(Column.EXPECTED_MISSES)
    refused, known = ~np.isfinite(merit) & (limit is not None), np.isfinite(misses)
    picks = spread_choice(merit, ranked, wanted)
    place = np.zeros(len(ranked), np.int64)
    place[picks] = np.arange(1, len(picks) + 1)
    ranked = ranked.with_columns({Column.RANK: np.arange(1, len(ranked) + 1), Column.SHORTLISTED: place})
    ends: list[tuple[NDArray[np.bool_], str, Callable[[int], Reason]]] = [
        (place > 0, SHORTLISTED, lambda row: Reason(CHOSEN, int(place[row]), wanted.size)),
        (refused & known, REJECTED, lambda row: Reason(EXPECTED_MISSES, float(misses[row]), float(limit or 0))),
        (refused & ~known, REJECTED, lambda row: Reason(NO_EVIDENCE, limit=float(limit or 0))),
        ((place == 0) & ~refused, REJECTED, lambda row: Reason(NOT_CHOSEN, row + 1, wanted.size)),
    ]
    parts = []
    for which, outcome, reason in ends:
        rows = np.flatnonzero(which)
        parts.append(
            fate_table(ranked.table.take(pa.array(rows)), outcome, STAGE, [reason(row) for row in rows.tolist()])
        )
    return Decided(ranked, pa.concat_tables(parts))


def eligible_merits(ranked: CandidateBatch, limit: float | None) -> NDArray[np.float64]:
    """Scores of the ranked candidates, nan where the expected share of misses is too high to be chosen, shape (n,).

    Args:
        ranked: The ranked candidates.
        limit: Largest expected share of misses; None for any.
    """
    merit = merits(ranked.table)
    if limit is None:
        return merit
    return np.where(ranked.column(Column.EXPECTED_MISSES) <= limit, merit, np.nan)


def shortlisted(ranked: CandidateBatch) -> CandidateBatch:
    """Return the chosen among the ranked candidates, best place first."""
    place = ranked.column(Column.SHORTLISTED)
    return ranked.take(np.flatnonzero(place > 0)[np.argsort(place[place > 0], kind="stable")])


def novelty(
    ranked: CandidateBatch,
    known: KnownMaterials,
    *,
    compositions: KnownCompositions,
    references: Sequence[CandidateBatch] = (),
) -> list[dict[str, Any]]:
    """Describe what is new about each shortlisted candidate, best place first, as plain JSON values.

    Args:
        ranked: Candidates as :func:`choose` returns them.
        known: Known materials of the run.
        compositions: Compositions that it counts as known.
        references: Further known crystals, with a column ``origin``.
    """
    chosen = shortlisted(ranked)
    if not len(chosen):
        return []
    parts = [known.rows.to_arrow(), *(batch.to_arrow() for batch in references)]
    rows = CandidateBatch.from_arrow(pa.concat_tables(parts, promote_options="permissive"))
    further = [name for batch in references for name in batch.table.column(Column.ORIGIN).to_pylist()]
    reports = novelty_reports(chosen, rows, names=[*known.names, *further], compositions=compositions)
    return [asdict(report) for report in reports]
