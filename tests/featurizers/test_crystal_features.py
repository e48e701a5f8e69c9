import numpy as np
import pytest
from matminer.featurizers.structure import DensityFeatures, GlobalSymmetryFeatures
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import BatchError
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.crystal import CRYSTAL_SYSTEMS, Density, Symmetry, crystal_systems, space_group_numbers
from tests.strategies import batch_of

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")


def test_density_features_are_matminers(sample: CandidateBatch) -> None:
    values, codes, _ = Density().featurize(sample)
    reference = DensityFeatures()
    assert reference.feature_labels() == ["density", "vpa", "packing fraction"]
    expected = np.array([reference.featurize(sample.structure(row)) for row in range(len(sample))], float)
    assert (codes == "").sum() >= 97
    # matminer's own constants differ from CODATA in the seventh digit.
    np.testing.assert_allclose(values[:, 0], expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(values[:, 1], expected[:, 1], rtol=1e-9)
    known = codes == ""
    np.testing.assert_allclose(values[known, 2], expected[known, 2], rtol=1e-9)


def test_densities_of_well_known_crystals() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.640), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.615), ["Cu"], [[0, 0, 0]])
    values = Density().featurize(CandidateBatch.from_structures([salt, silicon, copper]).batch).values
    np.testing.assert_allclose(values[:, 0], [2.165, 2.329, 8.93], rtol=3e-3)  # measured, g/cm3
    np.testing.assert_allclose(values[:, 3], [5.640 / 2, 5.431 * np.sqrt(3) / 4, 3.615 / np.sqrt(2)], rtol=1e-9)


def test_density_counts_atoms_of_the_cell_not_of_the_formula(sample: CandidateBatch) -> None:
    reduced, _ = sample.compositions.reduced()
    assert (reduced.totals < sample.compositions.totals).any()
    same = sample.with_block(COMPOSITIONS, reduced)
    np.testing.assert_array_equal(Density().featurize(same).values, Density().featurize(sample).values)


def test_density_refuses_elements_without_a_radius() -> None:
    krypton = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.71), ["Kr"], [[0, 0, 0]])
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])
    matrix = FeatureSet((Density(),)).featurize(CandidateBatch.from_structures([krypton, silicon]).batch)
    assert matrix.codes.tolist() == ["E-FEATURE-NODATA", ""]
    assert np.isnan(matrix.values[0]).any()
    assert np.isfinite(matrix.values[1]).all()


def test_symmetry_agrees_with_spglib(sample: CandidateBatch) -> None:
    values, codes, _ = Symmetry().featurize(sample)
    assert not codes.any()
    reference = GlobalSymmetryFeatures(["spacegroup_num", "crystal_system_int"])
    expected = np.array([reference.featurize(sample.structure(row)) for row in range(len(sample))], float)
    same = values[:, 0] == expected[:, 0]
    # Two libraries may settle differently for a crystal that lies within the tolerance of another group.
    assert same.mean() >= 0.97, values[~same]
    np.testing.assert_array_equal(values[same, 1], expected[same, 1])


def test_crystal_systems_have_matminers_numbers_for_all_space_groups() -> None:
    numbers = np.arange(1, 231)
    of_group = [CRYSTAL_SYSTEMS[system - 1] for system in crystal_systems(numbers)]
    first = {"triclinic": 1, "monoclinic": 3, "orthorhombic": 16, "tetragonal": 75, "trigonal": 143, "hexagonal": 168,
             "cubic": 195}  # fmt: skip
    assert {system: of_group.index(system) + 1 for system in first} == first
    assert of_group == sorted(of_group, key=list(first).index)
    assert {system: CRYSTAL_SYSTEMS.index(system) + 1 for system in first} == {
        system: GlobalSymmetryFeatures.crystal_idx[system] for system in first
    }


def test_known_space_groups_are_believed(sample: CandidateBatch) -> None:
    claimed = sample.with_columns(space_group_number=np.full(len(sample), 225, np.int16))
    assert Symmetry().featurize(claimed).values.tolist() == [[225, 1]] * len(sample)


def test_crystals_without_a_known_space_group_are_analysed(sample: CandidateBatch) -> None:
    """Candidates of several sources in one batch: some know their space group, some do not."""
    few = sample.take(range(6))
    found, _, _ = Symmetry().featurize(few)
    claimed = few.with_columns(space_group_number=[None, 2, None, 2, 225, None])
    values, codes, _ = Symmetry().featurize(claimed)
    assert not codes.any()
    np.testing.assert_array_equal(values[[0, 2, 5]], found[[0, 2, 5]])
    assert values[[1, 3, 4]].tolist() == [[2, 7], [2, 7], [225, 1]]
    nothing_known, _, _ = Symmetry().featurize(few.with_columns(space_group_number=[None] * 6))
    np.testing.assert_array_equal(nothing_known, found)


def test_a_space_group_that_cannot_be_found_is_coded() -> None:
    batch = two_crystals_of_which_one_is_impossible().with_columns(space_group_number=[None, 227])
    values, codes, _ = Symmetry().featurize(batch)
    assert codes.tolist() == ["E-FEATURE-FAILED", ""]
    assert np.isnan(values[0]).all()
    assert values[1].tolist() == [227, 1]


def test_packaged_space_groups_are_those_the_code_finds(materials: CandidateBatch) -> None:
    rows = np.arange(0, len(materials), 60)
    assert materials.crystals is not None
    found = space_group_numbers(materials.crystals.take(rows))
    np.testing.assert_array_equal(found, materials.column("space_group_number")[rows])


def two_crystals_of_which_one_is_impossible() -> CandidateBatch:
    """Silicon, first with all its atoms in one place."""
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])
    batch = CandidateBatch.from_structures([silicon, silicon]).batch
    assert batch.crystals is not None
    coincident = np.repeat(batch.crystals.frac_coords[:1], 8, axis=0)
    crystals = Crystals(
        batch.crystals.lattice, batch.crystals.offsets, batch.crystals.species,
        np.concatenate([coincident, batch.crystals.frac_coords[8:]]),
    )  # fmt: skip
    return batch.with_block(CRYSTALS, crystals)


def test_symmetry_that_cannot_be_found_leaves_the_batch_alive() -> None:
    crystals = two_crystals_of_which_one_is_impossible().crystals
    assert crystals is not None
    assert np.isnan(space_group_numbers(crystals)).tolist() == [True, False]


@pytest.mark.parametrize("featurizer", [Density(), Symmetry()])
def test_candidates_without_crystals_are_coded(featurizer: Density | Symmetry) -> None:
    with pytest.raises(BatchError):
        featurizer.featurize(batch_of("NaCl"))
    matrix = FeatureSet((featurizer,)).featurize(batch_of("NaCl", "SiO2"))
    assert matrix.codes.tolist() == ["E-FEATURE-CRYSTAL"] * 2
    assert np.isnan(matrix.values).all()
