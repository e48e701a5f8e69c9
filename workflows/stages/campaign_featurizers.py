"""The featurizers a campaign may name, those that are handed a potential or a model among them, and feature sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matloop.data.registry import lookup
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.embedding import CrystalEmbedding
from matloop.featurizers.registry import FEATURIZERS
from matloop.models.potentials.contract import Embeds, potential_named, require_capability
from matloop.screening.campaign.entry import Entries
from matloop.workflows.stages.composition_models import FOLDER, with_models_at

CAMPAIGN_FEATURIZERS: Mapping[str, str] = {
    **FEATURIZERS,
    "crystal_embedding": "matloop.workflows.stages.campaign_featurizers:crystal_embedding",
    "composition_value": "matloop.workflows.stages.composition_models:composition_value",
}
"""Every featurizer a campaign may name; featurizers cannot look up potentials and models themselves."""


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


def build_feature_set(entries: Entries, *, models: Path | None = None) -> FeatureSet:
    """The feature set a campaign names.

    Args:
        entries: The featurizers.
        models: Folder of the models of a run, or of a trained model, with the composition models that it uses. Those
            that it lacks are trained in this process.

    Raises:
        UnknownNameError: For a featurizer nobody registered.
    """
    made = FeatureSet(tuple(entry.make(lookup("featurizer", CAMPAIGN_FEATURIZERS, entry.name)) for entry in entries))
    return made if models is None else with_models_at(made, models / FOLDER)
