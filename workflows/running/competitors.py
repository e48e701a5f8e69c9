"""Energies of known phases that compete with the best candidates, for the hull of the potential's own energies."""

from __future__ import annotations

from matloop.data.candidates.batch import CandidateBatch
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.reference_phases import ReferenceSet, provide_energies
from matloop.workflows.stages.competitors import competing_crystals
from matloop.workflows.stages.scoring import ScoringTask

COMPETITORS = "competitors"


def provide_competitors(task: ScoringTask, engine: Engine, relaxed: CandidateBatch) -> None:
    """Write the energies of competing phases into the run, where the campaign asks for any.

    Each crystal is relaxed as candidates are, and its energy is kept in the user's store under its content.

    Args:
        task: The campaign, with the name of the last scoring stage.
        engine: Of the run.
        relaxed: All candidates that were relaxed.
    """
    stage = task.campaign.potential
    assert stage is not None
    if stage.competitors:
        crystals = engine.ask(competing_crystals, task, relaxed)
        sets = [ReferenceSet.of_batches([each], stage, packaged=False) for each in crystals.slices(1)]
        provide_energies(COMPETITORS, engine.run.competitors, stage, sets, engine)
