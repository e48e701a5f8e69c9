"""Shapley values of trees that are stored as flat arrays, for each row against each background row."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def interventional_shapley_values(rows, background, starts, feature, right, threshold, weights):  # type: ignore[no-untyped-def]
    """Compute Shapley values of each row against each background row, averaged over background rows and trees.

    If row and background take different branches at a split, both are followed: one for coalitions with the feature,
    one for those without it. ``side`` stores which branch was taken for a feature on the path: 1 that of the row, 2 the
    other.
    """
    n, k = rows.shape
    trees = len(starts) - 1
    result = np.zeros((n, k))
    side, path = np.zeros(k, np.int8), np.empty(k + 1, np.int64)
    size = 2
    for tree in range(trees):
        size = max(size, starts[tree + 1] - starts[tree])
    nodes, lengths, chosen = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    for tree in range(trees):
        start = starts[tree]
        for i in range(n):
            for j in range(len(background)):
                nodes[0], lengths[0], chosen[0] = start, 0, -1
                waiting, length, towards = 1, 0, 0
                while waiting > 0:
                    waiting -= 1
                    node = nodes[waiting]
                    while length > lengths[waiting]:
                        length -= 1
                        towards -= side[path[length]] == 1
                        side[path[length]] = 0
                    if chosen[waiting] >= 0:
                        side[chosen[waiting]], path[length] = 2, chosen[waiting]
                        length += 1
                    while feature[node] >= 0:
                        f = feature[node]
                        with_row = node + 1 if rows[i, f] <= threshold[node] else start + right[node]
                        without = node + 1 if background[j, f] <= threshold[node] else start + right[node]
                        if with_row != without and side[f] == 0:
                            nodes[waiting], lengths[waiting], chosen[waiting] = without, length, f
                            waiting += 1
                            side[f], path[length] = 1, f
                            length += 1
                            towards += 1
                        node = without if side[f] == 2 else with_row
                    leaf, against = np.float64(threshold[node]), length - towards
                    for step in range(length):
                        if side[path[step]] == 1:
                            result[i, path[step]] += leaf * weights[towards, against]
                        else:
                            result[i, path[step]] -= leaf * weights[against, towards]
                while length > 0:
                    length -= 1
                    side[path[length]] = 0
    return result / (trees * len(background))
