"""Decide in microseconds which pairs of crystals the StructureMatcher of pymatgen cannot match.

The matcher (``ltol`` 0.2, ``stol`` 0.3, ``angle_tol`` 5°, both cells reduced and scaled to one volume) accepts a pair
if

1. three vectors of the first lattice span its cell and agree with the edges of the second within a factor of 1.2 and
   with its angles within 5°, and
2. in the cell of mean edges and angles, for some shift and some pairing of equal elements, no two paired atoms are
   further apart than ``rho = 0.3 (V / n)^(1/3)``, n atoms in the volume V, once their mean displacement is taken away.

Condition 1 is tested directly. Condition 2 is replaced by weaker conditions that need no search over all shifts. Let
the shift put any one atom exactly onto its partner. The displacements ``d`` of all pairs then have a mean ``s`` no
longer than ``rho``, and every ``|d - s| <= rho``. So

* every atom has an equal one within ``2 rho``;
* some vector ``s``, ``|s| <= rho``, lies within ``rho`` of a displacement of every atom (the search divides a
  cube into smaller and smaller ones, each widened by half its diagonal, so that no place is missed);
* the squared displacements of a pairing add up to ``sum |d - s|^2 + n |s|^2 <= 2 n rho^2``, and so does the least sum
  of all pairings, an assignment problem (Kuhn, Nav. Res. Logist. Q. 2, 83 (1955), doi:10.1002/nav.3800020109).

A pair that breaks one of these conditions for every choice of vectors and partner is refused; other pairs stay
undecided. All limits are widened by one part in a million, so that rounding never refuses a match.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

LENGTH_TOLERANCE = 0.2
SITE_TOLERANCE = 0.3
ANGLE_TOLERANCE = 5.0  # degrees
_SLACK = 1e-6
_FORBIDDEN = 1e6  # Å2; cost of pairing different elements, or atoms too far apart
_VECTORS_PER_ATOM = 16  # on average less than one vector lies within the limit
_DEPTH = 4  # halvings of the cube in which a common shift is sought


class ReducedCell(NamedTuple):
    """One crystal in its reduced primitive cell.

    Attributes:
        lattice: Row vectors in Å, shape (3, 3).
        species: Atomic numbers, shape (sites,).
        frac_coords: Fractional coordinates, shape (sites, 3).
    """

    lattice: NDArray[np.float64]
    species: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]


def cannot_match(first: ReducedCell, second: ReducedCell) -> bool:
    """Whether StructureMatcher certainly refuses the pair. False means that this is undecided.

    Args:
        first: Reduced primitive cell of one crystal.
        second: Reduced primitive cell of another crystal with the same reduced formula.

    >>> copper = ReducedCell(3.6 * (1 - np.eye(3)) / 2, np.array([29], np.uint8), np.zeros((1, 3)))
    >>> bcc = ReducedCell(2.9 * (1 - 2 * np.eye(3)) / 2, np.array([29], np.uint8), np.zeros((1, 3)))
    >>> cannot_match(copper, copper), cannot_match(copper, bcc)
    (False, True)
    """
    if not np.array_equal(np.sort(first.species), np.sort(second.species)):
        return True  # primitive cells of different size
    values, counts = np.unique(second.species, return_counts=True)
    anchor = int(np.flatnonzero(second.species == values[np.argmin(counts)])[0])  # of the rarest element: fewest shifts
    return bool(_cannot_match(*first, *second, anchor))


@numba.njit(cache=True, nogil=True)
def _lengths_and_angles(cell):  # type: ignore[no-untyped-def]
    """Return the edges in Å and the angles opposite to them in degrees."""
    lengths, angles = np.empty(3), np.empty(3)
    for axis in range(3):
        lengths[axis] = np.sqrt((cell[axis] ** 2).sum())
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        cosine = (cell[one] * cell[other]).sum() / (lengths[one] * lengths[other])
        angles[axis] = np.degrees(np.arccos(min(max(cosine, -1.0), 1.0)))
    return lengths, angles


@numba.njit(cache=True, nogil=True)
def _cell_of(lengths, angles):  # type: ignore[no-untyped-def]
    """Return a cell with these edges and angles, in any orientation; zeros if there is none."""
    cosines = np.cos(np.radians(angles))
    sine = np.sin(np.radians(angles[2]))
    cell = np.zeros((3, 3))
    across = (cosines[0] - cosines[1] * cosines[2]) / sine
    rest = 1.0 - cosines[1] ** 2 - across**2
    if rest > 0.0:
        cell[0, 0] = lengths[0]
        cell[1, 0], cell[1, 1] = lengths[1] * cosines[2], lengths[1] * sine
        cell[2, 0], cell[2, 1], cell[2, 2] = lengths[2] * cosines[1], lengths[2] * across, lengths[2] * np.sqrt(rest)
    return cell


@numba.njit(cache=True, nogil=True)
def _vectors_within(cell, longest, shortest):  # type: ignore[no-untyped-def]
    """Return the whole-number coordinates of the lattice vectors of these lengths, shape (found, 3)."""
    inverse = np.linalg.inv(cell)
    reach = np.empty(3, np.int64)
    for axis in range(3):
        reach[axis] = int(longest * np.sqrt((inverse[:, axis] ** 2).sum()))
    found, vectors = 0, np.empty((2 * (2 * reach[0] + 1) * (2 * reach[1] + 1) + 64, 3))
    for h in range(-reach[0], reach[0] + 1):
        for k in range(-reach[1], reach[1] + 1):
            for m in range(-reach[2], reach[2] + 1):
                length = np.sqrt(((h * cell[0] + k * cell[1] + m * cell[2]) ** 2).sum())
                if shortest <= length <= longest:
                    if found == len(vectors):
                        vectors = np.concatenate((vectors, np.empty((found, 3))))
                    vectors[found, 0], vectors[found, 1], vectors[found, 2] = h, k, m
                    found += 1
    return vectors[:found].copy()


@numba.njit(cache=True, nogil=True)
def _angle_fits(one, other, target):  # type: ignore[no-untyped-def]
    cosine = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())
    angle = np.degrees(np.arccos(min(max(cosine, -1.0), 1.0)))
    return abs(angle - target) <= ANGLE_TOLERANCE * (1 + _SLACK)


@numba.njit(cache=True, nogil=True)
def _cannot_match(cell_a, species_a, frac_a, cell_b, species_b, frac_b, anchor):  # type: ignore[no-untyped-def]
    stretch = (abs(np.linalg.det(cell_b)) / abs(np.linalg.det(cell_a))) ** (1 / 6)
    a, b = cell_a * stretch, cell_b / stretch
    lengths, angles = _lengths_and_angles(b)
    most = (1 + LENGTH_TOLERANCE) * (1 + _SLACK)
    whole = [_vectors_within(a, edge * most, edge / most) for edge in lengths]
    first, second, third = whole[0] @ a, whole[1] @ a, whole[2] @ a
    change = np.empty((3, 3))
    for i in range(len(first)):
        for j in range(len(second)):
            if not _angle_fits(first[i], second[j], angles[2]):
                continue
            for k in range(len(third)):
                if not (_angle_fits(second[j], third[k], angles[0]) and _angle_fits(first[i], third[k], angles[1])):
                    continue
                change[0], change[1], change[2] = whole[0][i], whole[1][j], whole[2][k]
                if abs(abs(np.linalg.det(change)) - 1.0) > 0.5:
                    continue  # these vectors do not span the cell
                own_lengths, own_angles = _lengths_and_angles(change @ a)
                mean = _cell_of((own_lengths + lengths) / 2, (own_angles + angles) / 2)
                if _sites_may_match(mean, species_a, frac_a @ np.linalg.inv(change), species_b, frac_b, anchor):
                    return False
    return True


@numba.njit(cache=True, nogil=True)
def _sites_may_match(cell, species_a, frac_a, species_b, frac_b, anchor):  # type: ignore[no-untyped-def]
    volume = abs(np.linalg.det(cell))
    if volume == 0.0:
        return True
    n = len(species_a)
    squared = (SITE_TOLERANCE * (1 + _SLACK)) ** 2 * (volume / n) ** (2 / 3)
    inverse = np.linalg.inv(cell)
    reach = np.empty(3, np.int64)
    for axis in range(3):
        reach[axis] = int(2 * np.sqrt(squared) * np.sqrt((inverse[:, axis] ** 2).sum()) + 0.5)
    cost, ends, vectors = np.empty((n, n)), np.empty(n, np.int64), np.empty((_VECTORS_PER_ATOM * n, 3))
    for partner in range(n):
        if species_a[partner] != species_b[anchor]:
            continue
        shift = frac_a[partner] - frac_b[anchor]
        if not _displacements(
            cost, ends, vectors, cell, reach, 4 * squared, species_a, frac_a, species_b, frac_b + shift
        ):
            continue
        if ends[-1] < 0 or (_common_shift(ends, vectors, np.sqrt(squared)) and _pairing_below(cost, 2 * n * squared)):
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _displacements(cost, ends, vectors, cell, reach, limit, species_a, frac_a, species_b, frac_b):  # type: ignore[no-untyped-def]
    """Collect vectors from each atom of b to equal atoms of a within a squared limit; False if an atom has none.

    This fills ``cost`` with the smallest squared lengths, and ``vectors``, in which those of atom j end at ``ends[j]``.
    If they do not fit, the last end is -1.
    """
    n, found = len(species_b), 0
    for j in range(n):
        start = found
        for i in range(n):
            cost[j, i] = _FORBIDDEN
            if species_a[i] != species_b[j]:
                continue
            u, v, w = frac_a[i, 0] - frac_b[j, 0], frac_a[i, 1] - frac_b[j, 1], frac_a[i, 2] - frac_b[j, 2]
            u, v, w = u - np.rint(u), v - np.rint(v), w - np.rint(w)
            for h in range(-reach[0], reach[0] + 1):
                for k in range(-reach[1], reach[1] + 1):
                    for m in range(-reach[2], reach[2] + 1):
                        x = (u + h) * cell[0, 0] + (v + k) * cell[1, 0] + (w + m) * cell[2, 0]
                        y = (u + h) * cell[0, 1] + (v + k) * cell[1, 1] + (w + m) * cell[2, 1]
                        z = (u + h) * cell[0, 2] + (v + k) * cell[1, 2] + (w + m) * cell[2, 2]
                        squared = x * x + y * y + z * z
                        if squared > limit:
                            continue
                        cost[j, i] = min(cost[j, i], squared)
                        if found == len(vectors):
                            ends[-1] = -1
                            return True
                        vectors[found, 0], vectors[found, 1], vectors[found, 2] = x, y, z
                        found += 1
        if found == start:
            return False
        ends[j] = found
    return True


@numba.njit(cache=True, nogil=True)
def _common_shift(ends, vectors, radius):  # type: ignore[no-untyped-def]
    """Whether a vector of at most ``radius`` may lie within ``radius`` of a displacement of every atom.

    The cube that holds all such vectors is divided into eight parts, each part into eight again, and so on to the given
    depth. Parts whose centre is too far from all displacements of some atom are dropped.
    """
    stack = np.empty((8 * _DEPTH + 1, 4))  # centre and half edge
    stack[0, :3], stack[0, 3] = 0.0, radius
    size = 1
    while size:
        size -= 1
        x, y, z, half = stack[size, 0], stack[size, 1], stack[size, 2], stack[size, 3]
        limit = (radius + np.sqrt(3.0) * half) ** 2
        held = x * x + y * y + z * z <= limit
        start = 0
        for j in range(len(ends)):
            if not held:
                break
            held = False
            for at in range(start, ends[j]):
                dx, dy, dz = vectors[at, 0] - x, vectors[at, 1] - y, vectors[at, 2] - z
                if dx * dx + dy * dy + dz * dz <= limit:
                    held = True
                    break
            start = ends[j]
        if not held:
            continue
        if half <= radius * 0.5**_DEPTH * 1.001:
            return True
        half /= 2
        for corner in range(8):
            stack[size, 0] = x + half * (1 - 2 * (corner & 1))
            stack[size, 1] = y + half * (1 - (corner & 2))
            stack[size, 2] = z + half * (1 - (corner & 4) / 2)
            stack[size, 3] = half
            size += 1
    return False


@numba.njit(cache=True, nogil=True)
def _pairing_below(cost, limit):  # type: ignore[no-untyped-def]
    """Whether all rows can be paired with all columns at a total cost of at most ``limit``.

    Rows are added one at a time along the cheapest alternating path. Potentials keep all reduced costs positive, so the
    total only grows with each row.
    """
    n = len(cost)
    row_potential, column_potential = np.zeros(n + 1), np.zeros(n + 1)
    row_of = np.zeros(n + 1, np.int64)  # row that is paired with each column, counted from 1; 0 means none
    came_from = np.zeros(n + 1, np.int64)
    for row in range(1, n + 1):
        row_of[0] = row
        column = 0
        distance = np.full(n + 1, np.inf)
        visited = np.zeros(n + 1, np.bool_)
        while True:
            visited[column] = True
            here, nearest, step = row_of[column], 0, np.inf
            for other in range(1, n + 1):
                if visited[other]:
                    continue
                reduced = cost[here - 1, other - 1] - row_potential[here] - column_potential[other]
                if reduced < distance[other]:
                    distance[other], came_from[other] = reduced, column
                if distance[other] < step:
                    step, nearest = distance[other], other
            for other in range(n + 1):
                if visited[other]:
                    row_potential[row_of[other]] += step
                    column_potential[other] -= step
                else:
                    distance[other] -= step
            column = nearest
            if row_of[column] == 0:
                break
        if -column_potential[0] > limit:  # the smallest total so far
            return False
        while column:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return True
