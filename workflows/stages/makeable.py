"""P(makeable phase) in the scoring stages, in place of what surrogates say of the distance from the hull.

A surrogate of the energy above the hull learns from crystals that somebody made, nearly all of which lie near the hull:
it hardly puts candidates that nobody has made in order. Where a campaign wants candidates at most so far above the hull
of a density functional, the probability of this target is therefore that of a makeable phase, whatever the candidates
come from. It speaks of a composition. Of several crystals that a source makes with one composition, the most probable
substitution has this probability, and the others have less in proportion to theirs.

After relaxing, it becomes that of a makeable phase by kinship and by the potential together: the potential alone puts
candidates in a worse order than both (:mod:`matloop.models.stability.relaxed_makeable`). Of several crystals of one
composition, their energies decide then.

A makeable phase is more than a small energy above the hull: somebody must list it too. So two probabilities are told
apart. That of the energy above the hull belongs to its predicted value and interval. That of a makeable phase has a
column of its own, is never larger, and counts in the probability of all targets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.properties.columns import Column, probability_of
from matloop.data.properties.provenance import Provenance
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.makeable import Traits, learned_from_history, present_kinship
from matloop.models.stability.relaxed_makeable import ROWS, highest_makeable, makeable_after_relaxing
from matloop.models.surrogates.joint_probability import Group, JointProbability
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.campaign.campaign import Campaign

TARGET = "energy_above_hull"
LISTED = Provenance.read("dft:pbe")
"""Provenance of the energies in the packaged lists."""

Ranges = Mapping[str, tuple[float, float]]


def kinship_targets(campaign: Campaign, ranges: Ranges) -> tuple[str, ...]:
    """Name the targets of a campaign whose probability is that of a makeable phase.

    Args:
        campaign: The campaign.
        ranges: Wanted range of each target at hand, in the unit of its property.

    Returns:
        The energy above the hull, if at most some value is wanted of energies as the packaged lists have them.
    """
    for target in campaign.targets:
        if target.property == TARGET and target.property in ranges:
            lower, upper = ranges[TARGET]
            if lower <= 0 <= upper < np.inf and Provenance.read(target.provenance).covers(LISTED):
                return (TARGET,)
    return ()


def makeable_phases(compositions: Compositions, limit: float) -> NDArray[np.float64]:
    """P(makeable phase) of n compositions, shape (n,); nan for an alloy without whole amounts, and for an element.

    A composition is judged as a new one: that it is listed already does not count.

    Args:
        compositions: Elements and amounts.
        limit: Largest energy above the hull in eV/atom.
    """
    _, whole = compositions.reduced()
    chance = learned_from_history(limit).probability(Traits.of(compositions, present_kinship()))
    return np.where(whole & (compositions.lengths > 1), chance, np.nan)


def by_kinship(
    campaign: Campaign, ranges: Ranges, predictions: Mapping[str, Prediction], batch: CandidateBatch
) -> dict[str, Prediction]:
    """Give predictions the probability of a makeable phase where it takes the place of theirs.

    Args:
        campaign: The campaign.
        ranges: Wanted range of each target.
        predictions: By property, of n candidates.
        batch: The candidates. One that has ``relative_substitution_probability`` has so much of the probability.
    """
    changed = dict(predictions)
    for name in kinship_targets(campaign, ranges):
        own = predictions[name].probability_between(*ranges[name])
        chance = makeable_phases(batch.compositions, ranges[name][1]) * _shares_of_composition(batch)
        met = np.where(np.isnan(chance) | np.isnan(own), own, np.minimum(chance, own))
        changed[name] = replace(predictions[name], met=met, wanted=ranges[name])
    return changed


def by_kinship_and_potential(
    campaign: Campaign, ranges: Ranges, predictions: Mapping[str, LocalPrediction], batch: CandidateBatch
) -> dict[str, LocalPrediction]:
    """Give predictions of a potential the probability of a makeable phase where kinship judged before relaxing.

    Args:
        campaign: The campaign.
        ranges: Wanted range of each target.
        predictions: By property, of n candidates.
        batch: The candidates, with ``makeable_probability`` where kinship judged them.
    """
    changed = dict(predictions)
    for name in kinship_targets(campaign, ranges):
        if name in predictions and Column.MAKEABLE_PROBABILITY in batch.table.column_names:
            chance = batch.column(Column.MAKEABLE_PROBABILITY).astype(np.float64)
            own = predictions[name].probability_between(*ranges[name])
            met = makeable_after_relaxing(chance, own)
            changed[name] = replace(predictions[name], met=met, wanted=ranges[name])
    return changed


def supported_after_relaxing(campaign: Campaign, ranges: Ranges) -> JointProbability:
    """Return how probable a makeable phase may be called after relaxing; no cap where kinship does not judge.

    Args:
        campaign: The campaign.
        ranges: Wanted range of each target.
    """
    most = {name: highest_makeable(ranges[name][1]) for name in kinship_targets(campaign, ranges)}
    return JointProbability(
        tuple(Group((name,), rows=ROWS, highest_each=(highest,), highest=highest) for name, highest in most.items())
    )


def counted_column(table_columns: Collection[str], name: str) -> str:
    """Name the column with the probability of a target that counts in that of all targets."""
    makeable = name == TARGET and Column.PROBABILITY_MAKEABLE in table_columns
    return Column.PROBABILITY_MAKEABLE if makeable else probability_of(name)


def _shares_of_composition(batch: CandidateBatch) -> NDArray[np.float64]:
    """How probable each crystal is among those of its composition, over the most probable one; 1 where unknown."""
    if Column.RELATIVE_SUBSTITUTION_PROBABILITY not in batch.table.column_names:
        return np.ones(len(batch))
    shares = batch.column(Column.RELATIVE_SUBSTITUTION_PROBABILITY).astype(np.float64)
    return np.where(np.isnan(shares), 1.0, shares)
