"""Say what is wrong with a crystal that got a row code: the atoms that are too close, the sites, the volume."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import CLOSEST, CLOSEST_TO_HYDROGEN, Crystals, image_range
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS

_MOST_PAIRS = 50_000_000  # pairs of atoms and images; a very flat cell of many atoms has more


def fault_detail(crystals: Crystals, row: int, code: str) -> str:
    """Details about the row code of a crystal; empty where there is nothing to add to the description of the code.

    Args:
        crystals: Crystals.
        row: Row of the crystal.
        code: Its code of :meth:`Crystals.row_codes`.

    >>> places = np.array([[0.0, 0, 0], [0.1, 0, 0]])
    >>> salt = Crystals(np.eye(3)[None] * 4.0, np.array([0, 2]), np.array([11, 17], np.uint8), places)
    >>> fault_detail(salt, 0, "E-STRUCT-DISTANCE")
    'site 1 (Na) and site 2 (Cl) are 0.400 Å apart'
    """
    crystal = crystals.take(np.array([row]))
    if code == "E-STRUCT-SIZE":
        return f"{len(crystal.species):,} sites"
    if code == "E-STRUCT-VOLUME":
        return f"{float(crystal.volumes[0]) / len(crystal.species):.3g} Å3 per atom"
    if code == "E-STRUCT-DISTANCE":
        return _closest_atoms(crystal.lattice[0], crystal.species, crystal.frac_coords)
    return ""


def _closest_atoms(lattice: NDArray[np.float64], species: NDArray[np.uint8], frac: NDArray[np.float64]) -> str:
    """Name the closest two atoms among those that are closer than atoms of their elements may be."""
    count = len(species)
    reach = image_range(lattice, CLOSEST)
    if count**2 * float(np.prod(2.0 * reach + 1)) > _MOST_PAIRS:
        return ""
    is_hydrogen = species == ATOMIC_NUMBERS["H"]
    limits = np.where(is_hydrogen[:, None] | is_hydrogen, CLOSEST_TO_HYDROGEN, CLOSEST)
    apart = frac[:, None] - frac
    apart -= np.rint(apart)
    best, pair = np.inf, (0, 0)
    for shift in itertools.product(*(range(-int(most), int(most) + 1) for most in reach)):
        distances = np.linalg.norm((apart + shift) @ lattice, axis=2)
        if not any(shift):
            np.fill_diagonal(distances, np.inf)
        distances[distances >= limits] = np.inf
        at = int(distances.argmin())
        if distances.flat[at] < best:
            best, pair = float(distances.flat[at]), divmod(at, count)
    if not np.isfinite(best):
        return ""
    one, other = (f"site {site + 1} ({SYMBOLS[species[site]]})" for site in pair)
    return f"{one} and {'its periodic image' if one == other else other} are {best:.3f} Å apart"
