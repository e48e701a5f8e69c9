"""Several opinions on the stability of a candidate: two hulls and two potentials, mixed into one prediction.

The first opinion is the distance of a candidate from the hull of a database, by the first potential. A second potential
gives another distance from that hull. The potential's own hull gives a third one, in which errors that the potential
makes in all phases of a chemical system cancel; but it knows fewer phases, so it counts only where it is the less
favourable one.

Each opinion is a distribution. Those of two hulls count alike, and so do those of two potentials (a linear opinion
pool; Stone, Annals of Mathematical Statistics 32, 1339 (1961), doi:10.1214/aoms/1177704873). Opinions that agree leave
the prediction as it is, and opinions that disagree widen it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.stability import ABOVE_HULL, FORMATION, Judgement


def mixed_opinions(first: Judgement, second: Judgement | None = None) -> dict[str, LocalPrediction]:
    """Predict energy above hull and formation energy of n candidates from all opinions.

    Args:
        first: By the first potential.
        second: By a second one of the same candidates; where it has no energy the first one stands alone.

    Returns:
        Predictions by property, with the values of the first potential in their centres.
    """
    above, energy = _of_both_hulls(first), first.predictions[FORMATION]
    if second is None:
        return {ABOVE_HULL: above, FORMATION: energy}
    return {ABOVE_HULL: above.pooled(_of_both_hulls(second)), FORMATION: energy.pooled(second.predictions[FORMATION])}


def _of_both_hulls(judgement: Judgement) -> LocalPrediction:
    """Mix the opinion of the database's hull with that of the potential's own hull where this is less favourable."""
    above = judgement.predictions[ABOVE_HULL]
    own = np.where(judgement.own_distances > above.centre, judgement.own_distances, np.nan)
    return above.pooled(replace(above, centre=own))
