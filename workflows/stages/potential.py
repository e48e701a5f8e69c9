"""What workers do in the potential stage: relax survivors, and score what they relaxed into by the surrogates."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.formula import parse_formulas
from matloop.data.candidates.reasons import EXPLODED, Reason
from matloop.data.packaged.reference_energies import REFERENCE_FILES
from matloop.data.properties.columns import RELAXATION_COLUMNS, Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import sha256_of
from matloop.data.training.packaged_tables import packaged_crystals
from matloop.featurizers.crystal import space_group_numbers
from matloop.models.potentials.contract import corrected_elements, device_of, energy_source, shared_potential
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.rattling import rattle_and_relax
from matloop.models.potentials.relaxed_crystal import Outcome, RelaxationLimits
from matloop.models.stability.formation_energies import FormationEnergyFit
from matloop.models.stability.hull import PhaseEnergies, packaged_references
from matloop.models.stability.packaged_stability import database_formation_energies, learn_stability
from matloop.models.stability.stability import Stability
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.stages.fates import QUARANTINED, REJECTED, Fates
from matloop.workflows.stages.scoring import (
    ScoringTask,
    StageTables,
    best_rows,
    features_of,
    joint_probability_of,
    judge,
    predict,
    with_composition,
)

STAGE = "potential"
BY_POTENTIAL = ("energy_above_hull", "formation_energy_per_atom")
"""Properties that are judged by the energy of the relaxed crystal, where a campaign has a potential."""


def relax_partition(task: ScoringTask, intake: Intake) -> StageTables:
    """Relax one partition; all rows that can be ranked go on.

    Targets that the potential does not judge come from the surrogates of the last scoring stage, for the relaxed
    crystal. Stability is judged when all candidates are relaxed, because they compete with each other
    (:func:`matloop.workflows.stages.stability.judge_together`).

    Args:
        task: The campaign, with the name of the last scoring stage.
        intake: Survivors of that stage.
    """
    settings = task.campaign.potential
    assert settings is not None
    batch = intake.batch
    fates = Fates(len(batch), STAGE)
    rows = np.arange(len(batch))
    if batch.crystals is None:
        fates.end(rows, QUARANTINED, STAGE, "E-POTENTIAL-CRYSTAL")
        return StageTables(fates.table(batch, rows, {}), batch.take([]).to_arrow())
    limits = RelaxationLimits(largest_force=settings.largest_force, steps=settings.steps, seconds=settings.seconds)
    relaxed = _relaxed(batch, settings, limits)
    fates.end(rows, QUARANTINED, STAGE, relaxed.column(Column.RELAXATION_CODE))
    ends = relaxed.column(Column.RELAXATION_OUTCOME)
    fates.end(rows[ends == Outcome.EXPLODED], REJECTED, STAGE, Reason(EXPLODED, source=settings.name))
    # What time cut short would end elsewhere on another machine: its energy must not decide a rank.
    cut_short = (ends == Outcome.NOT_CONVERGED) & (relaxed.column(Column.RELAXATION_STEPS) < settings.steps)
    fates.end(rows[cut_short], QUARANTINED, STAGE, "E-POTENTIAL-TIMEOUT")
    fates.explain(rows, dict(enumerate(relaxed.column(Column.RELAXATION_DETAIL))))
    rows = rows[fates.scored(rows)]
    relaxed = _with_space_groups(relaxed)
    survivors = relaxed.take(rows)
    second = settings.second_stage
    by_surrogates = task_of_surrogates(task)
    predictions = predict(by_surrogates, features_of(task, survivors)) if by_surrogates.ranges else {}
    predictions = with_composition(by_surrogates, predictions, survivors)
    columns = judge(by_surrogates, rows, predictions, fates, joint_probability_of(by_surrogates))
    if second is not None:
        columns[Column.SECOND_ENERGY] = energies_by(second, survivors)
    columns[Column.PROBABILITY_BEFORE_RELAXING] = survivors.column(Column.PROBABILITY)
    written = [name for name in RELAXATION_COLUMNS if name != Column.RELAXATION_CODE]
    written.append(Column.SPACE_GROUP_BEFORE_RATTLE)
    told: dict[str, Any] = {name: survivors.table.column(name).combine_chunks() for name in written}
    # How long it took differs from run to run, and what goes on must not.
    relaxed = relaxed.without_columns(Column.RELAXATION_SECONDS)
    best = best_rows(relaxed, rows, columns, fates, criterion=task.criterion, keep=len(rows))
    return StageTables(fates.table(batch, rows, {**columns, **told}), best)


def task_of_surrogates(task: ScoringTask) -> ScoringTask:
    """The task with the targets alone that surrogates judge after relaxing."""
    return replace(task, ranges={name: ends for name, ends in task.ranges.items() if name not in BY_POTENTIAL})


def energies_by(stage: PotentialStage, crystals: CandidateBatch) -> NDArray[np.float64]:
    """Energies of crystals as they are by a potential, each under guard, in eV/atom, nan where there is none."""
    limits = RelaxationLimits(steps=0, seconds=stage.seconds)
    settings = GuardedRelaxationSettings(limits=limits, parameters=stage.parameters)
    found = relax_guarded(stage.name, crystals, settings).column(Column.RELAXATION_ENERGY)
    return np.asarray(found, np.float64)


def evaluate_references(stage: PotentialStage, packaged: bool, intake: Intake) -> StageTables:
    """Energies of reference phases by a potential, each crystal under guard.

    Further references are relaxed as candidates are; packaged ones are evaluated as they are, in cells that density
    functional theory relaxed.

    Args:
        stage: Names the potential.
        packaged: Whether they are the packaged ones.
        intake: Crystals.

    Returns:
        In place of fates the columns ``id``, ``formula``, ``energy_per_atom`` (eV/atom, null where there is none),
        ``code`` (why there is none, or that time cut the relaxation short) and ``packaged``.
    """
    batch = intake.batch
    if batch.crystals is None:
        return _only_table(reference_table(batch, np.full(len(batch), np.nan), "E-POTENTIAL-CRYSTAL", packaged))
    limits = RelaxationLimits(
        largest_force=stage.largest_force, steps=0 if packaged else stage.steps, seconds=stage.seconds
    )
    relaxed = _relaxed(batch, stage, limits)
    codes = relaxed.column(Column.RELAXATION_CODE).astype(object)
    not_converged = relaxed.column(Column.RELAXATION_OUTCOME) == Outcome.NOT_CONVERGED
    codes[not_converged & (relaxed.column(Column.RELAXATION_STEPS) < limits.steps)] = "E-POTENTIAL-TIMEOUT"
    return _only_table(reference_table(batch, relaxed.column(Column.RELAXATION_ENERGY), codes, packaged))


def _relaxed(batch: CandidateBatch, stage: PotentialStage, limits: RelaxationLimits) -> CandidateBatch:
    """Relax crystals, and once more after a small displacement of their atoms.

    Args:
        batch: n crystals.
        stage: Names the potential and the displacement.
        limits: When a relaxation ends; without steps nothing moves.
    """
    settings = GuardedRelaxationSettings(limits=limits, parameters=stage.parameters)
    first = relax_guarded(stage.name, batch, settings)
    relaxed = rattle_and_relax(stage.name, first, settings, displacement=stage.rattle if limits.steps else 0)
    return relaxed.with_columns({Column.SPACE_GROUP_BEFORE_RATTLE: _left_space_groups(first, relaxed)})


def _left_space_groups(first: CandidateBatch, relaxed: CandidateBatch) -> pa.Array:
    """The space groups that crystals left when a displacement let them fall; null where they did not leave theirs."""
    left = np.full(len(relaxed), np.nan)
    rows = np.flatnonzero(relaxed.column(Column.RELAXATION_RATTLE_GAIN) > 0)
    before, after = first.take(rows).crystals, relaxed.take(rows).crystals
    if len(rows) and before is not None and after is not None:
        groups = space_group_numbers(before)
        left[rows] = np.where(groups == space_group_numbers(after), np.nan, groups)
    return pa.array(left, pa.int16(), from_pandas=True)


def lost_references(packaged: bool, intake: Intake) -> StageTables:
    """What becomes of reference phases that end every worker process that handles them: they have no energy."""
    table = reference_table(intake.batch, np.full(len(intake.batch), np.nan), "E-POTENTIAL-CRASH", packaged)
    return _only_table(table)


def _only_table(table: pa.Table) -> StageTables:
    """No reference phase goes on as a candidate."""
    return StageTables(table, table.slice(0, 0))


def reference_table(
    batch: CandidateBatch, energies: NDArray[np.float64], codes: NDArray[Any] | str, packaged: bool
) -> pa.Table:
    """The table that :func:`evaluate_references` describes, one row per reference phase."""
    return pa.table(
        {
            "id": batch.ids, Column.FORMULA: batch.formulas, "energy_per_atom": pa.array(energies, from_pandas=True),
            Column.CODE: np.broadcast_to(np.asarray(codes, object), len(batch)),
            "packaged": np.full(len(batch), packaged),
        }
    )  # fmt: skip


def source_of(stage: PotentialStage) -> str:
    """The name of the energies that the potential of a campaign gives, under its options."""
    return energy_source(shared_potential(stage.name, stage.parameters))


def device_used(stage: PotentialStage) -> str:
    """The device on which the potential of a campaign computes, ``cpu`` or ``cuda``."""
    return device_of(shared_potential(stage.name, stage.parameters))


def references_are_packaged(stage: PotentialStage) -> bool:
    """Whether the package holds energies of the packaged crystals by the potential of a campaign, under its options."""
    if stage.name not in REFERENCE_FILES:
        return False
    return packaged_references(packaged_crystals(), stage.name).source == source_of(stage)


def stability_of(folder: Path, stage: PotentialStage, *, second: bool = False) -> Stability:
    """Learnt once per worker, from labels of the packaged crystals and their energies, packaged or evaluated here.

    Args:
        folder: The run directory.
        stage: Names the potential.
        second: Whether it is the second potential of the campaign.
    """
    run = RunDirectory(folder)
    path = run.second_references if second else run.references
    corrected = corrected_elements(shared_potential(stage.name, stage.parameters))
    return _learnt(path, sha256_of(path) if path.is_file() else "", stage.name, source_of(stage), corrected)


def formation_energy_fit_of(folder: Path, stage: PotentialStage) -> FormationEnergyFit:
    """How formation energies come from the energies of the potential, as :func:`stability_of` learns them.

    Args:
        folder: The run directory.
        stage: Names the potential.
    """
    path = RunDirectory(folder).references
    energies, _ = _reference_energies(path if path.is_file() else None, stage.name, source_of(stage))
    corrected = corrected_elements(shared_potential(stage.name, stage.parameters))
    return FormationEnergyFit.of(energies, database_formation_energies(packaged_crystals()), corrected=corrected)


@functools.lru_cache(maxsize=2)
def _learnt(path: Path, sha256: str, name: str, source: str, corrected: tuple[str, ...]) -> Stability:
    """Kept by the content of the references: those of another run may have the same path."""
    packaged, others = _reference_energies(path if sha256 else None, name, source)
    return learn_stability(packaged, packaged_crystals(), further=others, corrected=corrected)


def _reference_energies(path: Path | None, name: str, source: str) -> tuple[PhaseEnergies, PhaseEnergies | None]:
    """Energies of the packaged crystals, evaluated for the run or packaged too, and of further reference phases.

    Args:
        path: Energies that were evaluated for the run; None if the package has all of them.
        name: Of the potential.
        source: Name of its energies.
    """
    crystals = packaged_crystals()
    if path is None:
        return packaged_references(crystals, name), None
    table = read_table(path, inside=path.parent)
    own = table.filter(table["packaged"])
    further = table.filter(pc.invert(table["packaged"]))
    packaged = phases_of(own, source) if own.num_rows else packaged_references(crystals, name)
    return packaged, phases_of(further, source) if further.num_rows else None


def phases_of(table: pa.Table, source: str) -> PhaseEnergies:
    """Phases and energies from a table that :func:`evaluate_references` describes."""
    compositions, _ = parse_formulas(table[Column.FORMULA].to_pylist(), exact=True)
    return PhaseEnergies(source, compositions, table["energy_per_atom"].to_numpy(), table["id"].to_pylist())


def energies_of(relaxed: CandidateBatch, stage: PotentialStage) -> PhaseEnergies:
    """Energies of relaxed candidates under the name of their source."""
    energies = relaxed.column(Column.RELAXATION_ENERGY)
    return PhaseEnergies(source_of(stage), relaxed.compositions, energies, relaxed.ids)


def _with_space_groups(relaxed: CandidateBatch) -> CandidateBatch:
    """Relaxing may have changed a candidate's space group; where none is found the earlier one stays."""
    assert relaxed.crystals is not None
    found = space_group_numbers(relaxed.crystals)
    if Column.SPACE_GROUP_NUMBER in relaxed.table.column_names:
        found = np.where(np.isfinite(found), found, relaxed.column(Column.SPACE_GROUP_NUMBER).astype(float))
    return relaxed.with_columns({Column.SPACE_GROUP_NUMBER: pa.array(found, from_pandas=True).cast(pa.int16())})
