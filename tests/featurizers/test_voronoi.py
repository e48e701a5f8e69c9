"""Voronoi cells against pymatgen's (Qhull) and textbook polyhedra, and the features made of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from pymatgen.analysis.local_env import VoronoiNN
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.featurizers.crystal_voronoi import CrystalVoronoi
from matloop.featurizers.voronoi import VoronoiCells, voronoi_cells
from tests.strategies import sound_crystals

VORONOI = CrystalVoronoi()


def batch_from(*structures: Structure) -> CandidateBatch:
    intake = CandidateBatch.from_structures(structures)
    assert not intake.refused
    return intake.batch


def cubic(group: str, edge: float, species: list[str], sites: list[list[float]]) -> Structure:
    return Structure.from_spacegroup(group, Lattice.cubic(edge), species, sites)


def faces_of(cells: VoronoiCells, site: int) -> NDArray[np.float64]:
    """Distance, area and solid angle of each face of some size, sorted."""
    part = slice(cells.faces.offsets[site], cells.faces.offsets[site + 1])
    table = np.column_stack([cells.faces.distances[part], cells.areas[part], cells.solid_angles[part]])
    return table_sorted(table[table[:, 1] > 1e-3])


def table_sorted(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return table[np.argsort(table @ [1.0, 0.1, 0.01], kind="stable")]


def test_faces_are_those_of_pymatgen(sample: CandidateBatch) -> None:
    assert sample.crystals is not None
    rows = np.flatnonzero(sample.crystals.site_counts <= 8)[::3]
    few = sample.take(rows)
    assert few.crystals is not None
    assert len(few) >= 12
    cells = voronoi_cells(few.crystals)
    finder = VoronoiNN(tol=0, compute_adj_neighbors=False)
    for row in range(len(few)):
        for site, theirs in enumerate(finder.get_all_voronoi_polyhedra(few.structure(row))):
            expected = np.array([[2 * f["face_dist"], f["area"], f["solid_angle"]] for f in theirs.values()])
            found = faces_of(cells, few.crystals.offsets[row] + site)
            np.testing.assert_allclose(found, table_sorted(expected[expected[:, 1] > 1e-3]), atol=1e-6)


@pytest.mark.parametrize(
    ("structure", "faces"),
    [
        # The cell of fcc is a rhombic dodecahedron, that of bcc a truncated octahedron, that of diamond 4 + 12.
        (cubic("Fm-3m", 4.0, ["Cu"], [[0, 0, 0]]), [12]),
        (cubic("Im-3m", 3.0, ["Fe"], [[0, 0, 0]]), [8, 6]),
        (cubic("Fd-3m", 5.4, ["Si"], [[0, 0, 0]]), [4, 12]),
        (cubic("Pm-3m", 3.4, ["Po"], [[0, 0, 0]]), [6]),
    ],
)
def test_cells_of_cubic_crystals_are_the_polyhedra_of_the_textbooks(structure: Structure, faces: list[int]) -> None:
    batch = batch_from(structure)
    assert batch.crystals is not None
    cells = voronoi_cells(batch.crystals)
    found = faces_of(cells, 0)
    assert np.unique(found[:, 0].round(6), return_counts=True)[1].tolist() == faces
    np.testing.assert_allclose(cells.volumes, structure.volume / len(structure), rtol=1e-12)


def test_truncated_octahedron_written_out() -> None:
    batch = batch_from(cubic("Im-3m", 3.0, ["Fe"], [[0, 0, 0]]))
    assert batch.crystals is not None
    edge = 3.0 * np.sqrt(2) / 4
    areas = faces_of(voronoi_cells(batch.crystals), 0)[:, 1]
    np.testing.assert_allclose(areas, [*[3 * np.sqrt(3) / 2 * edge**2] * 8, *[edge**2] * 6], rtol=1e-9)


def test_cells_fill_the_packaged_crystals(materials: CandidateBatch) -> None:
    assert materials.crystals is not None
    crystals = materials.crystals.take(np.arange(0, len(materials), 8))
    cells = voronoi_cells(crystals)
    np.testing.assert_allclose(np.add.reduceat(cells.volumes, crystals.offsets[:-1]), crystals.volumes, rtol=1e-9)
    spheres = np.add.reduceat(cells.solid_angles, cells.faces.offsets[:-1])
    np.testing.assert_allclose(spheres, 4 * np.pi, rtol=1e-5)


@settings(max_examples=40)
@given(sound_crystals())
def test_cells_fill_any_crystal_and_faces_are_the_same_from_both_sides(crystals: Crystals) -> None:
    cells = voronoi_cells(crystals)
    assert cells.volumes.sum() == pytest.approx(crystals.volumes[0], rel=1e-9)
    at = np.repeat(np.arange(len(crystals.species)), np.diff(cells.faces.offsets))
    here = np.column_stack([cells.faces.vectors, at, cells.faces.sites, cells.areas, cells.solid_angles])
    there = here * [-1, -1, -1, 1, 1, 1, 1]
    there[:, [3, 4]] = there[:, [4, 3]]
    key = np.array([1.0, np.sqrt(2), np.pi, 1e2, 1e4, 0, 0])
    real = cells.areas > 1e-4
    here, there = (rows[real][np.argsort(rows[real] @ key)] for rows in (here, there))
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_cells_do_not_depend_on_the_rest_of_the_batch(sample: CandidateBatch) -> None:
    assert sample.crystals is not None
    # A dilute crystal is gone over again while the others are done.
    dilute = Crystals(np.diag([3.0, 3.0, 29.0])[None], np.array([0, 2]), np.array([11, 17], np.uint8), np.zeros((2, 3)))
    dilute.frac_coords[1] = 0.1
    batch = CandidateBatch.from_crystals(
        Crystals(
            np.concatenate([sample.crystals.lattice[:3], dilute.lattice, sample.crystals.lattice[3:6]]),
            np.concatenate([sample.crystals.offsets[:4], sample.crystals.offsets[3:7] + 2]),
            np.concatenate([
                sample.crystals.species[: sample.crystals.offsets[3]], dilute.species,
                sample.crystals.species[sample.crystals.offsets[3] : sample.crystals.offsets[6]],
            ]),
            np.concatenate([
                sample.crystals.frac_coords[: sample.crystals.offsets[3]], dilute.frac_coords,
                sample.crystals.frac_coords[sample.crystals.offsets[3] : sample.crystals.offsets[6]],
            ]),
        )
    )  # fmt: skip
    whole = VORONOI.featurize(batch)
    assert set(whole.codes) == {""}
    for row in range(len(batch)):
        np.testing.assert_array_equal(VORONOI.featurize(batch.take([row])).values[0], whole.values[row])


def test_features_of_copper_and_rock_salt_written_out() -> None:
    structures = cubic("Fm-3m", 3.615, ["Cu"], [[0, 0, 0]]), cubic("Fm-3m", 5.64, ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    names = ("coordination mean", "packing", "site volume maximum", "site volume variation", "ionicity minimum")
    columns = [VORONOI.feature_names.index(f"voronoi {name}") for name in names]
    values = VORONOI.featurize(batch_from(*structures)).values[:, columns]
    # The cells of rock salt are cubes: six faces to the other kind, and spheres that fill pi/6 of them.
    ionicity = 1 - np.exp(-0.25 * (3.16 - 0.93) ** 2)
    expected = [[12, np.pi / np.sqrt(18), 3.615**3 / 4, 0, 0], [6, np.pi / 6, 2.82**3, 0, ionicity]]
    np.testing.assert_allclose(values, expected, atol=1e-6)
