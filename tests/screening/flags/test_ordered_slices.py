from collections.abc import Callable

import numpy as np
import pytest
from pymatgen.core import Element, Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.packaged.materials import load_materials
from matloop.screening.flags.ordered_slices import ordered_slices
from tests.strategies import batch_of


@pytest.mark.parametrize(
    ("formula", "parent"), [("Zr3TiO8", "ZrO2"), ("Hf3TiO8", "HfO2"), ("PrLuSe3", "Lu2Se3"), ("KRbCl2", "RbCl")]
)
def test_slices_of_known_solid_solutions_are_found(formula: str, parent: str) -> None:
    (found,) = ordered_slices(batch_of(formula))
    assert found is not None
    assert found.parent in {parent, {"Lu2Se3": "Pr2Se3", "RbCl": "KCl"}.get(parent)}
    assert found.is_known
    assert found.difference < 0.15
    assert found.distance > 0


def test_what_is_told_of_a_slice() -> None:
    (found,) = ordered_slices(batch_of("Zr3TiO8"))
    assert str(found).startswith("Ti4+; Zr4+; 25 %; ZrO2 (mp-")
    assert found is not None
    assert found.share == 0.25


@pytest.mark.parametrize(
    "formula",
    [
        "MgAl2O4",  # charges differ
        "CaMgC2O6",  # dolomite: radii differ by 28 %, and the two layers are real
        "BaTiO3", "La2Ti2S2O5", "ZrSiO4",  # zircon: Zr4+ and Si4+ differ by 46 %
        "NaCl", "Ni3Al",
    ],
)  # fmt: skip
def test_ordered_compounds_of_unlike_cations_are_not_slices(formula: str) -> None:
    assert ordered_slices(batch_of(formula)) == [None]


def packaged(name: str) -> CandidateBatch:
    materials = load_materials()
    return materials.take(np.array([materials.table["material_id"].to_pylist().index(name)]))


def scheelite(one: str, other: str, centre: str) -> CandidateBatch:
    """Two cations that take turns on the sites of Ca in CaWO4 (Hazen et al., J. Phys. Chem. Solids 46, 253 (1985))."""
    parent = Structure.from_spacegroup(
        "I4_1/a", Lattice.tetragonal(5.243, 11.376), ["Ca", centre, "O"],
        [[0, 0, 0.5], [0, 0, 0], [0.2415, 0.1504, 0.0861]],
    ).get_primitive_structure()  # fmt: skip
    species = np.array([site.specie.Z for site in parent], np.uint8)
    species[np.flatnonzero(species == 20)] = [Element(one).Z, Element(other).Z]
    crystals = Crystals(parent.lattice.matrix[None], np.array([0, len(species)]), species, parent.frac_coords)
    return CandidateBatch.from_crystals(crystals, {})


@pytest.mark.parametrize(
    ("crystal", "cations", "strength"),
    [
        (lambda: scheelite("Na", "Lu", "W"), {"Na+", "Lu3+"}, 1 / 8),
        (lambda: scheelite("Na", "Bi", "Mo"), {"Na+", "Bi3+"}, 1 / 8),
        (lambda: packaged("mp-675531"), {"Na+", "Bi3+"}, 1 / 6),  # NaBiS2, rock salt
        (lambda: packaged("mp-19419"), {"Li+", "Fe3+"}, 1 / 6),  # LiFeO2, rock salt
        (lambda: packaged("mp-541567"), {"V3+", "Sb5+"}, 1 / 6),  # VSbO4, rutile
    ],
    ids=["NaLu(WO4)2", "NaBi(MoO4)2", "NaBiS2", "LiFeO2", "VSbO4"],
)  # fmt: skip
def test_cations_of_unlike_charge_that_are_disordered_are_found(
    crystal: Callable[[], CandidateBatch], cations: set[str], strength: float
) -> None:
    (found,) = ordered_slices(crystal())
    assert found is not None
    assert set(found.cations) == cations
    assert found.strength == pytest.approx(strength)
    assert str(found).count(";") == 3


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mp-23120", "Cs2NaYCl6: every chlorine needs one of each"), ("mp-22736", "CuInS2: so does sulfur"),
        ("mp-19420", "Sr2MgWO6: charges differ by 4"), ("mp-6613", "Ba2YTaO6: radii differ by 29 %"),
        ("mp-18793", "LiCrO2, layered like LiCoO2: radii differ by 18 %"), ("mp-3536", "MgAl2O4: two kinds of sites"),
    ],
)  # fmt: skip
def test_cations_of_unlike_charge_that_order_are_not_slices(name: str, why: str) -> None:
    assert ordered_slices(packaged(name)) == [None], why


def test_two_cations_that_take_turns_on_one_place_are_seen() -> None:
    salt = Crystals(
        np.diag([6.4, 6.4, 6.4])[None], np.array([0, 8]), np.array([19, 19, 19, 37, 17, 17, 17, 17], np.uint8),
        np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0],
                  [0, 0, 0.5]]),
    )  # fmt: skip
    (found,) = ordered_slices(CandidateBatch.from_crystals(salt, {}))
    assert found is not None
    assert (found.same_place, found.parent, found.cations) == (True, "KCl", ("Rb+", "K+"))
    unlike = salt.species.copy()
    unlike[:4] = [19, 19, 37, 37]
    layered = Crystals(salt.lattice * np.array([1, 1, 1.4])[:, None], salt.offsets, unlike, salt.frac_coords)
    (found,) = ordered_slices(CandidateBatch.from_crystals(layered, {}))
    assert found is not None
    assert found.same_place
