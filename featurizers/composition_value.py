"""The featurizer ``composition_value``: what a model of a large table of computed values expects of a composition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.data.properties.catalogue import property_named
from matloop.featurizers.base import Features, Featurizer, no_codes


@runtime_checkable
class CompositionPredictor(Protocol):
    """The part of a composition model that the featurizer uses.

    Attributes:
        property_name: Property that it predicts.
        database: Database whose values it learned.
        identity: Everything that its numbers depend on, as plain JSON values.
    """

    @property
    def property_name(self) -> str: ...  # noqa: D102
    @property
    def database(self) -> str: ...  # noqa: D102
    @property
    def identity(self) -> Mapping[str, Any]: ...  # noqa: D102

    def predict(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Expected value of each composition by a model that saw none of its values, shape (n,); nan if unknown."""
        ...


class CompositionValue(Featurizer):
    """The value that a composition model expects, as one column on the scale on which models learn the property.

    The model learned computed values of one database by composition, tens of thousands of them, from metals to
    insulators. A composition that the database holds is predicted from others only, as a new one is.

    Args:
        model: The composition model.
    """

    name = "composition_value"
    version = "1"
    needs = frozenset({COMPOSITIONS})

    def __init__(self, model: CompositionPredictor) -> None:
        self.model = model
        self.parameters: Mapping[str, Any] = dict(model.identity)
        self.feature_names = (f"{self.name} {model.property_name} ({model.database})",)

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the expected value of each candidate, shape (n, 1)."""
        return Features(self.model.predict(batch)[:, None], no_codes(len(batch)))

    def words(self, name: str) -> FeatureWords:
        """Describe the column by its property; it is a group of its own."""
        known = property_named(self.model.property_name)
        logarithm = known.transform == "log10"
        label = Label(
            f"{'logarithm of the ' * logarithm}{known.label_en} expected of the composition",
            f"由成分预期的{known.label_zh}{'的对数' * logarithm}",
        )
        return FeatureWords(label, label, unit="" if logarithm or known.unit == "1" else known.unit)
