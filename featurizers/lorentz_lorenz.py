"""The featurizer ``lorentz_lorenz``: the refractive index by additive polarisabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.chemistry.polarisabilities import lorentz_lorenz_indices, polarisabilities_digest
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes


class LorentzLorenz(Featurizer):
    """Refractive index from the polarisabilities of the elements and the volume of the crystal: 1 column.

    Lorentz and Lorenz: (n² - 1) / (n² + 2) is the sum of the polarisabilities in a volume. The polarisabilities are
    fitted to computed indices, for each formula to those of other formulas
    (:mod:`matloop.data.chemistry.polarisabilities`). Trees cannot divide a sum over atoms by a volume, so the index is
    a feature of its own.
    """

    name = "lorentz_lorenz"
    version = "1"
    needs = frozenset({COMPOSITIONS, CRYSTALS})
    feature_names = ("lorentz-lorenz index",)

    def __init__(self) -> None:
        self.parameters: Mapping[str, Any] = {"polarisabilities": polarisabilities_digest()}

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the index of each candidate, shape (n, 1)."""
        values = lorentz_lorenz_indices(batch)[:, None]
        return Features(np.asarray(values, float), no_codes(len(batch)))

    def words(self, name: str) -> FeatureWords:
        """Describe the index, in a group of its own."""
        return FeatureWords(
            Label("polarisability", "极化率"),
            Label("refractive index by additive polarisabilities", "由加和极化率得到的折射率"),
        )
