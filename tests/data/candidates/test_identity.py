import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.formula import parse_formulas
from matloop.data.candidates.identity import composition_ids, crystal_ids, text_id
from tests.strategies import formula_of, rotations, sound_crystals, unimodular, whole_compositions


def with_sites(crystals: Crystals, lattice: np.ndarray, species: np.ndarray, frac_coords: np.ndarray) -> Crystals:
    return Crystals(lattice.reshape(1, 3, 3), np.array([0, len(species)]), species, frac_coords)


def supercell(crystals: Crystals, matrix: np.ndarray) -> Crystals:
    """All lattice points of the small cell inside the large one, whose rows are ``matrix @ lattice``."""
    reach = int(np.abs(matrix).sum())
    axis = np.arange(-reach, reach + 1)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    # Whole-number arithmetic (adjugate instead of inverse) decides without rounding what lies inside.
    determinant = round(np.linalg.det(matrix))
    inside = points @ np.rint(np.linalg.inv(matrix) * determinant).astype(int) * np.sign(determinant)
    points = points[((inside >= 0) & (inside < abs(determinant))).all(axis=1)]
    assert len(points) == abs(determinant)
    frac_coords = (crystals.frac_coords[:, None] + points).reshape(-1, 3) @ np.linalg.inv(matrix)
    return with_sites(crystals, matrix @ crystals.lattice[0], np.repeat(crystals.species, len(points)), frac_coords)


def other_setting(crystals: Crystals, change: np.ndarray, rotation: np.ndarray, seed: int) -> Crystals:
    """The same crystal: other cell vectors, origin, orientation, site order and images."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(crystals.species))
    moved = crystals.frac_coords[order] + random.random(3) + random.integers(-2, 3, (len(order), 3))
    lattice = change @ crystals.lattice[0] @ rotation.T
    return with_sites(crystals, lattice, crystals.species[order], moved @ np.linalg.inv(change))


doublings = st.sampled_from([np.diag([2, 1, 1]), np.diag([1, 2, 2]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])])


@given(sound_crystals(), unimodular(), rotations(), st.integers(0, 2**32 - 1))
def test_id_does_not_depend_on_the_setting(
    crystals: Crystals, change: np.ndarray, rotation: np.ndarray, seed: int
) -> None:
    assert crystal_ids(other_setting(crystals, change, rotation, seed)) == crystal_ids(crystals)


@given(sound_crystals(most_sites=3), doublings, unimodular())
def test_id_does_not_depend_on_the_size_of_the_cell(crystals: Crystals, matrix: np.ndarray, change: np.ndarray) -> None:
    assert crystal_ids(supercell(crystals, matrix @ change)) == crystal_ids(crystals)


def test_id_of_packaged_crystals_does_not_depend_on_cell_or_setting(materials: CandidateBatch) -> None:
    random = np.random.default_rng(3)
    rows = np.flatnonzero(materials.crystals.site_counts <= 12)[::40]
    changes = [np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]), np.array([[0, 1, 0], [0, 0, 1], [1, 0, 1]])]
    for row in rows:
        crystals = materials.crystals.take(np.array([row]))
        rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
        moved = other_setting(crystals, changes[row % 2], rotation, int(row))
        assert crystal_ids(moved) == crystal_ids(crystals) == [materials.ids[row]], materials.formulas[row]
        assert crystal_ids(supercell(crystals, np.diag([1, 2, 1]))) == [materials.ids[row]], materials.formulas[row]


def test_primitive_and_conventional_cells_of_pymatgen_share_an_id(materials: CandidateBatch) -> None:
    rows = np.flatnonzero((materials.column("space_group_number") > 194) & (materials.crystals.site_counts < 8))[::60]
    structures = [materials.structure(row) for row in rows]
    conventional = CandidateBatch.from_structures([s.to_conventional() for s in structures]).batch
    assert conventional.ids == [materials.ids[row] for row in rows]
    assert (conventional.crystals.site_counts > [len(s) for s in structures]).any()


@given(sound_crystals())
def test_id_changes_with_volume_and_species(crystals: Crystals) -> None:
    swapped = crystals.species.copy()
    swapped[0] = 110  # an element the strategy never draws
    variants = [
        with_sites(crystals, crystals.lattice[0] * 1.01, crystals.species, crystals.frac_coords),
        with_sites(crystals, crystals.lattice[0], swapped, crystals.frac_coords),
    ]
    ids = [crystal_ids(c)[0] for c in (crystals, *variants)]
    assert len(set(ids)) == 3


def test_id_changes_with_positions(materials: CandidateBatch) -> None:
    # The id sees neighbours within 5 Å; in crystals of the largest atoms (Cs) there are none.
    seen = (materials.crystals.site_counts > 1) & (materials.crystals.shortest_distances() < 4)
    assert seen.mean() > 0.9
    for row in np.flatnonzero(seen)[::50]:
        crystals = materials.crystals.take(np.array([row]))
        moved = crystals.frac_coords.copy()
        moved[0, 0] += 0.1 / np.linalg.norm(crystals.lattice[0, 0])  # 0.1 Å
        other = with_sites(crystals, crystals.lattice[0], crystals.species, moved)
        assert crystal_ids(other) != [materials.ids[row]], materials.formulas[row]


def test_id_tells_polymorphs_of_equal_density_apart() -> None:
    lattice = np.diag([4.0, 4.0, 8.0])
    layered = np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]])
    arrangements = [[11, 17, 17, 11], [11, 17, 11, 17], [11, 11, 17, 17]]
    crystals = [
        Crystals(lattice[None], np.array([0, 4]), np.array(species, np.uint8), layered) for species in arrangements
    ]
    assert len({crystal_ids(c)[0] for c in crystals}) == 3


def test_packaged_ids_are_those_the_code_gives(materials: CandidateBatch) -> None:
    assert crystal_ids(materials.crystals) == materials.ids


def test_ids_do_not_depend_on_the_batch(materials: CandidateBatch) -> None:
    rows = np.array([5000, 3, 77, 3])
    assert crystal_ids(materials.crystals.take(rows)) == [materials.ids[row] for row in rows]


def test_ids_of_different_materials_differ(materials: CandidateBatch, embedded_formulas: list[str]) -> None:
    # One pair of the packaged crystals is a single crystal under two identifiers of the source.
    assert len(set(materials.ids)) == len(materials) - 1
    assert len(set(composition_ids(parse_formulas(embedded_formulas)[0]))) == len(embedded_formulas)


@given(whole_compositions(), st.integers(2, 6))
def test_composition_id_does_not_depend_on_multiples_or_order(composition: dict[str, int], factor: int) -> None:
    multiple = {symbol: factor * amount for symbol, amount in reversed(composition.items())}
    halved = {symbol: amount / 2 for symbol, amount in composition.items()}
    written = [formula_of(composition), formula_of(multiple), formula_of(halved)]
    assert len(set(composition_ids(parse_formulas(written, exact=True)[0]))) == 1


def test_composition_ids_differ_between_neighbours() -> None:
    compositions, _ = parse_formulas(["LiFePO4", "LiFePO5", "NaFePO4", "Li2FePO4", "Si0.99999Ge0.00001", "Si"])
    assert len(set(composition_ids(compositions))) == 6


def test_kinds_of_id_are_told_by_the_first_letter(materials: CandidateBatch) -> None:
    ids = [composition_ids(parse_formulas(["SiO2"])[0])[0], materials.ids[0], text_id("SiO2")]
    for kind, identifier in zip("cxr", ids, strict=True):
        assert re.fullmatch(rf"{kind}[0-9a-f]{{20}}", identifier)


@pytest.mark.parametrize("text", ["", "\ud800", "NaN", "../../etc", "a" * 10**6])
def test_any_text_has_an_id(text: str) -> None:
    assert text_id(text) == text_id(text)
    assert re.fullmatch("r[0-9a-f]{20}", text_id(text))


def test_ids_of_texts_differ() -> None:
    texts = ["0012345", "12345", "12345.0", "NaN", "nan", ""]
    for one, other in pairwise(texts):
        assert text_id(one) != text_id(other)
