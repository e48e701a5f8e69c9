"""How a loop stands: what came of what was proposed, and whether predictions held on real results."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from matloop.data.properties.catalogue import using
from matloop.data.records.attempts import attempts_of
from matloop.data.records.contents import contents_of, samples_table, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.proposals import taken_candidates
from matloop.data.records.record_labels import RecordLabels
from matloop.models.surrogates.kept_promises import AS_STATED, PromiseCorrection
from matloop.models.surrogates.real_results import (
    Coverage,
    Drift,
    Hits,
    Left,
    coverage_of,
    drift_of,
    hits_against,
    what_is_left,
)
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.runs.run_view import RunView
from matloop.workflows.looping.champions import Champion, ModelDecision, decisions_about, read_champion
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.proposing.pool_chances import pool_chances
from matloop.workflows.proposing.promises import tried_candidates

Ranges = Mapping[str, tuple[float, float]]


class Tally(NamedTuple):
    """Numbers of candidates and rows.

    Attributes:
        proposed: Candidates that were proposed.
        waiting: Those of them without an accepted sample that were not withdrawn.
        withdrawn: Those of them that were withdrawn.
        samples: Samples by outcome.
        of_handling: Failures that say nothing of the compound.
        measured: Candidates with an accepted value.
        held: Rows of sheets that wait for an answer.
    """

    proposed: int
    waiting: int
    withdrawn: int
    samples: Mapping[str, int]
    of_handling: int
    measured: int
    held: int


class OnResults(NamedTuple):
    """How predictions of a property held on results that the model in use had not seen.

    Attributes:
        coverage: Of 90 % intervals.
        drift: Whether results came out other than predicted.
    """

    coverage: Coverage
    drift: Drift


@dataclass(frozen=True)
class LoopStanding:
    """How a loop stands.

    Attributes:
        campaign: Name of the campaign.
        tally: What was proposed, made, measured and held.
        hits: Hits among candidates whose promise is known; None without any.
        on_results: By property.
        decisions: About models, the oldest first.
        left: What trying the rest of a pool would bring, as results of candidates tried correct it; None where no
            pool was looked at.
        left_as_stated: The same as the models state it.
        correction: What results say of promises.
        cost: Of one experiment; nan where it was not stated.
    """

    campaign: str
    tally: Tally
    hits: Hits | None
    on_results: Mapping[str, OnResults]
    decisions: Sequence[ModelDecision]
    left: Left | None = None
    left_as_stated: Left | None = None
    correction: PromiseCorrection = AS_STATED
    cost: float = math.nan

    def with_cost(self, cost: float) -> LoopStanding:
        """The same with the cost of an experiment."""
        return replace(self, cost=cost)

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "campaign": self.campaign,
            "tally": self.tally._asdict() | {"samples": dict(self.tally.samples)},
            "hits": None if self.hits is None else self.hits._asdict(),
            "on_results": {
                name: {
                    **one.coverage._asdict(), "capital": float(one.drift.capital[-1]), "highest": one.drift.highest,
                    "drifted": one.drift.alarms, "bias": one.drift.bias,
                }
                for name, one in self.on_results.items()
            },
            "decisions": [
                {"number": one.number, "at": one.at, "by": one.by, **one.details()} for one in self.decisions
            ],
            "left": None if self.left is None else self.left._asdict(),
            "left_as_stated": None if self.left_as_stated is None else self.left_as_stated._asdict(),
            "correction": self.correction._asdict(),
            "cost": None if math.isnan(self.cost) else self.cost,
        }  # fmt: skip


def standing_of(
    database: RecordsDatabase, campaign: Campaign, *, place: str | None, laboratory: str, models: Path,
    run: RunView | None = None,
) -> LoopStanding:  # fmt: skip
    """Look at the records of a campaign.

    Args:
        database: The records.
        campaign: The campaign.
        place: Where the records are.
        laboratory: Whose results; those of all laboratories if empty.
        models: Folder of the models.
        run: The run whose candidates are the pool; None to leave out what is left of it.

    Raises:
        DamagedFileError: If a model that the records name is gone.
    """
    with using(campaign.catalogue):
        decisions = decisions_about(database, campaign.name)
        names = [target.property for target in campaign.targets]
        readers = {
            name: _ModelsInUse([one for one in decisions if one.property_name == name], models) for name in names
        }
        on_results = {
            name: found
            for name, reader in readers.items()
            if (found := _on_results(database, name, reader, place=place, laboratory=laboratory)) is not None
        }
        ranges = {
            target.property: target.range((math.nan, math.nan))
            for target in campaign.targets
            if not target.is_relative()
        }
        for name, reader in readers.items():
            if name not in ranges and (first := reader.first()) is not None and first.wanted is not None:
                ranges[name] = first.wanted
        tried = tried_candidates(database, ranges, laboratory=laboratory)
        left = as_stated = None
        if run is not None:
            chances = pool_chances(run, database, models)
            left, as_stated = what_is_left(tried.correction.corrected(chances)), what_is_left(chances)
        return LoopStanding(
            campaign.name, _tally(database, laboratory),
            hits_against(tried.stated, tried.found, corrected=tried.corrected), on_results, decisions, left, as_stated,
            tried.correction,
        )  # fmt: skip


class _ModelsInUse:
    """The models of a property that were in use, one after the other.

    Args:
        decisions: About the property, the oldest first.
        models: Folder of the models.
    """

    def __init__(self, decisions: Sequence[ModelDecision], models: Path) -> None:
        self._decisions = [one for one in decisions if one.champion is not None]
        self._models = models
        self._read: dict[Champion, TrainedModel] = {}

    def first(self) -> TrainedModel | None:
        """The first of them; None before any decision."""
        return None if not self._decisions else self.read(self._decisions[0].champion)

    def before(self, action: int) -> Champion | None:
        """The model that was in use when an action was taken; the first one, if that came later and has not seen it."""
        earlier = [one.champion for one in self._decisions if one.number < action]
        first = self._decisions[0].champion if self._decisions else None
        return earlier[-1] if earlier else first if first is not None and first.until < action else None

    def read(self, champion: Champion | None) -> TrainedModel | None:
        """Read a model, once."""
        if champion is None:
            return None
        if champion not in self._read:
            self._read[champion] = read_champion(champion, self._models)
        return self._read[champion]


def _on_results(
    database: RecordsDatabase, name: str, models: _ModelsInUse, *, place: str | None, laboratory: str
) -> OnResults | None:
    """Compare results with what the models in use before them had predicted; None where there are none."""
    read = RecordLabels(place or "", property=name, laboratory=laboratory, source="exp").read_rows()
    taught = [row for row in read.rows if not row.code]
    table = values_table(database, [name])
    actions = dict(zip(table["measurement_id"].to_pylist(), table["action"].to_pylist(), strict=True))
    rows_of: dict[Champion, list[int]] = defaultdict(list)
    for at, row in enumerate(taught):
        champion = models.before(actions[row.place.rsplit(" ", 1)[-1]])
        if champion is not None:
            rows_of[champion].append(at)
    inside, below = np.zeros(len(taught), bool), np.full(len(taught), np.nan)
    stated = [one.condition.name for one in read.conditions]
    for champion, rows in rows_of.items():
        model = models.read(champion)
        assert model is not None
        learned = {one.condition.name for one in model.surrogate.conditions if one.is_feature}
        kept = {
            condition: np.array([taught[row].conditions[at] for row in rows])
            for at, condition in enumerate(stated)
            if condition in learned
        }
        values = np.array([taught[row].cell.value for row in rows])
        with using(model.catalogue):
            features = model.features.featurize(read.materials.take(np.array(rows)))
            prediction = model.surrogate.predict(features, conditions=kept)
            low, high = prediction.interval(0.9)
            inside[rows] = (low <= values) & (values <= high)
            below[rows] = [
                prediction.take(np.array([at])).probability_between(-np.inf, value)[0]
                if prediction.met is None else np.nan
                for at, value in enumerate(values)
            ]  # fmt: skip
    judged = np.isfinite(below)
    coverage = coverage_of(inside[judged])
    return None if coverage is None else OnResults(coverage, drift_of(below[judged]))


def _tally(database: RecordsDatabase, laboratory: str) -> Tally:
    """Count what was proposed, made, measured and held."""
    found, samples = contents_of(database), samples_table(database)
    mine = samples.to_pylist()
    outcomes = Counter(row["outcome"] for row in mine if not laboratory or row["laboratory"] == laboratory)
    values = values_table(database).to_pylist()
    measured = {row["candidate_id"] for row in values if not laboratory or row["laboratory"] == laboratory}
    return Tally(
        found.proposed, len(taken_candidates(database).pending), found.withdrawn, outcomes,
        attempts_of(samples, laboratory=laboratory).of_handling, len(measured), found.rows.get("held", 0),
    )  # fmt: skip
