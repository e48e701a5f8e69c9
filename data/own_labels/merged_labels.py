"""Merge repeats of a material into one label, with the standard error that their scatter and stated errors give it.

The variance of a single value is its stated variance and one variance between repeats, which all share: the random
effects of DerSimonian and Laird, Control. Clin. Trials 7, 177 (1986). The variance between repeats is what the scatter
of repeats, pooled over all materials, has beyond the stated variances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.training.label_noise import LabelNoise

FEWEST_REPEATS = 5
"""Values beyond the first of a material, over all materials, from which the scatter of repeats is believed."""


class MergedLabels(NamedTuple):
    """Labels of m materials.

    Attributes:
        means: Mean of the values of each, on the scale of the property, shape (m,).
        weights: Mean weight of its rows, shape (m,).
        noise: What is known of the noise; None where no row states an error and there are too few repeats.
    """

    means: NDArray[np.float64]
    weights: NDArray[np.float64]
    noise: LabelNoise | None


def merge_repeats(
    values: NDArray[np.float64],
    member: NDArray[np.int64],
    *,
    errors: NDArray[np.float64],
    weights: NDArray[np.float64],
    odd: NDArray[np.bool_],
) -> MergedLabels:
    """Merge the values of each material, weighted by the weights of rows and by the inverse of their variances.

    Without stated errors all variances are equal. A row without an error among others with one has their median.

    Args:
        values: On the scale of the property, shape (n,).
        member: Number of the material of each value, shape (n,).
        errors: Stated standard error of each value on that scale, nan where there is none, shape (n,).
        weights: Weight of each row, shape (n,).
        odd: Whether the values of each material are of several units, as it seems; they tell nothing of the noise.

    >>> merge_repeats(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), errors=np.array([0.1, 0.3, 0.2]),
    ...               weights=np.ones(3), odd=np.zeros(2, bool)).means.round(3)
    array([1.1, 5. ])
    """  # fmt: skip
    count = np.bincount(member)
    stated = np.isfinite(errors)
    own = np.where(stated, errors, np.median(errors[stated]) if stated.any() else 0.0) ** 2
    scatter, repeats = _pooled_variance(values, member, count, odd)
    variances = own
    if repeats >= FEWEST_REPEATS:
        among = (count > 1)[member] & ~odd[member]
        variances = own + max(scatter - float(own[among].mean()), 0.0)
    counts = weights / variances if stated.any() and (variances > 0).all() else weights
    total = np.bincount(member, weights=counts)
    means = np.bincount(member, weights=values * counts) / total
    noise = None
    if variances.any():
        spread = np.sqrt(np.bincount(member, weights=counts**2 * variances)) / total
        deviation = float(np.sqrt(scatter)) if repeats >= FEWEST_REPEATS else float("nan")
        noise = LabelNoise(spread, deviation, repeats)
    return MergedLabels(means, np.bincount(member, weights=weights) / count, noise)


def _pooled_variance(
    values: NDArray[np.float64], member: NDArray[np.int64], count: NDArray[np.int64], odd: NDArray[np.bool_]
) -> tuple[float, int]:
    """Variance of values around the mean of their material, and the number of values beyond the first of each."""
    usual = ~odd[member]
    misses = values - (np.bincount(member, weights=values) / count)[member]
    repeats = int((count[~odd] - 1).sum())
    return (float((misses[usual] ** 2).sum()) / repeats if repeats else 0.0), repeats
