"""Desirability: how much each value is worth between a limit of no use and one of no further gain, and their mean.

G. Derringer and R. Suich, Journal of Quality Technology 12, 214 (1980), doi:10.1080/00224065.1980.11980968. A value is
worth ``((y - worst) / (best - worst)) ^ shape``, 0 beyond ``worst`` and 1 beyond ``best``. A candidate is worth the
geometric mean, here with weights (G. Derringer, Quality Progress 27, 51 (1994)): one value of no use makes all the
others worthless. It depends on no other candidate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def desirability_of_values(
    values: NDArray[np.float64], *, worst: ArrayLike, best: ArrayLike, shape: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """What each value is worth, from 0 to 1, shape (n, d); nan where it is not known.

    Args:
        values: Objectives of n candidates, shape (n, d).
        worst: Limit from which on a value is worth nothing, shape (d,); above ``best`` where small values are wanted.
        best: Limit from which on nothing is gained, shape (d,).
        shape: Exponents, shape (d,).

    >>> desirability_of_values(np.array([[129.5], [100.0], [200.0]]), worst=[120], best=[170]).ravel().tolist()
    [0.19, 0.0, 1.0]
    """
    low, high = np.asarray(worst, float), np.asarray(best, float)
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0) ** np.asarray(shape, float))


def overall_desirability(each: NDArray[np.float64], *, weights: ArrayLike) -> NDArray[np.float64]:
    """Geometric mean of what values are worth, from 0 to 1.

    Args:
        each: Of n candidates, shape (n, d).
        weights: Positive numbers, shape (d,); only their ratios count.

    Returns:
        Shape (n,); nan for a candidate of which a value is not known.

    >>> overall_desirability(np.array([[0.25, 1.0], [0.0, 1.0]]), weights=[1, 1]).tolist()
    [0.5, 0.0]
    """
    share = np.asarray(weights, float)
    return np.asarray(np.prod(each ** (share / share.sum()), axis=1))
