"""How a loop stands: what came of what was proposed, and whether predictions held on real results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from matloop.data.properties.catalogue import using
from matloop.data.records.answered_rows import held_rows
from matloop.data.records.attempts import attempts_of
from matloop.data.records.contents import samples_table, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.proposals import (
    campaigns_of_candidates,
    taken_candidates,
    withdrawn_candidates,
    written_proposals,
)
from matloop.models.surrogates.kept_promises import AS_STATED, PromiseCorrection
from matloop.models.surrogates.real_results import Hits, Left, hits_against, what_is_left
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.runs.run_view import RunView
from matloop.workflows.loop_status.on_results import ModelsOverTime, OnResults, on_results_of
from matloop.workflows.looping.champions import ModelDecision, decisions_about
from matloop.workflows.looping.learned_values import outdated_models
from matloop.workflows.looping.taught_campaign import stated_laboratory
from matloop.workflows.proposing.outcomes import OutcomeFactor
from matloop.workflows.proposing.pool_chances import pool_chances
from matloop.workflows.proposing.promises import tried_candidates, wanted_conditions


class Tally(NamedTuple):
    """Numbers of candidates and rows of a campaign.

    Attributes:
        proposed: Candidates that were proposed.
        waiting: Those of them without an accepted sample that were not withdrawn.
        withdrawn: Those of them that were withdrawn.
        samples: Samples by outcome.
        of_handling: Failures that say nothing of the compound.
        measured: Candidates with an accepted value.
        held: Rows of sheets that wait for an answer, of the campaign or of no known candidate.
    """

    proposed: int
    waiting: int
    withdrawn: int
    samples: Mapping[str, int]
    of_handling: int
    measured: int
    held: int


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
        correction: What results say of promises of the pool; nothing where no pool was looked at.
        cost: Of one experiment; nan where it was not stated.
        unmeasured: Targets that no candidate tried has a value of, so that hits cannot be counted.
        outdated: Number of values corrected or retracted since that a model in use learned from, by property.
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
    unmeasured: tuple[str, ...] = ()
    outdated: Mapping[str, int] = field(default_factory=dict)

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
            "cost": None if math.isnan(self.cost) else self.cost, "unmeasured": list(self.unmeasured),
            "outdated": dict(self.outdated),
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
        DamagedFileError: If a model that the records name is gone, or a record cannot be read.
    """
    with using(campaign.catalogue):
        decisions = decisions_about(database, campaign.name)
        names = [target.property for target in campaign.targets]
        readers = {
            name: ModelsOverTime([one for one in decisions if one.property_name == name], models) for name in names
        }
        whose = {name: laboratory or stated_laboratory(campaign, name) for name in names}
        compared = {
            name: on_results_of(database, name, reader, place=place, laboratory=whose[name])
            for name, reader in readers.items()
        }
        on_results = {name: found for name, found in compared.items() if found is not None}
        unknown = (math.nan, math.nan)
        ranges = {
            target.property: unknown if target.is_relative() else target.range(unknown) for target in campaign.targets
        }
        for name, reader in readers.items():
            if math.isnan(ranges[name][0]) and (first := reader.first()) is not None and first.wanted is not None:
                ranges[name] = first.wanted
        tried = tried_candidates(
            database, ranges, campaign=campaign.name, at=wanted_conditions(campaign), laboratory=laboratory
        )
        left, as_stated, correction = None, None, AS_STATED
        if run is not None:
            chances, correction = pool_chances(run, database, models), tried.correction(OutcomeFactor.of(run, database))
            left, as_stated = what_is_left(correction.corrected(chances)), what_is_left(chances)
        return LoopStanding(
            campaign.name, _tally(database, campaign.name, names, laboratory),
            hits_against(tried.stated, tried.found, corrected=tried.corrected), on_results, decisions, left, as_stated,
            correction, unmeasured=tried.unmeasured,
            outdated=outdated_models(database, campaign, names, place=place),
        )  # fmt: skip


def _tally(database: RecordsDatabase, campaign: str, properties: Sequence[str], laboratory: str) -> Tally:
    """Count what was proposed for a campaign, and what was made, measured and held of it or of no other campaign.

    A proposal is addressed to no laboratory; everything else counts for the laboratory that sent it.
    """
    campaigns = campaigns_of_candidates(database)

    def mine(row: Mapping[str, Any]) -> bool:
        among = campaigns.get(row["candidate_id"], frozenset({campaign}))
        return campaign in among and (not laboratory or row["laboratory"] == laboratory)

    proposed = {one.candidate_id for one in written_proposals(database) if one.campaign == campaign}
    with database.reading() as connection:
        withdrawn, held = withdrawn_candidates(connection) & proposed, held_rows(connection)
    samples = samples_table(database)
    is_mine = [mine(row) for row in samples.to_pylist()]
    samples = samples.filter(pa.array(is_mine, pa.bool_()))
    values = values_table(database, properties).to_pylist()
    return Tally(
        len(proposed), len(taken_candidates(database).pending & proposed), len(withdrawn),
        Counter(samples["outcome"].to_pylist()), attempts_of(samples).of_handling,
        len({row["candidate_id"] for row in values if mine(row)}), sum(map(mine, held)),
    )  # fmt: skip
