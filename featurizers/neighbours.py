"""Find the neighbours of every atom of a batch, including periodic images. All local features share this list."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals

_TOLERANCE = 1e-8  # Å; a pair at the cutoff counts in spite of rounding (as in pymatgen)


class NeighbourList(NamedTuple):
    """Neighbours of each site in compressed sparse rows.

    Sites are numbered through the whole batch, as in the flat arrays of
    :class:`~matloop.data.candidates.crystals.Crystals`. Each pair is listed twice, once from either end. The neighbours
    of a site are ordered by their site, then by image.

    Attributes:
        offsets: Shape (sites + 1,); neighbours of site ``s`` lie at ``offsets[s]:offsets[s + 1]``.
        sites: Site of each neighbour, shape (pairs,).
        vectors: From the site to its neighbour in Å, shape (pairs, 3).
        distances: Length of the vectors in Å, shape (pairs,).
    """

    offsets: NDArray[np.int64]
    sites: NDArray[np.int64]
    vectors: NDArray[np.float64]
    distances: NDArray[np.float64]


def neighbour_list(crystals: Crystals, cutoff: float | NDArray[np.float64]) -> NeighbourList:
    """Find all pairs of atoms within a cutoff.

    Args:
        crystals: n crystals that passed :meth:`Crystals.row_codes`.
        cutoff: Largest distance in Å; or a radius in Å for each site, shape (sites,), and two atoms are neighbours when
            they are no further apart than the sum of their radii.
    """
    every = isinstance(cutoff, float | int)
    reach = np.full(len(crystals.species), cutoff / 2) if every else np.asarray(cutoff, np.float64)
    return NeighbourList(*_neighbours(crystals.lattice, crystals.offsets, crystals.frac_coords, reach))


def distance_counts(crystals: Crystals, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the ordered pairs of atoms of each crystal in each distance bin, without making a list of neighbours.

    Args:
        crystals: n crystals that passed :meth:`Crystals.row_codes`.
        edges: Bin edges in Å, evenly spaced from zero, shape (bins + 1,). As in :func:`numpy.histogram` a bin holds
            its lower edge and the last one both.

    Returns:
        Shape (n, bins).
    """
    return _distance_counts(crystals.lattice, crystals.offsets, crystals.frac_coords, edges)


@numba.njit(cache=True, nogil=True)
def _plane_spacings(cell):  # type: ignore[no-untyped-def]
    """Distance of the lattice planes stacked along each axis, Å."""
    inverse = np.linalg.inv(cell)
    spacings = np.empty(3)
    for axis in range(3):
        spacings[axis] = 1.0 / np.sqrt(inverse[0, axis] ** 2 + inverse[1, axis] ** 2 + inverse[2, axis] ** 2)
    return spacings


@numba.njit(cache=True, nogil=True)
def _line_ends(x, y, z, c, cc, squared):  # type: ignore[no-untyped-def]
    """Find first and last m with ``|(x, y, z) + m c|^2 <= squared``, with room for rounding; first > last if none."""
    along = x * c[0] + y * c[1] + z * c[2]
    root = along * along - cc * (x * x + y * y + z * z - squared)
    if root < -1e-9 * cc * squared:
        return 1, 0
    half = np.sqrt(max(root, 0.0))
    return int(np.ceil((-along - half) / cc - 1e-4)), int(np.floor((half - along) / cc + 1e-4))


@numba.njit(cache=True, nogil=True)
def _neighbours(lattice, offsets, frac, reach):  # type: ignore[no-untyped-def]
    sites = len(frac)
    starts = np.zeros(sites + 1, np.int64)
    found, capacity = 0, 16 * sites + 16
    where, vectors, distances = np.empty(capacity, np.int64), np.empty((capacity, 3)), np.empty(capacity)
    for i in range(len(lattice)):
        cell, spacing = lattice[i], _plane_spacings(lattice[i])
        c = cell[2]
        cc = c[0] * c[0] + c[1] * c[1] + c[2] * c[2]
        for a in range(offsets[i], offsets[i + 1]):
            for b in range(offsets[i], offsets[i + 1]):
                limit = reach[a] + reach[b] + _TOLERANCE
                du, dv, dw = frac[b, 0] - frac[a, 0], frac[b, 1] - frac[a, 1], frac[b, 2] - frac[a, 2]
                du, dv, dw = du - np.rint(du), dv - np.rint(dv), dw - np.rint(dw)
                # Planes h and k beyond the limit hold no neighbour; along c the ends are computed.
                for h in range(int(np.ceil(-limit / spacing[0] - du)), int(np.floor(limit / spacing[0] - du)) + 1):
                    for k in range(int(np.ceil(-limit / spacing[1] - dv)), int(np.floor(limit / spacing[1] - dv)) + 1):
                        u, v = du + h, dv + k
                        x0 = u * cell[0, 0] + v * cell[1, 0] + dw * c[0]
                        y0 = u * cell[0, 1] + v * cell[1, 1] + dw * c[1]
                        z0 = u * cell[0, 2] + v * cell[1, 2] + dw * c[2]
                        first, last = _line_ends(x0, y0, z0, c, cc, limit * limit)
                        for m in range(first, last + 1):
                            x, y, z = x0 + m * c[0], y0 + m * c[1], z0 + m * c[2]
                            distance = np.sqrt(x * x + y * y + z * z)
                            if distance > limit or (a == b and h == 0 and k == 0 and m == 0):
                                continue
                            if found == capacity:
                                capacity *= 2
                                where = np.concatenate((where, np.empty(capacity - found, np.int64)))
                                vectors = np.concatenate((vectors, np.empty((capacity - found, 3))))
                                distances = np.concatenate((distances, np.empty(capacity - found)))
                            where[found], distances[found] = b, distance
                            vectors[found, 0], vectors[found, 1], vectors[found, 2] = x, y, z
                            found += 1
            starts[a + 1] = found
    return starts, where[:found].copy(), vectors[:found].copy(), distances[:found].copy()


_BUFFER = 1024
_NEAR_AN_EDGE = 1e-9  # in bins; at a larger distance from an edge, rounding cannot change the bin


@numba.njit(cache=True, nogil=True)
def _count(squares, filled, ends, edges, counts):  # type: ignore[no-untyped-def]
    """Add ``filled`` squared distances to the bins. A separate loop takes the roots, several at a time."""
    bins, limit, per_angstrom = len(edges) - 1, edges[-1], (len(edges) - 1) / edges[-1]
    for j in range(filled):
        squares[j] = np.sqrt(squares[j])
    for j in range(filled):
        distance = squares[j]
        if distance > limit:
            continue
        place = distance * per_angstrom
        at = min(int(place), bins - 1)
        if not _NEAR_AN_EDGE < place - at < 1 - _NEAR_AN_EDGE:
            if distance < edges[at]:
                at -= 1
            elif at < bins - 1 and distance >= edges[at + 1]:
                at += 1
        counts[at] += ends


@numba.njit(cache=True, nogil=True)
def _distance_counts(lattice, offsets, frac, edges):  # type: ignore[no-untyped-def]
    limit, squares = edges[-1], np.empty(_BUFFER)
    counts = np.zeros((len(lattice), len(edges) - 1), np.int64)
    for i in range(len(lattice)):
        # Lines of images along the shortest axis are the longest ones.
        shortest = int(np.argmin((lattice[i] ** 2).sum(axis=1)))
        axes = np.array([(shortest + 1) % 3, (shortest + 2) % 3, shortest])
        cell = lattice[i][axes]
        spacing, c = _plane_spacings(cell), cell[2]
        cx, cy, cz = c
        cc = cx * cx + cy * cy + cz * cz
        for a in range(offsets[i], offsets[i + 1]):
            for b in range(a, offsets[i + 1]):
                du, dv, dw = (frac[b, axes[0]] - frac[a, axes[0]], frac[b, axes[1]] - frac[a, axes[1]],
                              frac[b, axes[2]] - frac[a, axes[2]])  # fmt: skip
                du, dv, dw = du - np.rint(du), dv - np.rint(dv), dw - np.rint(dw)
                ends = 1 if a == b else 2  # a pair of two sites is found once and counted from both ends
                filled = 0
                for h in range(int(np.ceil(-limit / spacing[0] - du)), int(np.floor(limit / spacing[0] - du)) + 1):
                    for k in range(int(np.ceil(-limit / spacing[1] - dv)), int(np.floor(limit / spacing[1] - dv)) + 1):
                        u, v = du + h, dv + k
                        x0 = u * cell[0, 0] + v * cell[1, 0] + dw * c[0]
                        y0 = u * cell[0, 1] + v * cell[1, 1] + dw * c[1]
                        z0 = u * cell[0, 2] + v * cell[1, 2] + dw * c[2]
                        first, last = _line_ends(x0, y0, z0, c, cc, limit * limit)
                        while first <= last:
                            if filled == _BUFFER:
                                _count(squares, filled, ends, edges, counts[i])
                                filled = 0
                            length = min(last - first + 1, _BUFFER - filled)
                            part, m = squares[filled : filled + length], float(first)
                            for step in range(length):
                                x, y, z = x0 + (m + step) * cx, y0 + (m + step) * cy, z0 + (m + step) * cz
                                part[step] = x * x + y * y + z * z
                            if a == b and h == 0 and k == 0 and first <= 0 < first + length:
                                squares[filled - first] = np.inf  # the site itself
                            first += length
                            filled += length
                _count(squares, filled, ends, edges, counts[i])
    return counts
