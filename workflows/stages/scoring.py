"""What workers do in the scoring stages: train a surrogate, and take a partition from candidates to probabilities."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.reasons import BELOW_CUT, NOT_RANKABLE, OUTSIDE_DOMAIN, Reason
from matloop.data.errors import MatloopError, ModelError, PlugInFailedError, TrainingSetError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, probability_of
from matloop.data.properties.conditions import write_conditions
from matloop.data.registry import lookup
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.data.training.training_set import TrainingSet, groups_of_both
from matloop.data.whole_files import write_folder
from matloop.featurizers.base import FeatureSet
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.registry import MODELS
from matloop.models.surrogates.choice import ROWS_WITHIN_TIME, Budget, Candidate, fit_chosen
from matloop.models.surrogates.computed_model import ComputedLabels, ComputedModel
from matloop.models.surrogates.conditions import learned_conditions, values_at
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.noise_weights import weights_by_noise
from matloop.models.surrogates.prediction import Prediction, backward, forward
from matloop.models.surrogates.surrogate import Surrogate, best_of_training
from matloop.models.surrogates.training import usable_rows
from matloop.screening.campaign.campaign import Campaign, Entries, SurrogateStage, Target
from matloop.screening.filters.contract import Filter, Verdict
from matloop.screening.ranking.criteria import MOST_PROBABLE, Criterion
from matloop.screening.registry import FILTERS
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS
from matloop.workflows.stages.fates import FIRST_STAGE, QUARANTINED, REJECTED, FateCounts, Fates, counted
from matloop.workflows.stages.makeable import by_kinship, kinship_targets, makeable_phases
from matloop.workflows.stages.stage_names import filter_stages

Ranges = dict[str, tuple[float, float]]
Conditions = tuple[tuple[str, float], ...]
FEWEST_AT_CONDITIONS = 10
"""Materials with labels near the conditions of a target below which no percentile of them is told."""


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
class ModelFiles:
    """The files of a saved surrogate, equal to others of the same content wherever they lie.

    A worker may outlive a run, and another run may use the same folder: what a worker keeps goes by content.

    Attributes:
        content: Hash of the files.
        folder: Where they are.
    """

    content: str
    folder: Path = field(compare=False)

    @classmethod
    def of(cls, folder: Path) -> ModelFiles:
        """The files in a folder; reading a few megabytes takes some milliseconds."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return cls(key_of(files={path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}), folder)


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


def build_feature_set(entries: Entries) -> FeatureSet:
    """The feature set a campaign names.

    Raises:
        UnknownNameError: For a featurizer nobody registered.
    """
    return FeatureSet(tuple(entry.make(lookup("featurizer", CAMPAIGN_FEATURIZERS, entry.name)) for entry in entries))


def build_filters(campaign: Campaign) -> list[Filter]:
    """The filters a campaign names, in its order.

    Raises:
        UnknownNameError: For a filter nobody registered.
    """
    return [entry.make(lookup("filter", FILTERS, entry.name)) for entry in campaign.filters]


def train_surrogate(
    campaign: Campaign,
    stage: str,
    target: Target,
    *,
    training: TrainingSet,
    folder: Path,
    helping: TrainingSet | None = None,
) -> dict[str, Any]:
    """Train one stage's surrogate of one target and save it.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        training: What is learned from.
        folder: The run directory.
        helping: Labels of another provenance that it transfers from.

    Returns:
        Its card.

    Raises:
        RowWeightsError: If the rows of the training set have unequal weights, and the family takes none.
    """
    surrogate = fit_surrogate(campaign, stage, target, training=training, helping=helping)
    place = RunDirectory(folder).model(stage, target.property)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_folder(place, surrogate.save)
    return dict(surrogate.card)


def fit_surrogate(
    campaign: Campaign, stage: str, target: Target, *, training: TrainingSet, helping: TrainingSet | None = None
) -> Surrogate:
    """Train one stage's surrogate of one target.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        training: What is learned from.
        helping: Labels of another provenance that it transfers from.

    Raises:
        RowWeightsError: If the rows of a training set have unequal weights, and the family takes none.
    """
    features, computed = build_feature_set(campaign.scoring_stages[stage].features).featurize(training.rows), None
    if helping is not None:
        computed, features = _computed_model(campaign, stage, target, features, sets=(training, helping))
    counted = weights_by_noise(_noise_gauge(campaign, stage, target), features, training, transform=target.scale())
    surrogate = _fitted(
        campaign, stage, target, features, training=training, weights=counted.weights, computed=computed
    )  # fmt: skip
    if target.probability == "classifier":
        wanted = target.range(best_of_first_stage(campaign, stage, target, surrogate.card, training))
        surrogate = surrogate.with_classifier(
            features,
            training.values,
            training.groups,
            wanted=wanted,
            weights=counted.weights,
            conditions=training.conditions,
        )
    if counted.card is None:
        return surrogate
    return replace(surrogate, card={**surrogate.card, "label_noise": counted.card})


def _noise_gauge(campaign: Campaign, stage: str, target: Target) -> Callable[[], Ensemble]:
    """What makes the ensemble whose errors the noise of labels is compared with; extra trees where families compete."""
    families = campaign.families(stage, target)
    name = families[0] if len(families) == 1 else ExtraTrees.family
    return functools.partial(lookup("model", MODELS, name), seed=campaign.seed)


def _computed_model(
    campaign: Campaign, stage: str, target: Target, features: FeatureMatrix, *, sets: tuple[TrainingSet, TrainingSet]
) -> tuple[ComputedModel, FeatureMatrix]:
    """The model of the labels that help, of the first family, and features of measured rows with its predictions."""
    training, helping = sets
    for one in sets:
        if differing := [each.condition.name for each in learned_conditions(one.conditions) if each.is_feature]:
            raise TrainingSetError(
                f"a transfer of {target.property} whose labels '{one.name}' differ in {', '.join(differing)}",
                "labels under one condition, of either provenance", "leave out the labels under other conditions",
            )  # fmt: skip
    groups, of_helping = groups_of_both(training, helping)
    rows = build_feature_set(campaign.scoring_stages[stage].features).featurize(helping.rows)
    labels = ComputedLabels(rows, helping.values, of_helping, helping.about, helping.weights)
    return ComputedModel.fit(
        labels, features, groups, family=campaign.families(stage, target)[0], parameters={"seed": campaign.seed},
        transform=target.scale(),
    )  # fmt: skip


def _fitted(
    campaign: Campaign,
    stage: str,
    target: Target,
    features: FeatureMatrix,
    *,
    training: TrainingSet,
    weights: NDArray[np.float64],
    computed: ComputedModel | None,
) -> Surrogate:
    """The surrogate of the one family the campaign names, or of the best of those it names."""
    families = campaign.families(stage, target)
    if len(families) == 1:
        return Surrogate.fit(
            target.property, features, training.values, training.groups, family=families[0],
            transform=target.scale(), parameters={"seed": campaign.seed}, ids=training.rows.ids, about=training.about,
            weights=weights, conditions=training.conditions, computed=computed,
        )  # fmt: skip
    seconds = campaign.seconds_for(stage)
    fits, rows = 1 + (target.probability == "classifier"), None if seconds is None else ROWS_WITHIN_TIME
    budget = Budget(seconds=seconds, fits=fits, rows=rows)
    return fit_chosen(
        target.property, [Candidate(family) for family in families], {"": features}, target=training.values,
        groups=training.groups, budget=budget, transform=target.scale(), ids=training.rows.ids, about=training.about,
        conditions=training.conditions, seed=campaign.seed, weights=weights, computed=computed,
    )  # fmt: skip


def best_of_first_stage(
    campaign: Campaign, stage: str, target: Target, card: Mapping[str, Any], training: TrainingSet
) -> tuple[float, float]:
    """Percentiles of the training data that all stages count from: those of the rows the first stage has features of.

    Where labels differ in their conditions, they are those of the materials at the conditions of the target.

    Args:
        campaign: The campaign.
        stage: The stage at hand.
        target: The target at hand.
        card: Card of its surrogate in that stage.
        training: What it learned from.

    Raises:
        ModelError: If too few materials have a label near the conditions of the target.
    """
    if target.is_relative() and any(one.is_feature for one in learned_conditions(training.conditions)):
        return _best_at(target, training)
    if stage == FIRST_STAGE or not target.is_relative():
        low, high = card["best_of_training"]
        return low, high
    values = training.values
    first = build_feature_set(campaign.scoring_stages[FIRST_STAGE].features).featurize(training.rows)
    return best_of_training(values[usable_rows(first, forward(values, target.scale()))])


def _best_at(target: Target, training: TrainingSet) -> tuple[float, float]:
    """Percentiles of the materials of a training set at the conditions of a target."""
    values = values_at(
        learned_conditions(training.conditions), training.conditions, target.conditions(), ids=training.rows.ids,
        target=forward(training.values, target.scale()),
    )  # fmt: skip
    if len(values) < FEWEST_AT_CONDITIONS:
        raise ModelError(
            f"{len(values)} materials with {target.property} near {write_conditions(target.conditions())}",
            f"at least {FEWEST_AT_CONDITIONS} to tell what is better than nearly all of them",
            "write a 'value' in the target, or ask for conditions with more labels",
        )  # fmt: skip
    return best_of_training(backward(values, target.scale()))


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
    predictions = by_kinship(task.campaign, task.ranges, predict(task, features.take(sound)), scored)
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
    none = intake.batch.take([]).with_columns({Column.PROBABILITY: np.empty(0), Column.IN_DOMAIN: np.empty(0, bool)})
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
    return _feature_set(task.settings.model_dump_json()).featurize(batch)


def feature_words_of(task: ScoringTask) -> tuple[FeatureWords, ...]:
    """Words of the features of the task's stage."""
    return _feature_set(task.settings.model_dump_json()).words


def predict(task: ScoringTask, features: FeatureMatrix) -> dict[str, Prediction]:
    """What the surrogates of the task's stage say of each target."""
    return {name: surrogate_of(task, name).predict(features) for name in task.ranges}


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
        )
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
        Columns for ``rows``: ``probability`` of meeting all targets, ``in_domain``, and for each property its
        prediction, width, 90 % interval and probability. Without predictions both are 1.
    """
    if not predictions:
        return {Column.PROBABILITY: np.ones(len(rows)), Column.IN_DOMAIN: np.ones(len(rows), bool)}
    codes = functools.reduce(lambda a, b: np.where(a == "", b, a), [p.codes for p in predictions.values()])
    fates.end(rows, QUARANTINED, fates.part("surrogates"), codes)
    inside = {name: np.asarray(p.in_domain) for name, p in predictions.items()}
    in_domain = np.logical_and.reduce(list(inside.values()))
    outside = np.flatnonzero((codes == "") & ~in_domain & (not task.campaign.shortlist.explore))
    first = [next(name for name in inside if not inside[name][row]) for row in outside.tolist()]
    fates.end(rows[outside], REJECTED, fates.part("domain"), [Reason(OUTSIDE_DOMAIN, source=name) for name in first])
    probability, each = joint.probabilities(predictions, task.ranges)
    columns: dict[str, NDArray[Any]] = {Column.PROBABILITY: probability, Column.IN_DOMAIN: in_domain}
    for name, prediction in predictions.items():
        known = property_named(name)
        columns[known.column("pred")], columns[known.column("sigma")] = prediction.mean, prediction.sigma
        columns[known.column("lo")], columns[known.column("hi")] = prediction.interval(0.9)
        columns[probability_of(name)] = each[name]
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


@functools.lru_cache(maxsize=4)
def _feature_set(stage: str) -> FeatureSet:
    """The stage's feature set, made once per worker: setting up a matminer featurizer takes seconds."""
    return build_feature_set(SurrogateStage.model_validate_json(stage).features)


@functools.lru_cache(maxsize=20)
def _surrogate(files: ModelFiles, conditions: Conditions) -> Surrogate:
    return Surrogate.load(files.folder).at(dict(conditions))


@functools.lru_cache(maxsize=4)
def _joint_probability(
    judged: tuple[tuple[str, ModelFiles, Conditions, tuple[float, float]], ...],
) -> JointProbability:
    surrogates = {name: _surrogate(files, conditions) for name, files, conditions, _ in judged}
    return JointProbability.fit(surrogates, {name: ends for name, _, _, ends in judged})
