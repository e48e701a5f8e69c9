"""The neighbour list against ase and pymatgen, and the distance counts against the list."""

import ast
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.elements import SYMBOLS
from matloop.featurizers.neighbours import NeighbourList, distance_counts, neighbour_list
from tests.strategies import sound_crystals, unimodular

FEATURIZERS = Path(__file__).parents[2] / "featurizers"


def pairs_of(crystals: Crystals, pairs: NeighbourList, row: int) -> NDArray[np.float64]:
    """Site, neighbour, distance and vector of all pairs of a crystal, in the list's order."""
    first, last = crystals.offsets[row], crystals.offsets[row + 1]
    part = slice(pairs.offsets[first], pairs.offsets[last])
    site = np.repeat(np.arange(last - first), np.diff(pairs.offsets[first : last + 1]))
    return np.column_stack([site, pairs.sites[part] - first, pairs.distances[part], pairs.vectors[part]])


def assert_same_pairs(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Equal up to order: a projection on an odd direction sorts both alike, ties and rounding apart."""
    assert len(found) == len(expected)
    key = np.array([1e4, 1e2, 0.0, 1.0, np.sqrt(2), np.pi])
    found, expected = (rows[np.argsort(rows @ key, kind="stable")] for rows in (found, expected))
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("cutoff", [2.5, 6.0])
def test_pairs_are_those_of_ase(sample: CandidateBatch, cutoff: float) -> None:
    assert sample.crystals is not None
    pairs = neighbour_list(sample.crystals, cutoff)
    for row in range(0, len(sample), 3):
        i, j, d, vectors = neighbor_list("ijdD", sample.atoms(row), cutoff + 1e-8)
        assert_same_pairs(pairs_of(sample.crystals, pairs, row), np.column_stack([i, j, d, vectors]))


def test_pairs_are_those_of_pymatgen(sample: CandidateBatch) -> None:
    assert sample.crystals is not None
    pairs = neighbour_list(sample.crystals, 5.0)
    for row in range(0, len(sample), 5):
        structure = sample.structure(row)
        i, j, images, d = structure.get_neighbor_list(5.0)
        vectors = (structure.frac_coords[j] + images - structure.frac_coords[i]) @ structure.lattice.matrix
        assert_same_pairs(pairs_of(sample.crystals, pairs, row), np.column_stack([i, j, d, vectors]))


def test_radii_by_element_are_those_of_ase(sample: CandidateBatch) -> None:
    assert sample.crystals is not None
    radii = 1.0 + np.arange(len(SYMBOLS)) / 60
    pairs = neighbour_list(sample.crystals, radii[sample.crystals.species])
    for row in range(0, len(sample), 6):
        atoms = sample.atoms(row)
        i, j, d, vectors = neighbor_list("ijdD", atoms, radii[atoms.numbers] + 5e-9)
        assert_same_pairs(pairs_of(sample.crystals, pairs, row), np.column_stack([i, j, d, vectors]))


@given(sound_crystals(), unimodular(), st.floats(1.0, 7.0))
def test_skewed_cells_hold_the_same_distances(crystals: Crystals, change: NDArray[np.int64], cutoff: float) -> None:
    skewed = Crystals(
        change @ crystals.lattice, crystals.offsets, crystals.species,
        crystals.frac_coords @ np.linalg.inv(change) + 3.0,
    )  # fmt: skip
    before, after = neighbour_list(crystals, cutoff), neighbour_list(skewed, cutoff)
    away = np.abs(before.distances - cutoff) > 1e-6
    # A distance at the cutoff may fall on either side of it.
    if away.all() and len(before.distances) == len(after.distances):
        np.testing.assert_array_equal(before.offsets, after.offsets)
    np.testing.assert_allclose(
        np.sort(before.distances[away]), np.sort(after.distances[np.abs(after.distances - cutoff) > 1e-6]), atol=1e-9
    )


@settings(max_examples=30)
@given(sound_crystals())
def test_every_pair_stands_twice_and_vectors_have_their_length(crystals: Crystals) -> None:
    pairs = neighbour_list(crystals, 5.0)
    np.testing.assert_allclose(np.linalg.norm(pairs.vectors, axis=1), pairs.distances, rtol=1e-12)
    here = pairs_of(crystals, pairs, 0)
    assert_same_pairs(here[:, [1, 0, 2, 3, 4, 5]] * [1, 1, 1, -1, -1, -1], here)


def test_list_does_not_depend_on_the_rest_of_the_batch(sample: CandidateBatch) -> None:
    assert sample.crystals is not None
    whole = neighbour_list(sample.crystals, 4.0)
    for row in (0, 41, 99):
        alone = sample.crystals.take(np.array([row]))
        np.testing.assert_array_equal(
            pairs_of(alone, neighbour_list(alone, 4.0), 0), pairs_of(sample.crystals, whole, row)
        )


def test_isolated_atom_has_no_neighbours_and_an_atom_at_the_cutoff_is_one() -> None:
    cube = Crystals(5.0 * np.eye(3)[None], np.array([0, 1]), np.array([14], np.uint8), np.zeros((1, 3)))
    assert len(neighbour_list(cube, 4.999).sites) == 0
    assert len(neighbour_list(cube, 5.0).sites) == 6
    assert neighbour_list(cube.take(np.empty(0, np.int64)), 5.0).offsets.tolist() == [0]


@pytest.mark.parametrize("cutoff", [3.0, 7.0])
def test_distance_counts_are_the_histogram_of_the_list(sample: CandidateBatch, cutoff: float) -> None:
    assert sample.crystals is not None
    edges = np.arange(round(cutoff * 10) + 1) * 0.1
    counts = distance_counts(sample.crystals, edges)
    pairs = neighbour_list(sample.crystals, cutoff)
    for row in range(0, len(sample), 4):
        distances = pairs_of(sample.crystals, pairs, row)[:, 2]
        # A distance on an edge may fall to either side in rounding; running totals away from such edges are exact.
        clear = np.abs(distances[:, None] - edges[None, 1:]).min(axis=0, initial=1.0) > 1e-7
        below = np.searchsorted(np.sort(distances), edges[1:])
        np.testing.assert_array_equal(counts[row].cumsum()[clear], below[clear])


def imported_kernels(source: str) -> list[str]:
    """Names imported from matloop that compiled functions of a module call."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("matloop")
        for alias in node.names
    }
    compiled = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(entry) for entry in node.decorator_list)
    ]
    calls = [node.func for kernel in compiled for node in ast.walk(kernel) if isinstance(node, ast.Call)]
    return sorted({call.id for call in calls if isinstance(call, ast.Name)} & imported)


@pytest.mark.parametrize("path", sorted(FEATURIZERS.glob("*.py")), ids=lambda path: path.stem)
def test_kernels_call_only_kernels_of_their_own_file(path: Path) -> None:
    # numba's cache on disk does not notice that a kernel of another file has changed.
    assert imported_kernels(path.read_text("utf-8")) == []


def test_call_of_a_foreign_kernel_is_seen() -> None:
    kernel = "@numba.njit(cache=True)\ndef f(x):\n    return image_range(x, 1)"
    source = f"from matloop.data.candidates.crystals import image_range\n{kernel}"
    assert imported_kernels(source) == ["image_range"]
