"""``matloop why``: the whole story of one candidate in a run, put together from what every stage wrote down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.equal_crystals import crystal_groups
from matloop.data.errors import ROW_CODES, RunError
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import RELAXATION_COLUMNS, Column, Suffix, probability_of
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.workflows.deciding.shortlisting import EQUAL, MOST_COMPARED
from matloop.workflows.inspecting.run_rows import WAITING, Row, RunRows
from matloop.workflows.stages.outcomes import DUPLICATE, FIRST_STAGE, REJECTED, SCORED, SHORTLISTED
from matloop.workflows.stages.potential import STAGE as POTENTIAL_STAGE

_FURTHER = (
    Column.HULL_DISTANCE,
    Column.HULL_PRODUCTS,
    Column.HULL_REFERENCE_PHASES,
    Column.PROBABILITY_BEFORE_RELAXING,
)

Told = dict[str, Any]


def story_of(folder: Path, text: str) -> Told:
    """What became of a candidate and why, as plain JSON values.

    Args:
        folder: The run directory; the run need not be complete.
        text: An id, its first characters, a formula, or the user's own id.

    Returns:
        Either ``matches``, the candidates that are meant by ``text`` if there are several; or ``candidate_id``,
        ``formula``, ``outcome`` (``outcome``, ``stage``, ``reason``, ``meaning``), ``came_from``, ``crystal``,
        ``stages`` (each with predictions, and the cut that decided what went on), ``equal_to``, ``ranking`` and
        ``standing`` (what would put it out, or in). ``problems`` names files that could not be read.

    Raises:
        RunError: If there is no run in the folder, or no such candidate in the run.
        CampaignError: If the campaign in the run directory cannot be read.
    """
    run = RunDirectory(folder)
    path = folder / "campaign.yaml"
    if not path.is_file():
        raise RunError(f"no run in {folder}", "a folder that matloop screen wrote", "look at the path")
    rows = RunRows(run)
    found = rows.matching(text)
    if not found:
        damaged = f" ({len(rows.problems)} files could not be read)" if rows.problems else ""
        raise RunError(
            f"no candidate '{text}' in {folder}{damaged}", "an id, its first 6 characters, or a formula",
            "the ids are in column candidate_id of the run's Parquet files",
        )  # fmt: skip
    if len({row.candidate_id for row in found}) > 1:
        matches = {row.candidate_id: row._asdict() for row in found if row.reason != DUPLICATE}
        return {"matches": list(matches.values()), "problems": rows.problems}
    return _Story(rows, read_campaign(path), found).told()


@dataclass
class _Story:
    """Puts the story of one candidate together.

    Attributes:
        rows: The files of the run.
        campaign: The campaign.
        found: Every input row of the candidate.
    """

    rows: RunRows
    campaign: Campaign
    found: list[Row]

    def told(self) -> Told:
        own = next((row for row in self.found if row.reason != DUPLICATE), self.found[0])
        candidate = self.rows.of_candidate([self.rows.run.candidate_part(own.partition)], own.candidate_id)
        outcome, stages, equal = self._course(own)
        explained = self._explained(own.candidate_id)
        return {
            "candidate_id": own.candidate_id,
            "formula": own.formula,
            "outcome": {**outcome, "meaning": ROW_CODES.get(outcome["reason"], "")},
            "came_from": self._came_from(own, candidate),
            "crystal": None if candidate is None else _crystal(CandidateBatch.from_arrow(candidate)),
            "stages": stages,
            "equal_to": equal,
            "ranking": self._ranking(own.candidate_id),
            "standing": explained,
            "problems": self.rows.problems,
        }

    def _came_from(self, own: Row, candidate: pa.Table | None) -> Told:
        names = [entry.name for entry in self.campaign.sources]
        repeats = [row.detail or row.origin for row in self.found if row.reason == DUPLICATE]
        columns = {} if candidate is None else candidate.slice(0, 1).to_pylist()[0]
        return {
            "origin": own.origin,
            "parent_id": columns.get(Column.PARENT_ID),
            "known": columns.get(Column.KNOWN),
            "sources": list(dict.fromkeys(names)),
            "partition": own.partition,
            "repeated_by": repeats,
        }

    def _course(self, own: Row) -> tuple[Told, list[Told], Told | None]:
        """Outcome, what each stage said, and the equal candidate it was merged with."""
        stages: list[Told] = []
        if own.outcome == WAITING:
            reason = own.reason or "its partition is not finished"
            return _outcome(WAITING, FIRST_STAGE, reason), stages, None
        names = [*self.campaign.scoring_stages, *([POTENTIAL_STAGE] if self.campaign.potential else [])]
        for stage in names:
            paths = self.rows.parts(stage)
            paths = (
                [path for path in paths if path.stem == f"part-{own.partition:05d}"] if stage == FIRST_STAGE else paths
            )
            table = self.rows.of_candidate(paths, own.candidate_id)
            if table is None:
                return _outcome(WAITING, stage, "its partition is not finished"), stages, None
            (values,) = table.to_pylist()
            told = _stage(stage, values)
            stages.append(told)
            if told["outcome"] != SCORED:
                return _outcome(told["outcome"], told["part"], told["reason"]), stages, None
            if not self._is_finished(stage, names):
                return (
                    _outcome(WAITING, stage, "what goes on is decided when all partitions are finished"),
                    stages,
                    None,
                )
            if stage in self.campaign.scoring_stages:
                keep = self.campaign.scoring_stages[stage].keep
                standing = self.rows.standing(stage, own.candidate_id, keep=keep)
                told |= {"keep": keep, "kept": standing.kept, "cut": standing.cut}
                if not standing.kept:
                    return _outcome(REJECTED, told["part"], f"below the {keep:,} most probable"), stages, None
            equal = self._equal(stage, own, least=told.get("cut")) if stage in (FIRST_STAGE, POTENTIAL_STAGE) else None
            if equal is not None:
                return _outcome(REJECTED, told["part"], EQUAL), stages, equal
        return self._end(own), stages, None

    def _is_finished(self, stage: str, names: list[str]) -> bool:
        """Whether all partitions of a stage are: the next one has begun, or all candidates are in."""
        later = names[names.index(stage) + 1 :]
        if self.rows.run.ranked.is_file() or any(self.rows.parts(name) for name in later):
            return True
        if stage != FIRST_STAGE:
            return False
        manifest = Manifest(self.rows.run.folder)
        ends = manifest.of_kind("candidates_end")
        return bool(ends) and len(manifest.partitions(stage)) == ends[-1]["partitions"]

    def _equal(self, stage: str, own: Row, *, least: float | None) -> Told | None:
        """The more probable candidate that is the same crystal, found as when the ranked were merged."""
        batch = self.rows.best_of_formula(stage, own.formula, least=least)
        if batch is None or own.candidate_id not in batch.ids[:MOST_COMPARED]:
            return None
        batch = batch.take(np.arange(min(len(batch), MOST_COMPARED)))
        at = batch.ids.index(own.candidate_id)
        for members in crystal_groups(batch).members:
            first = int(np.min(members))
            if at in members and first != at:
                probability = float(batch.column(Column.PROBABILITY)[first])
                return {"candidate_id": batch.ids[first], "probability": probability, "stage": stage}
        return None

    def _end(self, own: Row) -> Told:
        ranking = self._ranking(own.candidate_id)
        if ranking is None:
            return _outcome(WAITING, "shortlist", "the ranked candidates are not written yet")
        if ranking["place"]:
            return _outcome(SHORTLISTED, "shortlist", "")
        limit = self.campaign.shortlist.max_false_discovery
        if limit is not None and not (ranking["expected_misses"] or math.inf) <= limit:
            return _outcome(REJECTED, "shortlist", f"expected share of misses above {limit:g}")
        return _outcome(REJECTED, "shortlist", "ranked, not chosen")

    def _ranking(self, candidate_id: str) -> Told | None:
        path = self.rows.run.ranked
        table = self.rows.of_candidate([path], candidate_id) if path.is_file() else None
        if table is None:
            return None
        (values,) = table.to_pylist()
        return {
            "rank": values[Column.RANK],
            "of": pq.read_metadata(path).num_rows,
            "place": values[Column.SHORTLISTED],
            "shortlist_size": self.campaign.shortlist.size,
            "probability": values[Column.PROBABILITY],
            "expected_misses": _number(values.get(Column.EXPECTED_MISSES)),
            "predictions": _predictions(values, low="selected_lo", high="selected_hi"),
        }

    def _explained(self, candidate_id: str) -> Told | None:
        """What would put a shortlisted candidate out, or a near miss in."""
        path = self.rows.run.explanations
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            told = [*content["finalists"], *content["near_misses"]]
            (own,) = [entry for entry in told if entry["candidate_id"] == candidate_id] or [None]
            return own and {name: own.get(name) for name in ("needed", "margins", "filters")}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            damage = RunError(f"{path.name} cannot be read: {error!r}", "the file as the run wrote it")
            self.rows.problems.append(str(damage))
            return None


def _outcome(outcome: str, stage: str, reason: str) -> Told:
    return {"outcome": outcome, "stage": stage, "reason": reason}


def _stage(stage: str, values: Mapping[str, Any]) -> Told:
    """What a stage wrote down about a candidate."""
    told: Told = {
        "stage": stage, "outcome": values[Column.OUTCOME], "part": values[Column.STAGE],
        "reason": values[Column.REASON],
        "meaning": ROW_CODES.get(values[Column.REASON], ""), "detail": values[Column.DETAIL],
        "probability": _number(values.get(Column.PROBABILITY)), "in_domain": None, "predictions": _predictions(values),
    }  # fmt: skip
    if values.get(Column.IN_DOMAIN) is not None:
        told["in_domain"] = bool(values[Column.IN_DOMAIN])
    further = {name: values[name] for name in values if name in RELAXATION_COLUMNS or name in _FURTHER}
    told["further"] = {name: _number(value) for name, value in further.items() if _number(value) is not None}
    return told


def _predictions(values: Mapping[str, Any], *, low: Suffix = "lo", high: Suffix = "hi") -> list[Told]:
    """Predicted properties with 90 % intervals and the probability of meeting the target."""
    told = []
    for known in catalogue().values():
        chance = _number(values.get(probability_of(known.name)))
        value = _number(values.get(known.column("pred")))
        if value is None and chance is None:
            continue
        ends = [_number(values.get(known.column(end))) for end in (low, high)]
        told.append(
            {
                "property": known.name,
                "unit": known.unit,
                "value": value,
                "low": ends[0],
                "high": ends[1],
                "probability": chance,
            }
        )
    return told


def _number(value: Any) -> Any:
    """A value as JSON has it: no nan."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _crystal(candidate: CandidateBatch) -> Told | None:
    """Cell of a candidate: lengths in Å, angles in degrees, volume in Å3 per atom."""
    if candidate.crystals is None or not candidate.has_crystal[0]:
        return None
    lattice = candidate.crystals.lattice[0]
    lengths = np.linalg.norm(lattice, axis=1)
    cosines = [lattice[i] @ lattice[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    sites = int(candidate.crystals.site_counts[0])
    group = (
        candidate.table[Column.SPACE_GROUP_NUMBER][0].as_py()
        if Column.SPACE_GROUP_NUMBER in candidate.table.column_names
        else None
    )
    return {
        "space_group_number": group, "sites": sites,
        "lengths": [round(float(length), 4) for length in lengths],
        "angles": [round(math.degrees(math.acos(min(1.0, max(-1.0, cosine)))), 2) for cosine in cosines],
        "volume_per_atom": round(float(candidate.crystals.volumes[0]) / sites, 3),
    }  # fmt: skip
