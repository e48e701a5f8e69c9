"""The decision of a run: which ranked candidates are shortlisted, and what is known of that list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import BELOW_CUT
from matloop.data.properties.columns import Column
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.filters.element_scores import own_facts_of, with_element_scores
from matloop.screening.ranking.spread import price_of_diversity
from matloop.screening.ranking.tradeoffs import Tradeoff, criterion_of
from matloop.workflows.deciding.rank_stability import (
    RankStability,
    follows_probability,
    moved_chances,
    rank_stability,
)  # fmt: skip
from matloop.workflows.deciding.selection_evidence import (
    Known,
    evidence_for,
    expected_misses,
    known_rows,
    list_evidence,
    selected_errors,
    selected_intervals,
)  # fmt: skip
from matloop.workflows.deciding.shortlisting import (
    CHOICE,
    STAGE,
    choose,
    eligible_merits,
    put_in_order,
)  # fmt: skip
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.partition_jobs import competitors_file
from matloop.workflows.running.summary import ListAccount
from matloop.workflows.stages.fates import part_of
from matloop.workflows.stages.potential import STAGE as POTENTIAL_STAGE
from matloop.workflows.stages.scoring import ScoringTask


class Decision(NamedTuple):
    """The ranked candidates with the shortlisted marked, and what is known of the list."""

    ranked: CandidateBatch
    about: ListAccount


def decide(
    engine: Engine, task: ScoringTask, survivors: Mapping[str, CandidateBatch], *, training: TrainingSets
) -> Decision:
    """Choose the shortlist, estimate its share of misses, and see how it stands moved limits.

    Args:
        engine: Of the run.
        task: Of the first stage.
        survivors: The candidates that went on from each stage, by its name, in the order of the stages.
        training: Training data of the surrogates; its rows are predicted as new ones.
    """
    last_scored, ranked = list(task.campaign.scoring_stages)[-1], list(survivors.values())[-1]
    task = replace(task, stage=last_scored)
    known = engine.ask(known_rows, task, training)
    pieces = evidence_for(known, ranked, cut=_cut(engine, last_scored, survivors[last_scored]))
    shares = expected_misses(pieces, ranked.column(Column.PROBABILITY))
    evidence = list_evidence(task, known, training.known.rows)
    ranked = with_element_scores(ranked.with_columns({Column.EXPECTED_MISSES: shares}), own_facts_of(task.campaign))
    criterion, ended = criterion_of(task.campaign), list[pa.Table]()
    if isinstance(criterion, Tradeoff):
        # Lists of known materials, and errors of what was picked, follow the probability; places here do not.
        evidence = evidence._replace(back_tests=())
        ranked, fates = put_in_order(ranked, criterion)
        ended.append(fates)
    ranked, fates = choose(ranked, task.campaign)
    engine.keep_fates(STAGE, CHOICE, [*ended, fates])
    relaxed = survivors.get(POTENTIAL_STAGE, ranked)
    stability = _rank_stability(engine, task, ranked, relaxed=relaxed)
    ranked = ranked.with_columns(stability.columns)
    if not isinstance(criterion, Tradeoff):
        ranked = _with_selected_intervals(engine, task, ranked, known)
    merit = eligible_merits(ranked, task.campaign.shortlist.max_false_discovery)
    price = price_of_diversity(
        merit, ranked, task.campaign.shortlist, probability=ranked.column(Column.PROBABILITY)
    )  # fmt: skip
    return Decision(ranked, ListAccount(evidence, price, stability.moves))


def _rank_stability(
    engine: Engine, task: ScoringTask, ranked: CandidateBatch, *, relaxed: CandidateBatch
) -> RankStability:
    """See how the shortlist stands a move of each weight and limit.

    Args:
        engine: Of the run.
        task: Of the last scoring stage.
        ranked: The ranked candidates, the shortlisted marked.
        relaxed: Every candidate that the potential relaxed; the ranked ones without a potential.
    """
    criterion = criterion_of(task.campaign)
    criterion = criterion if isinstance(criterion, Tradeoff) else task.criterion
    chances = []
    if len(ranked) and follows_probability(criterion):
        path = competitors_file(task, engine.manifest)
        chances = engine.ask(moved_chances, task, relaxed, path, ranked.ids)
    return rank_stability(ranked, task.campaign, criterion, chances)


def _with_selected_intervals(
    engine: Engine, task: ScoringTask, ranked: CandidateBatch, known: Known
) -> CandidateBatch:  # fmt: skip
    """Give the shortlisted intervals that hold for candidates that were picked.

    Args:
        engine: Of the run.
        task: Of the last scoring stage.
        ranked: The ranked candidates, the shortlisted marked.
        known: Known materials, predicted as new ones.
    """
    picked = ranked.column(Column.SHORTLISTED) > 0
    if not picked.any():
        return ranked
    relaxed = Column.PROBABILITY_BEFORE_RELAXING in ranked.table.column_names
    scores = ranked.column(Column.PROBABILITY_BEFORE_RELAXING if relaxed else Column.PROBABILITY)
    errors = selected_errors(known, scores, float(scores[picked].min()))
    columns = engine.ask(selected_intervals, task, ranked.take(np.flatnonzero(picked)), errors)
    spread = {name: np.full(len(ranked), np.nan) for name in columns}
    for name, values in columns.items():
        spread[name][picked] = values
    return ranked.with_columns(spread)


def _cut(engine: Engine, stage: str, survivors: CandidateBatch) -> float:
    """Return the lowest probability that passed a scoring stage; 0 if all candidates passed."""
    part = part_of(stage, "ranking")
    if not any(ending.stage == part and ending.code == BELOW_CUT for ending in engine.counts):
        return 0.0
    return float(survivors.column(Column.PROBABILITY).min())
