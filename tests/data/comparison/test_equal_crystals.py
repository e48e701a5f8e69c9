"""Groups of equal crystals are those of pymatgen's StructureMatcher, whatever the cells and the order they come in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher
from scipy.optimize import linear_sum_assignment

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.equal_crystals import crystal_groups, equal_crystals
from matloop.data.comparison.match_bound import ReducedCell, _pairing_below, cannot_match
from matloop.data.comparison.structure_distance import structure_distances, structure_fingerprints
from tests.strategies import batch_of

Groups = set[frozenset[int]]


def ours(batch: CandidateBatch) -> Groups:
    return {frozenset(rows.tolist()) for rows in crystal_groups(batch).members}


def theirs(batch: CandidateBatch) -> Groups:
    """group_structures on the crystals in the order of their ids."""
    rows = sorted(range(len(batch)), key=lambda row: batch.ids[row])
    structures = [batch.structure(row) for row in rows]
    place = {id(structure): row for row, structure in zip(rows, structures, strict=True)}
    return {frozenset(place[id(s)] for s in group) for group in StructureMatcher().group_structures(structures)}


def disturbed(structure: Structure, random: np.random.Generator, *, strain: float, displacement: float) -> Structure:
    """A strained, displaced, rotated supercell with other origin and site order."""
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    large = structure.make_supercell(random.permutation([1, 1, random.integers(1, 4)]), in_place=False)
    skew = random.uniform(-strain, strain, (3, 3))
    lattice = large.lattice.matrix @ (np.eye(3) + (skew + skew.T) / 2) @ turn
    step = random.normal(size=(len(large), 3))
    step *= displacement * random.random((len(large), 1)) / np.linalg.norm(step, axis=1, keepdims=True)
    places = large.frac_coords + step @ np.linalg.inv(lattice) + random.random(3)
    order = random.permutation(len(large))
    return Structure(Lattice(lattice), [large.species[i] for i in order], places[order])


def batch_from(structures: list[Structure]) -> CandidateBatch:
    intake = CandidateBatch.from_structures(structures)
    assert not intake.refused
    return intake.batch


@pytest.fixture(scope="module")
def flla(materials: CandidateBatch) -> CandidateBatch:
    return materials.take(np.flatnonzero(materials.column("in_flla")))


def test_groups_of_flla_are_those_of_the_matcher_in_any_order(flla: CandidateBatch) -> None:
    found = ours(flla)
    assert (len(flla), len(found)) == (3938, 3911)
    formulas, counts = np.unique(flla.formulas, return_counts=True)
    shared = np.flatnonzero(np.isin(flla.formulas, formulas[counts > 1]))  # the others are alone by definition
    structures = [flla.structure(row) for row in shared]
    place = {id(structure): row for row, structure in zip(shared.tolist(), structures, strict=True)}
    groups = StructureMatcher().group_structures(structures)  # in the order of the file
    assert {frozenset(place[id(s)] for s in group) for group in groups} == {
        g for g in found if g <= set(shared.tolist())
    }


def test_neither_groups_nor_representatives_depend_on_the_order(flla: CandidateBatch) -> None:
    formulas = np.array(flla.formulas)
    few = flla.take(np.flatnonzero(np.isin(formulas, ["KNbO3", "SnO", "ZnS", "Si", "Ca"])))
    shuffled = np.random.default_rng(0).permutation(len(few))
    plain, again = crystal_groups(few), crystal_groups(few.take(shuffled))
    assert {tuple(shuffled[rows].tolist()) for rows in again.members} == {tuple(r.tolist()) for r in plain.members}
    assert any(len(rows) == 3 for rows in plain.members)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_what_the_matcher_merges_after_a_disturbance_is_merged(seed: int) -> None:
    from matloop.data.packaged.materials import load_materials

    random, materials = np.random.default_rng(seed), load_materials()
    assert materials.crystals is not None
    base = materials.structure(int(random.choice(np.flatnonzero(materials.crystals.site_counts <= 8))))
    batch = batch_from([base] + [disturbed(base, random, strain=0.03, displacement=0.1) for _ in range(2)])
    assert ours(batch) == theirs(batch)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_bound_never_refuses_a_match(seed: int) -> None:
    """Disturbances up to where the matcher itself begins to refuse."""
    from matloop.data.packaged.materials import load_materials

    random, materials = np.random.default_rng(seed), load_materials()
    assert materials.crystals is not None
    base = materials.structure(int(random.choice(np.flatnonzero(materials.crystals.site_counts <= 8))))
    free = (base.volume / len(base)) ** (1 / 3)
    cells = [
        disturbed(base, random, strain=0.15, displacement=free * random.choice([0.05, 0.3, 0.5])) for _ in range(2)
    ]
    first, second = (s.get_reduced_structure().get_primitive_structure() for s in cells)
    if StructureMatcher().fit(first, second, skip_structure_reduction=True):
        assert not cannot_match(reduced_cell(first), reduced_cell(second))


def reduced_cell(structure: Structure) -> ReducedCell:
    numbers = np.array(structure.atomic_numbers, np.uint8)
    return ReducedCell(np.array(structure.lattice.matrix), numbers, structure.frac_coords)


def test_the_bound_decides_most_pairs_of_polymorphs(flla: CandidateBatch) -> None:
    rows = [row for row, formula in enumerate(flla.formulas) if formula == "ZnS"]
    cells = [flla.structure(row).get_reduced_structure().get_primitive_structure() for row in rows]
    pairs = [(one, other) for one in cells for other in cells if one is not other]
    undecided = [pair for pair in pairs if not cannot_match(*map(reduced_cell, pair))]
    assert len(undecided) < len(pairs) / 4


@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_least_pairing_is_that_of_scipy(size: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((size, size))
    least = cost[linear_sum_assignment(cost)].sum()
    assert _pairing_below(cost, least + 1e-9)
    assert not _pairing_below(cost, least - 1e-9)


def test_candidates_without_crystal_or_equal_are_alone(materials: CandidateBatch) -> None:
    assert crystal_groups(batch_of("SiO2", "SiO2")).duplicates == ()
    groups = crystal_groups(materials.take(np.array([7, 8, 7])))
    assert [rows.tolist() for rows in groups.members] == [[0, 2], [1]]
    assert groups.representatives.tolist() == [0, 1, 0]


def test_a_long_chain_of_cells_costs_no_memory() -> None:
    """pymatgen alone would list 39,601 matrices of 199 translations each."""
    copper = Structure(Lattice.cubic(2.55), ["Cu"], [[0, 0, 0]])
    groups = crystal_groups(batch_from([copper, copper.make_supercell([1, 1, 199], in_place=False)]))
    assert len(groups.members) == 2
    assert groups.unreduced.tolist() == [1]


def test_a_skewed_cell_is_reduced(materials: CandidateBatch) -> None:
    structure = materials.structure(100)
    change = np.array([[1, 0, 0], [9, 1, 0], [-4, 3, 1]])
    skewed = Structure(
        Lattice(change @ structure.lattice.matrix), structure.species, structure.frac_coords @ np.linalg.inv(change)
    )
    assert len(crystal_groups(batch_from([structure, skewed])).members) == 1


def test_equal_known_crystals(materials: CandidateBatch) -> None:
    candidates = batch_from(
        [disturbed(materials.structure(9), np.random.default_rng(1), strain=0.01, displacement=0.05)]
    )
    rows = equal_crystals(candidates, materials)[0]
    assert rows is not None
    assert 9 in rows
    assert equal_crystals(batch_of("SiO2"), materials) == [None]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_fingerprints_do_not_depend_on_the_setting_and_move_with_the_atoms(seed: int) -> None:
    from matloop.data.packaged.materials import load_materials

    random, materials = np.random.default_rng(seed), load_materials()
    assert materials.crystals is not None
    base = materials.structure(int(random.choice(np.flatnonzero(materials.crystals.site_counts <= 8))))
    shift = 0.05
    structures = [base, disturbed(base, random, strain=0, displacement=0)]
    structures.append(disturbed(base, random, strain=0, displacement=shift))
    marks = fingerprints(structures)
    assert np.allclose(marks[0], marks[1], atol=1e-9)
    free = (base.volume / len(base)) ** (1 / 3)
    assert structure_distances(marks[:1], marks[2:])[0, 0] <= 2 * shift / free + 1e-9


def fingerprints(structures: list[Structure]) -> np.ndarray[Any, np.dtype[np.float64]]:
    crystals = batch_from(structures).crystals
    assert crystals is not None
    return structure_fingerprints(crystals)


def test_fingerprint_against_neighbours_found_by_pymatgen(materials: CandidateBatch) -> None:
    structure = materials.structure(77)
    free = (structure.volume / len(structure)) ** (1 / 3)
    expected = np.zeros(48)
    for site in structure:
        near = sorted((n.nn_distance, n.specie == site.specie) for n in structure.get_neighbors(site, 8 * free))
        expected += [d for d, _ in near][:32] + [d for d, alike in near if alike][:16]
    assert np.allclose(fingerprints([structure])[0], expected / free / len(structure))


def test_rock_salts_are_one_structure_and_not_simple_cubic() -> None:
    salts = [
        Structure.from_spacegroup(225, Lattice.cubic(a), pair, [[0, 0, 0], [0.5, 0.5, 0.5]])
        for a, pair in ((5.6, ["Na", "Cl"]), (4.2, ["Mg", "O"]))
    ]
    marks = fingerprints([*salts, Structure(Lattice.cubic(3.3), ["Po"], [[0, 0, 0]])])
    distances = structure_distances(marks[:1], marks)[0]
    assert distances[1] < 1e-9
    assert distances[2] > 0.3
