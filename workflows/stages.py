"""What workers do: train one surrogate, and take one partition from candidates to probabilities."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.batch import CandidateBatch, Intake, Refused
from matloop.data.composition import composition_keys
from matloop.data.materials import load_materials
from matloop.data.registry import lookup
from matloop.data.run_store import RunDirectory, write_table
from matloop.data.schema import property_named
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import FEATURIZERS
from matloop.models.prediction import Prediction
from matloop.models.surrogate import Surrogate
from matloop.screening.campaign import Campaign, Entries, SurrogateStage, Target
from matloop.screening.filters import Filter
from matloop.screening.ranking import probability_of_all, ranking_order
from matloop.screening.registry import FILTERS

SHORTLISTED, REJECTED, QUARANTINED, SCORED = "shortlisted", "rejected", "quarantined", "scored"

Ranges = dict[str, tuple[float, float]]
OutcomeCounts = Counter[tuple[str, str, str]]
"""Rows by (stage, outcome, reason)."""


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
    """

    campaign: Campaign
    folder: Path
    ranges: Ranges


def build_feature_set(entries: Entries) -> FeatureSet:
    """The feature set a campaign names.

    Raises:
        UnknownNameError: For a featurizer nobody registered.
    """
    return FeatureSet(tuple(entry.make(lookup("featurizer", FEATURIZERS, entry.name)) for entry in entries))


def build_filters(campaign: Campaign) -> list[Filter]:
    """The filters a campaign names, in its order.

    Raises:
        UnknownNameError: For a filter nobody registered.
    """
    return [entry.make(lookup("filter", FILTERS, entry.name)) for entry in campaign.filters]


def train_surrogate(campaign: Campaign, target: Target, folder: Path) -> dict[str, Any]:
    """Train the surrogate of one target on the packaged crystals and save it.

    Returns:
        Its card.
    """
    materials = load_materials()
    labelled = np.flatnonzero(np.isfinite(materials.column(property_named(target.property).column("dft"))))
    batch = materials.take(labelled)
    family = target.family or campaign.surrogates.family
    surrogate = Surrogate.fit(
        target.property,
        build_feature_set(campaign.surrogates.features).featurize(batch),
        batch.column(property_named(target.property).column("dft")),
        np.unique(composition_keys(batch.compositions), return_inverse=True)[1],
        family=family,
        transform=target.transform,
        parameters={"seed": campaign.seed},
    )
    surrogate.save(folder / target.property)
    return dict(surrogate.card)


def score_partition(task: ScoringTask, index: int, intake: Intake, duplicates: list[Refused]) -> PartitionResult:
    """Filter, featurize and score one partition, write the outcome of every row, return the best rows.

    Args:
        task: What to do.
        index: Number of the partition, names its file.
        intake: Candidates and rows the source refused.
        duplicates: Rows that repeat an earlier candidate.
    """
    batch = intake.batch
    outcome = _Outcomes(len(batch))
    rows = np.arange(len(batch))
    for filter_ in build_filters(task.campaign):
        verdict = filter_.judge(batch.take(rows))
        outcome.set(rows[~verdict.keep], REJECTED, f"filter {filter_.name}", verdict.reasons[~verdict.keep])
        rows = rows[verdict.keep]
    features = _feature_set(task.campaign.surrogates.model_dump_json()).featurize(batch.take(rows))
    failed = features.codes != ""
    outcome.set(rows[failed], QUARANTINED, "features", features.codes[failed])
    outcome.explain(rows, features.details)
    rows, features = rows[~failed], features.take(np.flatnonzero(~failed))
    predictions = {name: _surrogate(task.folder, name).predict(features) for name in task.ranges}
    probability, each = probability_of_all(predictions, task.ranges)
    codes = functools.reduce(lambda a, b: np.where(a == "", b, a), [p.codes for p in predictions.values()])
    outcome.set(rows[codes != ""], QUARANTINED, "surrogates", codes[codes != ""])
    in_domain = np.logical_and.reduce([p.in_domain for p in predictions.values()])
    outside = (codes == "") & ~in_domain & (not task.campaign.shortlist.explore)
    outcome.set(rows[outside], REJECTED, "domain", np.full(outside.sum(), "outside the domain of a surrogate"))
    columns = {"probability": probability, "in_domain": in_domain, **_columns(predictions, each)}
    table = outcome.table(batch, rows, columns, [*intake.refused, *duplicates])
    write_table(RunDirectory(task.folder).partition(index), table)
    counts: OutcomeCounts = Counter(
        zip(table["stage"].to_pylist(), table["outcome"].to_pylist(), table["reason"].to_pylist(), strict=True)
    )
    return PartitionResult(counts, _best(task, batch, rows, columns, outcome))


@functools.lru_cache(maxsize=2)
def _feature_set(stage: str) -> FeatureSet:
    """The stage's feature set, made once per worker: setting up a matminer featurizer takes seconds."""
    return build_feature_set(SurrogateStage.model_validate_json(stage).features)


@functools.lru_cache(maxsize=20)
def _surrogate(folder: Path, name: str) -> Surrogate:
    return Surrogate.load(RunDirectory(folder).models / name)


def _columns(
    predictions: dict[str, Prediction], each: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    columns = {}
    for name, prediction in predictions.items():
        known = property_named(name)
        columns[known.column("pred")], columns[known.column("sigma")] = prediction.mean, prediction.sigma
        columns[known.column("lo")], columns[known.column("hi")] = prediction.interval(0.9)
        columns[f"probability_{name}"] = each[name]
    return columns


def _best(
    task: ScoringTask, batch: CandidateBatch, rows: NDArray[np.int64], columns: dict[str, Any], outcome: _Outcomes
) -> pa.Table:
    rankable = np.flatnonzero(outcome.outcomes[rows] == SCORED)
    ids = batch.table.column("candidate_id").take(pa.array(rows[rankable])).to_pylist()
    chosen = rankable[ranking_order(columns["probability"][rankable], ids)[: task.campaign.surrogates.keep]]
    best = batch.take(rows[chosen]).with_columns(**{name: values[chosen] for name, values in columns.items()})
    return best.to_arrow()


class _Outcomes:
    """Outcome, stage, reason and, where more is known, detail of each candidate of a partition."""

    def __init__(self, count: int) -> None:
        self.outcomes = np.full(count, SCORED, dtype=object)
        self.stages = np.full(count, "ranking", dtype=object)
        self.reasons = np.full(count, "", dtype=object)
        self.details = np.full(count, "", dtype=object)

    def set(self, rows: NDArray[np.int64], outcome: str, stage: str, reasons: NDArray[np.str_]) -> None:
        self.outcomes[rows], self.stages[rows], self.reasons[rows] = outcome, stage, reasons

    def explain(self, rows: NDArray[np.int64], details: Mapping[int, str]) -> None:
        for place, detail in details.items():
            self.details[rows[place]] = detail

    def table(
        self, batch: CandidateBatch, rows: NDArray[np.int64], columns: dict[str, Any], refused: list[Refused]
    ) -> pa.Table:
        """One row per input row: candidates, then the rows that never became candidates."""
        origin = batch.table.column("origin").to_pylist()
        data: dict[str, Any] = {
            "candidate_id": [*batch.ids, *(row.candidate_id for row in refused)],
            "formula": [*batch.formulas, *(row.formula for row in refused)],
            "origin": [*origin, *("" for _ in refused)],
            "outcome": [*self.outcomes, *(_outcome_of(row) for row in refused)],
            "stage": [*self.stages, *("intake" for _ in refused)],
            "reason": [*self.reasons, *(row.code for row in refused)],
            "detail": [*self.details, *(row.detail for row in refused)],
        }
        for name, values in columns.items():
            full = np.full(len(batch) + len(refused), np.nan, dtype=np.float32)
            full[rows] = values
            data[name] = pa.array(full, from_pandas=True)
        return pa.table(data)


def _outcome_of(row: Refused) -> str:
    return REJECTED if row.code == DUPLICATE else QUARANTINED


DUPLICATE = "repeats an earlier candidate"
