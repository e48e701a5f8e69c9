"""The stages of a campaign, in order; a campaign without crystals or potential has a shorter list."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from matloop.workflows.running.competitors import provide_competitors
from matloop.workflows.running.partition_jobs import crystal_jobs, joint_jobs, relaxation_jobs, scoring_jobs
from matloop.workflows.running.reference_phases import provide_references
from matloop.workflows.running.stage import Stage
from matloop.workflows.stages.potential import STAGE as POTENTIAL_STAGE
from matloop.workflows.stages.scoring import ScoringTask
from matloop.workflows.stages.stability import STAGE as STABILITY_STAGE


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
                prepare=lambda engine, _: provide_references(campaign, engine),
            )
        )  # fmt: skip
        stages.append(
            Stage(
                STABILITY_STAGE, "placing candidates on the hull", "stability judged", partial(joint_jobs, task),
                criterion, keep=None, after=stages[-1].name, prepare=partial(provide_competitors, task),
            )
        )  # fmt: skip
    return stages
