"""Measure how similar two crystals are in the places of their atoms, regardless of cell, scale and elements.

The fingerprint of a crystal consists of average minimum distances (AMD: Widdowson, Mosca, Pulido, Cooper and Kurlin,
MATCH 87, 529 (2022), doi:10.46793/match.87-3.529W)::

    AMD_k  = mean over sites of the distance to the k-th nearest atom,                   k = 1 ... 32
    same_k = mean over sites of the distance to the k-th nearest atom of its own element,  k = 1 ... 16

all in units of ``(V / n)^(1/3)``, the edge of a cube that holds one atom. It does not depend on the choice of cell,
origin, orientation or site order, and it is continuous: if no atom moves by more than ``d`` and the volume stays the
same, no number changes by more than ``2 d``. Elements only count as equal or different, so NaCl and MgO have the same
rock salt structure, and ``same_k`` distinguishes it from simple cubic. The distance of two crystals is the largest
difference between their numbers. A distance of zero does not prove that two crystals are equal, see
:mod:`matloop.data.comparison.equal_crystals`.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals

NEIGHBOURS = 32
SAME_ELEMENT_NEIGHBOURS = 16


def structure_fingerprints(crystals: Crystals) -> NDArray[np.float64]:
    """Compute average minimum distances to all atoms and to atoms of the same element.

    Args:
        crystals: n crystals that passed :meth:`Crystals.row_codes`.

    Returns:
        Shape (n, 48), in units of the cube root of the volume per atom; nan for a crystal without sites.
    """
    return _fingerprints(crystals.lattice, crystals.offsets, crystals.species, crystals.frac_coords)


def structure_distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the largest difference between the fingerprints of every pair.

    Args:
        one: Fingerprints of n crystals, shape (n, 48).
        other: Fingerprints of m crystals, shape (m, 48).

    Returns:
        Shape (n, m), in units of the cube root of the volume per atom; nan if a fingerprint is nan.

    >>> from matloop.data.training.packaged_tables import packaged_crystals
    >>> materials = packaged_crystals()
    >>> formulas, cubic = materials.table["formula"].to_numpy(), materials.column("space_group_number") == 225
    >>> salts = [int(np.flatnonzero(cubic & (formulas == name))[0]) for name in ("NaCl", "MgO", "CaF2")]
    >>> marks = structure_fingerprints(materials.take(salts).crystals)
    >>> structure_distances(marks[:1], marks).round(3).tolist()
    [[0.0, 0.0, 0.321]]
    """
    from scipy.spatial.distance import cdist

    distances = cdist(one, other, "chebyshev")  # cdist ignores nan
    distances[np.isnan(one).any(axis=1)] = np.nan
    distances[:, np.isnan(other).any(axis=1)] = np.nan
    return distances


@numba.njit(cache=True, nogil=True)
def _fingerprints(lattice, offsets, species, frac):  # type: ignore[no-untyped-def]
    marks = np.full((len(lattice), NEIGHBOURS + SAME_ELEMENT_NEIGHBOURS), np.nan)
    counts = np.empty(256, np.int64)
    for i in range(len(lattice)):
        start, stop = offsets[i], offsets[i + 1]
        n = stop - start
        if n == 0:
            continue
        counts[:] = 0
        for a in range(start, stop):
            counts[species[a]] += 1
        cell = lattice[i]
        unit = (abs(np.linalg.det(cell)) / n) ** (1 / 3)
        # A displacement wrapped into the cell around the origin is no longer than half the sum of the edges.
        wrapped = 0.5 * (np.sqrt((cell[0] ** 2).sum()) + np.sqrt((cell[1] ** 2).sum()) + np.sqrt((cell[2] ** 2).sum()))
        images, lengths = _images(cell, wrapped)
        marks[i] = 0.0
        for a in range(start, stop):
            # The radius of a sphere with a third more atoms than needed; it grows if atoms are distributed unevenly.
            needed = max(NEIGHBOURS, SAME_ELEMENT_NEIGHBOURS * n / counts[species[a]])
            cutoff = unit * (needed / np.pi) ** (1 / 3)
            while True:
                if cutoff + wrapped > lengths[-1]:
                    images, lengths = _images(cell, 1.2 * (cutoff + wrapped))
                visited = np.searchsorted(lengths, cutoff + wrapped)
                if _add_nearest(marks[i], cell, images[:visited], species, frac, start, stop, a, cutoff):
                    break
                cutoff *= 1.25
        marks[i] /= unit * n
    return marks


@numba.njit(cache=True, nogil=True)
def _images(cell, limit):  # type: ignore[no-untyped-def]
    """Return lattice vectors up to ``limit`` Å, shortest first, and their lengths, to which the limit is appended."""
    inverse = np.linalg.inv(cell)
    reach = np.empty(3, np.int64)
    for axis in range(3):
        reach[axis] = int(limit * np.sqrt((inverse[:, axis] ** 2).sum()))
    most = (2 * reach[0] + 1) * (2 * reach[1] + 1) * (2 * reach[2] + 1)
    vectors, lengths, found = np.empty((most, 3)), np.empty(most + 1), 0
    for h in range(-reach[0], reach[0] + 1):
        for k in range(-reach[1], reach[1] + 1):
            for m in range(-reach[2], reach[2] + 1):
                x = h * cell[0, 0] + k * cell[1, 0] + m * cell[2, 0]
                y = h * cell[0, 1] + k * cell[1, 1] + m * cell[2, 1]
                z = h * cell[0, 2] + k * cell[1, 2] + m * cell[2, 2]
                length = np.sqrt(x * x + y * y + z * z)
                if length <= limit:
                    vectors[found, 0], vectors[found, 1], vectors[found, 2] = x, y, z
                    lengths[found] = length
                    found += 1
    order = np.argsort(lengths[:found])
    lengths[:found] = lengths[:found][order]
    lengths[found] = limit
    return vectors[:found][order], lengths[: found + 1].copy()


@numba.njit(cache=True, nogil=True)
def _add_nearest(mark, cell, images, species, frac, start, stop, a, cutoff):  # type: ignore[no-untyped-def]
    """Add the nearest distances of site ``a`` in Å. If too few lie within the cutoff, return False and add nothing."""
    found, same, limit = 0, 0, cutoff * cutoff
    everything, alike = np.empty(8 * NEIGHBOURS), np.empty(8 * SAME_ELEMENT_NEIGHBOURS)
    for b in range(start, stop):
        u, v, w = frac[b, 0] - frac[a, 0], frac[b, 1] - frac[a, 1], frac[b, 2] - frac[a, 2]
        u, v, w = u - np.rint(u), v - np.rint(v), w - np.rint(w)
        x0 = u * cell[0, 0] + v * cell[1, 0] + w * cell[2, 0]
        y0 = u * cell[0, 1] + v * cell[1, 1] + w * cell[2, 1]
        z0 = u * cell[0, 2] + v * cell[1, 2] + w * cell[2, 2]
        for image in range(1 if a == b else 0, len(images)):  # image 0 is the cell itself
            x, y, z = x0 + images[image, 0], y0 + images[image, 1], z0 + images[image, 2]
            squared = x * x + y * y + z * z
            if squared > limit:
                continue
            if found == len(everything):
                everything = np.concatenate((everything, np.empty(found)))
            everything[found] = squared
            found += 1
            if species[a] == species[b]:
                if same == len(alike):
                    alike = np.concatenate((alike, np.empty(same)))
                alike[same] = squared
                same += 1
    if found < NEIGHBOURS or same < SAME_ELEMENT_NEIGHBOURS:
        return False
    everything, alike = np.sort(everything[:found]), np.sort(alike[:same])
    for place in range(NEIGHBOURS):
        mark[place] += np.sqrt(everything[place])
    for place in range(SAME_ELEMENT_NEIGHBOURS):
        mark[NEIGHBOURS + place] += np.sqrt(alike[place])
    return True
