"""What a worker does to find crystals of known phases that compete with the best candidates and have no energy yet."""

from __future__ import annotations

import functools

import numpy as np

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.models.stability.competitors import missing_competitors
from matloop.workflows.stages.potential import stability_of
from matloop.workflows.stages.scoring import ScoringTask
from matloop.workflows.stages.stability import judge_together

NEXT = 10
"""Candidates ranked behind the shortlist whose competitors are evaluated too."""
_MOST_CHILDREN = 10_000_000


def competing_crystals(task: ScoringTask, relaxed: CandidateBatch) -> CandidateBatch:
    """Make crystals of known phases in the systems of the best candidates.

    Substitution makes crystals of many compositions that are known; as candidates they are thrown away. Here they stand
    in for the crystals of these compositions, of which only the formulas are known. The most probable child is taken.

    Args:
        task: The campaign, with the name of the last scoring stage.
        relaxed: All candidates that were relaxed.

    Returns:
        At most as many crystals as the campaign allows, those that matter most first.
    """
    settings = task.campaign.potential
    assert settings is not None
    ranked = CandidateBatch.from_arrow(judge_together(task, Intake(relaxed, [])).best)
    best = ranked.take(np.arange(min(len(ranked), task.campaign.shortlist.size + NEXT)))
    learnt = stability_of(task.folder, settings)
    missing = missing_competitors(learnt.hull, learnt.own_hull.references.compositions, best.compositions)
    made = _children().of_compositions(missing.compositions)
    return made.take(np.arange(min(len(made), settings.competitors)))


@functools.cache
def _children() -> IonicSubstitution:
    """All children that a campaign would usually make; the plan takes seconds."""
    return IonicSubstitution(limit=_MOST_CHILDREN)
