import time

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import ROW_CODES, BatchError
from tests.strategies import rotations, sound_crystals, unimodular

NAN, INF = np.nan, np.inf
CUBE = np.eye(3) * 4.0
CORNER_AND_CENTRE = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
STRUCTURE_CODES = {code for code in ROW_CODES if code.startswith("E-STRUCT")} | {""}


def one(lattice: ArrayLike, frac_coords: ArrayLike, species: ArrayLike | None = None) -> Crystals:
    places = np.asarray(frac_coords, float).reshape(-1, 3)
    numbers = np.full(len(places), 14) if species is None else np.asarray(species)
    return Crystals(np.asarray(lattice, float)[None], np.array([0, len(places)]), numbers.astype(np.uint8), places)


def joined(*crystals: Crystals) -> Crystals:
    return Crystals(
        np.concatenate([c.lattice for c in crystals]),
        np.concatenate([[0], np.cumsum([len(c.species) for c in crystals])]),
        np.concatenate([c.species for c in crystals]),
        np.concatenate([c.frac_coords for c in crystals]),
    )


@pytest.fixture(scope="session")
def sample(materials: CandidateBatch) -> CandidateBatch:
    """60 packaged crystals from all over the set."""
    return materials.take(np.linspace(0, len(materials) - 1, 60).astype(int))


def test_shortest_distance_agrees_with_pymatgen_and_ase(sample: CandidateBatch) -> None:
    ours = sample.crystals.shortest_distances()
    assert ((ours > 0.5) & (ours < 5.0)).all()
    for row, distance in enumerate(ours):
        cutoff = distance + 0.2
        _, _, _, by_pymatgen = sample.structure(row).get_neighbor_list(cutoff)
        assert distance == pytest.approx(by_pymatgen.min(), abs=1e-6)
        assert distance == pytest.approx(neighbor_list("d", sample.atoms(row), cutoff).min(), abs=1e-6)


def test_volumes_agree_with_pymatgen(sample: CandidateBatch) -> None:
    structures = [sample.structure(row) for row in range(len(sample))]
    np.testing.assert_allclose(sample.crystals.volumes, [s.volume for s in structures], rtol=1e-9)
    spacings = [s.lattice.d_hkl(hkl) for s in structures for hkl in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    np.testing.assert_allclose(sample.crystals.plane_spacings.ravel(), spacings, rtol=1e-9)


@given(sound_crystals(), unimodular(), rotations(), st.integers(-3, 3))
def test_shortest_distance_does_not_depend_on_the_setting(
    crystals: Crystals, change: np.ndarray, rotation: np.ndarray, shift: int
) -> None:
    other = Crystals(
        change @ crystals.lattice @ rotation.T,
        crystals.offsets,
        crystals.species,
        (crystals.frac_coords + shift + 0.123) @ np.linalg.inv(change),
    )
    np.testing.assert_allclose(other.shortest_distances(), crystals.shortest_distances(), atol=1e-7)
    np.testing.assert_allclose(other.volumes, crystals.volumes, rtol=1e-9)
    assert other.row_codes().tolist() == [""]


def test_distance_to_the_own_image_counts_and_is_capped() -> None:
    edges = (2.5, 5.9, 7.0)
    crystals = joined(*(one(np.eye(3) * edge, [[0.3, 0.3, 0.3]]) for edge in edges))
    np.testing.assert_allclose(crystals.shortest_distances(), [2.5, 5.9, 6.0])


def test_only_hydrogen_comes_closer_than_nine_tenths_of_an_angstrom() -> None:
    for elements, apart, code in (
        ((7, 7), 1.1, ""),
        ((1, 1), 0.74, ""),
        ((8, 1), 0.7, ""),
        ((8, 1), 0.45, "E-STRUCT-DISTANCE"),
        ((8, 8), 0.85, "E-STRUCT-DISTANCE"),
        ((6, 13), 0.68, "E-STRUCT-DISTANCE"),
    ):
        places = np.array([[0, 0, 0], [apart / 5, 0, 0], [0.5, 0.5, 0.5]])
        crystal = Crystals(5 * np.eye(3)[None], np.array([0, 3]), np.array([*elements, 1], np.uint8), places)
        assert crystal.row_codes().tolist() == [code], elements


def test_left_handed_cells_are_as_good_as_right_handed() -> None:
    crystals = one(np.diag([4.0, 4.0, -4.0]), CORNER_AND_CENTRE)
    assert crystals.volumes.tolist() == [64.0]
    assert crystals.row_codes().tolist() == [""]


@pytest.mark.parametrize(
    ("lattice", "frac_coords", "code"),
    [
        (CUBE, CORNER_AND_CENTRE, ""),
        (CUBE * NAN, CORNER_AND_CENTRE, "E-STRUCT-NONFINITE"),
        (np.diag([4.0, 4.0, INF]), CORNER_AND_CENTRE, "E-STRUCT-NONFINITE"),
        (CUBE, [[0, 0, 0], [0.5, 0.5, NAN]], "E-STRUCT-NONFINITE"),
        (CUBE, [[0, 0, 0], [0.5, -INF, 0.5]], "E-STRUCT-NONFINITE"),
        (CUBE, [[1e308, 0, 0], [-1e308, 0.5, 0.5]], "E-STRUCT-NONFINITE"),
        (CUBE, [[0, 0, 0], [1e15 + 0.5, 0.5, 0.5]], "E-STRUCT-NONFINITE"),
        (np.full((3, 3), INF), np.empty((0, 3)), "E-STRUCT-NONFINITE"),
        (np.zeros((3, 3)), CORNER_AND_CENTRE, "E-STRUCT-VOLUME"),
        ([[4, 0, 0], [4, 0, 0], [0, 0, 4]], CORNER_AND_CENTRE, "E-STRUCT-VOLUME"),
        (np.eye(3) * 1.5, CORNER_AND_CENTRE, "E-STRUCT-VOLUME"),
        (np.eye(3) * 16, CORNER_AND_CENTRE, "E-STRUCT-VOLUME"),
        (CUBE, [[0, 0, 0], [0, 0, 0]], "E-STRUCT-DISTANCE"),
        (CUBE, [[0, 0, 0], [0.12, 0, 0]], "E-STRUCT-DISTANCE"),
        (CUBE, [[0.99, 0, 0], [0.01, 0, 0]], "E-STRUCT-DISTANCE"),
        (CUBE, [[0, 0, 0], [5.01, -3, 0]], "E-STRUCT-DISTANCE"),
        (np.diag([0.4, 10, 10]), [[0, 0, 0]], "E-STRUCT-DISTANCE"),
        (CUBE, np.empty((0, 3)), "E-STRUCT-SIZE"),
        (np.eye(3) * 30, np.random.default_rng(0).random((501, 3)), "E-STRUCT-SIZE"),
        (np.diag([1e200, 1e-200, 10]), [[0, 0, 0]], "E-STRUCT-CELL"),
        ([[1, 0, 0], [1e9, 1, 0], [0, 0, 50]], [[0, 0, 0]], "E-STRUCT-CELL"),
    ],
)
def test_gate(lattice: ArrayLike, frac_coords: ArrayLike, code: str) -> None:
    start = time.perf_counter()
    assert one(lattice, frac_coords).row_codes().tolist() == [code]
    assert time.perf_counter() - start < 5  # compilation included


@pytest.mark.parametrize("number", [0, 119, 255])
def test_gate_refuses_what_is_no_element(number: int) -> None:
    assert one(CUBE, CORNER_AND_CENTRE, [14, number]).row_codes().tolist() == ["E-STRUCT-ELEMENT"]


def test_gate_codes_each_crystal_on_its_own() -> None:
    good, bad, empty = one(CUBE, CORNER_AND_CENTRE), one(CUBE * NAN, CORNER_AND_CENTRE), one(CUBE, np.empty((0, 3)))
    crystals = joined(empty, good, bad, good, empty)
    expected = ["E-STRUCT-SIZE", "", "E-STRUCT-NONFINITE", "", "E-STRUCT-SIZE"]
    assert crystals.row_codes().tolist() == expected
    assert crystals.take(np.array([2, 1])).row_codes().tolist() == ["E-STRUCT-NONFINITE", ""]


def test_gate_passes_all_packaged_crystals(materials: CandidateBatch) -> None:
    assert set(materials.crystals.row_codes()) == {""}


any_float = st.floats(allow_nan=True, allow_infinity=True)


@given(arrays(float, (3, 3), elements=any_float | st.floats(-9, 9)), arrays(float, (3, 3), elements=any_float))
def test_gate_never_fails(lattice: np.ndarray, frac_coords: np.ndarray) -> None:
    assert set(one(lattice, frac_coords).row_codes()) <= STRUCTURE_CODES


def test_no_crystals() -> None:
    nothing = Crystals(np.empty((0, 3, 3)), np.zeros(1, np.int64), np.empty(0, np.uint8), np.empty((0, 3)))
    assert len(nothing) == len(nothing.row_codes()) == len(nothing.volumes) == len(nothing.compositions()) == 0
    assert nothing.shortest_distances().shape == (0,)


@given(st.lists(sound_crystals(), min_size=1, max_size=4), st.data())
def test_take_and_compositions(crystals: list[Crystals], data: st.DataObject) -> None:
    together = joined(*crystals)
    rows = data.draw(st.lists(st.integers(0, len(crystals) - 1), max_size=5))
    taken, compositions = together.take(np.array(rows, np.int64)), together.compositions()
    for place, row in enumerate(rows):
        sites = slice(taken.offsets[place], taken.offsets[place + 1])
        np.testing.assert_array_equal(taken.lattice[place], crystals[row].lattice[0])
        np.testing.assert_array_equal(taken.species[sites], crystals[row].species)
        np.testing.assert_array_equal(taken.frac_coords[sites], crystals[row].frac_coords)
    for row, crystal in enumerate(crystals):
        numbers, counts = np.unique(crystal.species, return_counts=True)
        entries = slice(compositions.offsets[row], compositions.offsets[row + 1])
        np.testing.assert_array_equal(compositions.elements[entries], numbers)
        np.testing.assert_array_equal(compositions.amounts[entries], counts)


@pytest.mark.parametrize(
    ("lattice", "offsets", "sites"), [((2, 3, 3), [0, 2], 2), ((1, 3, 3), [0, 3], 2), ((1, 9), [0, 2], 2)]
)
def test_arrays_that_do_not_fit_together_are_refused(lattice: tuple[int, ...], offsets: list[int], sites: int) -> None:
    with pytest.raises(BatchError, match="E-BATCH-SHAPE"):
        Crystals(np.ones(lattice), np.array(offsets), np.ones(sites, np.uint8), np.zeros((sites, 3)))
