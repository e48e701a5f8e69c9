"""``matloop why``: the whole story of one candidate in a run, from the files of every stage."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.candidates.reasons import BELOW_CUT, EQUAL_CRYSTAL, REPEATED
from matloop.data.errors import DamagedFileError, RunError
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import (
    CHEMISTRY_COLUMNS,
    PHONON_COLUMNS,
    RELAXATION_COLUMNS,
    Column,
    Suffix,
    probability_of,
)
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.flags.flag_words import flag_words
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.deciding.shortlisting import STAGE as SHORTLIST
from matloop.workflows.inspecting.run_rows import TOLD, WAITING, Row, RunRows
from matloop.workflows.stages.fates import BELOW, FIRST_STAGE, SCORED
from matloop.workflows.stages.stage_names import partitioned_stages
from matloop.workflows.wording import reason_text

_FURTHER = (
    Column.SPACE_GROUP_BEFORE_RATTLE,
    *PHONON_COLUMNS,
    *(key for key in Column if key.name.startswith("HULL_")),
    Column.SECOND_ENERGY,
    Column.FORMATION_CORRECTION,
    Column.PROBABILITY_BEFORE_RELAXING,
    Column.PROBABILITY_MAKEABLE,
)

_OF_RANKING = (Column.RANK, Column.SHORTLISTED, Column.PROBABILITY)

Told = dict[str, Any]


@in_catalogue_of_run
def story_of(run: str | Path | RunView, text: str) -> Told:
    """Tell what became of a candidate and why, as plain JSON values.

    Args:
        run: The run directory, or a view of it; the run need not be complete.
        text: An id, its first characters, a formula, or the user's own id.

    Returns:
        Either ``matches``, the candidates that are meant by ``text`` if there are several; or ``candidate_id``,
        ``formula``, ``outcome`` (``outcome``, ``stage``, ``code``, ``value``, ``limit``, ``source``, ``meaning``),
        ``came_from``, ``crystal``, ``stages`` (each with predictions, and the cut that decided what went on),
        ``equal_to``, ``ranking`` and ``standing`` (what would put it out, or in). ``problems`` names files that could
        not be read.

    Raises:
        RunError: If there is no run in the folder, or no such candidate in the run.
        CampaignError: If the campaign in the run directory cannot be read.
    """
    view = run if isinstance(run, RunView) else RunView(run)
    view.require()
    campaign, rows = view.campaign, RunRows(view)
    if os.path.lexists(view.paths.identity) and (lost := view.manifest.lost_beginning):
        rows.problems.append(
            str(DamagedFileError(lost, "the file as the run wrote it", f"matloop resume {view.folder}"))
        )
    found = rows.matching(text)
    if not found:
        if rows.problems:
            raise DamagedFileError(
                f"'{text}' is in no file that can be read; {counted(len(rows.problems), 'file')} of the run cannot: "
                f"{rows.problems[0]}", "", f"matloop resume {view.folder} makes again what can be made again",
            )  # fmt: skip
        raise RunError(
            f"no candidate '{text}' in {view.folder}", "an id, its first 6 characters, or a formula",
            "the ids are in column candidate_id of the run's Parquet files",
        )  # fmt: skip
    if found and all(row.code == REPEATED for row in found) and len({row.candidate_id for row in found}) == 1:
        found = rows.matching(found[0].candidate_id)  # with the row that stands for it
    matches = _several(found)
    if len(matches) > 1:
        return {"matches": [row._asdict() for row in matches], "problems": rows.problems}
    return _Story(rows, campaign, found).told()


def _several(found: list[Row]) -> list[Row]:
    """The rows that a text may mean: one for each candidate, and every refused row that is not a candidate."""
    candidates = {row.candidate_id: row for row in reversed(found) if row.code != REPEATED}
    further = {row.candidate_id: row for row in found if row.candidate_id not in candidates}
    refused = {
        (row.candidate_id, row.detail): row for row in found if row.code != REPEATED and not row.origin and row.detail
    }
    own = {(row.candidate_id, ""): row for row in [*candidates.values(), *further.values()]}
    told = {row.candidate_id for row in refused.values()}
    chosen = {**{key: row for key, row in own.items() if key[0] not in told}, **refused}
    order = {id(row): place for place, row in enumerate(found)}
    return sorted(chosen.values(), key=lambda row: order[id(row)])


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
        own = next((row for row in self.found if row.code != REPEATED), self.found[0])
        candidate = self.rows.of_candidate([self.rows.view.paths.candidate_part(own.partition)], own.candidate_id)
        outcome, stages, equal = self._course(own)
        explained = self._explained(own.candidate_id)
        return {
            "candidate_id": own.candidate_id,
            "formula": own.formula,
            "outcome": outcome,
            "came_from": self._came_from(own, candidate),
            "crystal": None if candidate is None else _crystal(checked_batch(candidate, name="candidates")),
            "stages": stages,
            "equal_to": equal,
            "ranking": self._ranking(own.candidate_id),
            "standing": explained,
            "problems": self.rows.problems,
        }

    def _came_from(self, own: Row, candidate: pa.Table | None) -> Told:
        names = [entry.name for entry in self.campaign.sources]
        repeats = [row.detail or row.origin for row in self.found if row.code == REPEATED]
        own_list = self.rows.view.own_list
        columns = {} if candidate is None else candidate.slice(0, 1).to_pylist()[0]
        return {
            "origin": own.origin,
            "parent_id": columns.get(Column.PARENT_ID),
            "known": columns.get(Column.KNOWN),
            Column.KNOWN_TO: columns.get(Column.KNOWN_TO),
            "own_list": None if own_list is None else own_list._asdict(),
            "sources": list(dict.fromkeys(names)),
            "partition": own.partition,
            "repeated_by": repeats,
        }

    def _course(self, own: Row) -> tuple[Told, list[Told], Told | None]:
        """Outcome, what each stage said, and the equal candidate it was merged with."""
        stages: list[Told] = []
        if own.outcome == WAITING:
            return self._open(FIRST_STAGE, "its partition is not finished", code=own.code), stages, None
        merged = self.rows.merged_fate(own.candidate_id)
        cuts = {line[Column.STAGE]: line["least"] for line in self._merges(BELOW)}
        for stage in partitioned_stages(self.campaign):
            paths = self.rows.parts(stage)
            if stage == FIRST_STAGE:
                paths = [path for path in paths if path.stem == f"part-{own.partition:05d}"]
            table = self.rows.of_candidate(paths, own.candidate_id, needed=TOLD)
            if table is None:
                return self._open(stage, "its partition is not finished"), stages, None
            (values,) = table.to_pylist()
            stages.append(_stage(stage, values))
            fate = merged.columns if merged is not None and merged.stage == stage else None
            if values[Column.OUTCOME] != SCORED:
                fate = values
            below = fate is not None and fate[Column.CODE] == BELOW_CUT
            if stage in self.campaign.scoring_stages and stage in cuts and (below or values[Column.OUTCOME] == SCORED):
                keep = self.campaign.scoring_stages[stage].keep
                stages[-1] |= {"keep": keep, "kept": not below, "cut": cuts[stage]}
            if fate is not None:
                return _outcome(fate), stages, self._equal(stage, fate)
            if stage not in cuts:
                return self._open(stage, "what goes on is decided when all partitions are finished"), stages, None
        if merged is not None:
            return _outcome(merged.columns), stages, None
        return self._open(SHORTLIST, "the ranked candidates are not written yet"), stages, None

    def _open(self, stage: str, meaning: str, *, code: str = "") -> Told:
        """In place of a fate that is not decided yet, or stands in a file that cannot be read."""
        if self.rows.problems:
            meaning = "not known: a file of the run that may tell it is damaged"
        return _waiting(stage, meaning, code=code)

    def _merges(self, name: str) -> list[dict[str, Any]]:
        """Return the manifest lines of the merges of a name."""
        return [line for line in self.rows.view.manifest.of_kind("fates") if line["merge"] == name]

    def _equal(self, stage: str, fate: Mapping[str, str]) -> Told | None:
        """The candidate that stands for this one too, where they are the same crystal."""
        if fate[Column.CODE] != EQUAL_CRYSTAL:
            return None
        first = fate[Column.SOURCE]
        return {"candidate_id": first, "probability": self.rows.probability_of(stage, first), "stage": stage}

    def _ranking(self, candidate_id: str) -> Told | None:
        path = self.rows.view.paths.ranked
        table = self.rows.of_candidate([path], candidate_id, needed=_OF_RANKING) if path.is_file() else None
        if table is None:
            return None
        (values,) = table.to_pylist()
        return {
            "rank": values[Column.RANK],
            "of": self.rows.view.rows(path),
            "place": values[Column.SHORTLISTED],
            "shortlist_size": self.campaign.shortlist.size,
            "probability": values[Column.PROBABILITY],
            "criterion": self.campaign.ranking.criterion,
            "score": _number(values.get(Column.TRADEOFF_SCORE)),
            "front": _number(values.get(Column.PARETO_FRONT)),
            "expected_misses": _number(values.get(Column.EXPECTED_MISSES)),
            "chemistry": {str(name): _number(values[name]) for name in CHEMISTRY_COLUMNS if name in values},
            "flags": [words.words.en for words in flag_words(values.get(Column.FLAGS), values)],
            "predictions": _predictions(values, low="selected_lo", high="selected_hi"),
        }

    def _explained(self, candidate_id: str) -> Told | None:
        """What would put a shortlisted candidate out, or a near miss in."""
        if self.rows.is_damaged(self.rows.view.paths.explanations):
            return None
        try:
            told = self.rows.view.near_misses | self.rows.view.explanations
        except DamagedFileError as error:
            self.rows.problems.append(str(error))
            return None
        own = told.get(candidate_id)
        told_of = ("needed", Column.RANKING_SCORE, "ranking_score_needed", "margins", "filters")
        return own and {name: own.get(name) for name in told_of}


def _outcome(fate: Mapping[str, Any]) -> Told:
    """Return a fate in the form of the story."""
    told = {"outcome": fate[Column.OUTCOME], "stage": fate[Column.STAGE], "code": fate[Column.CODE]}
    told |= {"value": fate[Column.VALUE], "limit": fate[Column.LIMIT], "source": fate[Column.SOURCE]}
    return {**told, "meaning": reason_text(told["code"], told["value"], told["limit"])}


def _waiting(stage: str, meaning: str, *, code: str = "") -> Told:
    """Return the text for a fate that is not decided yet."""
    told = {"outcome": WAITING, "stage": stage, "code": code, "value": "", "limit": "", "source": ""}
    return {**told, "meaning": reason_text(code) if code else meaning}


def _stage(stage: str, values: Mapping[str, Any]) -> Told:
    """Return what a stage wrote about a candidate."""
    code, value, limit = (values[name] for name in (Column.CODE, Column.VALUE, Column.LIMIT))
    told: Told = {
        "stage": stage, "outcome": values[Column.OUTCOME], "part": values[Column.STAGE], "code": code,
        "meaning": reason_text(code, value, limit) if code else "", "detail": values[Column.DETAIL],
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
                "computed": _number(values.get(known.column("computed"))),
            }
        )
    return told


def _number(value: Any) -> Any:
    """Convert a value for JSON, which has no nan."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _crystal(candidate: CandidateBatch) -> Told | None:
    """Return the cell of a candidate: lengths in Å, angles in degrees, volume in Å3 per atom."""
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
