"""The jobs of each stage: what a partition is given, what is done with it, the key of all that decides the result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest, key_of
from matloop.workflows.running.candidate_parts import CandidatePart
from matloop.workflows.running.competitors import COMPETITORS
from matloop.workflows.running.engine import Job
from matloop.workflows.running.identity import code_key
from matloop.workflows.running.insulator_training import INSULATORS
from matloop.workflows.running.reference_phases import REFERENCES, SECOND_REFERENCES
from matloop.workflows.stages.potential import STAGE as POTENTIAL_STAGE
from matloop.workflows.stages.potential import relax_partition, source_of
from matloop.workflows.stages.scoring import ScoringTask, lost_partition, score_partition
from matloop.workflows.stages.stability import STAGE as STABILITY_STAGE
from matloop.workflows.stages.stability import judge_together

CRYSTAL_PARTITION_ROWS = 500
RELAXATION_PARTITION_ROWS = 6
"""Relaxations take seconds each: small partitions keep all workers busy to the end."""


def scoring_jobs(task: ScoringTask, manifest: Manifest, parts: Iterable[CandidatePart]) -> Iterator[Job]:
    """First stage: every candidate, from the files they were written to."""
    work, lost = partial(score_partition, task), partial(lost_partition, task)
    stage = _stage_key(task, manifest)
    for part in parts:
        yield Job(task.stage, part.index, key_of(stage=stage, given=part.key), work, lost, part.path, part.rows)


def crystal_jobs(task: ScoringTask, manifest: Manifest, survivors: CandidateBatch) -> Iterator[Job]:
    """Second stage: the survivors again, by features of their crystals."""
    work, lost = partial(score_partition, task), partial(lost_partition, task)
    stage = _stage_key(task, manifest)
    for index, part in enumerate(survivors.slices(CRYSTAL_PARTITION_ROWS)):
        yield Job(task.stage, index, _key_given(stage, index, part), work, lost, Intake(part, []), len(part))


def relaxation_jobs(task: ScoringTask, manifest: Manifest, survivors: CandidateBatch) -> Iterator[Job]:
    """Third stage: the survivors relaxed, large crystals first: a long one that starts last delays the end."""
    lost = partial(lost_partition, replace(task, stage=POTENTIAL_STAGE))
    sizes = np.zeros(len(survivors)) if survivors.crystals is None else survivors.crystals.site_counts
    ordered = survivors.take(np.argsort(-sizes, kind="stable"))
    stage = _potential_key(task, manifest)
    for index, part in enumerate(ordered.slices(RELAXATION_PARTITION_ROWS)):
        key = _key_given(stage, index, part)
        yield Job(POTENTIAL_STAGE, index, key, partial(relax_partition, task), lost, Intake(part, []), len(part))


def joint_jobs(task: ScoringTask, manifest: Manifest, survivors: CandidateBatch) -> Iterator[Job]:
    """Fourth stage: all relaxed candidates in one part, because each competes with all others."""
    competitors = [line["files"] for line in manifest.of_kind(COMPETITORS)[-1:]]
    stage = key_of(stage=STABILITY_STAGE, relaxed=_potential_key(task, manifest), competitors=competitors)
    key, path = _key_given(stage, 0, survivors), competitors_file(task, manifest)
    lost = partial(lost_partition, replace(task, stage=STABILITY_STAGE))
    work, given = partial(judge_together, task, competitors=path), Intake(survivors, [])
    yield Job(STABILITY_STAGE, 0, key, work, lost, given, len(survivors), divisible=False)


def competitors_file(task: ScoringTask, manifest: Manifest) -> Path | None:
    """File with energies of competing phases that were relaxed for the run; None where there are none."""
    return RunDirectory(task.folder).competitors if manifest.of_kind(COMPETITORS) else None


def _potential_key(task: ScoringTask, manifest: Manifest) -> str:
    """Of all that decides what the potential makes of a candidate."""
    references = [line["files"] for kind in (REFERENCES, SECOND_REFERENCES) for line in manifest.of_kind(kind)[-1:]]
    assert task.campaign.potential is not None
    potential = task.campaign.potential.model_dump(mode="json")
    second = task.campaign.potential.second_stage
    sources = [source_of(task.campaign.potential), *([] if second is None else [source_of(second)])]
    return key_of(scored=_stage_key(task, manifest), potential=potential, energies=sources, references=references)


def _stage_key(task: ScoringTask, manifest: Manifest) -> str:
    """Of all that decides what a scoring stage makes of a candidate."""
    campaign = task.campaign.model_dump(mode="json")
    models = {line["property"]: line["files"] for line in manifest.of_kind("model") if line["stage"] == task.stage}
    ranges = {name: list(map(repr, ends)) for name, ends in task.ranges.items()}  # infinities are no JSON
    models[INSULATORS] = [line["files"] for line in manifest.of_kind(INSULATORS)[-1:]]
    return key_of(
        code=code_key(task.campaign), stage=task.stage, settings=campaign[task.stage], filters=campaign["filters"],
        explore=task.campaign.shortlist.explore, criterion=task.criterion.name, ranges=ranges, models=models,
    )  # fmt: skip


def _key_given(stage: str, index: int, part: CandidateBatch) -> str:
    """With the number: the files of a fork have the names they had, and a part that moved would take another's."""
    sink = pa.BufferOutputStream()
    table = part.to_arrow().combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return key_of(stage=stage, index=index, given=hashlib.sha256(sink.getvalue()).hexdigest())
