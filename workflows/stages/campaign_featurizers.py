"""The featurizers a campaign may name, those that are handed a potential among them, and the set that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matloop.data.registry import lookup
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.embedding import CrystalEmbedding
from matloop.featurizers.registry import FEATURIZERS
from matloop.models.potentials.contract import Embeds, potential_named, require_capability
from matloop.screening.campaign.entry import Entries

CAMPAIGN_FEATURIZERS: Mapping[str, str] = {
    **FEATURIZERS,
    "crystal_embedding": "matloop.workflows.stages.campaign_featurizers:crystal_embedding",
}
"""Every featurizer a campaign may name; featurizers cannot look up potentials themselves."""


def crystal_embedding(potential: str, options: Mapping[str, Any] | None = None) -> CrystalEmbedding:
    """The embedding of a potential, in a campaign ``crystal_embedding: {potential: chgnet}``.

    Args:
        potential: Name in :data:`matloop.models.registry.POTENTIALS`.
        options: Options of the potential.

    Raises:
        UnknownNameError: With the nearest known name.
        CapabilityError: If the potential embeds no crystals.
        PotentialError: If the potential is not installed or its weights are not the released ones.
    """
    made = potential_named(potential, **(options or {}))
    require_capability(made, Embeds.__name__)
    assert isinstance(made, Embeds)  # as was just made sure
    return CrystalEmbedding(made)


def build_feature_set(entries: Entries) -> FeatureSet:
    """The feature set a campaign names.

    Raises:
        UnknownNameError: For a featurizer nobody registered.
    """
    return FeatureSet(tuple(entry.make(lookup("featurizer", CAMPAIGN_FEATURIZERS, entry.name)) for entry in entries))
