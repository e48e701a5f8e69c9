"""What workers do in the scoring stages: train a surrogate, and take a partition from candidates to probabilities."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.batch import CandidateBatch, Intake, Refused
from matloop.data.composition import composition_keys
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.materials import load_materials
from matloop.data.registry import lookup
from matloop.data.run_store import RunDirectory
from matloop.data.schema import property_named
from matloop.featurizers.base import FeatureSet
from matloop.models.prediction import Prediction
from matloop.models.surrogate import Surrogate
from matloop.screening.campaign import Campaign, Entries, SurrogateStage, Target
from matloop.screening.filters import Filter
from matloop.screening.ranking import probability_of_all, ranking_order
from matloop.screening.registry import FILTERS
from matloop.workflows.outcomes import (
    FIRST_STAGE,
    QUARANTINED,
    REJECTED,
    OutcomeCounts,
    Outcomes,
    counted,
    filter_stages,
)  # fmt: skip
from matloop.workflows.potential_features import CAMPAIGN_FEATURIZERS

Ranges = dict[str, tuple[float, float]]
OUTSIDE = "outside the domain of a surrogate"


class PartitionResult(NamedTuple):
    """What a partition sends back; everything else stays in its file."""

    counts: OutcomeCounts
    best: pa.Table


@dataclass(frozen=True)
class ScoringTask:
    """What a worker needs to know to score a partition.

    Attributes:
        campaign: The resolved campaign.
        folder: The run directory.
        ranges: Wanted range of each target, in the property's unit.
        stage: Name of the scoring stage.
    """

    campaign: Campaign
    folder: Path
    ranges: Ranges
    stage: str = FIRST_STAGE

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


def train_surrogate(campaign: Campaign, stage: str, target: Target, folder: Path) -> dict[str, Any]:
    """Train one stage's surrogate of one target on the packaged crystals and save it.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        folder: The run directory.

    Returns:
        Its card.
    """
    settings = campaign.scoring_stages[stage]
    materials = load_materials()
    column = property_named(target.property).column("dft")
    batch = materials.take(np.flatnonzero(np.isfinite(materials.column(column))))
    surrogate = Surrogate.fit(
        target.property,
        build_feature_set(settings.features).featurize(batch),
        batch.column(column),
        np.unique(composition_keys(batch.compositions), return_inverse=True)[1],
        family=target.family or settings.family,
        transform=target.transform,
        parameters={"seed": campaign.seed},
        ids=batch.ids,
    )
    surrogate.save(RunDirectory(folder).model(stage, target.property))
    return dict(surrogate.card)


def score_partition(
    task: ScoringTask, index: int, intake: Intake, duplicates: Sequence[Refused] = ()
) -> PartitionResult:
    """Score one partition, write the outcome of every row, return the best rows. The first stage also filters.

    Args:
        task: What to do.
        index: Number of the partition, names its file.
        intake: Candidates and rows the source refused.
        duplicates: Rows that repeat an earlier candidate.
    """
    batch, outcome = intake.batch, Outcomes(len(intake.batch), task.stage)
    rows = np.arange(len(batch))
    if task.stage == FIRST_STAGE:
        rows = _filtered(task.campaign, batch, outcome)
    features = features_of(task, batch.take(rows))
    outcome.set(rows, QUARANTINED, outcome.part("features"), features.codes)
    outcome.explain(rows, features.details)
    sound = np.flatnonzero(features.codes == "")
    rows = rows[sound]
    predictions = predict(task, features.take(sound))
    columns = judge(task, rows, predictions, outcome)
    table = outcome.table(batch, rows, columns, [*intake.refused, *duplicates])
    RunDirectory(task.folder).write_partition(task.stage, index, table)
    return PartitionResult(counted(table), best_rows(batch, rows, columns, outcome, keep=task.settings.keep))


def _filtered(campaign: Campaign, batch: CandidateBatch, outcome: Outcomes) -> NDArray[np.int64]:
    """Rows that pass every filter."""
    rows = np.arange(len(batch))
    for stage, filter_ in zip(filter_stages(campaign), build_filters(campaign), strict=True):
        verdict = filter_.judge(batch.take(rows))
        outcome.set(rows[~verdict.keep], REJECTED, stage, verdict.reasons[~verdict.keep])
        rows = rows[verdict.keep]
    return rows


def features_of(task: ScoringTask, batch: CandidateBatch) -> FeatureMatrix:
    """The features of the task's stage."""
    return _feature_set(task.settings.model_dump_json()).featurize(batch)


def predict(task: ScoringTask, features: FeatureMatrix) -> dict[str, Prediction]:
    """What the surrogates of the task's stage say of each target."""
    return {name: surrogate_of(task, name).predict(features) for name in task.ranges}


def surrogate_of(task: ScoringTask, name: str) -> Surrogate:
    """The surrogate of one property in the task's stage, read once per worker."""
    return _surrogate(RunDirectory(task.folder).model(task.stage, name))


def judge(
    task: ScoringTask, rows: NDArray[np.int64], predictions: Mapping[str, Any], outcome: Outcomes
) -> dict[str, NDArray[Any]]:
    """Settle the rows without prediction and those outside a domain, and rate the others.

    Args:
        task: What to do.
        rows: The rows that ``predictions`` are of.
        predictions: By property.
        outcome: Told of the rows that end here.

    Returns:
        Columns for ``rows``: ``probability`` of meeting all targets, ``in_domain``, and for each property its
        prediction, width, 90 % interval and probability.
    """
    codes = functools.reduce(lambda a, b: np.where(a == "", b, a), [p.codes for p in predictions.values()])
    outcome.set(rows, QUARANTINED, outcome.part("surrogates"), codes)
    in_domain = np.logical_and.reduce([p.in_domain for p in predictions.values()])
    outside = (codes == "") & ~in_domain & (not task.campaign.shortlist.explore)
    outcome.set(rows[outside], REJECTED, outcome.part("domain"), OUTSIDE)
    probability, each = probability_of_all(predictions, task.ranges)
    columns = {"probability": probability, "in_domain": in_domain}
    for name, prediction in predictions.items():
        known = property_named(name)
        columns[known.column("pred")], columns[known.column("sigma")] = prediction.mean, prediction.sigma
        columns[known.column("lo")], columns[known.column("hi")] = prediction.interval(0.9)
        columns[f"probability_{name}"] = each[name]
    return columns


def best_rows(
    batch: CandidateBatch, rows: NDArray[np.int64], columns: Mapping[str, Any], outcome: Outcomes, *, keep: int
) -> pa.Table:
    """The most probable of the scored rows, with their columns, as Arrow."""
    rankable = outcome.scored(rows)
    ids = batch.table.column("candidate_id").take(pa.array(rows[rankable])).to_pylist()
    chosen = rankable[ranking_order(columns["probability"][rankable], ids)[:keep]]
    return (
        batch.take(rows[chosen]).with_columns(**{name: values[chosen] for name, values in columns.items()}).to_arrow()
    )


@functools.lru_cache(maxsize=4)
def _feature_set(stage: str) -> FeatureSet:
    """The stage's feature set, made once per worker: setting up a matminer featurizer takes seconds."""
    return build_feature_set(SurrogateStage.model_validate_json(stage).features)


@functools.lru_cache(maxsize=20)
def _surrogate(folder: Path) -> Surrogate:
    return Surrogate.load(folder)
