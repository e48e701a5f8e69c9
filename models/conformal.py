"""Conformal calibration: turns an ensemble's mean and spread into a predictive distribution that holds what it says.

Out-of-fold residuals are divided by the spread (plus a floor), and their empirical distribution, scaled back by each
candidate's own spread, is its predictive distribution: a normalised split conformal predictive system (Vovk et al.,
Neurocomputing 397, 292 (2020); normalisation after Papadopoulos et al., Neural Networks 24, 842 (2011)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FLOORS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # in units of the median spread


@dataclass(frozen=True)
class Calibration:
    """What out-of-fold residuals taught.

    Attributes:
        floor: Added to every spread; keeps a candidate on which all trees agree from an interval of width zero.
        residuals: Sorted residuals (truth minus mean) over (spread + floor), shape (m,).
    """

    floor: float
    residuals: NDArray[np.float64]

    @classmethod
    def fit(cls, target: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]) -> Calibration:
        """Learn from out-of-fold predictions, all of shape (m,).

        The floor is the one under which the residuals are most likely as draws from a Laplace distribution whose
        width is the spread plus the floor.
        """
        error = np.abs(target - mean)
        typical = float(np.median(spread)) or float(error.mean()) or 1.0

        def misfit(floor: float) -> float:
            scale = spread + floor
            return float(np.log(scale).mean() + np.log((error / scale).mean() + 1e-300))

        floor = min((typical * share for share in _FLOORS), key=misfit)
        return cls(floor, np.sort((target - mean) / (spread + floor)))

    def quantile(self, probability: float) -> float:
        """Standardised residual at a probability, with the finite-sample correction of split conformal prediction.

        >>> Calibration(0.1, np.arange(-9.0, 10.0)).quantile(0.95)
        9.0
        """
        m = len(self.residuals)
        upper = probability >= 0.5
        tail = 1 - probability if upper else probability
        rank = int(np.floor(tail * (m + 1) + 1e-9))  # residuals left outside, counted from the tail's end
        rank = min(max(rank, 1), m)
        return float(self.residuals[m - rank] if upper else self.residuals[rank - 1])

    def cumulative(self, standardised: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability that a residual is at most so large; continuous, and never quite 0 or 1."""
        m = len(self.residuals)
        steps = np.arange(1, m + 1) / (m + 1)
        inside = np.interp(standardised, self.residuals, steps)
        # Beyond the residuals seen, fall off hyperbolically: ranking needs order there, coverage is not affected.
        below = self.residuals[0] - standardised
        above = standardised - self.residuals[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.where(below > 0, steps[0] / (1 + below), inside)
            inside = np.where(above > 0, 1 - (1 - steps[-1]) / (1 + above), inside)
        return np.where(np.isfinite(standardised) | np.isinf(standardised), inside, np.nan)
