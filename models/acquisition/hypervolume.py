"""The volume of margins that a set of materials dominates, and how much of it a candidate is expected to add.

Every target is one dimension, its margin. The reference point is where all margins are zero, so only materials that
meet all targets count. The region that no known material dominates is cut into boxes; within a box the expected gain
is a product over the targets (Yang, Emmerich, Deutz and Back, J. Global Optim. 75, 3 (2019), section 3). This is exact
for normal, independent errors, in any number of dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.models.acquisition.outlook import TargetOutlook

MOST_BOXES = 20_000
"""Boxes beyond which the front is thinned out to the materials that add most volume."""


def pareto_front(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points above zero that no other dominates, without repeats, in the order of their first margin, shape (f, d).

    Args:
        points: Margins, larger is better, shape (n, d).

    >>> pareto_front(np.array([[1.0, 1.0], [2.0, 0.5], [0.5, 0.5], [3.0, -1.0]]))
    array([[1. , 1. ],
           [2. , 0.5]])
    """
    inside = np.unique(points[(points > 0).all(axis=1)], axis=0)
    beaten = [bool(((inside >= point).all(axis=1) & (inside > point).any(axis=1)).any()) for point in inside]
    return inside[~np.array(beaten, bool)]


def hypervolume(points: NDArray[np.float64]) -> float:
    """Volume between the reference point and the front, for margins of shape (n, d).

    >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]))
    3.0
    """
    front = pareto_front(points)
    if not len(front):
        return 0.0
    most = front.max(axis=0)
    lower, upper = undominated_boxes(front)
    inside = np.clip(np.minimum(upper, most) - np.minimum(lower, most), 0.0, None)
    return float(np.prod(most) - np.prod(inside, axis=1).sum())


def undominated_boxes(front: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut the margins above zero that a front does not dominate into boxes: lower and upper corners, each (b, d).

    The last dimension is cut at the points of the front. In each slice, the points that reach above it form a front of
    one dimension less. Upper corners may be infinite.

    >>> lower, upper = undominated_boxes(np.array([[1.0, 2.0], [2.0, 1.0]]))
    >>> lower.tolist(), upper.tolist()
    ([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]], [[inf, 1.0], [inf, 2.0], [inf, inf]])
    """
    dimensions = front.shape[1]
    if dimensions == 1:
        least = front.max() if len(front) else 0.0
        return np.array([[least]]), np.array([[np.inf]])
    levels = np.unique(np.concatenate([[0.0], front[:, -1]]))
    lower, upper = [], []
    for low, high in zip(levels, np.append(levels[1:], np.inf), strict=True):
        above = front[front[:, -1] >= high, :-1]
        below, beyond = undominated_boxes(pareto_front(above))
        lower.append(np.column_stack([below, np.full(len(below), low)]))
        upper.append(np.column_stack([beyond, np.full(len(below), high)]))
    return np.concatenate(lower), np.concatenate(upper)


def expected_hypervolume_improvement(
    targets: Sequence[TargetOutlook], front: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected volume of margins that each candidate adds to a front, shape (n,).

    Args:
        targets: Outlook of each target, one dimension each.
        front: Margins of known materials, shape (f, d); none for an empty one.

    >>> target = TargetOutlook(np.array([1.0]), np.array([1e-9]), lower=0.0)
    >>> expected_hypervolume_improvement([target, target], np.array([[0.5, 2.0]])).round(6)
    array([0.5])
    """
    lower, upper = undominated_boxes(thinned(pareto_front(front.reshape(-1, len(targets)))))
    excess = [_excesses(target, np.unique([*low, *high])) for target, low, high in _ends(targets, lower, upper)]
    total = np.zeros(len(targets[0]))
    for low, high in zip(lower, upper, strict=True):
        gain = np.ones(len(total))
        for held, start, end in zip(excess, low.tolist(), high.tolist(), strict=True):
            gain *= held[start] - held[end]
        total += gain
    return total


def _ends(
    targets: Sequence[TargetOutlook], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> list[tuple[TargetOutlook, NDArray[np.float64], NDArray[np.float64]]]:
    return [(target, lower[:, at], upper[:, at]) for at, target in enumerate(targets)]


def _excesses(target: TargetOutlook, margins: NDArray[np.float64]) -> dict[float, NDArray[np.float64] | float]:
    """Expected excess over each margin, by the margin; nothing exceeds infinity."""
    return {least: target.expected_excess(least) if np.isfinite(least) else 0.0 for least in margins.tolist()}


def thinned(front: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out points of a front until it has few enough boxes; first those that the front loses least by.

    Args:
        front: A Pareto front, shape (f, d).
    """
    while len(front) > 2 and (len(front) + 1) ** (front.shape[1] - 1) > MOST_BOXES:
        lost = [np.prod(front[at] - np.minimum(front[at], _next_best(front, at))) for at in range(len(front))]
        front = np.delete(front, int(np.argmin(lost)), axis=0)
    return front


def _next_best(front: NDArray[np.float64], at: int) -> NDArray[np.float64]:
    """In each dimension the largest margin of another point below this one; zero where there is none."""
    others = np.delete(front, at, axis=0)
    below = np.where(others < front[at], others, 0.0)
    return np.asarray(below.max(axis=0))
