"""Predictive distributions from a potential: a value, and how wrong values like it have been."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError


@dataclass(frozen=True)
class LocalPrediction:
    """Predictions for n candidates with k residuals each.

    Attributes:
        centre: Values by the potential, in the unit of the property, nan where there is none, shape (n,).
        residuals: Truth minus prediction of calibration rows like each candidate, ascending, shape (n, k). All of them
            are equally probable; infinite where nothing tells how large they are.
        codes: Row code of each candidate that was not predicted, empty otherwise, shape (n,).
        bounds: Physically possible values; a value beyond one counts as lying on it.
        met: Probability of lying in ``wanted`` where more than the residuals tells it, shape (n,); None otherwise.
        wanted: Range that ``met`` speaks of.
    """

    centre: NDArray[np.float64]
    residuals: NDArray[np.float64]
    codes: NDArray[np.str_]
    bounds: tuple[float, float]
    met: NDArray[np.float64] | None = None
    wanted: tuple[float, float] | None = None

    @property
    def in_domain(self) -> NDArray[np.bool_]:
        """Whether there is a number, shape (n,); a potential has no other limit of its domain."""
        return np.asarray(np.isfinite(self.centre))

    @property
    def median(self) -> NDArray[np.float64]:
        """Median of each predictive distribution, shape (n,)."""
        return self.quantile(0.5)

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Half the width of the central 68.3 % interval, shape (n,).

        Where that is open, it ends at the largest value of known size, because widths are added up and compared.
        """
        largest = np.where(np.isfinite(self.residuals), self.residuals, -np.inf).max(axis=1)
        upper = np.minimum(self.quantile(0.8413), np.clip(self.centre + largest, *self.bounds))
        return (upper - self.quantile(0.1587)) / 2

    def quantile(self, probability: float) -> NDArray[np.float64]:
        """Quantile of each predictive distribution with the finite-sample correction, shape (n,)."""
        k = self.residuals.shape[1]
        rank = int(np.ceil(probability * (k + 1))) if probability >= 0.5 else int(np.floor(probability * (k + 1)))
        return np.clip(self.centre + self.residuals[:, min(max(rank, 1), k) - 1], *self.bounds)

    def interval(self, level: float = 0.9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the equal-tailed interval holding the truth with probability ``level``."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def probability_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Share of each predictive distribution in [lower, upper], or ``met``; nan where not predicted, shape (n,).

        Raises:
            ModelError: If ``met`` speaks of another range.
        """
        if self.met is not None:
            if (lower, upper) != self.wanted:
                raise ModelError(f"a probability of lying in [{lower:g}, {upper:g}]", f"{self.wanted}")
            return np.where(np.isnan(self.centre), np.nan, self.met)
        return self.share_between(lower, upper)

    def share_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Share of each predictive distribution in [lower, upper]; nan where not predicted, shape (n,).

        Without a lower end it is above a half exactly where the median is at most ``upper``.
        """
        values = np.clip(self.centre[:, None] + self.residuals, *self.bounds)
        share = ((values >= lower) & (values <= upper)).mean(axis=1)
        return np.where(np.isnan(self.centre), np.nan, share)

    def pooled(self, *others: LocalPrediction) -> LocalPrediction:
        """Mix these predictive distributions with others in equal parts (a linear opinion pool).

        Where all agree the mixture is what each of them is, and where they disagree it is wider.

        Args:
            others: Of the same n candidates; one that has no value for a candidate agrees.

        Returns:
            Predictions with the centres of these.
        """
        residuals = [self.residuals]
        shares = (np.arange(self.residuals.shape[1]) + 0.5) / self.residuals.shape[1]
        for other in others:
            known, own = np.isfinite(other.centre), other.residuals
            if own.shape != self.residuals.shape:  # not interpolated: some may be infinite
                own = own[:, (shares * own.shape[1]).astype(np.int64)]
            moved = own + (other.centre - self.centre)[:, None]
            residuals.append(np.where(known[:, None], moved, self.residuals))
        mixed = np.sort(np.concatenate(residuals, axis=1), axis=1)
        return replace(self, residuals=mixed)
