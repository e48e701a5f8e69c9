"""Probabilities that promise as many successes as there are: their odds are multiplied by one factor.

This is the recalibration in the large of Cox (Biometrika 45, 562 (1958)). A log-normal prior of the factor, centred at
1, keeps it finite where no row or every row is a success, and near 1 where rows are few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

_SUREST = 1e-9
_FARTHEST = 60.0  # logarithm of a factor that is never reached


def with_odds(chance: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The probabilities whose odds are ``factor`` times those of ``chance``, of the same shape."""
    return chance * factor / (1 - chance + chance * factor)


def odds_factor(chance: NDArray[np.float64], met: float, *, width: float) -> float:
    """The most probable factor.

    Args:
        chance: Probability of each of n rows, shape (n,).
        met: Number of rows that were a success.
        width: Standard deviation of the logarithm of the factor, a priori.

    >>> round(odds_factor(np.full(100, 0.6), 45, width=10.0), 2)  # odds of 45:55 in place of 60:40
    0.55
    >>> round(odds_factor(np.full(4, 0.6), 2, width=0.5), 2)  # four rows tell little
    0.92
    """
    unsure = np.clip(chance, _SUREST, 1 - _SUREST)  # no factor moves odds of none or all

    def slope(shift: float) -> float:
        """Slope of the logarithm of the posterior density."""
        return float(met - with_odds(unsure, np.exp(shift)).sum() - shift / width**2)

    return float(np.exp(brentq(slope, -_FARTHEST, _FARTHEST)))
