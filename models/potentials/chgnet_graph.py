"""Neighbours of crystals for CHGNet: bonds up to 6 Å, and angles between bonds of up to 3 Å.

The graph of many crystals is built at once into flat arrays. Each bond stands once; the network reads it in both
directions. Definition of the graph: Deng et al., "CHGNet as a pretrained universal neural network potential for
charge-informed atomistic modelling", Nature Machine Intelligence 5, 1031-1041 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals

BOND_CUTOFF = 6.0
"""Longest bond in Å."""
ANGLE_CUTOFF = 3.0
"""Longest bond in Å that takes part in angles."""


class GraphSizes(NamedTuple):
    """Numbers of bonds and angles in the graph of each crystal.

    Attributes:
        bonds: Bonds in each cell, each counted once, shape (n,).
        angles: Ordered pairs of short bonds at one atom, shape (n,).
        isolated: Whether some atom has no neighbour within 6 Å, shape (n,).
    """

    bonds: NDArray[np.int64]
    angles: NDArray[np.int64]
    isolated: NDArray[np.bool_]


class NeighbourGraph(NamedTuple):
    """Bonds and angles of a batch of crystals; sites are numbered through the batch.

    Attributes:
        first: Site each bond starts from, shape (bonds,).
        second: Site it ends at, shape (bonds,).
        shift: Cell of the second site relative to that of the first, shape (bonds, 3).
        short: Which bonds take part in angles, shape (short,).
        corner: Site at each angle's corner, shape (angles,).
        arm: The angle's first bond, as a position in ``short``, shape (angles,).
        other_arm: The angle's second bond, likewise.
        sign: Product of the two bonds' directions: -1 where one starts and the other ends at the corner.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    shift: NDArray[np.float64]
    short: NDArray[np.int64]
    corner: NDArray[np.int64]
    arm: NDArray[np.int64]
    other_arm: NDArray[np.int64]
    sign: NDArray[np.float64]


def graph_sizes(crystals: Crystals) -> GraphSizes:
    """Count bonds and angles without storing them."""
    bonds, short_ends, neighbours = _count(
        crystals.lattice, crystals.offsets, crystals.frac_coords, _reach(crystals), BOND_CUTOFF, ANGLE_CUTOFF
    )
    owner = np.repeat(np.arange(len(crystals)), crystals.site_counts)
    n = len(crystals)
    angles = np.bincount(owner, weights=short_ends * (short_ends - 1), minlength=n).astype(np.int64)
    isolated = np.bincount(owner, weights=neighbours == 0, minlength=n) > 0
    return GraphSizes(bonds, angles, isolated)


def neighbour_graph(crystals: Crystals, sizes: GraphSizes) -> NeighbourGraph:
    """Build the graph of all crystals.

    Args:
        crystals: n crystals.
        sizes: Their :func:`graph_sizes`.
    """
    first, second, shift, length = _bonds(
        crystals.lattice, crystals.offsets, crystals.frac_coords, _reach(crystals), BOND_CUTOFF, sizes.bonds
    )
    short = np.flatnonzero(length < ANGLE_CUTOFF)
    corner, arm, other_arm, sign = _angles(first[short], second[short], len(crystals.species))
    return NeighbourGraph(first, second, shift, short, corner, arm, other_arm, sign)


def _reach(crystals: Crystals) -> NDArray[np.int64]:
    """Cells to visit in each direction for displacements wrapped to [-0.5, 0.5], shape (n, 3)."""
    return np.floor(BOND_CUTOFF / crystals.plane_spacings + 0.5).astype(np.int64)


@numba.njit(cache=True, nogil=True)
def _later_half(h, k, m):  # type: ignore[no-untyped-def]
    """True for one of each pair of opposite cells, false for the own cell."""
    return h > 0 or (h == 0 and (k > 0 or (k == 0 and m > 0)))


@numba.njit(cache=True, nogil=True)
def _squared_length(cell, u, v, w):  # type: ignore[no-untyped-def]
    x = u * cell[0, 0] + v * cell[1, 0] + w * cell[2, 0]
    y = u * cell[0, 1] + v * cell[1, 1] + w * cell[2, 1]
    z = u * cell[0, 2] + v * cell[1, 2] + w * cell[2, 2]
    return x * x + y * y + z * z


@numba.njit(cache=True, nogil=True)
def _count(lattice, offsets, frac, reach, cutoff, short_cutoff):  # type: ignore[no-untyped-def]
    """Bonds of each crystal; ends of short bonds and of all bonds at each site."""
    bonds = np.zeros(len(lattice), np.int64)
    short_ends, neighbours = np.zeros(len(frac), np.int64), np.zeros(len(frac), np.int64)
    for i in range(len(lattice)):
        for a in range(offsets[i], offsets[i + 1]):
            for b in range(a, offsets[i + 1]):
                step = frac[b] - frac[a]
                step = step - np.rint(step)
                for h in range(-reach[i, 0], reach[i, 0] + 1):
                    for k in range(-reach[i, 1], reach[i, 1] + 1):
                        for m in range(-reach[i, 2], reach[i, 2] + 1):
                            if a == b and not _later_half(h, k, m):
                                continue
                            squared = _squared_length(lattice[i], step[0] + h, step[1] + k, step[2] + m)
                            if squared < cutoff * cutoff:
                                bonds[i] += 1
                                neighbours[a] += 1
                                neighbours[b] += 1
                                if squared < short_cutoff * short_cutoff:
                                    short_ends[a] += 1
                                    short_ends[b] += 1
    return bonds, short_ends, neighbours


@numba.njit(cache=True, nogil=True)
def _bonds(lattice, offsets, frac, reach, cutoff, counts):  # type: ignore[no-untyped-def]
    total = counts.sum()
    first, second = np.empty(total, np.int64), np.empty(total, np.int64)
    shift, length = np.empty((total, 3)), np.empty(total)
    at = 0
    for i in range(len(lattice)):
        for a in range(offsets[i], offsets[i + 1]):
            for b in range(a, offsets[i + 1]):
                step = frac[b] - frac[a]
                nearest = np.rint(step)
                step = step - nearest
                for h in range(-reach[i, 0], reach[i, 0] + 1):
                    for k in range(-reach[i, 1], reach[i, 1] + 1):
                        for m in range(-reach[i, 2], reach[i, 2] + 1):
                            if a == b and not _later_half(h, k, m):
                                continue
                            squared = _squared_length(lattice[i], step[0] + h, step[1] + k, step[2] + m)
                            if squared < cutoff * cutoff:
                                first[at], second[at], length[at] = a, b, np.sqrt(squared)
                                shift[at, 0] = h - nearest[0]
                                shift[at, 1] = k - nearest[1]
                                shift[at, 2] = m - nearest[2]
                                at += 1
    return first, second, shift, length


@numba.njit(cache=True, nogil=True)
def _angles(first, second, sites):  # type: ignore[no-untyped-def]
    """All ordered pairs of different bond ends at each site; a bond of a site to its own image has both ends there."""
    starts = np.zeros(sites + 1, np.int64)
    for bond in range(len(first)):
        starts[first[bond] + 1] += 1
        starts[second[bond] + 1] += 1
    total = 0
    for site in range(sites):
        total += starts[site + 1] * (starts[site + 1] - 1)
        starts[site + 1] += starts[site]
    bonds, signs, filled = np.empty(starts[-1], np.int64), np.empty(starts[-1]), starts[:-1].copy()
    for bond in range(len(first)):
        bonds[filled[first[bond]]], signs[filled[first[bond]]] = bond, 1.0
        filled[first[bond]] += 1
        bonds[filled[second[bond]]], signs[filled[second[bond]]] = bond, -1.0
        filled[second[bond]] += 1
    corner, sign = np.empty(total, np.int64), np.empty(total)
    arm, other_arm = np.empty(total, np.int64), np.empty(total, np.int64)
    at = 0
    for site in range(sites):
        for one in range(starts[site], starts[site + 1]):
            for other in range(starts[site], starts[site + 1]):
                if one != other:
                    corner[at], arm[at], other_arm[at] = site, bonds[one], bonds[other]
                    sign[at] = signs[one] * signs[other]
                    at += 1
    return corner, arm, other_arm, sign
