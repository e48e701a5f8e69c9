"""Composition models of the packaged tables: what they learn from, and where a run or a trained model keeps its own.

A run and a trained model hold a copy of each composition model that they use (:data:`FOLDER`). Where there is none, as
in a notebook that makes features by itself, the model is trained when its first number is asked for, once a process.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.training.computed_tables import (
    MATERIALS_PROJECT,
    check_computed_table,
    computed_training_set,
    sha256_of_computed_table,
)
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.composition_value import CompositionValue
from matloop.featurizers.registry import feature_set
from matloop.models.surrogates.composition_model import DECISIVE, CompositionModel, composition_folds
from matloop.workflows.stages.model_files import ModelFiles

FOLDER = "composition"
"""Folder of composition models, in that of the models of a run or in that of a trained model."""
_FEATURES = ({"magpie": {"missing": "impute"}}, "stoichiometry", "valence_orbital")


@dataclass(frozen=True)
class PackagedCompositionModel:
    """The composition model of one packaged table, read or trained when it is first needed.

    Attributes:
        property_name: Property of the table.
        database: Database of the table.
        home: Folder that may hold a copy of the model, in a folder of its name; None if there is no such folder.
    """

    property_name: str
    database: str
    home: Path | None = field(default=None, compare=False)

    @functools.cached_property
    def identity(self) -> Mapping[str, Any]:
        """All that decides its numbers, as plain JSON values; nothing is read for it."""
        return {
            "property": self.property_name, "database": self.database,
            "table": sha256_of_computed_table(self.property_name, self.database),
            "features": _features().fingerprint, **DECISIVE, "lightgbm": importlib.metadata.version("lightgbm"),
        }  # fmt: skip

    @property
    def folder_name(self) -> str:
        """Name of the folder of a copy."""
        return f"{self.database}-{self.property_name}"

    @functools.cached_property
    def model(self) -> CompositionModel:
        """The model: the copy at its home, read once, or one trained in this process.

        Raises:
            ModelError: If the copy is damaged or predicts other numbers here.
        """
        if self.home is None or not (self.home / self.folder_name).is_dir():
            return _trained(self.property_name, self.database)
        return _read(ModelFiles.of(self.home / self.folder_name))

    def predict(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Expected value of each composition by trees that saw none of its values, shape (n,)."""
        return self.model.predict(_features().featurize(batch).values, composition_folds(batch.compositions))


def composition_value(property: str, database: str = MATERIALS_PROJECT) -> CompositionValue:
    """The value that a model of a packaged table of computed values expects of the composition.

    In a campaign ``composition_value: band_gap``. The table has one provenance, and so has the feature; labels may have
    another. The model is trained once and kept in the user's store.

    Args:
        property: Property of the table, such as ``band_gap``.
        database: Database of the table.

    Raises:
        UnknownNameError: If there is no such table.
    """
    check_computed_table(property, database)
    return CompositionValue(PackagedCompositionModel(property, database))


def composition_columns(features: FeatureSet) -> dict[str, PackagedCompositionModel]:
    """The composition models that a feature set asks, by the names of their columns."""
    values = [one for one in features.featurizers if isinstance(one, CompositionValue)]
    return {one.feature_names[0]: one.model for one in values if isinstance(one.model, PackagedCompositionModel)}


def with_models_at(features: FeatureSet, home: Path) -> FeatureSet:
    """The same feature set, whose composition models are copies in a folder.

    Args:
        features: The feature set.
        home: Folder :data:`FOLDER` of a run or of a trained model.
    """
    return FeatureSet(tuple(_at(one, home) for one in features.featurizers))


def train_composition_model(property_name: str, database: str) -> CompositionModel:
    """Train the composition model of a packaged table.

    Args:
        property_name: Property of the table.
        database: Database of the table.

    Raises:
        UnknownNameError: If there is no such table.
    """
    training = computed_training_set(property_name, database)
    features = _features().featurize(training.rows)
    sound = np.flatnonzero(features.codes == "")
    folds = composition_folds(training.rows.compositions)
    return CompositionModel.fit(features.values[sound], training.values[sound], folds[sound], about=training.about)


@functools.lru_cache(maxsize=4)
def _read(files: ModelFiles) -> CompositionModel:
    return CompositionModel.load(files.folder)


@functools.lru_cache(maxsize=4)
def _trained(property_name: str, database: str) -> CompositionModel:
    return train_composition_model(property_name, database)


@functools.cache
def _features() -> FeatureSet:
    """Features of compositions that the models learn from; no element is refused for a missing property."""
    return feature_set(_FEATURES)


def _at(featurizer: Any, home: Path) -> Any:
    if isinstance(featurizer, CompositionValue) and isinstance(featurizer.model, PackagedCompositionModel):
        return CompositionValue(replace(featurizer.model, home=home))
    return featurizer
