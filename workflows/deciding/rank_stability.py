"""How a shortlist stands a move of each weight and limit by a fifth.

The candidates that passed every stage are put in order again, and a shortlist is chosen again from them. What earlier
stages would have kept under the moved limit is not asked, and neither is which expected share of misses it would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.ranking.criteria import Criterion, merits
from matloop.screening.ranking.moves import Move, Ranges, moved_criteria, moved_targets
from matloop.screening.ranking.spread import spread_choice
from matloop.screening.ranking.tradeoffs import Tradeoff
from matloop.screening.runs.run_summary import MovedLimit
from matloop.workflows.deciding.shortlisting import eligible_merits
from matloop.workflows.stages.makeable import (
    by_kinship_and_potential,
    kinship_targets,
    makeable_phases,
    supported_after_relaxing,
)
from matloop.workflows.stages.potential import task_of_surrogates
from matloop.workflows.stages.scoring import (
    ScoringTask,
    features_of,
    joint_probability_of,
    predict,
    with_composition,
)
from matloop.workflows.stages.stability import predicted_stability


class Chances(NamedTuple):
    """Probability of meeting all targets, and what orders equal ones, each (n,)."""

    probability: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Candidates that passed every scoring stage, with predictions of all targets, which hold for any range.

    Attributes:
        task: The last scoring stage.
        batch: n candidates; all relaxed ones, where there is a potential.
        by_surrogates: Predictions by property.
        by_potential: Predictions of those targets that potentials judge.
    """

    task: ScoringTask
    batch: CandidateBatch
    by_surrogates: dict[str, Prediction]
    by_potential: dict[str, LocalPrediction]

    @classmethod
    def of(cls, task: ScoringTask, batch: CandidateBatch, competitors: Path | None) -> Self:
        """Predict all targets of candidates.

        Args:
            task: The last scoring stage.
            batch: The candidates.
            competitors: File with energies of known phases that join the hull of the potential's own energies.
        """
        own = task if task.campaign.potential is None else task_of_surrogates(task)
        predictions = predict(own, features_of(own, batch)) if own.ranges else {}
        by_potential = {} if task.campaign.potential is None else predicted_stability(task, batch, competitors)
        return cls(task, batch, predictions, by_potential)

    def chances(self, ranges: Ranges) -> Chances:
        """Probability of meeting all targets, as the stages compute it, if the ranges were these."""
        own = replace(self.task, ranges={name: ranges[name] for name in self.by_surrogates})
        predictions = with_composition(own, self.by_surrogates, self.batch)
        found = Chances(np.ones(len(self.batch)), np.ones(len(self.batch)))
        if predictions:
            by_surrogates = joint_probability_of(own).probabilities(predictions, own.ranges)
            found = Chances(by_surrogates.of_all, by_surrogates.uncapped)
        if not self.by_potential:
            return found
        campaign, judged = self.task.campaign, {name: ranges[name] for name in self.by_potential}
        together = by_kinship_and_potential(campaign, judged, self.by_potential, self._with_kinship(judged))
        stability = supported_after_relaxing(campaign, judged).probabilities(together, judged)
        return Chances(found.probability * stability.of_all, found.score * stability.uncapped)

    def _with_kinship(self, ranges: Ranges) -> CandidateBatch:
        """The candidates with the probability of a makeable phase within moved ranges."""
        batch = self.batch
        if Column.MAKEABLE_PROBABILITY in batch.table.column_names:
            for name in kinship_targets(self.task.campaign, ranges):
                chance = makeable_phases(batch.compositions, ranges[name][1])
                batch = batch.with_columns({Column.MAKEABLE_PROBABILITY: chance})
        return batch


def moved_chances(
    task: ScoringTask, batch: CandidateBatch, competitors: Path | None, ids: Sequence[str]
) -> list[tuple[Move, Chances]]:
    """Probabilities of candidates if one limit of one target were moved; runs where surrogates can be loaded.

    Args:
        task: The last scoring stage.
        batch: Candidates as :class:`Judged` wants them.
        competitors: As for :meth:`Judged.of`.
        ids: Which of them are asked for.
    """
    judged, place = Judged.of(task, batch, competitors), {name: row for row, name in enumerate(batch.ids)}
    rows = np.array([place[name] for name in ids], np.int64)
    fixed = {target.property for target in task.campaign.targets if target.probability == "classifier"}
    found = []
    for move, ranges in moved_targets(task.ranges):
        if move.name not in fixed:  # a classifier knows one range
            chances = judged.chances(ranges)
            found.append((move, Chances(chances.probability[rows], chances.score[rows])))
    return found


class RankStability(NamedTuple):
    """How ranked candidates stand the moves.

    Attributes:
        columns: ``listed_when_moved`` and ``worst_rank``, each (n,).
        moves: Every move, with how many finalists stay.
    """

    columns: dict[str, Any]
    moves: tuple[MovedLimit, ...]


def rank_stability(
    ranked: CandidateBatch, campaign: Campaign, criterion: Criterion, chances: Sequence[tuple[Move, Chances]]
) -> RankStability:
    """Choose the shortlist again under each move.

    Args:
        ranked: The ranked candidates, the shortlisted marked.
        campaign: Size and diversity of the shortlist.
        criterion: By which they were ranked.
        chances: Their probabilities under moved limits of targets.
    """
    eligible = np.isfinite(eligible_merits(ranked, campaign.shortlist.max_false_discovery))
    place = ranked.column(Column.SHORTLISTED)
    listed, worst, told = np.zeros(len(ranked)), np.zeros(len(ranked), np.int64), []
    for move, by, table in _moved(ranked, criterion, chances):
        order = by.order(table)
        scores = by.scores(table) if isinstance(by, Tradeoff) else merits(table)
        merit = np.where(eligible, scores, np.nan)[order]
        picks: NDArray[np.int64] = order[spread_choice(merit, ranked.take(order), campaign.shortlist)]
        ranks = np.full(len(ranked), len(ranked), np.int64)
        ranks[order] = np.arange(1, len(order) + 1)
        worst, listed[picks] = np.maximum(worst, ranks), listed[picks] + 1
        out = [ranked.formulas[row] for row in np.flatnonzero(place > 0).tolist() if row not in picks]
        into = [ranked.formulas[row] for row in picks.tolist() if place[row] == 0]
        told.append(
            MovedLimit(
                kind=move.kind, name=move.name, before=move.before, after=move.after,
                stay=int((place[picks] > 0).sum()), leave=tuple(out[:_MOST_NAMED]), enter=tuple(into[:_MOST_NAMED]),
            )
        )  # fmt: skip
    share = listed / len(told) if told else np.full(len(ranked), np.nan)
    last = pa.array(worst, pa.int64()) if told else pa.nulls(len(ranked), pa.int64())
    return RankStability({Column.LISTED_WHEN_MOVED: share, Column.WORST_RANK: last}, tuple(told))


def follows_probability(criterion: Criterion) -> bool:
    """Whether an order depends on the probability of meeting all targets, but for equal candidates."""
    if not isinstance(criterion, Tradeoff):
        return True
    return any(objective.column == Column.PROBABILITY for objective in criterion.objectives)


_MOST_NAMED = 10


def _moved(
    ranked: CandidateBatch, criterion: Criterion, chances: Sequence[tuple[Move, Chances]]
) -> Iterator[tuple[Move, Criterion, pa.Table]]:
    """Each move with the criterion and the candidates that it leads to."""
    if follows_probability(criterion):
        for move, (probability, score) in chances:
            moved = ranked.with_columns({Column.PROBABILITY: probability, Column.RANKING_SCORE: score})
            yield move, criterion, moved.table
    if isinstance(criterion, Tradeoff):
        for move, changed in moved_criteria(criterion):
            yield move, changed, ranked.table
