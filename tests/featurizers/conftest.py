"""Packaged crystals, loaded once per test process."""

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials


@pytest.fixture(scope="session")
def materials() -> CandidateBatch:
    return load_materials()


@pytest.fixture(scope="session")
def sample(materials: CandidateBatch) -> CandidateBatch:
    """100 packaged crystals from all over the set, without the columns that come with them."""
    assert materials.crystals is not None
    rows = np.linspace(0, len(materials) - 1, 100).astype(int)
    return CandidateBatch.from_crystals(materials.crystals.take(rows))
