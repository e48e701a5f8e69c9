"""The largest probability that calibration rows support: nothing more probable is claimed.

A candidate may look better than every compound with a known value. Its probability is then extrapolated: no row tells
whether candidates of such a probability meet the targets that often. So a probability counts as no more than the
largest one that at least 20 calibration rows reach, each predicted as a new compound. Among 20 rows the share that
meets the targets is known to about 0.11 (the largest standard error of a binomial share).

What lies above still orders candidates (:attr:`.joint_probability.Probabilities.uncapped`), but it is never shown as a
probability.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST_ROWS = 20
"""Calibration rows that must reach a probability before it is claimed."""


def highest_supported(probabilities: NDArray[np.float64]) -> float:
    """Find the largest probability that at least 20 calibration rows reach; the smallest of fewer rows, 0 of none.

    Args:
        probabilities: Of calibration rows, each predicted as a new one, nan where unknown, shape (m,).

    >>> highest_supported(np.linspace(0, 1, 101))
    0.81
    >>> highest_supported(np.array([0.2, 0.6, np.nan]))
    0.2
    """
    known = np.sort(probabilities[np.isfinite(probabilities)])[::-1]
    return float(known[:FEWEST_ROWS].min(initial=1.0)) if len(known) else 0.0
