"""Effects of replacing one element of a finalist on every target, by the surrogates of the last scoring stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownCompositions
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.explaining.element_swaps import Swap, single_swaps
from matloop.workflows.stages.scoring import (
    ScoringTask,
    build_filters,
    features_of,
    joint_probability_of,
    with_composition,
)  # fmt: skip


def swap_effects(
    task: ScoringTask,
    surrogates: Mapping[str, Surrogate],
    finalist: CandidateBatch,
    before: Mapping[str, Prediction],
    *,
    known: KnownCompositions,
) -> dict[str, Any]:
    """Find the single element swap that would help each target most.

    A swap that a filter of the campaign would refuse, that cannot be scored, or that lies outside a surrogate's domain
    (unless the campaign explores) is not proposed.

    Args:
        task: The last scoring stage.
        surrogates: Of that stage, by property.
        finalist: One candidate.
        before: Its predictions, each of one row, by property.
        known: Compositions that the run knows.

    Returns:
        ``tried`` and ``proposable`` swaps, and ``best`` by property: the swap with the largest gain in the probability
        of that target and what it does to all targets, or None where none gains.
    """
    swaps, made = single_swaps(finalist, known)
    passing = np.arange(len(made))
    for filter_ in build_filters(task.campaign):
        passing = passing[filter_.judge(made.take(passing)).keep] if len(passing) else passing
    best: dict[str, Any] = dict.fromkeys(task.ranges)
    if not len(passing):
        return {"tried": len(swaps), "proposable": 0, "best": best}
    features = features_of(task, made.take(passing))
    after = {name: surrogate.predict(features) for name, surrogate in surrogates.items()}
    after = with_composition(task, after, made.take(passing))
    proposable = np.logical_and.reduce([prediction.codes == "" for prediction in after.values()])
    if not task.campaign.shortlist.explore:
        proposable &= np.logical_and.reduce([prediction.in_domain for prediction in after.values()])
    joint = joint_probability_of(task)
    chances = joint.probabilities(before, task.ranges), joint.probabilities(after, task.ranges)
    for name in task.ranges:
        gain = np.where(proposable, chances[1].of_each[name] - chances[0].of_each[name][0], -np.inf)
        pick = int(gain.argmax())
        if gain[pick] > 0:
            row = int(passing[pick])
            best[name] = {
                **_described(swaps[row]),
                "formula": made.formulas[row],
                "known": bool(made.column(Column.KNOWN)[row]),
                "probability_of_all": [
                    float(chance.of_all[row]) for chance, row in zip(chances, (0, pick), strict=True)
                ],
                "targets": {
                    other: {
                        "prediction": [float(before[other].median[0]), float(after[other].median[pick])],
                        "probability": [
                            float(chances[0].of_each[other][0]),
                            float(chances[1].of_each[other][pick]),
                        ],
                    }
                    for other in task.ranges
                },
            }
    return {"tried": len(swaps), "proposable": int(np.sum(proposable)), "best": best}


def one_row(prediction: Prediction, row: int) -> Prediction:
    """Return the prediction of one of n candidates."""
    return prediction.take(np.array([row]))


def _described(swap: Swap) -> dict[str, Any]:
    likely = float(swap.probability)
    return {
        "old": swap.old, "new": swap.new, "substitution_probability": likely if np.isfinite(likely) else None,
    }  # fmt: skip
