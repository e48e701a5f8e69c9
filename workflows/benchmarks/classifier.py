"""Calibrated probabilities of yes or no from the regression ensembles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.models.ensembles import Ensemble
from matloop.models.training import out_of_fold

_BINS = 10


@dataclass(frozen=True)
class Classifier:
    """An ensemble grown on targets 0 and 1, and a curve that turns its mean into a probability.

    The mean of such an ensemble estimates the share of yes near a candidate, but too mildly. Platt's logistic curve
    (Advances in Large Margin Classifiers, 1999, p. 61) over the logarithm of its odds is fitted to out-of-fold means,
    so that no row calibrates a prediction it was trained on. The curve rises, so the order of candidates is kept.

    Attributes:
        ensemble: Grown on all training rows.
        slope: Of the curve; at least zero.
        offset: Of the curve.
        margin: Least distance of a mean from 0 and 1.
    """

    ensemble: Ensemble
    slope: float
    offset: float
    margin: float

    @classmethod
    def fit(
        cls,
        make: Callable[[], Ensemble],
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        groups: NDArray[np.integer],
    ) -> Classifier:
        """Train on features (m, k), targets 0 or 1 (m,) and formula groups (m,), which no fold separates.

        Raises:
            ModelError: If there are too few rows or groups.
        """
        mean, _ = out_of_fold(make, values, target, groups)
        return cls.fit_to(mean, make().fit(values, target, groups=groups), target)

    @classmethod
    def fit_to(cls, mean: NDArray[np.float64], ensemble: Ensemble, target: NDArray[np.float64]) -> Classifier:
        """Calibrate a fitted ensemble on out-of-fold means (m,) of its training rows."""
        from sklearn.linear_model import LogisticRegression

        margin = 0.5 / len(target)
        odds = _log_odds(mean, margin)[:, None]
        curve = LogisticRegression(C=1e6).fit(odds, target.astype(int))
        return cls(ensemble, max(float(curve.coef_[0, 0]), 0.0), float(curve.intercept_[0]), margin)

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of yes for each row, shape (n,)."""
        mean, _ = self.ensemble.predict(values)
        return 1 / (1 + np.exp(-(self.slope * _log_odds(mean, self.margin) + self.offset)))


def _log_odds(mean: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    inside = np.clip(mean, margin, 1 - margin)
    return np.log(inside / (1 - inside))


def reliability(probability: NDArray[np.float64], target: NDArray[np.float64]) -> list[tuple[float, float, int]]:
    """Mean probability, share of yes and number of rows in each of ten equal steps of probability that has rows."""
    step = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    rows = [np.flatnonzero(step == number) for number in range(_BINS)]
    return [(float(probability[r].mean()), float(target[r].mean()), len(r)) for r in rows if len(r)]


def calibration_error(probability: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Expected calibration error: mean distance of probability and share of yes over the steps of :func:`reliability`.

    >>> calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([1.0, 1.0, 1.0, 0.0]))
    0.0
    """
    steps = reliability(probability, target)
    return float(sum(count * abs(mean - share) for mean, share, count in steps) / len(target))
