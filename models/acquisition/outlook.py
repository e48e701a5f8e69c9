"""What a model says of one target for many candidates, and the margin by which each would meet it.

A target is a range. The margin of a value is its distance from the nearest end of the range, counted positive inside
and in units of the spread of the labels, so that margins of different properties can be compared. A candidate meets
all targets if the smallest of its margins is positive. Every acquisition function is a statement about that smallest
margin, so one definition covers targets that are maximised or minimised, limits and windows.

Predictive distributions are taken as normal, with the calibrated width. Errors of different targets are taken as
independent for a given candidate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from matloop.data.errors import ModelError

_SMALLEST = 1e-12
_FURTHEST = 38.0  # standard deviations; a normal density underflows beyond


def _no_loadings() -> NDArray[np.float64]:
    return np.empty((0, 0))


@dataclass(frozen=True)
class TargetOutlook:
    """Predictions of one target for n candidates, on the scale of the model.

    Attributes:
        mean: Predicted values, shape (n,); nan where there is none.
        sigma: Standard deviations, shape (n,).
        lower: Lower end of the wanted range; minus infinity where it is open.
        upper: Upper end of the wanted range; infinity where it is open.
        spread: Standard deviation of the labels, positive; the unit of margins.
        loadings: What errors of the candidates have in common, shape (n, m): the covariance of two candidates is the
            product of their rows (:mod:`matloop.models.acquisition.joint_posterior`). Left out, errors are independent.

    Raises:
        ModelError: If the range is open on both sides or empty, the spread is not positive, or shapes differ.
    """

    mean: NDArray[np.floating]
    sigma: NDArray[np.floating]
    lower: float = -np.inf
    upper: float = np.inf
    spread: float = 1.0
    loadings: NDArray[np.floating] = field(default_factory=_no_loadings)

    def __post_init__(self) -> None:
        if not self.lower < self.upper or (np.isinf(self.lower) and np.isinf(self.upper)):
            raise ModelError(f"a wanted range [{self.lower:g}, {self.upper:g}]", "one with an end, not empty")
        if not 0 < self.spread < np.inf:
            raise ModelError(f"labels with a spread of {self.spread:g}", "a positive number")
        if len(self.mean) != len(self.sigma) or (self.loadings.size and len(self.loadings) != len(self.mean)):
            raise ModelError(
                f"{len(self.mean)} means, {len(self.sigma)} widths, {len(self.loadings)} rows of loadings", "as many"
            )

    def __len__(self) -> int:
        return len(self.mean)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the outlook of some of the candidates."""
        loadings = self.loadings[rows] if self.loadings.size else self.loadings
        return replace(self, mean=self.mean[rows], sigma=self.sigma[rows], loadings=loadings)

    @property
    def is_window(self) -> bool:
        """Whether the range has two ends."""
        return bool(np.isfinite(self.lower) and np.isfinite(self.upper))

    @property
    def largest_margin(self) -> float:
        """Margin of the best value there can be; infinite unless the range is a window."""
        return (self.upper - self.lower) / 2 / self.spread

    def margin(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Margins of values, of the same shape.

        >>> TargetOutlook(np.zeros(1), np.ones(1), lower=1.0, upper=3.0, spread=2.0).margin(np.array([0.0, 1.5, 2.0]))
        array([-0.5 ,  0.25,  0.5 ])
        """
        return np.asarray(np.minimum(values - self.lower, self.upper - values) / self.spread, np.float64)

    def chance_of_margin(self, least: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Probability that the margin is larger than ``least``, shape (n,).

        Args:
            least: One for all, or one for each, shape (n,).
        """
        ends = (self.lower + np.asarray(least) * self.spread, self.upper - np.asarray(least) * self.spread)
        width = np.maximum(self.sigma, _SMALLEST)
        if self.is_window:
            between = ndtr((ends[1] - self.mean) / width) - ndtr((ends[0] - self.mean) / width)
            return np.asarray(np.maximum(between, 0.0))
        signed = self.mean - ends[0] if np.isfinite(self.lower) else ends[1] - self.mean
        return np.asarray(ndtr(signed / width))

    def expected_excess(self, least: float) -> NDArray[np.float64]:
        """Expected amount by which the margin exceeds ``least``, shape (n,): E[max(margin - least, 0)].

        For a one-sided range this is the expected improvement of Jones, Schonlau and Welch, J. Global Optim. 13, 455
        (1998), eq. 15. Of a window it is the integral of the probability of each larger margin.

        >>> TargetOutlook(np.array([0.0]), np.array([1.0]), lower=0.0).expected_excess(0.0).round(6)
        array([0.398942])
        """
        width = np.maximum(self.sigma, _SMALLEST)
        low, high = self.lower + least * self.spread, self.upper - least * self.spread
        if not self.is_window:
            signed = self.mean - low if np.isfinite(self.lower) else high - self.mean
            return width * expected_positive(signed / width) / self.spread
        if low >= high:
            return np.where(np.isnan(self.mean), np.nan, 0.0)
        centre = (low + high) / 2  # a triangle over [low, high], as three ramps
        ramps = [expected_positive((self.mean - end) / width) for end in (low, centre, high)]
        return np.asarray(np.maximum(width * (ramps[0] - 2 * ramps[1] + ramps[2]), 0.0) / self.spread)

    def optimistic_margin(self, width: float) -> NDArray[np.float64]:
        """Largest margin within so many standard deviations of the prediction, shape (n,).

        >>> TargetOutlook(np.array([0.0, 5.0]), np.ones(2), lower=1.0, upper=3.0).optimistic_margin(2.0)
        array([1., 0.])
        """
        reached = self.margin(self.mean) + width * self.sigma / self.spread
        return np.asarray(np.minimum(reached, self.largest_margin))


def expected_positive(standardised: NDArray[np.floating]) -> NDArray[np.float64]:
    """E[max(x + z, 0)] for a standard normal z: x Phi(x) + phi(x), shape (n,)."""
    x = np.asarray(standardised, np.float64)
    density = np.exp(-0.5 * np.minimum(np.abs(x), _FURTHEST) ** 2) / np.sqrt(2 * np.pi)
    return np.asarray(np.maximum(x * ndtr(x) + density, 0.0))
