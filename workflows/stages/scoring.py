"""What workers do in the scoring stages: take a partition from candidates to probabilities."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.reasons import BELOW_CUT, NOT_RANKABLE, OUTSIDE_DOMAIN, Reason
from matloop.data.errors import MatloopError, PlugInFailedError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, probability_of
from matloop.data.registry import lookup
from matloop.data.runs.directory import RunDirectory
from matloop.models.surrogates.joint_probability import InsulatorChances, JointProbability
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.stage_settings import SurrogateStage
from matloop.screening.campaign.target import ANY_DFT
from matloop.screening.filters.contract import Filter, Verdict
from matloop.screening.ranking.criteria import MOST_PROBABLE, Criterion
from matloop.screening.registry import FILTERS
from matloop.workflows.stages.fates import FIRST_STAGE, QUARANTINED, REJECTED, FateCounts, Fates, counted
from matloop.workflows.stages.insulators import TARGET as GAP
from matloop.workflows.stages.insulators import chances_of_labels, source_asked, with_insulators
from matloop.workflows.stages.makeable import by_kinship, kinship_targets, makeable_phases
from matloop.workflows.stages.model_files import ModelFiles
from matloop.workflows.stages.stage_features import stage_feature_set
from matloop.workflows.stages.stage_names import filter_stages

Ranges = dict[str, tuple[float, float]]
Conditions = tuple[tuple[str, float], ...]


class StageTables(NamedTuple):
    """What a stage makes of a partition.

    Attributes:
        fates: One row per input row, with its fate, or ``scored`` where that is open.
        best: The rows that may go on to the next stage, whole.
    """

    fates: pa.Table
    best: pa.Table

    @property
    def counts(self) -> FateCounts:
        """Rows by where, how and why they end; none where the table does not tell fates."""
        return counted(self.fates) if Column.OUTCOME in self.fates.column_names else Counter()


@dataclass(frozen=True)
class ScoringTask:
    """What a worker needs to know to score a partition.

    Attributes:
        campaign: The resolved campaign.
        folder: The run directory.
        ranges: Wanted range of each target, in the property's unit.
        stage: Name of the scoring stage.
        criterion: Puts candidates in order.
    """

    campaign: Campaign
    folder: Path
    ranges: Ranges
    stage: str = FIRST_STAGE
    criterion: Criterion = MOST_PROBABLE

    @property
    def settings(self) -> SurrogateStage:
        """The stage's settings."""
        return self.campaign.scoring_stages[self.stage]


def build_filters(campaign: Campaign) -> list[Filter]:
    """The filters a campaign names, in its order.

    Raises:
        UnknownNameError: For a filter nobody registered.
    """
    return [entry.make(lookup("filter", FILTERS, entry.name)) for entry in campaign.filters]


def score_partition(task: ScoringTask, intake: Intake) -> StageTables:
    """Score one partition. The first stage also filters.

    Args:
        task: What to do.
        intake: Candidates, and rows that are none.
    """
    batch, fates = intake.batch, Fates(len(intake.batch), task.stage)
    rows = np.arange(len(batch))
    if task.stage == FIRST_STAGE:
        rows = _filtered(task.campaign, batch, fates)
    features = features_of(task, batch.take(rows))
    fates.end(rows, QUARANTINED, fates.part("features"), features.codes)
    fates.explain(rows, features.details)
    sound = np.flatnonzero(features.codes == "")
    rows = rows[sound]
    scored = batch.take(rows)
    predictions = with_composition(task, predict(task, features.take(sound)), scored)
    columns = judge(task, rows, predictions, fates, joint_probability_of(task))
    for name in kinship_targets(task.campaign, task.ranges):
        columns[Column.MAKEABLE_PROBABILITY] = makeable_phases(scored.compositions, task.ranges[name][1])
    best = best_rows(batch, rows, columns, fates, criterion=task.criterion, keep=task.settings.keep)
    return StageTables(fates.table(batch, rows, columns, intake.refused), best)


def lost_partition(task: ScoringTask, intake: Intake) -> StageTables:
    """What becomes of candidates that end every worker process that handles them."""
    fates, rows = Fates(len(intake.batch), task.stage), np.arange(len(intake.batch))
    fates.end(rows, QUARANTINED, fates.part("features"), "E-GUARD-CRASH")
    # Where all rows of a run are lost, what follows still asks for the columns of those that were scored: none.
    none = intake.batch.take([]).with_columns(
        {
            Column.PROBABILITY: np.empty(0), Column.RANKING_SCORE: np.empty(0),
            Column.CAPPED_TARGETS: np.empty(0, str), Column.IN_DOMAIN: np.empty(0, bool),
        }
    )  # fmt: skip
    return StageTables(fates.table(intake.batch, rows, {}, intake.refused), none.to_arrow())


def _filtered(campaign: Campaign, batch: CandidateBatch, fates: Fates) -> NDArray[np.int64]:
    """Rows that pass every filter."""
    rows = np.arange(len(batch))
    for stage, filter_ in zip(filter_stages(campaign), build_filters(campaign), strict=True):
        verdict = _judged(stage, filter_, batch.take(rows))
        fates.end(rows[~verdict.keep], REJECTED, stage, verdict.reasons[~verdict.keep])
        rows = rows[verdict.keep]
    return rows


def _judged(stage: str, filter_: Filter, batch: CandidateBatch) -> Verdict:
    """What a filter says of candidates.

    Raises:
        PlugInFailedError: If it fails. No candidate can be let through or rejected then: the filter has to be mended.
    """
    try:
        return filter_.judge(batch)
    except MatloopError:
        raise
    except Exception as error:  # a filter of another package may raise anything
        raise PlugInFailedError(
            f"{stage} ({type(filter_).__module__}) failed with {type(error).__name__}: {str(error)[:300]}",
            "a verdict for every candidate",
            "mend the filter or leave it out; matloop.screening.filters.validation.validate_filter tells what is wrong",
        ) from error


def features_of(task: ScoringTask, batch: CandidateBatch) -> FeatureMatrix:
    """The features of the task's stage."""
    return stage_feature_set(task.campaign, task.stage, models=RunDirectory(task.folder).models).featurize(batch)


def feature_words_of(task: ScoringTask) -> tuple[FeatureWords, ...]:
    """Words of the features of the task's stage."""
    return stage_feature_set(task.campaign, task.stage).words


def predict(task: ScoringTask, features: FeatureMatrix) -> dict[str, Prediction]:
    """What the surrogates of the task's stage say of each target."""
    return {name: surrogate_of(task, name).predict(features) for name in task.ranges}


def with_composition(
    task: ScoringTask,
    predictions: Mapping[str, Prediction],
    batch: CandidateBatch,
    *,
    as_new: bool = False,
    kinship: bool = True,
) -> dict[str, Prediction]:
    """Complete what surrogates say of n candidates by what their compositions say: insulators, and makeable phases.

    Args:
        task: Of the stage.
        predictions: By property.
        batch: The candidates.
        as_new: Whether candidates that are known are judged as if they were new.
        kinship: Whether kinship to known compounds judges makeable phases; then every target that it judges must be
            among the predictions.
    """
    folder, source = RunDirectory(task.folder).insulators, source_asked(_gap_provenance(task.campaign))
    completed = with_insulators(folder, predictions, batch, source=source, as_new=as_new)
    return by_kinship(task.campaign, task.ranges, completed, batch) if kinship else completed


def surrogate_of(task: ScoringTask, name: str) -> Surrogate:
    """The surrogate of one property in the task's stage at the conditions of its target, read once per worker."""
    return _surrogate(ModelFiles.of(RunDirectory(task.folder).model(task.stage, name)), _conditions_of(task, name))


def _conditions_of(task: ScoringTask, name: str) -> Conditions:
    """Conditions at which the target of a property is wanted."""
    target = next(target for target in task.campaign.targets if target.property == name)
    return tuple(target.conditions().items())


def joint_probability_of(task: ScoringTask, *, without: Collection[str] = ()) -> JointProbability:
    """How the targets that surrogates of the task's stage judge are met together, worked out once per worker.

    Args:
        task: Names the stage and the ranges.
        without: Targets that something else judges; they are independent of the others, as is one that kinship
            judges.
    """
    run = RunDirectory(task.folder)
    otherwise = {*without, *kinship_targets(task.campaign, task.ranges)}
    judged = [(name, ends) for name, ends in task.ranges.items() if name not in otherwise]
    return _joint_probability(
        tuple(
            (name, ModelFiles.of(run.model(task.stage, name)), _conditions_of(task, name), ends)
            for name, ends in judged
        ),
        ModelFiles.of(run.insulators) if run.insulators.is_dir() else None,
        source_asked(_gap_provenance(task.campaign)),
    )  # fmt: skip


def judge(
    task: ScoringTask,
    rows: NDArray[np.int64],
    predictions: Mapping[str, Any],
    fates: Fates,
    joint: JointProbability,
) -> dict[str, NDArray[Any]]:
    """End the rows without prediction and those outside a domain, and rate the others.

    Args:
        task: What to do.
        rows: The rows that ``predictions`` are of.
        predictions: By property.
        fates: Told of the rows that end here.
        joint: Of meeting all targets.

    Returns:
        Columns for ``rows``: ``probability`` of meeting all targets, what orders equal ones, which targets a cap holds
        back, ``in_domain``, and for each property its prediction, width, 90 % interval and probability. Without
        predictions the first two are 1.
    """
    if not predictions:
        certain, nothing = np.ones(len(rows)), np.full(len(rows), "")
        return {
            Column.PROBABILITY: certain, Column.RANKING_SCORE: certain, Column.CAPPED_TARGETS: nothing,
            Column.IN_DOMAIN: np.ones(len(rows), bool),
        }  # fmt: skip
    codes = functools.reduce(lambda a, b: np.where(a == "", b, a), [p.codes for p in predictions.values()])
    fates.end(rows, QUARANTINED, fates.part("surrogates"), codes)
    inside = {name: np.asarray(p.in_domain) for name, p in predictions.items()}
    in_domain = np.logical_and.reduce(list(inside.values()))
    outside = np.flatnonzero((codes == "") & ~in_domain & (not task.campaign.shortlist.explore))
    first = [next(name for name in inside if not inside[name][row]) for row in outside.tolist()]
    fates.end(rows[outside], REJECTED, fates.part("domain"), [Reason(OUTSIDE_DOMAIN, source=name) for name in first])
    chances = joint.probabilities(predictions, task.ranges)
    columns: dict[str, NDArray[Any]] = {
        Column.PROBABILITY: chances.of_all, Column.RANKING_SCORE: chances.uncapped,
        Column.CAPPED_TARGETS: chances.capped, Column.IN_DOMAIN: in_domain,
    }  # fmt: skip
    for name, prediction in predictions.items():
        known = property_named(name)
        columns[known.column("pred")], columns[known.column("sigma")] = prediction.median, prediction.sigma
        columns[known.column("lo")], columns[known.column("hi")] = prediction.interval(0.9)
        if isinstance(prediction, Prediction) and prediction.computed is not None:
            columns[known.column("computed")] = prediction.computed
        if isinstance(prediction, Prediction) and prediction.insulator is not None:
            columns[Column.INSULATOR_PROBABILITY] = prediction.insulator
            columns[Column.INSULATOR_VALUE] = prediction.with_a_value.median
        columns[probability_of(name)] = chances.of_each[name]
    for name in kinship_targets(task.campaign, task.ranges):
        if predictions[name].met is not None:
            # What stands beside value and interval comes from the same distribution as they do.
            of_value = replace(predictions[name], met=None, wanted=None)
            columns[probability_of(name)] = of_value.probability_between(*task.ranges[name])
            columns[Column.PROBABILITY_MAKEABLE] = chances.of_each[name]
    return columns


def best_rows(
    batch: CandidateBatch,
    rows: NDArray[np.int64],
    columns: Mapping[str, Any],
    fates: Fates,
    *,
    criterion: Criterion,
    keep: int,
) -> pa.Table:
    """The best of the scored rows, with their columns, as Arrow.

    Args:
        batch: The candidates of the partition.
        rows: The candidates that ``columns`` tell of.
        columns: What the stage found, each of the length of ``rows``.
        fates: Told of the rows that end here: those that cannot be ranked, and those below the cut.
        criterion: Puts the rows in order.
        keep: Most rows that all partitions together hand on.
    """
    rankable = fates.scored(rows)
    ids = batch.table.column(Column.CANDIDATE_ID).take(pa.array(rows[rankable]))
    table = pa.table({Column.CANDIDATE_ID: ids, **{name: values[rankable] for name, values in columns.items()}})
    scores, order = criterion.scores(table), criterion.order(table)
    unranked = np.flatnonzero(~np.isfinite(scores))
    no_score = Reason(NOT_RANKABLE, source=criterion.name)
    fates.end(rows[rankable[unranked]], REJECTED, fates.part("ranking"), no_score)
    kept = keep if criterion.holds_in_parts else len(order)
    below = order[kept:]
    fates.end(rows[rankable[below]], REJECTED, fates.part("ranking"), below_cut(criterion, scores[below], keep))
    chosen = rankable[order[:kept]]
    return batch.take(rows[chosen]).with_columns({name: values[chosen] for name, values in columns.items()}).to_arrow()


def below_cut(criterion: Criterion, scores: NDArray[np.float64], keep: int) -> list[Reason]:
    """Why rows of these scores do not go on, n of them."""
    return [Reason(BELOW_CUT, score, keep, criterion.name) for score in scores.tolist()]


@functools.lru_cache(maxsize=20)
def _surrogate(files: ModelFiles, conditions: Conditions) -> Surrogate:
    return Surrogate.load(files.folder).at(dict(conditions))


@functools.lru_cache(maxsize=4)
def _joint_probability(
    judged: tuple[tuple[str, ModelFiles, Conditions, tuple[float, float]], ...],
    insulators: ModelFiles | None,
    source: str,
) -> JointProbability:
    surrogates = {name: _surrogate(files, conditions) for name, files, conditions, _ in judged}
    chances = {}
    if GAP in surrogates and insulators is not None:
        chances = {GAP: chances_of_labels(insulators.folder, surrogates[GAP].training.ids, source=source)}
    ranges = {name: ends for name, _, _, ends in judged}
    return JointProbability.fit(surrogates, ranges, insulators=chances)


def insulators_of_labels(task: ScoringTask) -> dict[str, InsulatorChances]:
    """P(insulator) of what taught the gap of the task's stage and the classifier, by property; empty without one."""
    folder = RunDirectory(task.folder).insulators
    if GAP not in task.ranges or not folder.is_dir():
        return {}
    source = source_asked(_gap_provenance(task.campaign))
    return {GAP: chances_of_labels(folder, surrogate_of(task, GAP).training.ids, source=source)}


def _gap_provenance(campaign: Campaign) -> str:
    """Provenance of the gap that a campaign predicts; that of computed values where it predicts none."""
    return next((target.provenance for target in campaign.targets if target.property == GAP), ANY_DFT)
