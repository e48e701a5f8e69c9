import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.packaged.known_compositions import (
    KNOWN_LISTS,
    KNOWN_SIZE,
    is_among,
    known_composition_keys,
    list_keys,
    lists_holding,
)
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


@pytest.mark.parametrize("name", KNOWN_LISTS)
def test_a_list_has_the_size_that_is_told_of_it(name: str) -> None:
    assert len(list_keys(name)) == KNOWN_LISTS[name].size
    assert len(known_composition_keys()) == KNOWN_SIZE


def test_each_list_is_asked() -> None:
    compositions = batch_of("NaCl", "YNbO4", "Sm3In5", "Mg2Tc", "NaCl17").compositions
    held = [
        [name for name, holds in zip(KNOWN_LISTS, row, strict=True) if holds] for row in lists_holding(compositions)
    ]
    assert held == [list(KNOWN_LISTS), ["materials_project", "oqmd"], ["materials_project"], ["oqmd"], []]


def test_membership_is_that_of_a_set() -> None:
    random = np.random.default_rng(3)
    ascending = np.unique(random.integers(0, 2**63, 500, dtype=np.uint64))
    keys = np.concatenate([random.choice(ascending, 200), random.integers(0, 2**63, 200, dtype=np.uint64), [2**64 - 1]])
    np.testing.assert_array_equal(is_among(keys.astype(np.uint64), ascending), np.isin(keys, ascending))
    assert not is_among(ascending, np.empty(0, np.uint64)).any()
