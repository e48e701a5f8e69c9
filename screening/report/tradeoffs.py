"""What the report says of the objectives that a campaign weighs against each other."""

from __future__ import annotations

import math
from typing import NamedTuple

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import UNKNOWN_OBJECTIVE
from matloop.data.properties.columns import Column
from matloop.screening.language.text import Words, number, with_unit
from matloop.screening.language.tradeoffs import (
    CRITERIA,
    listed_words,
    moves_words,
    objective_words,
    price_words,
    ranking_words,
    standing_words,
)  # fmt: skip
from matloop.screening.ranking.non_dominated import DRAWS
from matloop.screening.ranking.objectives import objectives_of
from matloop.screening.report.batch_columns import numbers
from matloop.screening.runs.run_view import RunView


class TradeoffWords(NamedTuple):
    """How one candidate stands between the objectives.

    Attributes:
        score: What its score is, and the score.
        standing: Its Pareto front, and how sure that is.
        values: Each objective with its value.
    """

    score: Words
    standing: Words
    values: list[tuple[Words, str]]


def order_words(run: RunView) -> Words | None:
    """Say by what candidates were put in order, and how many could not be; None where it was by probability."""
    ranking = run.campaign.ranking
    if not ranking.objectives:
        return None
    told = ranking_words(ranking.criterion, ranking.objectives)
    left_out = sum(lost.rows for stage in run.summary.funnel for lost in stage.lost if lost.code == UNKNOWN_OBJECTIVE)
    if not left_out:
        return told
    return Words(
        f"{told.en}; {left_out:,} of which an objective is not known were not ranked",
        f"{told.zh}；另有 {left_out:,} 个因目标值未知而未参与排序",
    )


def robustness_words(run: RunView, batch: CandidateBatch, row: int) -> Words | None:
    """How a finalist stands moved weights and limits; None where none was moved."""
    share, worst = (float(numbers(batch, name)[row]) for name in (Column.LISTED_WHEN_MOVED, Column.WORST_RANK))
    if not run.summary.moved or not (math.isfinite(share) and math.isfinite(worst)):
        return None
    return listed_words(share, worst, len(run.summary.moved))


def about_list(run: RunView) -> list[Words]:
    """What the report says of the shortlist as a whole: its order, its price of diversity, how it stands moves."""
    summary, wanted = run.summary, run.campaign.shortlist
    told = [order_words(run)]
    if summary.diversity is not None and (wanted.diversity or wanted.structural_diversity):
        told.append(price_words(summary.diversity, run.campaign.ranking.criterion))
    if summary.moved:
        told.append(moves_words(summary.moved, len(run.shortlisted)))
    return [words for words in told if words is not None]


def tradeoff_words(run: RunView, batch: CandidateBatch, row: int) -> TradeoffWords | None:
    """How a ranked candidate stands between the objectives; None where the campaign weighs none.

    Args:
        run: The run.
        batch: Ranked candidates.
        row: Which of them.
    """
    score, front, unbeaten = (
        float(numbers(batch, name)[row]) for name in (Column.TRADEOFF_SCORE, Column.PARETO_FRONT, Column.NON_DOMINATED)
    )
    if not run.campaign.ranking.objectives or not all(map(math.isfinite, (score, front, unbeaten))):
        return None
    label = CRITERIA[run.campaign.ranking.criterion]
    values = [
        (objective_words(objective.name), with_unit(number(float(objective.values(batch.table)[row])), objective.unit))
        for objective in objectives_of(run.campaign)
    ]
    return TradeoffWords(
        Words(f"{label.en} {score:.3f}", f"{label.zh} {score:.3f}"),
        standing_words(front, min(max(unbeaten, 0.0), 1.0), draws=DRAWS),
        values,
    )
