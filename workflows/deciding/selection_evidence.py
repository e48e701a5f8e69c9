"""What a run claims of its shortlist: intervals that hold for what was picked, and the share of misses to expect.

Both rest on the known materials of the run. The surrogates of the last scoring stage predict them as if they were new,
and they are filtered and cut as candidates are. The cut of an earlier scoring stage is not repeated for them. A claim
holds as far as candidates resemble those materials; one that its evidence does not support is withheld.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ModelError
from matloop.data.properties.columns import Column, probability_of, property_column
from matloop.data.training.training_sets import TrainingSets
from matloop.models.stability.makeable import learned_from_history, packaged_history
from matloop.models.surrogates.joint_probability import Group, JointProbability
from matloop.models.surrogates.selection import (
    AtLeast,
    Evidence,
    SelectedErrors,
    conformal_selection,
    selection_conditional,
)
from matloop.screening.runs.run_summary import BackTestedLists, MetTogether, SupportedProbability
from matloop.workflows.deciding.back_test import KnownOutcomes, back_test
from matloop.workflows.stages.makeable import counted_column, kinship_targets, supported_after_relaxing
from matloop.workflows.stages.potential import stability_of
from matloop.workflows.stages.scoring import (
    ScoringTask,
    build_filters,
    features_of,
    joint_probability_of,
    surrogate_of,
    with_composition,
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """Known materials, predicted as new ones.

    Attributes:
        score: Probability of meeting all targets by the surrogates, nan where not predicted, outside a domain or taken
            out by a filter, shape (m,).
        errors: Relative error by property, nan where the truth is unknown, each (m,).
        probability: Probability of meeting each target by property, each (m,).
        met: Whether the truth meets the target, by property: 1, 0, or nan where it is unknown, each (m,).
        stability: Of the targets that the potential judges, by property: rows, probability of meeting the target, and
            whether it is met.
        joint: Of meeting all other targets.
        listed: Of the targets that kinship judges and the potential does not, by property: probability of meeting the
            target and whether it was met, of compositions that earlier lists lacked. Known materials are no evidence of
            how many new compositions are makeable.
        uncapped: Probability of meeting each target without caps by property, which orders equal ones, each (m,).
    """

    score: NDArray[np.float64]
    errors: Mapping[str, NDArray[np.float64]]
    probability: Mapping[str, NDArray[np.float64]]
    met: Mapping[str, NDArray[np.float64]]
    stability: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]
    joint: JointProbability
    listed: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = field(default_factory=dict)
    uncapped: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def known_rows(task: ScoringTask, training: TrainingSets) -> Known:
    """Predict all known materials as if they were new.

    Args:
        task: Of the last scoring stage.
        training: What its surrogates learned from; the packaged crystals come first among the known materials.
    """
    materials = training.known.rows
    features = features_of(task, materials)
    predictions = {name: surrogate_of(task, name).predict_as_new(features, materials.ids) for name in task.ranges}
    predictions = with_composition(task, predictions, materials, as_new=True)
    chances = joint_probability_of(task).probabilities(predictions, task.ranges)
    admitted = np.ones(len(materials), bool)
    new = materials.with_columns({Column.KNOWN: np.zeros(len(materials), bool), Column.KNOWN_TO: [""] * len(materials)})
    for filter_ in build_filters(task.campaign):
        admitted &= filter_.judge(new).keep
    if not task.campaign.shortlist.explore:
        admitted &= np.logical_and.reduce([prediction.in_domain for prediction in predictions.values()])
    truth = {name: _truth(task, training, name) for name in task.ranges}
    stability = _stability_rows(task)
    return Known(
        np.where(admitted, chances.of_all, np.nan),
        {name: predictions[name].relative_error(truth[name]) for name in task.ranges},
        chances.of_each,
        {
            name: np.where(np.isnan(truth[name]), np.nan, _inside(truth[name], *task.ranges[name]))
            for name in task.ranges
        },
        stability,
        joint_probability_of(task, without=stability),
        _listed(task, without=stability),
        chances.uncapped_each,
    )


def _listed(task: ScoringTask, *, without: Collection[str]) -> dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """What became of compositions that earlier lists lacked, for each target that kinship alone judges."""
    found = {}
    for name in kinship_targets(task.campaign, task.ranges):
        if name not in without:
            history, limit = packaged_history(), task.ranges[name][1]
            found[name] = learned_from_history(limit).probability(history.traits), history.listed(limit)
    return found


def _truth(task: ScoringTask, training: TrainingSets, name: str) -> NDArray[np.float64]:
    """Labels of the known materials; under the conditions of the target, or near them, where labels state any."""
    surrogate = surrogate_of(task, name)
    return surrogate.truth_of(training.known.rows.ids) if surrogate.conditions else training.known.labels[name]


def _stability_rows(task: ScoringTask) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    if task.campaign.potential is None:
        return {}
    stability = stability_of(task.folder, task.campaign.potential)
    judged = set(task.ranges) & set(stability.errors)
    return {name: stability.calibration_rows(name, *task.ranges[name]) for name in judged}


def _inside(values: NDArray[np.float64], lower: float, upper: float) -> NDArray[np.bool_]:
    return np.asarray((values >= lower) & (values <= upper))


def met_together(known: Known) -> list[MetTogether]:
    """How often targets are met together whose truth is known of the same crystals.

    Each group has its ``targets``, the number of ``crystals``, how many were ``promised`` by the products of their
    probabilities and how many ``met`` all, and the factor of the ``odds`` that follows from it.
    """
    return [
        MetTogether(
            targets=tuple(group.names), crystals=group.rows, promised=group.promised, met=group.met, odds=group.odds
        )
        for group in known.joint.groups
        if len(group.names) > 1
    ]  # fmt: skip


class ListEvidence(NamedTuple):
    """What known materials tell about the probabilities of a list.

    Attributes:
        together: How often targets are met together.
        supported: The largest probabilities that are claimed.
        back_tests: Hits in lists of known materials.
    """

    together: tuple[MetTogether, ...]
    supported: tuple[SupportedProbability, ...]
    back_tests: tuple[BackTestedLists, ...]


def list_evidence(task: ScoringTask, known: Known, materials: CandidateBatch) -> ListEvidence:
    """Collect what known materials tell about the probabilities of a list.

    Args:
        task: Of the last scoring stage.
        known: Known materials predicted as new ones.
        materials: The same materials.
    """
    tested: list[BackTestedLists] = []
    for group in known.joint.groups:
        tested += back_test(outcomes_of(group, known, materials), group.names, wanted=task.campaign.shortlist)
    return ListEvidence(tuple(met_together(known)), tuple(supported_probabilities(task, known)), tuple(tested))


def outcomes_of(group: Group, known: Known, materials: CandidateBatch) -> KnownOutcomes:
    """Return the materials whose truth is known for all targets of a group, and how probable each was to meet them."""
    rows = np.flatnonzero(np.logical_and.reduce([np.isfinite(known.met[name]) for name in group.names]))
    probability = JointProbability.of_group(group, known.probability)
    met = np.logical_and.reduce([known.met[name] == 1 for name in group.names])
    admitted = np.where(np.isfinite(known.score), probability, np.nan)
    return KnownOutcomes(materials.take(rows), admitted[rows], group.together(known.uncapped)[rows], met[rows])


def supported_probabilities(task: ScoringTask, known: Known) -> list[SupportedProbability]:
    """The largest probability that calibration rows support, of each target and of targets that are met together.

    Args:
        task: Names the campaign and the wanted ranges.
        known: Known materials predicted as new ones.
    """
    groups = list(known.joint.groups)
    if known.stability:
        groups += supported_after_relaxing(task.campaign, task.ranges).groups
    found, makeable = [], kinship_targets(task.campaign, task.ranges)
    for group in groups:
        each = zip(group.names, group.highest_each, strict=True)
        found += [
            SupportedProbability(targets=(name,), rows=group.rows, highest=highest, makeable=name in makeable)
            for name, highest in each
        ]
        if len(group.names) > 1:
            found.append(SupportedProbability(targets=group.names, rows=group.rows, highest=group.highest))
    return found


def evidence_for(known: Known, ranked: CandidateBatch, *, cut: float) -> list[Evidence]:
    """One piece of evidence for each group of targets whose truth is known together, and for each judged otherwise.

    Args:
        known: Known materials predicted as new ones.
        ranked: Candidates that passed every stage.
        cut: The lowest score with which a candidate passed the last scoring stage; crystals below it do not count.
    """
    passed = known.score >= cut
    pieces = []
    for group in known.joint.groups:
        of_candidates = {name: ranked.column(probability_of(name)) for name in group.names}
        rows = passed & np.logical_and.reduce([np.isfinite(known.met[name]) for name in group.names])
        met = np.logical_and.reduce([known.met[name] == 1 for name in group.names])
        probability = JointProbability.of_group(group, known.probability)
        pieces.append(Evidence(probability[rows], met[rows], JointProbability.of_group(group, of_candidates)))
    for name, (rows, probability, met) in sorted(known.stability.items()):
        counted = passed[rows]
        # Crystals are judged by the potential alone, because they are known, so candidates are too.
        pieces.append(Evidence(probability[counted], met[counted], ranked.column(probability_of(name))))
    for name, (probability, met) in sorted(known.listed.items()):
        pieces.append(Evidence(probability, met, ranked.column(counted_column(ranked.table.column_names, name))))
    return pieces


def expected_misses(evidence: Sequence[Evidence], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected share of misses among all ranked candidates that are at least as well supported as each.

    It is the smallest ``max_false_discovery`` at which conformal selection chooses the candidate: its p-value adjusted
    after Benjamini and Hochberg. It speaks of all ranked down to there, not of a few picked among them; with several
    pieces of evidence it is not proved (see :func:`matloop.models.surrogates.selection.conformal_selection`).

    The share agrees with the probabilities beside it: it is never below one minus their mean among those candidates,
    nor below the share of a better supported candidate.

    Args:
        evidence: Of the ranked candidates.
        probability: Of meeting all targets, of each ranked candidate, shape (n,).

    Returns:
        The shares, shape (n,). They are nan where nothing can be said: for every candidate if no known material that
        counts meets the targets; and for a candidate that the known materials do not support at all, which would have
        a share of 1 whatever its probability.
    """
    chosen = conformal_selection(evidence, max_false_discovery=0.5)
    shares = np.full(len(probability), np.nan)
    if not all(piece.met[np.isfinite(piece.calibration_scores)].any() for piece in evidence):
        return shares
    order = np.argsort(chosen.p_values, kind="stable")
    p_values = chosen.p_values[order]
    adjusted = p_values * len(order) / np.arange(1, len(order) + 1)
    adjusted = np.minimum.accumulate(adjusted[::-1])[::-1]
    as_supported = np.searchsorted(p_values, p_values, side="right")  # equally supported candidates stand together
    means = np.cumsum(probability[order])[as_supported - 1] / as_supported
    agreeing = np.maximum.accumulate(np.maximum(adjusted, 1.0 - means))
    shares[order] = np.where(adjusted < 1.0, agreeing, np.nan)
    return shares


def selected_errors(known: Known, scores: NDArray[np.float64], lowest: float) -> dict[str, SelectedErrors]:
    """Range of relative errors of what was picked, by property; without those of which too few labels are known.

    Args:
        known: Known materials predicted as new ones.
        scores: Probability of meeting all targets by the surrogates, of all that were ranked.
        lowest: The lowest of those that were picked.
    """
    found = {}
    for name, errors in known.errors.items():
        if name not in known.stability:
            with contextlib.suppress(ModelError):  # few labels, of which the filters and the domain leave fewer
                found[name] = selection_conditional(errors, known.score, scores, AtLeast(lowest))
    return found


def selected_intervals(
    task: ScoringTask, shortlisted: CandidateBatch, errors: Mapping[str, SelectedErrors]
) -> dict[str, NDArray[np.float64]]:
    """90 % intervals of the shortlisted given that they were picked: columns ``PROPERTY_selected_lo`` and ``_hi``.

    ``PROPERTY_selected_exact`` is 0 where too few crystals rank as high and those ranked next had to stand in for them.
    """
    features = features_of(task, shortlisted)
    predictions = {name: surrogate_of(task, name).predict(features) for name in errors}
    predictions, columns = with_composition(task, predictions, shortlisted, kinship=False), {}
    for name, found in errors.items():
        ends = predictions[name].interval_of_errors(found.lower, found.upper)
        columns[property_column(name, "selected_lo")], columns[property_column(name, "selected_hi")] = ends
        columns[f"{name}_selected_exact"] = np.full(len(shortlisted), float(found.exact))
    return columns
