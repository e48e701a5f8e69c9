"""The dossier of one finalist: all that a laboratory needs to know of it, with the source of every number."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.fact_tables import fact_table
from matloop.data.plain_text import plain
from matloop.data.properties.catalogue import catalogue, property_named
from matloop.data.properties.columns import CHEMISTRY_COLUMNS, Column, probability_of
from matloop.data.synthesis.plan import SynthesisPlan
from matloop.screening.dossier.competing_phases import Competition
from matloop.screening.dossier.diffraction import Radiation
from matloop.screening.dossier.diffraction_section import Diffraction, diffraction_of
from matloop.screening.dossier.identity import Identity, identity_of
from matloop.screening.dossier.number_sources import (
    NumberSource,
    NumberSources,
    crystals_source,
    diffraction_source,
    hull_source,
    potential_source,
    run_source,
    second_potential_source,
    surrogate_source,
    table_source,
    traced,
)
from matloop.screening.dossier.risk import Risk, risk_of
from matloop.screening.dossier.shortlist_files import safe_name
from matloop.screening.dossier.synthesis_section import gate_source, synthesis_record
from matloop.screening.filters.element_scores import own_facts_of
from matloop.screening.ranking.nearest_known import KnownCompound, nearest_known
from matloop.screening.report.batch_columns import numbers, texts
from matloop.screening.runs.run_view import RunView

SCHEMA = "matloop dossier 1"
ENERGIES = ("energy_above_hull", "formation_energy_per_atom")
"""Properties that a potential gives where there is one, and that no laboratory measures."""
_NEIGHBOURS = 5
_HULLS = (Column.HULL_DISTANCE, Column.HULL_DISTANCE_SECOND, Column.HULL_DISTANCE_OWN)
_RELAXATION = (
    Column.RELAXATION_ENERGY, Column.RELAXATION_ENERGY_START, Column.RELAXATION_VOLUME_CHANGE,
    Column.RELAXATION_LARGEST_FORCE, Column.RELAXATION_STEPS, Column.FORMATION_CORRECTION,
    Column.RELAXATION_RATTLE_GAIN, Column.PHONON_LOWEST,
)  # fmt: skip
_COVERAGE = (Column.HULL_COVERAGE, Column.HULL_KNOWN_COMPOSITIONS, Column.HULL_REFERENCE_PHASES)


class StageValue(NamedTuple):
    """What one stage predicted for one property.

    Attributes:
        stage: Name of the stage.
        property: Name of the property.
        value: Predicted value.
        low: Lower end of its 90 % interval.
        high: Upper end.
        probability: Of meeting the target.
        in_domain: Whether the candidate lies inside the domain of the stage; None where it does not tell.
        source: Key of the source.
    """

    stage: str
    property: str
    value: float | None
    low: float | None
    high: float | None
    probability: float | None
    in_domain: bool | None
    source: str


class Dossier(NamedTuple):
    """All that is known of one finalist.

    Attributes:
        view: The run.
        batch: The shortlisted candidates.
        row: Of the candidate among them.
        crystal: Its symmetrised crystal; None where it is known by its composition alone.
        stages: What each stage predicted.
        competition: What competes with it.
        neighbours: Known compounds of the nearest compositions.
        diffraction: Powder patterns; None without a crystal.
        synthesis: How one would make it; None where no plan could be made.
        no_synthesis: Why none could be made; empty where there is one.
        risk: Risk and cost.
        sources: Of the numbers.
        written: Day on which the dossier was written.
    """

    view: RunView
    batch: CandidateBatch
    row: int
    crystal: Identity | None
    stages: list[StageValue]
    competition: Competition
    neighbours: list[KnownCompound]
    diffraction: Diffraction | None
    synthesis: SynthesisPlan | None
    no_synthesis: str
    risk: Risk
    sources: NumberSources
    written: dt.date

    @property
    def place(self) -> int:
        """Place on the shortlist, from 1."""
        return int(numbers(self.batch, Column.SHORTLISTED)[self.row])

    @property
    def candidate_id(self) -> str:
        """Content hash of the candidate."""
        return self.batch.ids[self.row]

    @property
    def formula(self) -> str:
        """Its reduced formula."""
        return self.batch.formulas[self.row]

    @property
    def folder(self) -> str:
        """Name of its folder: place, formula and the first characters of its id."""
        return f"{self.place:02d}_{safe_name(self.formula)[:40]}_{safe_name(self.candidate_id)[:12]}"


def dossier_of(
    view: RunView,
    row: int,
    *,
    story: Mapping[str, Any],
    competition: Competition,
    synthesis: SynthesisPlan | str,
    radiation: Radiation,
    today: dt.date,
) -> Dossier:
    """Put the dossier of one finalist together.

    Args:
        view: A finished run.
        row: Of the candidate among the shortlisted.
        story: What each stage said of it, as :func:`matloop.workflows.inspecting.why.story_of` tells it.
        competition: What competes with it.
        synthesis: How one would make it, or why that could not be planned.
        radiation: For powder patterns.
        today: Day on which it is written.
    """
    batch, sources = view.shortlisted, NumberSources()
    sources.add(run_source(view))
    one = batch.take(np.array([row]))
    crystal = identity_of(batch, row)
    diffraction = diffraction_of(crystal, competition.phases, radiation=radiation)
    risk = risk_of(batch, row, own=own_facts_of(view.campaign), today=today)
    stages = _stage_values(view, story, sources)
    if view.campaign.potential is not None:
        sources.add(potential_source(view))
        if (second := second_potential_source(view)) is not None:
            sources.add(second)
    sources.add(hull_source())
    sources.add(crystals_source())
    if diffraction is not None:
        sources.add(diffraction_source(radiation, today.isoformat()))
    plan = None if isinstance(synthesis, str) else synthesis
    if plan is not None:
        sources.add(table_source(fact_table(plan.facts.table)))
        for gate in plan.gates:
            sources.add(gate_source(gate.source))
    for table in [*(score.table for score in risk.scores), *risk.looked_at]:
        sources.add(table_source(table))
    return Dossier(
        view, batch, row, crystal, stages, competition,
        nearest_known(one, view.training.known, count=_NEIGHBOURS)[0], diffraction, plan,
        synthesis if isinstance(synthesis, str) else "", risk, sources, today,
    )  # fmt: skip


def _stage_values(view: RunView, story: Mapping[str, Any], sources: NumberSources) -> list[StageValue]:
    """What every stage predicted, in the order of the stages."""
    found = []
    for stage in story["stages"]:
        for told in stage["predictions"]:
            name = told["property"]
            key = sources.add(_source_of(view, stage["stage"], name))
            found.append(
                StageValue(
                    stage["stage"], name, told["value"], told["low"], told["high"], told["probability"],
                    stage["in_domain"], key,
                )
            )  # fmt: skip
    return found


def _source_of(view: RunView, stage: str, name: str) -> NumberSource:
    """Who predicted a property in a stage; a relaxed crystal is predicted by the last surrogates once more."""
    by_potential = view.campaign.potential is not None and name in ENERGIES
    for known in (stage, *(() if by_potential else (view.last_stage,))):
        if (known, name) in view.cards_of_stages:
            return surrogate_source(view, known, name)
    return potential_source(view) if by_potential else run_source(view)


def dossier_record(dossier: Dossier) -> dict[str, Any]:
    """Content of ``dossier.json``: plain values, each number with its source."""
    view, batch, row = dossier.view, dossier.batch, dossier.row
    run = "run"
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "written": dossier.written.isoformat(),
        "campaign": view.campaign.name,
        "candidate_id": dossier.candidate_id,
        "formula": dossier.formula,
        "origin": texts(batch, Column.ORIGIN)[row],
        "ranking": {
            "source": run, "place": dossier.place, "rank": int(numbers(batch, Column.RANK)[row]),
            "of": len(view.ranked), "probability": _number(batch, Column.PROBABILITY, row),
            "expected_misses": _number(batch, Column.EXPECTED_MISSES, row),
            str(Column.PROBABILITY_MAKEABLE): _number(batch, Column.PROBABILITY_MAKEABLE, row),
        },
        "targets": _targets(dossier),
        "stages": [
            {"stage": value.stage, "property": value.property, "unit": property_named(value.property).unit,
             "in_domain": value.in_domain, "source": value.source, "value": value.value, "low_90": value.low,
             "high_90": value.high, "probability": value.probability}
            for value in dossier.stages
        ],
        "crystal": None if dossier.crystal is None else dossier.crystal.record(run),
        "chemistry": {"source": run, **_chemistry(batch, row)},
        "flags": [code for code in (texts(batch, Column.FLAGS)[row] or "").split(", ") if code],
        "stability": _stability(dossier),
        "competition": dossier.competition.record("hull"),
        "novelty": _sourced(view.novelty.get(dossier.candidate_id), "known"),
        "nearest_known": [
            {"source": "known", **known._asdict()} for known in dossier.neighbours
        ],
        "why": _sourced(view.explanations.get(dossier.candidate_id), run),
        "next_eliminated": [_sourced(each, run) for each in view.near_misses.values()],
        "diffraction": None if dossier.diffraction is None else dossier.diffraction.record("diffraction"),
        "synthesis": synthesis_record(dossier.synthesis, dossier.no_synthesis),
        "risk": dossier.risk.record(),
    }  # fmt: skip
    return _cleaned({**record, "sources": dossier.sources.record()})


def _targets(dossier: Dossier) -> list[dict[str, Any]]:
    """Each target with the value on which the ranking rests."""
    found = []
    for name in dossier.view.properties:
        known, (low, high) = property_named(name), dossier.view.ranges[name]
        own = [value for value in dossier.stages if value.property == name]
        key = own[-1].source if own else "run"
        columns = {
            "value": known.column("pred"), "low_90": known.column("lo"), "high_90": known.column("hi"),
            "low_90_given_selection": known.column("selected_lo"),
            "high_90_given_selection": known.column("selected_hi"),
        }  # fmt: skip
        read = {end: _number(dossier.batch, column, dossier.row) for end, column in columns.items()}
        found.append(
            {
                "property": name, "unit": known.unit, "source": key, "wanted_from": low, "wanted_to": high, **read,
                "probability": _number(dossier.batch, probability_of(name), dossier.row),
            }
        )  # fmt: skip
    return found


def _chemistry(batch: CandidateBatch, row: int) -> dict[str, Any]:
    there = [name for name in CHEMISTRY_COLUMNS if name in batch.table.column_names]
    return {str(name): batch.table[name][row].as_py() for name in there}


def _stability(dossier: Dossier) -> dict[str, Any]:
    """Distances from hulls, the relaxation, and what the hull knows, each with its source."""
    found: dict[str, Any] = {}
    for column in (*_HULLS, *_RELAXATION):
        value = _number(dossier.batch, column, dossier.row)
        by = "second_potential" if column == Column.HULL_DISTANCE_SECOND else "potential"
        found[str(column)] = traced(value, column.unit, by)
    for column in _COVERAGE:
        found[str(column)] = traced(_number(dossier.batch, column, dossier.row), column.unit, "hull")
    return {name: value for name, value in found.items() if value is not None}


def _number(batch: CandidateBatch, column: str, row: int) -> float | None:
    value = float(numbers(batch, column)[row])
    return value if np.isfinite(value) else None


def _sourced(record: Mapping[str, Any] | None, source: str) -> dict[str, Any] | None:
    return None if record is None else {"source": source, **record}


def _cleaned(content: Any) -> Any:
    """Plain JSON values: no nan, no text with characters that deceive."""
    if isinstance(content, str):
        return plain(content)
    if isinstance(content, Mapping):
        return {plain(str(name)): _cleaned(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_cleaned(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content


def wanted_back(dossier: Dossier) -> Sequence[str]:
    """Properties that the result sheet asks for: the targets that can be measured, in the campaign's order."""
    return [name for name in dossier.view.properties if name in catalogue() and name not in ENERGIES]
