"""TOPSIS: how near candidates are to the best values among them, and how far from the worst.

C. L. Hwang and K. Yoon, Multiple Attribute Decision Making (Springer, 1981), doi:10.1007/978-3-642-48318-9. Each
objective is divided by its Euclidean norm over the candidates and multiplied by its weight; the ideal has the best
value of every objective, its opposite the worst. The closeness is d- / (d+ + d-), with the distances d+ from the ideal
and d- from its opposite. It compares the candidates at hand: when one goes, the order of the others may change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def topsis_closeness(values: NDArray[np.float64], *, weights: ArrayLike, maximized: ArrayLike) -> NDArray[np.float64]:
    """Closeness of each candidate to the ideal, from 0 to 1.

    Args:
        values: Objectives of n candidates, shape (n, d); they may have different units.
        weights: Positive numbers, shape (d,); only their ratios count.
        maximized: Whether large values are wanted, shape (d,).

    Returns:
        Shape (n,); nan for a candidate of which an objective is not known: the others are not compared with it. It is 1
        for all where they are equal in every objective.

    >>> topsis_closeness(np.array([[3.0, 10.0], [2.0, 1.0]]), weights=[1, 1], maximized=[True, False]).round(2).tolist()
    [0.24, 0.76]
    """
    share, larger = np.asarray(weights, float), np.asarray(maximized, bool)
    known = np.isfinite(values).all(axis=1)
    closeness = np.full(len(values), np.nan)
    if not known.any():
        return closeness
    norms = np.linalg.norm(values[known], axis=0)
    scaled = values[known] / np.where(norms > 0, norms, 1.0) * (share / share.sum()) * np.where(larger, 1, -1)
    to_ideal = np.linalg.norm(scaled - scaled.max(axis=0), axis=1)
    to_opposite = np.linalg.norm(scaled - scaled.min(axis=0), axis=1)
    apart = to_ideal + to_opposite
    closeness[known] = np.divide(to_opposite, apart, out=np.ones(len(apart)), where=apart > 0)
    return closeness
