"""Featurizers that are handed a potential, made from what a campaign can say: the potential's name."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.featurizers.embedding import CrystalEmbedding
from matloop.featurizers.registry import FEATURIZERS
from matloop.models.potentials.contract import potential_named

CAMPAIGN_FEATURIZERS: Mapping[str, str] = {
    **FEATURIZERS,
    "crystal_embedding": "matloop.workflows.stages.campaign_featurizers:crystal_embedding",
}
"""Every featurizer a campaign may name; featurizers cannot look up potentials themselves."""


def crystal_embedding(potential: str) -> CrystalEmbedding:
    """The embedding of a potential, in a campaign ``crystal_embedding: {potential: chgnet}``.

    Args:
        potential: Name in :data:`matloop.models.registry.POTENTIALS`.

    Raises:
        UnknownNameError: With the nearest known name.
        PotentialError: If the potential is not installed or its weights are not the released ones.
    """
    return CrystalEmbedding(potential_named(potential))
