"""The model of compositions that predicts a property of replacements, from the packaged labels or from a folder.

Packaged labels are those of the packaged crystals where these have the property. A band gap is learned with the gaps of
metals, which are zero, because a replacement may be a metal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matloop.data.errors import ModelError, unknown_name
from matloop.data.packaged.computed_properties import computed_property_names
from matloop.data.properties.catalogue import property_named
from matloop.data.training.packaged_tables import TRAINING_SETS, labelled_table
from matloop.data.training.training_set import TrainingSet
from matloop.workflows.modelling.trained_model import TrainedModel, read_model
from matloop.workflows.train import OF_COMPOSITIONS, campaign_of_packaged_table, train

_WITH_METALS: Mapping[str, str] = {"band_gap": "gaps_with_metals"}
_HELPING: Mapping[str, tuple[str, ...]] = {"refractive_index": ("refractive_index", "band_gap")}
"""Computed tables whose composition model is a feature beside that of the property's own table."""


def packaged_table_of(name: str) -> str:
    """The packaged table that teaches a property.

    Raises:
        UnknownNameError: If no packaged table has labels of it.

    >>> packaged_table_of("band_gap"), packaged_table_of("bulk_modulus_vrh")
    ('gaps_with_metals', 'materials')
    """
    property_named(name)
    for table in filter(None, (_WITH_METALS.get(name), *TRAINING_SETS)):
        if labelled_table(table).has(name):
            return table
    having = [one for table in TRAINING_SETS for one in labelled_table(table).labels]
    raise unknown_name("property with packaged labels", name, list(dict.fromkeys(having)))


def property_model(name: str, folder: Path, *, training: TrainingSet | None = None, store: bool = True) -> TrainedModel:
    """Train the model of a property, or take it from the user's store.

    Args:
        name: The property.
        folder: A new folder to write the model into.
        training: What it learns from in place of the packaged labels.
        store: Whether to take it from the user's store if it was trained before, and to leave it there.

    Raises:
        UnknownNameError: If no packaged table has labels of the property.
        ModelError: If too few rows teach.
    """
    campaign = campaign_of_packaged_table(packaged_table_of(name), property_name=name, features=_features(name))
    given = () if training is None else (training,)
    return train(campaign, output=folder, training_sets=given, store=store, with_probability=False)


def given_model(folder: Path) -> TrainedModel:
    """Read a model that the user trained.

    Args:
        folder: Folder of ``matloop train``.

    Raises:
        ModelError: If the folder is no model, or the model needs crystals.
    """
    model = read_model(folder)
    if model.needs_crystals:
        raise ModelError(
            f"a model of {model.known.name} with features of crystals", "a model of compositions",
            "train one without them",
        )  # fmt: skip
    return model


def _features(name: str) -> tuple[str | Mapping[str, Any], ...]:
    """Featurizers of the model of a property: those of compositions, and values that computed tables suggest."""
    tables = _HELPING.get(name, (name,) if name in computed_property_names() else ())
    return (*OF_COMPOSITIONS, *({"composition_value": table} for table in tables))
