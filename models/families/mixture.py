"""The mean, spread and contributions of a weighted mixture of families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.contract import Contributions, Ensemble

_LEAST_WEIGHT = 1e-6  # smaller weights are rounding errors


def spread_scales(
    errors: NDArray[np.float64], spreads: NDArray[np.float64], counts: NDArray[np.float64] | float = 1.0
) -> NDArray[np.float64]:
    """Find the factor of the spread of each family that makes it as large as its errors of held-out rows, shape (f,).

    Args:
        errors: Errors of n held-out rows by f families, shape (n, f).
        spreads: Spreads of the same predictions, shape (n, f).
        counts: How much each row counts, shape (n, 1), or 1 if all count the same.
    """
    return np.sqrt((errors**2 * counts).mean(axis=0) / np.maximum((spreads**2 * counts).mean(axis=0), 1e-300))


def mixed(
    weights: NDArray[np.float64],
    scales: NDArray[np.float64],
    means: NDArray[np.float64],
    spreads: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of a mixture, each (n,).

    The variance holds that of each family and the distance between their means.

    Args:
        weights: Weight of each of f families, adding up to 1, shape (f,).
        scales: Factor of the spread of each family, shape (f,).
        means: Their predictions, shape (f, n).
        spreads: Their spreads, shape (f, n).

    >>> mixed(np.array([0.5, 0.5]), np.ones(2), np.array([[1.0], [3.0]]), np.zeros((2, 1)))
    (array([2.]), array([1.]))
    """
    mean = (weights[:, None] * means).sum(axis=0)
    variance = (weights[:, None] * ((scales[:, None] * spreads) ** 2 + (means - mean) ** 2)).sum(axis=0)
    return mean, np.sqrt(variance)


def mixed_contributions(
    weights: NDArray[np.float64],
    members: Sequence[Ensemble],
    values: NDArray[np.float64],
    background: NDArray[np.float64],
) -> Contributions | None:
    """Compute the weighted contributions of fitted families; None if one of them has none.

    Args:
        weights: Weight of each of f families, adding up to 1, shape (f,).
        members: The families.
        values: Features of n candidates, shape (n, k).
        background: Features of training rows to compare them with, shape (b, k).
    """
    weighted = []
    for weight, member in zip(weights.tolist(), members, strict=True):
        part = member.contributions(values, background)
        if part is None:
            return None
        weighted.append((weight, part))
    return Contributions(
        float(sum(weight * part.base for weight, part in weighted)),
        np.sum([weight * part.values for weight, part in weighted], axis=0),
        " and ".join(sorted({part.method for _, part in weighted})),
    )


def least_absolute_weights(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find weights of the columns of errors (n, f) that minimise the mean absolute value of their sum, shape (f,).

    The weights are not negative and add up to 1. The linear program is solved in its dual form with one condition for
    each family: find multipliers of the rows between -1 and 1 that maximise the smallest weighted sum of any column.
    The weights are the dual values of these conditions.

    >>> errors = np.array([[1.0, -1.0], [2.0, -2.0], [-3.0, 1.0]])
    >>> least_absolute_weights(errors).round(6)
    array([0.5, 0.5])
    """
    from scipy.optimize import linprog

    rows, families = errors.shape
    scaled = errors / max(np.abs(errors).mean(), 1e-300)
    program = linprog(
        np.append(np.zeros(rows), -1.0),  # find the largest level ...
        A_ub=np.column_stack([-scaled.T, np.ones(families)]), b_ub=np.zeros(families),  # ... below which no sum lies
        bounds=[(-1.0, 1.0)] * rows + [(None, None)], method="highs-ds",
    )  # fmt: skip
    weights = np.where(-program.ineqlin.marginals > _LEAST_WEIGHT, -program.ineqlin.marginals, 0.0)
    return weights / weights.sum()
