"""The key of a surrogate in the user's store: one hash of all that decides its numbers, whatever campaign asks."""

from __future__ import annotations

import functools
import platform
from typing import Any

from matloop.data.properties.catalogue import property_named
from matloop.data.runs.manifest import key_of
from matloop.data.training.training_set import TrainingSet
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.target import Target
from matloop.workflows.running.identity import code_files, versions
from matloop.workflows.running.plug_ins import plug_ins_used
from matloop.workflows.stages.stage_features import stage_entries, stage_feature_set

_TRAINS = (
    "data/",
    "featurizers/",
    "models/",
    "workflows/stages/campaign_featurizers.py",
    "workflows/stages/composition_models.py",
    "workflows/stages/insulators.py",
    "workflows/stages/scoring.py",
    "workflows/stages/stage_features.py",
)
"""Code that decides the numbers of a surrogate."""


def store_key(
    campaign: Campaign, stage: str, target: Target, *, training: TrainingSet, helping: TrainingSet | None = None
) -> str:
    """Return the key of the surrogate of one target in one scoring stage.

    Names of campaigns and stages are no part of it, nor are the other targets; the range that is wanted is only where
    a classifier learns it.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        training: What is learned from.
        helping: Labels of another provenance that it transfers from.

    Raises:
        UnknownNameError: For a featurizer nobody registered.
    """
    known, features = property_named(target.property), stage_entries(campaign, stage)
    families = list(campaign.families(stage, target))
    learned: dict[str, Any] = {
        "property": [known.name, known.unit, repr(known.lower), repr(known.upper)],
        "transform": target.scale(),
        "features": [entry.model_dump(mode="json") for entry in features],
        "fingerprint": stage_feature_set(campaign, stage).fingerprint,
        "families": families,
        "seconds": campaign.seconds_for(stage) if len(families) > 1 else None,
        "classifier": None,
    }
    if target.probability == "classifier":
        first = campaign.surrogates.features if target.is_relative() else ()
        learned["classifier"] = {
            "target": target.model_dump(mode="json", exclude={"family", "provenance", "transfer"}),
            "first": [entry.model_dump(mode="json") for entry in first],
        }
    if helping is not None:
        learned["transfer"] = helping.about
    return key_of_training(
        seed=campaign.seed, learned=learned, training=training.about, plug_ins=plug_ins_used({"learned": learned})
    )  # fmt: skip


def key_of_training(**decides: Any) -> str:
    """Return the key of a model: of what decides its numbers, and of the code and libraries that train it.

    Args:
        decides: Plain JSON values.
    """
    return key_of(**decides, code=_key_of_the_code())


@functools.cache
def _key_of_the_code() -> str:
    """One hash of the code, the libraries and the kind of machine that decide the numbers of surrogates."""
    code = {name: sha256 for name, sha256 in code_files().items() if name.startswith(_TRAINS)}
    return key_of(code=code, versions=versions(), python=platform.python_version(), machine=platform.machine())
