"""Packaged data, loaded once per test process."""

import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials


@pytest.fixture(scope="session")
def materials() -> CandidateBatch:
    return load_materials()


@pytest.fixture(scope="session")
def embedded_formulas(materials: CandidateBatch) -> list[str]:
    """The distinct formulas of the packaged crystals, sorted."""
    return sorted(set(materials.formulas))
