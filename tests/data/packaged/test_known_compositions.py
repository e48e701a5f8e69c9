import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.packaged.known_compositions import known_composition_keys
from matloop.data.packaged.transport import load_transport
from tests.strategies import batch_of


def is_known(*formulas: str) -> list[bool]:
    return np.isin(composition_keys(batch_of(*formulas).compositions), known_composition_keys()).tolist()


def test_keys_are_distinct_sorted_and_read_once() -> None:
    keys = known_composition_keys()
    assert keys.dtype == np.uint64
    assert (keys[1:] > keys[:-1]).all()
    assert known_composition_keys() is keys


def test_every_packaged_crystal_is_known(materials: CandidateBatch) -> None:
    keys = known_composition_keys()
    assert np.isin(composition_keys(materials.compositions), keys).all()
    assert len(keys) > len(set(materials.formulas))


def test_every_tenth_transport_compound_is_known() -> None:
    intake = CandidateBatch.from_formulas(load_transport().column("formula").to_pylist()[::10])
    assert not intake.refused
    assert np.isin(composition_keys(intake.batch.compositions), known_composition_keys()).all()


@pytest.mark.parametrize("formula", ["NaCl", "ClNa", "Na2Cl2", "Na0.5Cl0.5", "BaTiO3", "TiBaO3", "Ba2Ti2O6"])
def test_order_and_multiples_do_not_matter(formula: str) -> None:
    assert is_known(formula) == [True]


def test_unlikely_compounds_are_not_known() -> None:
    assert is_known("HeNe", "NaCl17", "AuXe2", "OgF2") == [False] * 4
