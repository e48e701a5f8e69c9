"""The stages of a campaign, in order; a campaign without crystals or potential has a shorter list."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pyarrow as pa

from matloop.data.bounded_files import read_table
from matloop.data.sources.embedded import EmbeddedCrystals
from matloop.data.whole_files import write_table
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.candidate_parts import sources_of
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.partition_jobs import crystal_jobs, reference_jobs, relaxation_jobs, scoring_jobs
from matloop.workflows.running.stage import Stage
from matloop.workflows.stages.potential import STAGE as POTENTIAL_STAGE
from matloop.workflows.stages.potential import references_are_packaged
from matloop.workflows.stages.scoring import ScoringTask


def stages_of(task: ScoringTask) -> list[Stage]:
    """The stages that the candidates of a campaign go through.

    Args:
        task: Of the first stage.
    """
    campaign, criterion = task.campaign, task.criterion
    stages = [
        Stage(
            task.stage, "scoring candidates", "candidates scored", partial(scoring_jobs, task), criterion,
            keep=task.settings.keep, merges_equal=True,
        )
    ]  # fmt: skip
    if campaign.structure is not None:
        task = replace(task, stage="structure")
        stages.append(
            Stage(
                task.stage, "scoring crystals", "crystals scored", partial(crystal_jobs, task), criterion,
                keep=task.settings.keep, after=stages[-1].name,
            )
        )  # fmt: skip
    if campaign.potential is not None:
        stages.append(
            Stage(
                POTENTIAL_STAGE, "relaxing candidates", "candidates relaxed", partial(relaxation_jobs, task), criterion,
                keep=None, after=stages[-1].name, merges_equal=True,
                prepare=partial(evaluate_references, campaign),
            )
        )  # fmt: skip
    return stages


def evaluate_references(campaign: Campaign, engine: Engine) -> None:
    """Evaluate the reference phases that the package holds no energies of, and write them into the run."""
    stage = campaign.potential
    assert stage is not None
    sources = [(source, False) for source in sources_of(stage.references)]
    if not references_are_packaged(stage):
        sources.insert(0, (EmbeddedCrystals(), True))
    if not sources:
        return
    total = sum(source.count() for source, _ in sources)
    done = sorted(engine.finish("evaluating reference phases", total, reference_jobs(campaign, sources)))
    tables = [read_table(engine.run.partition(name, index), inside=engine.run.folder) for name, index in done]
    if tables:
        write_table(engine.run.references, pa.concat_tables(tables))
