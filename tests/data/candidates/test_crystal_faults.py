import numpy as np
import pytest

from matloop.data.candidates.crystal_faults import fault_detail
from matloop.data.candidates.crystals import Crystals
from tests.data.readers.reading import outcome


def crystal(species: list[int], places: list[list[float]], edges: tuple[float, float, float] = (4, 4, 4)) -> Crystals:
    return Crystals(
        np.diag(np.array(edges, float))[None],
        np.array([0, len(species)]),
        np.array(species, np.uint8),
        np.array(places),
    )


@pytest.mark.parametrize(
    ("species", "places", "edges", "detail"),
    [
        ([11, 17], [[0, 0, 0], [0.1, 0, 0.0]], (4, 4, 4), "site 1 (Na) and site 2 (Cl) are 0.400 Å apart"),
        ([11, 17], [[0.95, 0, 0], [0.05, 0, 0.0]], (4, 4, 4), "site 1 (Na) and site 2 (Cl) are 0.400 Å apart"),
        ([11], [[0.0, 0, 0]], (0.45, 9, 9), "site 1 (Na) and its periodic image are 0.450 Å apart"),
        (
            [1, 8, 8],
            [[0, 0, 0], [0.15, 0, 0], [0.35, 0, 0.0]],
            (4, 4, 4),
            "site 2 (O) and site 3 (O) are 0.800 Å apart",
        ),
    ],
)
def test_the_atoms_that_are_too_close_are_named(
    species: list[int], places: list[list[float]], edges: tuple[float, float, float], detail: str
) -> None:
    crystals = crystal(species, places, edges)
    assert crystals.row_codes().tolist() == ["E-STRUCT-DISTANCE"]
    assert fault_detail(crystals, 0, "E-STRUCT-DISTANCE") == detail


def test_number_of_sites_and_volume_per_atom() -> None:
    assert fault_detail(crystal([11] * 501, [[0.0] * 3] * 501), 0, "E-STRUCT-SIZE") == "501 sites"
    assert fault_detail(crystal([11], [[0.0] * 3], (1, 1, 1)), 0, "E-STRUCT-VOLUME") == "1 Å3 per atom"


def test_a_file_with_overlapping_atoms_says_which() -> None:
    found = outcome("POSCAR", "x\n1\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\nDirect\n0 0 0\n.1 0 0\n")
    assert (found.code, found.detail) == ("E-STRUCT-DISTANCE", "site 1 (Na) and site 2 (Cl) are 0.400 Å apart")
