"""The walk of several rows through one tree, which all compiled forests share."""

from __future__ import annotations

import numba

SIDE_BY_SIDE = 8
"""Rows that walk at the same time, so that the processor does not wait for single steps."""
BLOCK = 512
"""Rows that pass through one tree after another, so that both stay in cache."""


@numba.njit(cache=True, nogil=True, inline="always")
def to_leaves(values, first, width, root, nodes, at):  # type: ignore[no-untyped-def]
    """Lead rows from the root of a tree to their leaves, whose places are written into ``at``.

    Args:
        values: Features, shape (n, k).
        first: The first row.
        width: Number of rows, at most ``len(at)``.
        root: Place of the root among the nodes.
        nodes: Of all trees, with ``feature``, ``threshold``, ``left`` and ``right``; a leaf leads to itself.
        at: Filled with the place of the leaf of each row.
    """
    at[:] = root
    moved = True
    while moved:
        moved = False
        for k in range(width):
            node = nodes[at[k]]
            below = node.left if values[first + k, node.feature] <= node.threshold else node.right
            moved |= below != at[k]
            at[k] = below
