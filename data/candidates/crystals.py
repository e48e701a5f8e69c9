"""Crystals of many candidates as flat arrays, and the distances between their atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.blocks import list_array, list_parts
from matloop.data.candidates.compositions import Compositions, gather_rows
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import BatchError
from matloop.data.properties.columns import Column

MAX_SITES = 500
VOLUME_PER_ATOM_BOUNDS = (2.0, 2000.0)  # Å3; fcc hydrogen at 200 GPa and a dilute gas lie outside
_SHORTEST_SEARCH = 6.0  # Å; atoms further apart than this do not touch
CLOSEST_TO_HYDROGEN = 0.5  # Å; hydrogen is 0.74 Å from hydrogen, and often refined closer to others than it is
CLOSEST = 0.9  # Å; the shortest bond without hydrogen is that of N2, 1.10 Å (Huber and Herzberg, 1979)
_SMALLEST_SPACING = 0.1  # Å; the number of periodic images to visit grows with its inverse
_LARGEST_COORDINATE = 1e6  # cells; beyond it the digits that place an atom inside its cell are gone


@dataclass(frozen=True)
class Crystals:
    """Cells and sites of ``n`` crystals.

    Attributes:
        lattice: Row vectors in Å, shape (n, 3, 3).
        offsets: Shape (n + 1,); sites of crystal ``i`` lie at ``offsets[i]:offsets[i + 1]``.
        species: Atomic number of each site.
        frac_coords: Fractional coordinates of each site, shape (len(species), 3).
    """

    lattice: NDArray[np.float64]
    offsets: NDArray[np.int64]
    species: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]

    columns: ClassVar[tuple[str, ...]] = (Column.LATTICE, Column.SPECIES, Column.FRAC_COORDS)

    def __post_init__(self) -> None:
        n, sites = len(self.offsets) - 1, len(self.species)
        if self.lattice.shape != (n, 3, 3) or self.frac_coords.shape != (sites, 3) or self.offsets[-1] != sites:
            raise BatchError(
                f"lattice {self.lattice.shape}, offsets for {n} crystals and {self.offsets[-1]} sites, "
                f"species for {sites} sites, coordinates {self.frac_coords.shape}",
                "lattice (n, 3, 3), offsets (n + 1,), species (sites,), frac_coords (sites, 3)",
            )

    def __len__(self) -> int:
        return len(self.lattice)

    @property
    def site_counts(self) -> NDArray[np.int64]:
        """Sites in each cell, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Cell volumes in Å3, shape (n,)."""
        a, b, c = self.lattice[:, 0], self.lattice[:, 1], self.lattice[:, 2]
        return np.abs(np.einsum("ij,ij->i", a, np.cross(b, c)))

    @property
    def plane_spacings(self) -> NDArray[np.float64]:
        """Distance in Å of the lattice planes stacked along each axis, shape (n, 3)."""
        faces = np.cross(self.lattice[:, [1, 2, 0]], self.lattice[:, [2, 0, 1]])
        return self.volumes[:, None] / np.linalg.norm(faces, axis=2)

    def take(self, indices: NDArray[np.integer]) -> Crystals:
        """The crystals at ``indices``, in that order."""
        rows = np.asarray(indices, np.int64)
        flat, offsets = gather_rows(self.offsets, rows)
        return Crystals(self.lattice[rows], offsets, self.species[flat], self.frac_coords[flat])

    def present(self) -> NDArray[np.bool_]:
        """Which candidates have sites, shape (n,)."""
        return self.site_counts > 0

    def to_columns(self) -> dict[str, pa.Array]:
        """Cells as lists of nine numbers, sites as list columns."""
        return {
            Column.LATTICE: pa.FixedSizeListArray.from_arrays(pa.array(self.lattice.reshape(-1)), 9),
            Column.SPECIES: list_array(self.offsets, self.species),
            Column.FRAC_COORDS: list_array(3 * self.offsets, self.frac_coords.reshape(-1)),
        }

    @classmethod
    def from_columns(cls, arrays: Mapping[str, pa.Array]) -> Self:
        """Read the crystals that :meth:`to_columns` wrote; null is a crystal without sites."""
        offsets, species = list_parts(arrays[Column.SPECIES])
        known = arrays[Column.LATTICE].is_valid().to_numpy(zero_copy_only=False)
        lattice = np.zeros((len(known), 9))
        lattice[known] = arrays[Column.LATTICE].flatten().to_numpy(zero_copy_only=False).reshape(-1, 9)
        frac_coords = list_parts(arrays[Column.FRAC_COORDS])[1].astype(np.float64)
        return cls(lattice.reshape(-1, 3, 3), offsets, species, frac_coords.reshape(-1, 3))

    def compositions(self) -> Compositions:
        """Atoms of each element per cell."""
        n, width = len(self), len(SYMBOLS)
        keys = np.repeat(np.arange(n), self.site_counts) * width + self.species
        distinct, counts = np.unique(keys, return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(distinct // width, minlength=n))])
        return Compositions(offsets.astype(np.int64), (distinct % width).astype(np.uint8), counts.astype(float))

    def row_codes(self) -> NDArray[np.str_]:
        """Return the row code of each crystal that no numerical library may receive; empty for sound ones, shape (n,).

        A cell with a nan reaches native symmetry code as a segmentation fault, so this gate comes before any such call.
        """
        codes = self.form_codes()
        sound = np.flatnonzero(codes == "")
        shortest = self.take(sound).shortest_distances()
        codes[sound[shortest < CLOSEST_TO_HYDROGEN]] = "E-STRUCT-DISTANCE"
        near = sound[(shortest >= CLOSEST_TO_HYDROGEN) & (shortest < CLOSEST)]
        heavy = self.take(near)._without(ATOMIC_NUMBERS["H"])  # bonds of hydrogen alone are that short
        codes[near[(heavy.site_counts > 0) & (heavy.shortest_distances() < CLOSEST)]] = "E-STRUCT-DISTANCE"
        return codes

    def _without(self, element: int) -> Crystals:
        """The crystals without the atoms of one element."""
        kept = self.species != element
        offsets = np.concatenate([[0], np.cumsum(kept)])[self.offsets]
        return Crystals(self.lattice, offsets.astype(np.int64), self.species[kept], self.frac_coords[kept])

    def form_codes(self) -> NDArray[np.str_]:
        """Return row codes without checking distances between atoms, which takes longest, shape (n,)."""
        counts = self.site_counts
        placed = np.all(np.abs(self.frac_coords) <= _LARGEST_COORDINATE, axis=1)  # the comparison is false for nan
        known = (self.species >= 1) & (self.species < len(SYMBOLS))
        finite = np.isfinite(self.lattice).all(axis=(1, 2)) & self._all_sites(placed)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            per_atom = self.volumes / np.maximum(counts, 1)
            in_bounds = (per_atom >= VOLUME_PER_ATOM_BOUNDS[0]) & (per_atom <= VOLUME_PER_ATOM_BOUNDS[1])
            spaced = (self.plane_spacings >= _SMALLEST_SPACING).all(axis=1)
        codes = np.full(len(self), "", dtype="<U32")
        codes[~spaced] = "E-STRUCT-CELL"
        codes[~in_bounds] = "E-STRUCT-VOLUME"
        codes[~self._all_sites(known)] = "E-STRUCT-ELEMENT"
        codes[(counts == 0) | (counts > MAX_SITES)] = "E-STRUCT-SIZE"
        codes[~finite] = "E-STRUCT-NONFINITE"
        return codes

    def _all_sites(self, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which crystals have ``held`` true at every site, shape (n,)."""
        rows = np.repeat(np.arange(len(self)), self.site_counts)
        return np.bincount(rows, weights=~held, minlength=len(self)) == 0

    def shortest_distances(self) -> NDArray[np.float64]:
        """Distance of the closest two atoms in Å, periodic images included, shape (n,); capped at 6 Å."""
        return _shortest_distances(self.lattice, self.offsets, self.species, self.frac_coords, _SHORTEST_SEARCH)


@numba.njit(cache=True, nogil=True)
def image_range(cell, cutoff):  # type: ignore[no-untyped-def]
    """Periodic images per direction within ``cutoff`` Å of a displacement already wrapped to [-0.5, 0.5]."""
    inverse = np.linalg.inv(cell)
    reach = np.empty(3, np.int64)
    for axis in range(3):
        # Lattice planes lie 1 / |reciprocal vector| apart.
        reach[axis] = np.int64(np.floor(cutoff * np.sqrt((inverse[:, axis] ** 2).sum()) + 0.5))
    return reach


@numba.njit(cache=True, nogil=True)
def _shortest_distances(lattice, offsets, species, frac, search):  # type: ignore[no-untyped-def]
    shortest = np.empty(len(lattice))
    for i in range(len(lattice)):
        # An atom and its own image are at most the shortest cell edge apart.
        edge = np.sqrt(min((lattice[i, 0] ** 2).sum(), (lattice[i, 1] ** 2).sum(), (lattice[i, 2] ** 2).sum()))
        start, stop = offsets[i], offsets[i + 1]
        shortest[i] = neighbour_density(lattice[i], species[start:stop], frac[start:stop], min(search, edge))[1]
    return shortest


@numba.njit(cache=True, nogil=True)
def neighbour_density(cell, species, frac, cutoff):  # type: ignore[no-untyped-def]
    """Smooth neighbour density of each site (:mod:`.identity`), and the shortest distance in Å.

    Args:
        cell: Row vectors in Å, shape (3, 3).
        species: Atomic numbers, shape (sites,).
        frac: Fractional coordinates, shape (sites, 3).
        cutoff: Radius in Å; the shortest distance is capped at it.
    """
    reach = image_range(cell, cutoff)
    density = np.zeros(len(species))
    nearest = 1.0  # squared distances are in units of the squared cutoff
    for a in range(len(species)):
        for b in range(a, len(species)):
            du, dv, dw = frac[b, 0] - frac[a, 0], frac[b, 1] - frac[a, 1], frac[b, 2] - frac[a, 2]
            du, dv, dw = du - np.rint(du), dv - np.rint(dv), dw - np.rint(dw)
            total = 0.0
            for h in range(-reach[0], reach[0] + 1):
                for k in range(-reach[1], reach[1] + 1):
                    for m in range(-reach[2], reach[2] + 1):
                        if a == b and h == 0 and k == 0 and m == 0:
                            continue
                        u, v, w = du + h, dv + k, dw + m
                        x = u * cell[0, 0] + v * cell[1, 0] + w * cell[2, 0]
                        y = u * cell[0, 1] + v * cell[1, 1] + w * cell[2, 1]
                        z = u * cell[0, 2] + v * cell[1, 2] + w * cell[2, 2]
                        squared = (x * x + y * y + z * z) / (cutoff * cutoff)
                        if squared < 1.0:
                            total += (1.0 - squared) ** 3
                            nearest = min(nearest, squared)
            density[a] += np.sqrt(float(species[b])) * total
            if a != b:
                density[b] += np.sqrt(float(species[a])) * total
    return density, cutoff * np.sqrt(nearest)


@numba.njit(cache=True, nogil=True)
def neighbour_moments(lattice, offsets, species, frac, element_offsets, elements, cutoff):  # type: ignore[no-untyped-def]
    """Mean and mean square of the neighbour density over the sites of each element, shape (len(elements), 2).

    It stands in this file because numba's cache on disk does not notice changes to a function in another one.
    """
    moments = np.zeros((len(elements), 2))
    for i in range(len(lattice)):
        start, stop = offsets[i], offsets[i + 1]
        density, _ = neighbour_density(lattice[i], species[start:stop], frac[start:stop], cutoff)
        for entry in range(element_offsets[i], element_offsets[i + 1]):
            count = 0
            for site in range(stop - start):
                if species[start + site] == elements[entry]:
                    moments[entry, 0] += density[site]
                    moments[entry, 1] += density[site] ** 2
                    count += 1
            moments[entry] /= count
    return moments
