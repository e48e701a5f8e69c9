"""Compute the Voronoi cell of every atom of a batch. The faces of the cells are listed like neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import gather_rows
from matloop.data.candidates.crystals import Crystals
from matloop.featurizers.neighbours import NeighbourList, neighbour_list

_FIRST_CUTOFF = 2.6  # cube roots of the volume per atom; closes all cells in all but 3 of 1,000 crystals
_TOUCH = 1e-10  # Å; a plane that cuts off less than this only touches the cell
_SAME_CORNER = 1e-12  # Å


class VoronoiCells(NamedTuple):
    """Voronoi cells and their faces.

    Attributes:
        faces: The atom behind each face as a neighbour. Each face is listed twice, once from either side. Faces smaller
            than 1e-8 of the sphere are left out, because rounding makes them of corners and edges.
        areas: Area of each face in Å2, shape (faces,).
        solid_angles: Solid angle of each face seen from its atom, in steradian; equal from both sides, shape (faces,).
        volumes: Volume of each cell in Å3, shape (sites,). Those of a crystal add up to its volume.
    """

    faces: NeighbourList
    areas: NDArray[np.float64]
    solid_angles: NDArray[np.float64]
    volumes: NDArray[np.float64]


def voronoi_cells(crystals: Crystals) -> VoronoiCells:
    """Compute the Voronoi cell of each atom: the points that are nearer to it than to any other atom.

    A cube around the atom is cut by the plane halfway to each neighbour, nearest first, until no further neighbour can
    reach the cell (Rycroft, Chaos 19, 041111 (2009)). Crystals with large voids are computed again with more
    neighbours.

    Args:
        crystals: n crystals that passed :meth:`Crystals.row_codes`.
    """
    sites = len(crystals.species)
    volumes, parts = np.zeros(sites), [_no_faces()]
    cutoffs = _FIRST_CUTOFF * np.cbrt(crystals.volumes / np.maximum(crystals.site_counts, 1))
    open_ = np.flatnonzero(crystals.site_counts > 0)
    while len(open_):
        part, (where, offsets) = crystals.take(open_), gather_rows(crystals.offsets, open_)
        reach = np.repeat(cutoffs[open_], part.site_counts)
        pairs = neighbour_list(part, reach / 2)
        areas, angles, part_volumes, closed = _cells(pairs.offsets, pairs.vectors, pairs.distances, reach)
        done = np.logical_and.reduceat(closed, offsets[:-1])
        volumes[where] = part_volumes
        at = np.repeat(np.arange(len(where)), np.diff(pairs.offsets))
        real = (angles > 4e-8 * np.pi) & np.repeat(done, part.site_counts)[at]
        parts.append((
            where[at[real]], where[pairs.sites[real]], pairs.vectors[real], pairs.distances[real], areas[real],
            angles[real],
        ))  # fmt: skip
        open_ = open_[~done]
        cutoffs[open_] *= 1.5
    owner, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(owner, kind="stable")
    neighbours, vectors, distances, areas, angles = (column[order] for column in columns)
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=sites))]).astype(np.int64)
    return VoronoiCells(NeighbourList(starts, neighbours, vectors, distances), areas, angles, volumes)


def _no_faces() -> tuple[NDArray[np.generic], ...]:
    whole, real = np.empty(0, np.int64), np.empty(0)
    return whole, whole, np.empty((0, 3)), real, real, real


@numba.njit(cache=True, nogil=True)
def _cells(offsets, vectors, distances, cutoffs):  # type: ignore[no-untyped-def]
    """Compute area and solid angle of the face of each neighbour (0 for none), volumes, and which cells are closed.

    Args:
        offsets: Neighbours of each site, shape (sites + 1,).
        vectors: To each neighbour, Å.
        distances: To each neighbour, Å.
        cutoffs: Distance in Å within which all neighbours are listed, shape (sites,).
    """
    sites = len(offsets) - 1
    areas, angles = np.zeros(len(distances)), np.zeros(len(distances))
    volumes, closed = np.zeros(sites), np.zeros(sites, np.bool_)
    # A polyhedron: the corners of each face in order, their number, and the neighbour behind the face.
    corners, counts, behind = np.empty((48, 24, 3)), np.zeros(48, np.int64), np.zeros(48, np.int64)
    for s in range(sites):
        start, stop = offsets[s], offsets[s + 1]
        order = start + np.argsort(distances[start:stop])
        faces, farthest = _cut_all(corners, counts, behind, vectors, distances, order, cutoffs[s])
        while faces < 0:  # there was not enough room for the faces or corners
            room = (2 * corners.shape[0], 2 * corners.shape[1], 3)
            corners, counts, behind = np.empty(room), np.zeros(room[0], np.int64), np.zeros(room[0], np.int64)
            faces, farthest = _cut_all(corners, counts, behind, vectors, distances, order, cutoffs[s])
        closed[s] = 2.0 * farthest <= cutoffs[s]
        for f in range(faces):
            p = behind[f]
            if p >= 0:
                area, angle = _measure(corners[f], counts[f])
                areas[p] += area
                angles[p] += angle
                volumes[s] += area * distances[p] / 6.0
    return areas, angles, volumes, closed


@numba.njit(cache=True, nogil=True)
def _cut_all(corners, counts, behind, vectors, distances, order, half):  # type: ignore[no-untyped-def]
    """Cut a cube of edge ``2 half`` by neighbours in ``order``; return face count (-1: no room) and corner distance."""
    for f in range(6):
        axis, side = f // 2, half if f % 2 else -half
        counts[f], behind[f] = 4, -1
        for c in range(4):
            corners[f, c, axis] = side
            corners[f, c, (axis + 1) % 3] = half if c in (0, 3) else -half
            corners[f, c, (axis + 2) % 3] = half if c in (0, 1) else -half
    faces, farthest = 6, np.sqrt(3.0) * half
    rim, loop = np.empty((2 * corners.shape[0], 4)), np.empty((corners.shape[1] + 2, 3))
    for p in order:
        if distances[p] >= 2.0 * farthest:
            break
        faces = _cut(corners, counts, behind, faces, vectors[p] / distances[p], 0.5 * distances[p], p, rim, loop)
        if faces < 0:
            return -1, 0.0
        farthest = 0.0
        for f in range(faces):
            for c in range(counts[f]):
                v = corners[f, c]
                farthest = max(farthest, v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        farthest = np.sqrt(farthest)
    return faces, farthest


@numba.njit(cache=True, nogil=True)
def _cut(corners, counts, behind, faces, normal, height, p, rim, loop):  # type: ignore[no-untyped-def]
    """Cut off the part beyond a plane; return the number of remaining faces, or -1 if there is not enough room.

    Every face has its own copies of its corners, and thin faces are not merged. If corners were merged face by face,
    neighbouring faces could disagree about the end of an edge, and the new face would lack a corner.
    """
    touched = False
    for f in range(faces):
        for c in range(counts[f]):
            v = corners[f, c]
            touched |= normal[0] * v[0] + normal[1] * v[1] + normal[2] * v[2] - height > _TOUCH
    if not touched:
        return faces
    found, kept = 0, 0
    for f in range(faces):
        m, n = 0, counts[f]
        before = corners[f, n - 1]
        was = normal[0] * before[0] + normal[1] * before[1] + normal[2] * before[2] - height
        for c in range(n):
            v = corners[f, c]
            now = normal[0] * v[0] + normal[1] * v[1] + normal[2] * v[2] - height
            if m + 2 > len(loop) or found == len(rim):
                return -1
            if (was > _TOUCH) != (now > _TOUCH):
                share = min(max(was / (was - now), 0.0), 1.0)
                for axis in range(3):
                    loop[m, axis] = before[axis] + share * (v[axis] - before[axis])
                    rim[found, axis] = loop[m, axis]
                m, found = m + 1, found + 1
            if now <= _TOUCH:
                loop[m] = v
                m += 1
            before, was = v, now
        counts[kept] = _write_face(corners[kept], loop, m)
        if counts[kept] < 0:
            return -1
        if counts[kept] >= 3:
            behind[kept] = behind[f]
            kept += 1
    if kept == len(counts):
        return -1
    _sort_around(rim, found, normal)
    counts[kept] = _write_face(corners[kept], rim, found)
    if counts[kept] < 0:
        return -1
    if counts[kept] >= 3:
        behind[kept] = p
        kept += 1
    return kept


@numba.njit(cache=True, nogil=True)
def _write_face(face, points, count):  # type: ignore[no-untyped-def]
    """Write distinct points in order as corners of a face; return their number, or -1 if there is not enough room."""
    k = 0
    for c in range(count):
        v = points[c]
        if k > 0 and _same(face[k - 1], v):
            continue
        if k == len(face):
            return -1
        for axis in range(3):
            face[k, axis] = v[axis]
        k += 1
    while k > 1 and _same(face[0], face[k - 1]):
        k -= 1
    return k


@numba.njit(cache=True, nogil=True)
def _same(a, b):  # type: ignore[no-untyped-def]
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) + abs(a[2] - b[2]) < _SAME_CORNER


@numba.njit(cache=True, nogil=True)
def _sort_around(rim, count, normal):  # type: ignore[no-untyped-def]
    """Sort points of a plane by their angle around their mean; the angles are stored in the fourth column."""
    middle = np.zeros(3)
    for c in range(count):
        for axis in range(3):
            middle[axis] += rim[c, axis] / count
    a0, a1, a2 = rim[0, 0] - middle[0], rim[0, 1] - middle[1], rim[0, 2] - middle[2]
    b0, b1 = normal[1] * a2 - normal[2] * a1, normal[2] * a0 - normal[0] * a2
    b2 = normal[0] * a1 - normal[1] * a0
    for c in range(count):
        x, y, z = rim[c, 0] - middle[0], rim[c, 1] - middle[1], rim[c, 2] - middle[2]
        rim[c, 3] = np.arctan2(x * b0 + y * b1 + z * b2, x * a0 + y * a1 + z * a2)
    for c in range(1, count):
        x, y, z, angle = rim[c, 0], rim[c, 1], rim[c, 2], rim[c, 3]
        e = c - 1
        while e >= 0 and rim[e, 3] > angle:
            for axis in range(4):
                rim[e + 1, axis] = rim[e, axis]
            e -= 1
        rim[e + 1, 0], rim[e + 1, 1], rim[e + 1, 2], rim[e + 1, 3] = x, y, z, angle


@numba.njit(cache=True, nogil=True)
def _measure(face, count):  # type: ignore[no-untyped-def]
    """Add area and solid angle over triangles (van Oosterom and Strackee, IEEE TBME 30, 125 (1983))."""
    area, angle, a = 0.0, 0.0, face[0]
    length_a = np.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    for c in range(1, count - 1):
        b, g = face[c], face[c + 1]
        u0, u1, u2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        v0, v1, v2 = g[0] - a[0], g[1] - a[1], g[2] - a[2]
        x, y, z = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
        area += 0.5 * np.sqrt(x * x + y * y + z * z)
        length_b = np.sqrt(b[0] * b[0] + b[1] * b[1] + b[2] * b[2])
        length_g = np.sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
        ab = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
        ag = a[0] * g[0] + a[1] * g[1] + a[2] * g[2]
        bg = b[0] * g[0] + b[1] * g[1] + b[2] * g[2]
        triple = abs(a[0] * x + a[1] * y + a[2] * z)
        angle += 2.0 * np.arctan2(
            triple, length_a * length_b * length_g + ab * length_g + ag * length_b + bg * length_a
        )
    return area, angle
