"""Sets that matminer defines: the same columns, order and numbers on packaged crystals."""

import numpy as np
import pytest
from matminer.featurizers import structure as matminer
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import BatchError
from matloop.featurizers.base import featurize_checked
from matloop.featurizers.matminer.structure_sets import RadialDistribution, SineCoulombEigenvalues, StructuralComplexity
from tests.strategies import batch_of

# matminer builds the sine Coulomb matrix with numpy.matrix, and hands it to a solver for matrices without symmetry.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Casting complex values to real"),
]


@pytest.fixture(scope="module")
def crystals(materials: CandidateBatch) -> CandidateBatch:
    """200 packaged crystals from all over the set, with their columns."""
    return materials.take(np.linspace(0, len(materials) - 1, 200).astype(int))


@pytest.fixture(scope="module")
def structures(crystals: CandidateBatch) -> list[Structure]:
    return [crystals.structure(row) for row in range(len(crystals))]


def assert_same_distribution(
    batch: CandidateBatch, structures: list[Structure], rows: range, featurizer: RadialDistribution
) -> None:
    """Equal bins, but for pairs at an edge: their distance is rounded to one side here and to the other there."""
    cutoff, size = featurizer.parameters["cutoff"], featurizer.parameters["bin_size"]
    reference = matminer.RadialDistributionFunction(cutoff=cutoff, bin_size=size)
    assert [f"rdf {name[4:]}" for name in featurizer.feature_names] == reference.feature_labels()
    values = featurizer.featurize(batch.take(rows)).values
    edges = np.arange(len(featurizer.feature_names) + 1) * size
    compared = 0
    for row, found in zip(rows, values, strict=True):
        expected = np.array(reference.featurize(structures[row]))
        distances = structures[row].get_neighbor_list(cutoff + 0.01)[3]
        nearest = np.clip(np.rint(distances / size).astype(int), 0, len(edges) - 1)
        touched = np.unique(nearest[np.abs(distances - edges[nearest]) < 1e-7])
        clear = np.ones(len(found), bool)
        clear[np.clip(np.concatenate([touched, touched - 1]), 0, len(found) - 1)] = False
        np.testing.assert_allclose(found[clear], expected[clear], rtol=1e-6)
        compared += clear.sum()
    assert compared > 0.9 * values.size


def test_radial_distribution_is_matminers(crystals: CandidateBatch, structures: list[Structure]) -> None:
    assert_same_distribution(crystals, structures, range(200), RadialDistribution(cutoff=5.0))


def test_radial_distribution_at_the_default_cutoff(crystals: CandidateBatch, structures: list[Structure]) -> None:
    assert_same_distribution(crystals, structures, range(0, 200, 40), RadialDistribution())


def test_radial_distribution_per_atom_is_one_far_away_and_knows_no_cell() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    batch = CandidateBatch.from_structures([salt, salt.get_primitive_structure(), salt * (2, 1, 1)]).batch
    values = RadialDistribution(cutoff=20.0, bin_size=2.0, per_atom=True).featurize(batch).values
    np.testing.assert_allclose(values[1:], values[[0, 0]], rtol=1e-9)
    np.testing.assert_allclose(values[:, 5:].mean(axis=1), 1.0, atol=0.05)
    plain = RadialDistribution(cutoff=20.0, bin_size=2.0).featurize(batch).values
    np.testing.assert_allclose(plain[2], 2 * plain[0])


@pytest.mark.parametrize(("cutoff", "bin_size"), [(5.0, 0.3), (5.0, 0.0), (0.0, 0.1), (60.0, 0.1), (5.0, -0.1)])
def test_bins_that_do_not_fit_are_refused(cutoff: float, bin_size: float) -> None:
    with pytest.raises(BatchError, match="whole number of bins"):
        RadialDistribution(cutoff=cutoff, bin_size=bin_size)


def test_sine_coulomb_eigenvalues_are_matminers_sorted(crystals: CandidateBatch, structures: list[Structure]) -> None:
    most = max(len(structure) for structure in structures)
    featurizer = SineCoulombEigenvalues(sites=most)
    reference = matminer.SineCoulombMatrix().fit(structures)
    assert list(featurizer.feature_names) == reference.feature_labels()
    values, codes, _ = featurizer.featurize(crystals)
    assert not codes.any()
    for structure, found in zip(structures, values, strict=True):
        expected = np.zeros(most)
        expected[: len(structure)] = np.sort(reference.featurize(structure)[: len(structure)])[::-1]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_cell_with_too_many_sites_is_refused(crystals: CandidateBatch) -> None:
    assert crystals.crystals is not None
    counts = crystals.crystals.site_counts
    values, codes, details = featurize_checked(SineCoulombEigenvalues(sites=8), crystals)
    np.testing.assert_array_equal(codes == "E-FEATURE-FAILED", counts > 8)
    np.testing.assert_array_equal(np.isfinite(values).all(axis=1), counts <= 8)
    first = int(np.flatnonzero(counts > 8)[0])
    assert details[first] == f"{counts[first]} sites, at most 8"
    with pytest.raises(BatchError, match="1 to 500"):
        SineCoulombEigenvalues(sites=0)


def test_structural_complexity_is_matminers(crystals: CandidateBatch, structures: list[Structure]) -> None:
    assert crystals.crystals is not None
    values, codes, _ = StructuralComplexity().featurize(crystals)
    assert not codes.any()
    reference = matminer.StructuralComplexity()
    assert list(StructuralComplexity.feature_names) == reference.feature_labels()
    expected = np.array([reference.featurize(structure) for structure in structures])
    # Two libraries may settle differently for a crystal that lies within the tolerance of another group.
    same = np.isclose(values, expected, atol=1e-6).all(axis=1)
    assert same.mean() >= 0.97, values[~same]
    found = StructuralComplexity().featurize(CandidateBatch.from_crystals(crystals.crystals)).values
    np.testing.assert_allclose(found, values, atol=1e-12)


def test_structural_complexity_of_well_known_crystals() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    iron = Structure.from_spacegroup("Im-3m", Lattice.cubic(2.866), ["Fe"], [[0, 0, 0]])
    values = StructuralComplexity().featurize(CandidateBatch.from_structures([salt, iron]).batch).values
    np.testing.assert_allclose(values, [[1, 8], [0, 0]])


@pytest.mark.parametrize("featurizer", [RadialDistribution(), SineCoulombEigenvalues(), StructuralComplexity()])
def test_candidates_without_crystals_are_refused(
    featurizer: RadialDistribution | SineCoulombEigenvalues | StructuralComplexity,
) -> None:
    with pytest.raises(BatchError):
        featurizer.featurize(batch_of("NaCl"))
