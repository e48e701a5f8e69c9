"""Grow extremely randomised trees in compiled code (Geurts, Ernst, Wehenkel, Mach. Learn. 63, 3 (2006)).

At each node a few features are drawn, each is cut once at a value drawn uniformly between its ends in the node, and the
cut that reduces the variance of the target most is taken. Features without two values in a node cannot be cut. They
count among the drawn ones, as in scikit-learn, but drawing goes on until at least one feature can be cut.

Targets are summed as integers. Sums of integers do not depend on their order, so a tree does not depend on the order of
the training rows. Each tree has random numbers of its own, so a forest does not depend on the number of threads either.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError

_SMALL_NODE = 12  # rows; in smaller nodes the best cut of all is often met before all features are drawn
_BITS = 61  # of the sum of the absolute targets, which copies of rows at most double
_USUAL = 0.9  # share of the rows that have no more than one copy in a tree, unless most have little weight


class Forest(NamedTuple):
    """Trees as flat arrays, node after node; a left child directly follows its parent.

    Attributes:
        starts: First node of each tree, and the number of all nodes, shape (t + 1,).
        feature: Feature that a node compares, -1 in a leaf, shape (nodes,).
        right: Right child, counted from the first node of the tree, 0 in a leaf, shape (nodes,).
        threshold: Rows go left up to this value; in a leaf, the mean target of its rows. Shape (nodes,).
        importances: Share of each feature in the reduction of variance, averaged over trees, shape (k,), sums to 1.
            All zero if no tree has a split.
    """

    starts: NDArray[np.int64]
    feature: NDArray[np.int16]
    right: NDArray[np.int32]
    threshold: NDArray[np.float32]
    importances: NDArray[np.float64]


def grow_forest(
    values: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    trees: int,
    feature_share: float,
    smallest_leaf: int,
    seed: int,
    threads: int = 1,
    weights: NDArray[np.float64] | None = None,
) -> Forest:
    """Grow trees on all rows of features (n, k), rounded to single precision, and targets (n,).

    Where rows have weights, each tree is grown on a number of copies of each row that is its weight on average. Copies
    count in the variance and in the mean of a leaf, and a row of small weight is in few trees only, so that it rarely
    has a leaf of its own.

    Args:
        values: Features, finite.
        target: Values to learn, finite.
        trees: Number of trees.
        feature_share: Share of features drawn at each node; at least one is drawn.
        smallest_leaf: Fewest rows in a leaf.
        seed: Seed of the random numbers.
        threads: Trees grown at the same time.
        weights: How much each row counts, positive, shape (n,). If left out, every tree has each row once.

    Raises:
        ModelError: If there are no rows, or a target is not finite.
    """
    if not len(target) or not np.isfinite(target).all():
        raise ModelError(f"{len(target)} targets, {np.isfinite(target).sum()} of them finite", "finite targets")
    whole, power = _as_integers(target)
    single, drawn = np.ascontiguousarray(values, np.float32), max(1, int(feature_share * values.shape[1]))
    scaled = None if weights is None else weights / max(weights.mean(), np.quantile(weights, _USUAL))

    def grow(own: np.uint64) -> tuple[NDArray[Any], ...]:
        rows = np.arange(len(whole)) if scaled is None else _copies(scaled, own)
        return _grow_tree(single, whole[rows], rows.astype(np.uint32), drawn, smallest_leaf, own)

    seeds = np.random.SeedSequence(seed).generate_state(trees, np.uint64)
    if threads == 1:
        grown = [grow(one) for one in seeds]
    else:
        with ThreadPoolExecutor(threads) as pool:
            grown = list(pool.map(grow, seeds))
    feature, right, threshold, leaf, gain = (list(parts) for parts in zip(*grown, strict=True))
    feature_of_node = np.concatenate(feature)
    mean = np.ldexp(np.concatenate(leaf), -power)
    return Forest(
        np.concatenate([[0], np.cumsum([len(part) for part in feature])]).astype(np.int64),
        feature_of_node.astype(np.int16),
        np.concatenate(right),
        np.where(feature_of_node < 0, mean, np.concatenate(threshold)).astype(np.float32),
        _mean_shares(np.array(gain)),
    )


def _as_integers(target: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Multiply targets (n,) by a power of two and round them; the integers and the power.

    Every sum of them fits into 64 bits. With 4,000 rows, rounding changes a target by 2e-15 of the largest one.

    >>> _as_integers(np.array([1.0, 0.5]))
    (array([576460752303423488, 288230376151711744]), 59)
    """
    power = _BITS - math.ceil(math.log2(len(target))) - math.frexp(float(np.abs(target).max()))[1]
    return np.rint(np.ldexp(target, power)).astype(np.int64), power


def _copies(weights: NDArray[np.float64], seed: np.uint64) -> NDArray[np.int64]:
    """Draw whole numbers of copies of rows, with the weights (n,) as their means; return the row of each copy.

    A weight is rounded up with the probability of its decimals. If no row is drawn, the heaviest stands alone.
    """
    copies = np.floor(weights + np.random.default_rng(int(seed)).random(len(weights))).astype(np.int64)
    return np.repeat(np.arange(len(weights)), copies) if copies.any() else np.array([weights.argmax()])


def _mean_shares(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the shares of features over the trees that have a split, from gains (t, k)."""
    total = gain.sum(axis=1)
    split = total > 0
    if not split.any():
        return np.zeros(gain.shape[1])
    mean = (gain[split] / total[split, None]).mean(axis=0)
    return np.asarray(mean / mean.sum())


@numba.njit(cache=True, nogil=True)
def _grow_tree(values, target, rows, drawn, smallest_leaf, seed):  # type: ignore[no-untyped-def]
    """Grow one tree from the top, left children first.

    Args:
        values: Features (n, k), float32.
        target: Targets of the rows (m,), int64; they change places.
        rows: Rows to grow on (m,), uint32; a row may occur several times. They change places.
        drawn: Number of features drawn at each node.
        smallest_leaf: Fewest rows in a leaf.
        seed: Beginning of the random numbers, uint64.

    Returns:
        Of each node its feature, right child, threshold and, in a leaf, mean target; and the gain of each feature.
    """
    n, features = len(rows), values.shape[1]
    room = 2 * (n // smallest_leaf) + 1
    feature, right = np.full(room, -1, np.int32), np.zeros(room, np.int32)
    threshold, leaf, gain = np.zeros(room, np.float32), np.zeros(room), np.zeros(features)
    # Each node owns one piece of the rows and targets, and the two halves of the piece belong to its children.
    # The features that are constant in a node come first in both orders. They are constant in its children too.
    order, constants = np.arange(features).astype(np.int32), np.arange(features).astype(np.int32)
    held, random = np.empty(n, np.float32), np.full(1, seed, np.uint64)
    waiting = np.empty((room, 4), np.int64)
    waiting[0, 0], waiting[0, 1], waiting[0, 2], waiting[0, 3] = 0, n, 0, -1
    count, node = 1, 0
    while count > 0:
        count -= 1
        start, end, constant, parent = waiting[count, 0], waiting[count, 1], waiting[count, 2], waiting[count, 3]
        if parent >= 0:  # the node is a right child
            right[parent] = node
        here = target[start:end]
        total, least, most = _sum_and_ends(here)
        split, cut, reduction = -1, np.float32(0), 0.0
        if end - start >= 2 * smallest_leaf and least < most:
            enough = _largest_gain(here, total, smallest_leaf) if end - start <= _SMALL_NODE else np.inf
            split, cut, reduction, constant = _best_split(
                values, rows[start:end], here, total, enough, drawn, smallest_leaf, order, constants, constant, held,
                random,
            )  # fmt: skip
        if split < 0:
            leaf[node] = total / (end - start)
        else:
            middle = start + _part(values, split, cut, rows[start:end], here)
            feature[node], threshold[node] = split, cut
            gain[split] += reduction / (end - start)
            waiting[count, 0], waiting[count, 1], waiting[count, 2], waiting[count, 3] = middle, end, constant, node
            count += 1
            waiting[count, 0], waiting[count, 1], waiting[count, 2], waiting[count, 3] = start, middle, constant, -1
            count += 1
        node += 1
    return feature[:node], right[:node], threshold[:node], leaf[:node], gain


@numba.njit(cache=True, nogil=True)
def _best_split(  # type: ignore[no-untyped-def]
    values, rows, target, total, enough, drawn, smallest_leaf, order, constants, constant, held, random
):
    """Draw features, cut each once and return the best: feature, cut, gain, and how many features are constant.

    The feature is -1 if no cut leaves enough rows on both sides. The gain is the number of rows times the reduction of
    the sum of squares. The first ``constant`` features of ``order`` are known to be constant. Drawing is the shuffle
    of Fisher and Yates over one list: constant features that were drawn, known ones that were not, newly found ones,
    features that were not drawn, and features that were cut.
    """
    best, best_cut, best_gain = -1, np.float32(0), -1.0
    undrawn, found, known, visited = len(order), 0, 0, 0
    while undrawn > constant + found and (visited < drawn or visited <= found + known):
        visited += 1
        place = known + _below(random, undrawn - found - known)
        if place < constant:
            order[place], order[known] = order[known], order[place]
            known += 1
            continue
        place += found
        feature = order[place]
        low, high = _gather(values, feature, rows, held)
        if low == high:
            order[place], order[constant + found] = order[constant + found], order[place]
            found += 1
            continue
        undrawn -= 1
        order[place], order[undrawn] = order[undrawn], order[place]
        cut = np.float32(low + _uniform(random) * (np.float64(high) - np.float64(low)))
        if cut >= high:  # by rounding
            cut = low
        left, below = _left_side(held, cut, target)
        gain = _gain(left, below, len(rows), total)
        if min(left, len(rows) - left) >= smallest_leaf and gain > best_gain:
            best, best_cut, best_gain = feature, cut, gain
            if gain >= enough:
                break
    order[:constant] = constants[:constant]
    constants[constant : constant + found] = order[constant : constant + found]
    return best, best_cut, best_gain, constant + found


@numba.njit(cache=True, nogil=True)
def _gather(values, feature, rows, held):  # type: ignore[no-untyped-def]
    """Copy the values of a feature in some rows side by side; return their smallest and largest."""
    low = high = values[rows[0], feature]
    for i in range(len(rows)):
        value = values[rows[i], feature]
        held[i] = value
        low = min(low, value)
        high = max(high, value)
    return low, high


@numba.njit(cache=True, nogil=True)
def _left_side(held, cut, target):  # type: ignore[no-untyped-def]
    """Return number and sum of the targets whose values are not above the cut."""
    left, below = 0, np.int64(0)
    for i in range(len(target)):
        inside = held[i] <= cut
        left += inside
        below += target[i] if inside else 0
    return left, below


@numba.njit(cache=True, nogil=True)
def _gain(left, below, count, total):  # type: ignore[no-untyped-def]
    """Return ``count`` times the reduction of the sum of squares by a split; -1 if a side is empty.

    The two sums enter through their difference, so that a large mean target costs no precision. The smaller side is
    taken, so that the same two sets of rows have the same gain to the last digit, whichever of them goes left.
    """
    if left == 0 or left == count:
        return -1.0
    if 2 * left > count or (2 * left == count and 2 * below > total):
        left, below = count - left, total - below
    apart = np.float64(below) * count - np.float64(total) * left
    return apart * apart / (np.float64(left) * (count - left))


@numba.njit(cache=True, nogil=True)
def _largest_gain(target, total, smallest_leaf):  # type: ignore[no-untyped-def]
    """Return the gain of the best split of all: no feature can do better than the targets in order."""
    count, best, below = len(target), -1.0, np.int64(0)
    ordered = np.sort(target)
    for left in range(1, count):
        below += ordered[left - 1]
        if min(left, count - left) >= smallest_leaf:
            best = max(best, _gain(left, below, count, total))
    return best


@numba.njit(cache=True, nogil=True)
def _sum_and_ends(target):  # type: ignore[no-untyped-def]
    """Return sum, smallest and largest target."""
    total, least, most = np.int64(0), target[0], target[0]
    for value in target:
        total += value
        least = min(least, value)
        most = max(most, value)
    return total, least, most


@numba.njit(cache=True, nogil=True)
def _part(values, feature, cut, rows, target):  # type: ignore[no-untyped-def]
    """Put the rows whose values are not above the cut first; return their number."""
    left, right = 0, len(rows) - 1
    while left <= right:
        if values[rows[left], feature] <= cut:
            left += 1
        else:
            rows[left], rows[right] = rows[right], rows[left]
            target[left], target[right] = target[right], target[left]
            right -= 1
    return left


@numba.njit(cache=True, nogil=True)
def _next(random):  # type: ignore[no-untyped-def]
    """Return the next 64 random bits (SplitMix64: Steele, Lea, Flood, ACM SIGPLAN Not. 49 (10), 453 (2014))."""
    random[0] += np.uint64(0x9E3779B97F4A7C15)
    bits = random[0]
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _below(random, limit):  # type: ignore[no-untyped-def]
    """Return a random integer from 0 to ``limit - 1``."""
    return np.int64(((_next(random) >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def _uniform(random):  # type: ignore[no-untyped-def]
    """Return a random number from 0 to 1, 1 excluded."""
    return np.float64(_next(random) >> np.uint64(11)) * 2.0**-53
