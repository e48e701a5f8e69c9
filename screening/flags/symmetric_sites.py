"""A crystal symmetrised in its conventional cell, with the chemistry of every site."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.symmetry import SymmetricCell, conventional_cell
from matloop.data.properties.columns import Column
from matloop.screening.flags.site_chemistry import SiteChemistry, has_own_distances, site_chemistry


class SymmetricSites(NamedTuple):
    """The conventional cell of a crystal, all atoms, and what is known of each.

    Attributes:
        cell: The symmetrised crystal.
        atoms: Which atom of the asymmetric unit each of the n atoms of the cell stands for, ascending, shape (n,).
        places: Fractional coordinates of the atoms, shape (n, 3).
        chemistry: Of the n sites; bond-valence sums are nan where the distances are not the crystal's own.
    """

    cell: SymmetricCell
    atoms: NDArray[np.int64]
    places: NDArray[np.float64]
    chemistry: SiteChemistry

    @property
    def letters(self) -> list[str]:
        """Multiplicity and Wyckoff letter of each of the n atoms, such as ``4f``; empty without symmetry."""
        named = [
            f"{count}{letter}" if letter else ""
            for count, letter in zip(self.cell.multiplicities, self.cell.wyckoff, strict=True)
        ]
        return [named[atom] for atom in self.atoms]


def symmetric_sites(batch: CandidateBatch, row: int) -> SymmetricSites:
    """Symmetrise a crystal in the space group that its column names, within 0.1 Å at most.

    Args:
        batch: Candidates.
        row: One of them, with a crystal.
    """
    lattice, species, frac_coords = batch.cell(row)
    number = None
    if Column.SPACE_GROUP_NUMBER in batch.table.column_names:
        number = batch.table[Column.SPACE_GROUP_NUMBER][row].as_py()
    cell = conventional_cell(lattice, frac_coords, species, number=number)
    atoms, places = cell.all_atoms()
    crystal = Crystals(cell.lattice[None], np.array([0, len(atoms)]), cell.species[atoms], places)
    one = batch.take(np.array([row]))
    origin: dict[str, Any] = {name: one.table[name] for name in (Column.ORIGIN,) if name in one.table.column_names}
    found = site_chemistry(CandidateBatch.from_crystals(crystal, origin))
    if not has_own_distances(one)[0]:
        unknown = np.full(len(atoms), np.nan)
        found = SiteChemistry(found.states, unknown, unknown, np.array([np.nan]), unknown)
    return SymmetricSites(cell, atoms, places, found)
