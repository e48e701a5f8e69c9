"""What a candidate is: conventional cell, sites with Wyckoff letters and oxidation states, density."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.assigned_states import state_label
from matloop.data.elements import SYMBOLS, element_table
from matloop.screening.flags.symmetric_sites import SymmetricSites, symmetric_sites

_GRAMS = 1.66053906660  # g/cm3 of one atomic mass unit in one Å3 (CODATA 2018)


class Site(NamedTuple):
    """Equivalent sites of a symmetrised crystal.

    Attributes:
        element: Symbol.
        state: Oxidation state; nan where none is known.
        letter: Multiplicity and Wyckoff letter; empty without symmetry.
        place: Fractional coordinates of one of them, shape (3,).
        valence_sum: Bond-valence sum in valence units; nan where it cannot be judged.
    """

    element: str
    state: float
    letter: str
    place: NDArray[np.float64]
    valence_sum: float

    @property
    def ion(self) -> str:
        """Symbol with the oxidation state, where there is one."""
        return state_label(SYMBOLS.index(self.element), self.state) if math.isfinite(self.state) else self.element


class Identity(NamedTuple):
    """The symmetrised crystal of a candidate.

    Attributes:
        number: Of the space group.
        symbol: Hermann-Mauguin symbol of its setting.
        lattice: Row vectors of the conventional cell in Å, shape (3, 3).
        species: Atomic numbers of the n atoms in it, shape (n,).
        places: Their fractional coordinates, shape (n, 3).
        lengths: Of the cell edges, in Å.
        angles: Of the cell, in degrees.
        volume: Of the cell, in Å3.
        units: Formula units in the cell.
        density: In g/cm3.
        tolerance: Within which it was symmetrised, in Å; nan where no symmetry was found.
        sites: One for each kind, cations first.
    """

    number: int
    symbol: str
    lattice: NDArray[np.float64]
    species: NDArray[np.uint8]
    places: NDArray[np.float64]
    lengths: tuple[float, ...]
    angles: tuple[float, ...]
    volume: float
    units: int
    density: float
    tolerance: float
    sites: list[Site]

    def record(self, source: str) -> dict[str, Any]:
        """The crystal as plain JSON values; lengths in Å, angles in degrees.

        Args:
            source: Key of the source of all its numbers.
        """
        return {
            "source": source,
            "space_group": {"number": self.number, "symbol": self.symbol},
            "cell": {
                **dict(zip(("a", "b", "c"), self.lengths, strict=True)),
                **dict(zip(("alpha", "beta", "gamma"), self.angles, strict=True)),
                "volume": self.volume, "formula_units": self.units,
            },
            "density": self.density,
            "units": {"lengths": "Å", "angles": "deg", "volume": "Å3", "density": "g/cm3"},
            "symmetrised_within": None if math.isnan(self.tolerance) else self.tolerance,
            "sites": [
                {
                    "element": site.element, "oxidation_state": _known(site.state), "wyckoff": site.letter,
                    "x": float(site.place[0]), "y": float(site.place[1]), "z": float(site.place[2]),
                    "bond_valence_sum": _known(site.valence_sum),
                }
                for site in self.sites
            ],
        }  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def identity_of(batch: CandidateBatch, row: int) -> Identity | None:
    """The symmetrised crystal of one candidate; None without a crystal.

    Args:
        batch: Ranked candidates.
        row: One of them.
    """
    if batch.crystals is None or not batch.has_crystal[row]:
        return None
    found = symmetric_sites(batch, row)
    lattice, species = found.cell.lattice, found.cell.species[found.atoms]
    lengths = np.linalg.norm(lattice, axis=1)
    cosines = [lattice[i] @ lattice[j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    volume = float(abs(np.linalg.det(lattice)))
    masses = element_table().columns(("atomic_mass",))[:, 0]
    counts = np.bincount(species)
    return Identity(
        found.cell.number, found.cell.symbol, lattice, species, found.places,
        tuple(float(length) for length in lengths),
        tuple(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))) for cosine in cosines),
        volume, int(np.gcd.reduce(counts[counts > 0])), float(masses[species].sum() * _GRAMS / volume),
        math.nan if found.cell.tolerance is None else found.cell.tolerance, _sites(found),
    )  # fmt: skip


def _sites(found: SymmetricSites) -> list[Site]:
    """One site of each kind, cations before anions."""
    known, first = found.chemistry, np.unique(found.atoms, return_index=True)[1].tolist()
    letters = found.letters
    return [
        Site(
            SYMBOLS[found.cell.species[found.atoms[at]]], float(known.states[at]), letters[at], found.places[at] + 0.0,
            float(known.sums[at]),
        )
        for at in sorted(first, key=lambda site: known.states[site] < 0)
    ]  # fmt: skip
