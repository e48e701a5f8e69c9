"""Whatever order, spelling and setting a known crystal is written in: the same crystal or a code, never another one."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from tests.data.readers.known_crystals import Known, is_same, known_crystals
from tests.data.readers.reading import Outcome, outcomes
from tests.data.readers.rewritten_atoms import write_extended_xyz, write_poscar
from tests.data.readers.rewritten_cif import write_cif

crystals = st.sampled_from(known_crystals())
randoms = st.randoms(use_true_random=False)


def is_right(known: Known, found: Outcome) -> bool:
    assert found.lattice is not None
    assert found.frac_coords is not None
    return is_same(known, Structure(Lattice(found.lattice), list(found.symbols), found.frac_coords))


@settings(max_examples=60)
@given(crystals, randoms)
def test_cif(known: Known, random: Random) -> None:
    text = write_cif(known, random)
    (found,) = outcomes("a.cif", text)
    assert found.code or is_right(known, found), text


@settings(max_examples=50)
@given(crystals, randoms)
def test_poscar(known: Known, random: Random) -> None:
    text, is_unclear = write_poscar(known, random)
    (found,) = outcomes("POSCAR", text)
    assert bool(found.code) == is_unclear, (found, text)
    assert found.code or is_right(known, found), text


@settings(max_examples=40)
@given(crystals, randoms)
def test_extended_xyz(known: Known, random: Random) -> None:
    text, unclear = write_extended_xyz(known, random)
    found = outcomes("a.extxyz", text)
    assert [bool(row.code) for row in found] == unclear, (found, text)
    assert all(row.code or is_right(known, row) for row in found), text


@pytest.mark.parametrize("known", known_crystals(), ids=lambda known: known.name)
def test_the_comparison_tells_a_crystal_from_its_distortions(known: Known) -> None:
    assert is_same(known, known.structure.get_primitive_structure())
    moved = known.structure.copy()
    moved.translate_sites([0], [0.07, 0.03, 0.05])
    fewer = known.structure.copy()
    fewer.remove_sites([0])
    for other in (fewer, *([moved] if len(moved) > 1 else [])):
        assert not is_same(known, other)
