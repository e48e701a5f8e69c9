"""Lattice vibrations of the finalists, where a campaign asks for them: a warning on their cards, and never a filter."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import pyarrow as pa

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.properties.columns import PHONON_COLUMNS, Column
from matloop.data.runs.manifest import key_of
from matloop.models.potentials.guarded_phonons import phonons_guarded
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.deciding.shortlisting import shortlisted
from matloop.workflows.running.engine import Engine, Job
from matloop.workflows.running.identity import potential_key
from matloop.workflows.stages.potential import source_of
from matloop.workflows.stages.scoring import StageTables

PHONONS = "phonons"
"""Name of the partitions, one for each finalist."""


def with_phonons(engine: Engine, stage: PotentialStage, ranked: CandidateBatch) -> CandidateBatch:
    """Add what the vibrations of the finalists say; other rows have nulls.

    Each finalist is a partition of its own: a run that goes on does not compute it again.

    Args:
        engine: Of the run.
        stage: Names the potential that relaxed them.
        ranked: Candidates with the column ``shortlisted``.
    """
    finalists = shortlisted(ranked)
    if not len(finalists):
        return ranked
    engine.finish("vibrations of finalists", len(finalists), [_job(stage, finalists, k) for k in range(len(finalists))])
    tables = [
        read_table(engine.run.partition(PHONONS, index), inside=engine.run.folder) for index in range(len(finalists))
    ]
    found = pa.concat_tables(tables)
    place = {name: row for row, name in enumerate(found[Column.CANDIDATE_ID].to_pylist())}
    rows = pa.array([place.get(name) for name in ranked.ids], pa.int64())
    return ranked.with_columns({name: found[name].combine_chunks().take(rows) for name in PHONON_COLUMNS})


def find_phonons(stage: PotentialStage, intake: Intake) -> StageTables:
    """What a worker does: the vibrations of candidates by the potential that relaxed them."""
    found = phonons_guarded(stage.name, intake.batch, parameters=stage.parameters)
    return _told(found.table)


def lost_phonons(intake: Intake) -> StageTables:
    """What becomes of candidates that end every worker process that handles them: they have no frequencies."""
    count = len(intake.batch)
    lost: dict[str, Any] = {name: [""] * count for name in PHONON_COLUMNS if name.type == "text"}
    lost |= {
        Column.PHONON_CODE: ["E-POTENTIAL-CRASH"] * count,
        Column.PHONON_LOWEST: pa.nulls(count, pa.float64()), Column.PHONON_IMAGINARY: pa.nulls(count, pa.bool_()),
    }  # fmt: skip
    return _told(intake.batch.with_columns(lost).table)


def _told(table: pa.Table) -> StageTables:
    told = table.select([Column.CANDIDATE_ID, *PHONON_COLUMNS])
    return StageTables(told, told.slice(0, 0))


def _job(stage: PotentialStage, finalists: CandidateBatch, index: int) -> Job:
    """The vibrations of one finalist; their key says which crystal by which potential."""
    part = finalists.take([index])
    columns: dict[str, Any] = {Column.CANDIDATE_ID: part.table[Column.CANDIDATE_ID]}
    bare = CandidateBatch(pa.table({**columns, Column.FORMULA: part.table[Column.FORMULA]}), part.blocks)
    cell, species, places = bare.cell(0)
    crystal = hashlib.sha256(b"".join(array.tobytes() for array in (cell, species, places))).hexdigest()
    key = key_of(
        phonons=bare.ids, index=index, crystal=crystal, energies=source_of(stage), potential=potential_key(stage)
    )
    return Job(PHONONS, index, key, partial(find_phonons, stage), lost_phonons, Intake(bare, []), 1)
