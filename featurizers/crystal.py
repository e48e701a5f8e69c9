"""Features of the crystal that are cheap to compute: density, packing and symmetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.elements import element_table
from matloop.data.errors import BatchError
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.data.properties.columns import Column
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.site_words import SIZE_GROUP

_DALTON_PER_CUBIC_ANGSTROM = 1.66053906660  # g/cm3, CODATA 2018
_DENSITY_WORDS = {
    "density": Label("density", "密度"),
    "volume per atom": Label("volume per atom", "每原子体积"),
    "packing fraction": Label("packing fraction", "堆积率"),
    "shortest distance": Label("shortest distance between atoms", "最短原子间距"),
}
_DENSITY_UNITS = {"density": "g/cm³", "volume per atom": "Å³", "shortest distance": "Å"}


class Density(Featurizer):
    """Density (g/cm3), volume per atom (Å3), packing fraction and shortest distance (Å).

    The packing fraction is the volume of spheres with the atomic radii of the elements, divided by the volume of the
    cell, as in ``DensityFeatures`` of matminer.
    """

    name = "density"
    version = "1"
    needs = frozenset({CRYSTALS})
    parameters: Mapping[str, Any] = {}
    feature_names = ("density", "volume per atom", "packing fraction", "shortest distance")

    def __init__(self) -> None:
        self._table = element_table().columns(("atomic_mass", "atomic_radius"))

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 4)."""
        crystals = _crystals(batch)
        cells = crystals.compositions()  # compositions of the batch may count formula units, not cells
        mass = self._table[cells.elements, 0] * cells.amounts
        spheres = 4 / 3 * np.pi * self._table[cells.elements, 1] ** 3 * cells.amounts
        volumes = crystals.volumes
        values = np.column_stack(
            [
                _DALTON_PER_CUBIC_ANGSTROM * np.bincount(cells.rows, mass, minlength=len(batch)) / volumes,
                volumes / crystals.site_counts,
                np.bincount(cells.rows, spheres, minlength=len(batch)) / volumes,
                crystals.shortest_distances(),
            ]
        )
        return Features(values, self._codes(cells))

    def words(self, name: str) -> FeatureWords:
        """Describe the quantities; each is a group of its own."""
        return FeatureWords(SIZE_GROUP, _DENSITY_WORDS[name], unit=_DENSITY_UNITS.get(name, ""))

    def _codes(self, cells: Compositions) -> NDArray[np.str_]:
        no_radius = np.isnan(self._table).any(axis=1)[cells.elements]
        missing = np.bincount(cells.rows, no_radius, minlength=len(cells)) > 0
        return np.where(missing, "E-FEATURE-NODATA", no_codes(len(cells)))


class Symmetry(Featurizer):
    """Space group number and crystal system (1 cubic to 7 triclinic, matminer's numbering).

    The space group of a candidate is taken from the column ``space_group_number`` if it is there; substituted
    candidates inherit it from their parent. Other crystals are analysed with moyo at a tolerance of 0.1 Å.
    """

    name = "symmetry"
    version = "2"
    needs = frozenset({CRYSTALS})
    parameters: Mapping[str, Any] = {"symprec": SYMMETRY_TOLERANCE}
    feature_names = ("spacegroup_num", "crystal_system_int")

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 2)."""
        numbers = np.full(len(batch), np.nan)
        if Column.SPACE_GROUP_NUMBER in batch.table.column_names:
            numbers = batch.column(Column.SPACE_GROUP_NUMBER).astype(float)
        unknown = np.flatnonzero(np.isnan(numbers))
        if len(unknown):
            numbers[unknown] = space_group_numbers(_crystals(batch).take(unknown))
        known = np.isfinite(numbers)
        systems = np.where(known, crystal_systems(np.where(known, numbers, 1)), np.nan)
        codes = np.where(known, no_codes(len(batch)), "E-FEATURE-FAILED")
        return Features(np.column_stack([numbers, systems]), codes)

    def words(self, name: str) -> FeatureWords:
        """Describe a space group by its number, and a crystal system by its name."""
        group = Label("symmetry", "对称性")
        if name == "spacegroup_num":
            return FeatureWords(group, Label("space group number", "空间群序号"), "index")
        return FeatureWords(group, Label("crystal system", "晶系"), "named", _SYSTEM_WORDS)


# Last space group number of triclinic, monoclinic, orthorhombic, tetragonal, trigonal, hexagonal (Int. Tables A).
_LAST_OF_SYSTEM = np.array([2, 15, 74, 142, 167, 194])
CRYSTAL_SYSTEMS = ("cubic", "hexagonal", "trigonal", "tetragonal", "orthorhombic", "monoclinic", "triclinic")
_SYSTEM_WORDS = {
    number: Label(f"{english} crystal system", f"{chinese}晶系")
    for number, (english, chinese) in enumerate(
        zip(CRYSTAL_SYSTEMS, ("立方", "六方", "三方", "四方", "正交", "单斜", "三斜"), strict=True), start=1
    )
}


def crystal_systems(space_groups: NDArray[np.number]) -> NDArray[np.int64]:
    """Crystal system of each space group number: 1 cubic, 2 hexagonal, ... 7 triclinic.

    >>> crystal_systems(np.array([225, 194, 167, 2])).tolist()
    [1, 2, 3, 7]
    """
    return 7 - np.searchsorted(_LAST_OF_SYSTEM, space_groups, side="left")


def space_group_numbers(crystals: Crystals, *, tolerance: float = SYMMETRY_TOLERANCE) -> NDArray[np.float64]:
    """Find the international number of the space group of each crystal with moyo; nan if it finds none.

    Args:
        crystals: n crystals that passed the check :meth:`Crystals.row_codes`.
        tolerance: Symmetry tolerance in Å.
    """
    numbers = np.full(len(crystals), np.nan)
    for i in range(len(crystals)):
        sites = slice(crystals.offsets[i], crystals.offsets[i + 1])
        found = symmetry_of(crystals.lattice[i], crystals.frac_coords[sites], crystals.species[sites], tolerance)
        if found is not None:
            numbers[i] = found.number
    return numbers


def _crystals(batch: CandidateBatch) -> Crystals:
    if batch.crystals is None:
        raise BatchError("candidates without crystals", "a batch with cells and sites")
    return batch.crystals
