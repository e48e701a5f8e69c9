"""Training data: a synthetic regression, and the bulk moduli of the packaged crystals."""

from typing import NamedTuple

import numpy as np
import pytest

from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.packaged.materials import load_materials
from matloop.featurizers.registry import feature_set
from matloop.models.surrogates.surrogate import Surrogate

FAST = {"trees": 60}


class Labelled(NamedTuple):
    """Features with their targets and formula groups."""

    features: FeatureMatrix
    target: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> "Labelled":
        return Labelled(self.features.take(rows), self.target[rows], self.groups[rows])


@pytest.fixture(scope="session")
def synthetic() -> Labelled:
    """3,500 rows of noise that grows with the first feature; three rows to a group."""
    random = np.random.default_rng(11)
    values = random.uniform(-1, 1, (3500, 5))
    target = 3 + values[:, 0] + np.sin(3 * values[:, 1]) + (0.1 + 0.4 * (values[:, 0] > 0)) * random.normal(size=3500)
    elements = np.zeros((3500, 119), bool)
    elements[:, 8] = True
    elements[np.arange(3500), random.integers(20, 30, 3500)] = True
    features = FeatureMatrix(values, tuple("abcde"), "synthetic", elements, np.full(3500, "", "<U32"))
    return Labelled(features, target, np.arange(3500) // 3)


@pytest.fixture(scope="session")
def bulk_moduli() -> Labelled:
    materials = load_materials()
    target = materials.column("bulk_modulus_vrh_dft")
    batch = materials.take(np.flatnonzero(target > 0))
    features = feature_set(["magpie", "stoichiometry", "density"]).featurize(batch)
    _, groups = np.unique(batch.formulas, return_inverse=True)
    return Labelled(features, batch.column("bulk_modulus_vrh_dft"), groups)


@pytest.fixture(scope="session")
def surrogate(bulk_moduli: Labelled) -> Surrogate:
    """Trained on two thirds of the formulas of the bulk moduli."""
    part = bulk_moduli.take(np.flatnonzero(bulk_moduli.groups % 3 > 0))
    return Surrogate.fit("bulk_modulus_vrh", *part, transform="log10", parameters=FAST)
