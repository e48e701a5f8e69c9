import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
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
