"""Local structure features: textbook values, definitions written out plainly, and what they must not depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure
from scipy.special import sph_harm_y

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.elements import element_table
from matloop.data.errors import BatchError
from matloop.featurizers.base import Featurizer, featurize_checked
from matloop.featurizers.crystal_local import CrystalLocal
from matloop.featurizers.crystal_voronoi import CrystalVoronoi
from matloop.featurizers.property_density import PropertyDensity, bonding_electrons
from tests.strategies import batch_of, rotations, sound_crystals, unimodular

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
LOCAL = CrystalLocal()
CUBIC = {
    "copper": ("Fm-3m", 3.615, ["Cu"], [[0, 0, 0]], [12]),
    "iron": ("Im-3m", 2.866, ["Fe"], [[0, 0, 0]], [8]),
    "silicon": ("Fd-3m", 5.431, ["Si"], [[0, 0, 0]], [4]),
    "rock salt": ("Fm-3m", 5.640, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]], [6, 6]),
    "caesium chloride": ("Pm-3m", 4.123, ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]], [8, 8]),
    "SrTiO3": ("Pm-3m", 3.905, ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]], [12, 6, 6, 6, 6]),
}


def batch_from(*structures: Structure) -> CandidateBatch:
    intake = CandidateBatch.from_structures(structures)
    assert not intake.refused
    return intake.batch


def crystal(name: str) -> Structure:
    group, edge, species, sites, _ = CUBIC[name]
    return Structure.from_spacegroup(group, Lattice.cubic(edge), species, sites)


def local(batch: CandidateBatch, *names: str) -> NDArray[np.float64]:
    values = LOCAL.featurize(batch).values
    return values[:, [LOCAL.feature_names.index(name) for name in names]]


@pytest.mark.parametrize("name", CUBIC)
def test_coordination_numbers_are_those_of_the_textbooks(name: str) -> None:
    expected = CUBIC[name][-1]
    found = local(batch_from(crystal(name)), *(f"local coordination {s}" for s in ("mean", "minimum", "maximum")))
    np.testing.assert_allclose(found[0], [np.mean(expected), min(expected), max(expected)], atol=0.02)


def test_bonds_of_rock_salt_written_out() -> None:
    found = local(
        batch_from(crystal("rock salt")), "local bond length mean", "local reduced bond length mean",
        "local ionicity mean", "local difference Electronegativity mean", "local difference Number avg_dev",
    )  # fmt: skip
    difference = 3.16 - 0.93
    expected = [2.82, 2.82 / (1.66 + 1.02), 1 - np.exp(-0.25 * difference**2), difference, 0]
    np.testing.assert_allclose(found[0], expected, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "orders"),  # Steinhardt et al. 1983, Mickel et al. 2013: fcc, cube corners, octahedron, tetrahedron
    [("copper", {"q4": 0.1909, "q6": 0.5745}), ("iron", {"q4": 0.5092, "q6": 0.6285}),
     ("rock salt", {"q4": 0.7638, "q6": 0.3536}), ("silicon", {"q3": 0.7454, "q4": 0.5092, "q6": 0.6285})],
)  # fmt: skip
def test_order_parameters_have_their_published_values(name: str, orders: dict[str, float]) -> None:
    found = local(batch_from(crystal(name)), *(f"local {order} mean" for order in ("q1", *orders)))
    np.testing.assert_allclose(found[0], [0, *orders.values()], atol=1e-3)


def test_order_parameters_are_sums_over_spherical_harmonics() -> None:
    edge = 10.0
    sites = [[0.5, 0.5, 0.5], [0.576, 0.5, 0.5], [0.52, 0.594, 0.54]]
    molecule = Structure(Lattice.cubic(edge), ["O", "H", "H"], sites)
    values = local(batch_from(molecule), *(f"local q{order} minimum" for order in (1, 2, 3, 4, 6)))[0]
    bonds = (molecule.frac_coords[1:] - molecule.frac_coords[0]) * edge
    polar = np.arccos(bonds[:, 2] / np.linalg.norm(bonds, axis=1))
    azimuth = np.arctan2(bonds[:, 1], bonds[:, 0])
    for order, value in zip((1, 2, 3, 4, 6), values, strict=True):
        mean = [sph_harm_y(order, m, polar, azimuth).mean() for m in range(-order, order + 1)]
        expected = np.sqrt(4 * np.pi / (2 * order + 1) * np.sum(np.abs(mean) ** 2))
        # The hydrogens have one bond each, for which every order parameter is 1: the oxygen holds the minimum.
        assert value == pytest.approx(expected, abs=1e-9)


def test_packing_and_variation_of_site_volumes_written_out() -> None:
    found = local(batch_from(crystal("rock salt"), crystal("copper")), "local packing", "local site volume variation")
    # Sodium and chlorine share their bond like their radii; the spheres of copper touch.
    sodium, chlorine = (2.82 * radius / (1.66 + 1.02) for radius in (1.66, 1.02))
    volumes = 4 / 3 * np.pi * np.array([sodium, chlorine]) ** 3
    packing = 4 * volumes.sum() / 5.64**3
    variation = np.abs(volumes - volumes.mean()).mean() / volumes.mean()
    np.testing.assert_allclose(found, [[packing, variation], [np.pi / np.sqrt(18), 0]], atol=2e-3)


def test_isolated_atom_has_the_documented_values() -> None:
    values, codes, _ = featurize_checked(LOCAL, batch_from(Structure(Lattice.cubic(9), ["Ar"], [[0, 0, 0]])))
    assert codes.tolist() == ["E-FEATURE-NODATA"]
    batch = batch_from(Structure(Lattice.cubic(9), ["Si"], [[0, 0, 0]]))
    values, codes, _ = featurize_checked(LOCAL, batch)
    assert codes.tolist() == [""]
    means = dict(zip(LOCAL.feature_names, values[0], strict=True))
    radius, outer = 1.11, 1.5
    expected = {
        "reduced bond length": outer, "shortest reduced bond length": outer, "bond length": 2 * outer * radius,
        "site volume": 4 / 3 * np.pi * (outer * radius) ** 3, "packing": 4 / 3 * np.pi * (outer * radius / 9) ** 3,
    }  # fmt: skip
    for name, value in means.items():
        quantity = name.removeprefix("local ")
        for statistic in ("mean", "minimum", "maximum"):
            quantity = quantity.removesuffix(f" {statistic}")
        known = expected.get(quantity, 0.0)
        assert value == pytest.approx(known, abs=1e-9), name


def test_network_of_a_cubic_crystal_has_cubic_stiffness_and_layers_slide() -> None:
    graphite = Structure.from_spacegroup(
        "P6_3/mmc", Lattice.hexagonal(2.46, 6.7), ["C", "C"], [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]]
    )
    names = [f"electron stiffness {mode}" for mode in range(1, 7)]
    cubic, layered = local(batch_from(crystal("silicon"), graphite), *names)
    # Two moduli for tetragonal shear, three for the other one, and three times the bulk modulus.
    np.testing.assert_allclose([cubic[0], cubic[2], cubic[3]], [cubic[1], cubic[3], cubic[4]], rtol=1e-6)
    bulk = local(batch_from(crystal("silicon")), "electron bulk stiffness")[0, 0]
    assert cubic[5] == pytest.approx(3 * bulk)
    np.testing.assert_allclose(layered[0], 0, atol=1e-5)  # nothing holds the layers together
    assert layered[5] > 100


def test_no_feature_jumps_while_a_neighbour_leaves() -> None:
    edges = np.linspace(2.0, 3.6, 400)
    values = LOCAL.featurize(batch_from(*(Structure(Lattice.cubic(a), ["Si"], [[0, 0, 0]]) for a in edges))).values
    names = ("coordination mean", "reduced bond length mean", "bond length mean", "site volume mean")
    columns = [LOCAL.feature_names.index(f"local {name}") for name in names]
    steps = np.abs(np.diff(values[:, columns], axis=0)) / np.ptp(values[:, columns], axis=0)
    assert steps.max() < 0.03


def transformed(crystals: Crystals, change: NDArray[np.int64], turn: NDArray[np.float64], shift: float) -> Crystals:
    """Another cell of the same lattice (or a supercell of it), turned, shifted, sites reversed."""
    corners = np.array(np.meshgrid(*[range(-12, 13)] * 3)).reshape(3, -1).T @ np.linalg.inv(change)
    inside = corners[((corners > -1e-9) & (corners < 1 - 1e-9)).all(axis=1)]
    assert len(inside) == round(abs(np.linalg.det(change)))
    frac = (crystals.frac_coords @ np.linalg.inv(change))[:, None, :] + inside[None, :, :] + shift
    species = np.repeat(crystals.species, len(inside))[::-1]
    lattice = change @ crystals.lattice @ turn.T
    return Crystals(lattice, np.array([0, len(species)]), species.copy(), frac.reshape(-1, 3)[::-1].copy())


@settings(max_examples=40)
@given(
    sound_crystals(most_sites=4), unimodular(steps=2), rotations(), st.floats(-2, 2),
    st.lists(st.integers(1, 2), min_size=3, max_size=3),
)  # fmt: skip
def test_features_do_not_depend_on_how_the_crystal_is_written_down(
    crystals: Crystals, change: NDArray[np.int64], turn: NDArray[np.float64], shift: float, repeats: list[int]
) -> None:
    other = transformed(crystals, np.diag(repeats) @ change, turn, shift)
    for featurizer in (LOCAL, PropertyDensity(), CrystalVoronoi()):
        before = featurizer.featurize(CandidateBatch.from_crystals(crystals))
        after = featurizer.featurize(CandidateBatch.from_crystals(other))
        assert before.codes.tolist() == after.codes.tolist()
        np.testing.assert_allclose(after.values, before.values, rtol=1e-6, atol=1e-5)


def test_property_densities_written_out() -> None:
    values = PropertyDensity().featurize(batch_from(crystal("rock salt"))).values[0]
    densities = dict(zip(PropertyDensity.feature_names, values * 5.64**3 / 4, strict=True))
    melting = element_table().columns(("MeltingT",))[[11, 17], 0].sum()
    assert densities["Number per volume"] == pytest.approx(28)
    assert densities["MeltingT per volume"] == pytest.approx(melting)
    assert densities["bonding electrons per volume"] == pytest.approx(bonding_electrons()[[11, 17]].sum()) == 2


@pytest.mark.parametrize("bounds", [(1.5, 1.5), (0.1, 1.5), (1.1, 9.0)])
def test_bounds_that_make_no_sense_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(BatchError, match="inner < outer"):
        CrystalLocal(*bounds)


@pytest.mark.parametrize("featurizer", [LOCAL, PropertyDensity(), CrystalVoronoi()])
def test_candidates_without_crystals_are_refused(featurizer: Featurizer) -> None:
    with pytest.raises(BatchError):
        featurizer.featurize(batch_of("NaCl"))
