"""Conformal calibration turns the mean and spread of an ensemble into a reliable predictive distribution.

Out-of-fold residuals are divided by the spread (plus a floor), and their empirical distribution, scaled back by each
candidate's own spread, is its predictive distribution: a normalised split conformal predictive system (Vovk et al.,
Neurocomputing 397, 292 (2020); normalisation after Papadopoulos et al., Neural Networks 24, 842 (2011)).

Far from the training data the spread is too small, so residuals are binned by distance, and each candidate uses those
of its own bin (Mondrian conformal prediction; Boström, Johansson and Löfström, PMLR 152, 24 (2021)).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_FLOORS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # in units of the median spread
DOMAIN_SHARE = 0.95  # of the training rows lie within the widest limit of a domain
_NEARER = (0.8, 0.5)  # shares of the training rows at which bins inside the domain end
_SMALLEST_BIN = 100  # fewer residuals hardly determine the ends of a 90 % interval
_FEWEST_IN_BIN = 19  # of fewer, none lies beyond the ends of a 90 % interval


@dataclass(frozen=True)
class Calibration:
    """Distribution of standardised out-of-fold residuals.

    Attributes:
        floor: Added to every spread, so that a candidate on which all trees agree has an interval of finite width.
        residuals: Residuals (truth minus mean) over (spread + floor), shape (m,). Bins follow each other from near to
            far, and residuals ascend within each.
        edges: Distances at which one bin ends and the next begins, ascending, shape (b - 1,); empty for a single bin.
        sizes: Number of residuals in each bin, shape (b,).
    """

    floor: float
    residuals: NDArray[np.float64]
    edges: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def fit(
        cls,
        target: NDArray[np.float64],
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        distance: NDArray[np.float64] | None = None,
        *,
        shrinkage: float | NDArray[np.float64] = 1.0,
        edges: NDArray[np.float64] | None = None,
        hidden: NDArray[np.bool_] | None = None,
    ) -> Calibration:
        """Learn from out-of-fold predictions, all of shape (m,).

        The floor is the one under which the residuals are most likely as draws from a Laplace distribution whose
        width is the spread plus the floor. With distances to the training data, residuals are binned by them.
        ``shrinkage`` is the size of errors of the final model relative to these, of all or of each
        (:func:`matloop.models.surrogates.training.expected_shrinkage`). ``edges`` are the distances at which bins end,
        by default those of :func:`bin_edges`. ``hidden`` marks rows that were hidden with their whole chemistry: they
        tell how wide distributions are, and the others where their middle lies.
        """
        error = np.abs(target - mean)
        typical = float(np.median(spread)) or float(error.mean()) or 1.0

        def misfit(floor: float) -> float:
            scale = spread + floor
            return float(np.log(scale).mean() + np.log((error / scale).mean() + 1e-300))

        floor = min((typical * share for share in _FLOORS), key=misfit)
        residuals = shrinkage * (target - mean) / (spread + floor)
        if distance is None:
            return cls(floor, np.sort(residuals))
        edges = bin_edges(distance) if edges is None else edges
        bins = np.searchsorted(edges, distance)
        if hidden is not None:
            residuals = _without_common_bias(residuals, bins, hidden)
        sizes = np.bincount(bins, minlength=len(edges) + 1)
        return cls(floor, residuals[np.lexsort((residuals, bins))], edges, sizes)

    def bins(self, distance: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the bin of each distance to the training data; 0 is the nearest."""
        return np.searchsorted(self.edges, distance)

    def statement(self) -> dict[str, list[float]]:
        """What a card says of the bins: their inner edges as distances, and the number of residuals in each."""
        return {"edges": self.edges.tolist(), "rows": self.sizes.tolist()}

    def quantile(self, probability: float) -> NDArray[np.float64]:
        """Return the standardised residual at a probability in each bin, shape (b,), corrected for finite samples.

        The correction is that of split conformal prediction: ranks are counted out of m + 1 and rounded outwards.

        >>> Calibration(0.1, np.arange(-9.0, 10.0)).quantile(0.95)
        array([9.])
        """
        return np.array([tail_value(residuals, probability) for residuals in self._by_bin()])

    def quantiles(self, probability: NDArray[np.float64], bins: NDArray[np.integer] | int = 0) -> NDArray[np.float64]:
        """Return the standardised residual at a probability of its own for each row, corrected as :meth:`quantile`.

        Args:
            probability: Of each row, shape (n,).
            bins: Bin of each row, shape (n,), or one for all.

        >>> Calibration(0.1, np.arange(-9.0, 10.0)).quantiles(np.array([0.05, 0.5, 0.95]))
        array([-9.,  0.,  9.])
        """
        bins = np.broadcast_to(bins, probability.shape)
        found = np.empty(probability.shape)
        for number, residuals in enumerate(self._by_bin()):
            rows = bins == number
            found[rows] = tail_values(residuals, probability[rows])
        return found

    def cumulative(
        self,
        standardised: NDArray[np.float64],
        bins: NDArray[np.integer] | int = 0,
        *,
        below: bool = False,
    ) -> NDArray[np.float64]:
        """Return the probability that a residual is at most so large. It is never exactly 0 or 1.

        It jumps where several known residuals are equal, such as those of labels 0 and 1 that were predicted exactly.

        Args:
            standardised: Standardised residuals, shape (n,).
            bins: Bin of each residual, shape (n,), or one for all.
            below: Ask for the probability of a smaller residual, without those that equal it.

        >>> exact = Calibration(0.1, np.array([-1.0, 0.0, 0.0, 0.0]))
        >>> exact.cumulative(np.zeros(1)), exact.cumulative(np.zeros(1), below=True)
        (array([0.8]), array([0.4]))
        """
        bins = np.broadcast_to(bins, standardised.shape)
        probability = np.full(standardised.shape, np.nan)
        for number, residuals in enumerate(self._by_bin()):
            rows = bins == number
            probability[rows] = _cumulative(residuals, standardised[rows], below=below)
        return probability

    def central(
        self, standardised: NDArray[np.float64], bins: NDArray[np.integer] | int = 0
    ) -> NDArray[np.float64]:  # fmt: skip
        """Return the probability of the smallest central interval that holds each residual, shape (n,).

        Args:
            standardised: Standardised residuals, shape (n,).
            bins: Bin of each residual, shape (n,), or one for all.

        >>> Calibration(0.1, np.array([-1.0, 0.0, 2.0, 2.0])).central(np.array([2.0, 0.0])).round(6).tolist()
        [0.2, 0.2]
        """
        least, most = (self.cumulative(standardised, bins, below=below) for below in (True, False))
        return np.asarray(2 * np.maximum(np.maximum(least - 0.5, 0.5 - most), 0.0))

    def inverse(self, probability: NDArray[np.float64], bins: NDArray[np.integer] | int = 0) -> NDArray[np.float64]:
        """Return the standardised residual below which a residual lies with a probability of its own for each row.

        It inverts :meth:`cumulative` and so is not rounded outwards, as the ends of intervals are.

        Args:
            probability: Of each row, above 0 and below 1, shape (n,).
            bins: Bin of each row, shape (n,), or one for all.

        >>> Calibration(0.1, np.array([-1.0, 0.0, 2.0, 4.0])).inverse(np.array([0.2, 0.5]))
        array([-1.,  1.])
        """
        bins = np.broadcast_to(bins, probability.shape)
        found = np.empty(probability.shape)
        for number, residuals in enumerate(self._by_bin()):
            rows = bins == number
            found[rows] = _inverse(residuals, probability[rows])
        return found

    def _by_bin(self) -> list[NDArray[np.float64]]:
        return np.split(self.residuals, np.cumsum(self.sizes)[:-1]) if len(self.edges) else [self.residuals]


def tail_value(residuals: NDArray[np.float64], probability: float) -> float:
    """Return the residual that bounds a new residual with at least this probability, from m ascending ones.

    Ranks are counted out of m + 1 and rounded outwards, which is towards minus infinity for probabilities below one
    half. If m is too small for the probability, the outermost residual is returned, and its probability is smaller.

    >>> tail_value(np.arange(-9.0, 10.0), 0.05)
    -9.0
    """
    return float(tail_values(residuals, np.array([probability]))[0])


def tail_values(residuals: NDArray[np.float64], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what :func:`tail_value` returns for each of n probabilities, shape (n,)."""
    m = len(residuals)
    upper = probability >= 0.5
    tail = np.where(upper, 1 - probability, probability)
    rank = np.floor(tail * (m + 1) + 1e-9).astype(np.int64)  # residuals outside, counted from the end of the tail
    rank = np.clip(rank, 1, m)
    return residuals[np.where(upper, m - rank, rank - 1)]


def bin_edges(
    distance: NDArray[np.float64], *, own: NDArray[np.float64] | None = None, limit: float | None = None
) -> NDArray[np.float64]:
    """Find the distances at which bins of calibration rows end: at the limit of the domain, and nearer.

    Nearer bins end at four fifths and at half of the training rows, and at 0, the distance of rows with the very
    features of a training row (:func:`~.hidden_chemistry.calibration_distance`). An edge is left out if the bin before
    or behind it would hold less than 100 calibration rows. So rows outside the domain do not calibrate those inside,
    as soon as there are enough of both.

    Args:
        distance: Of each calibration row to the training data, shape (c,).
        own: Of each training row to rows of other formulas, shape (m,); by default the same.
        limit: Of the domain, by default the 95th percentile of ``own``.

    Returns:
        Ascending distances, shape (b - 1,).
    """
    own = distance if own is None else own
    limit = float(np.quantile(own, DOMAIN_SHARE)) if limit is None else limit
    edges, farther = [], 0
    for edge in (limit, *(float(np.quantile(own, share)) for share in _NEARER), 0.0):
        beyond = int((distance > edge).sum())
        if beyond - farther >= _SMALLEST_BIN and len(distance) - beyond >= _SMALLEST_BIN:
            edges.append(edge)
            farther = beyond
    return np.array(edges[::-1])


def with_enough(edges: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the edges, from near to far, that leave at least 19 rows in each bin.

    Args:
        edges: Ascending distances at which bins end, shape (b - 1,).
        distance: Of each row to the training data, shape (m,).

    >>> with_enough(np.array([1.0, 2.0]), np.array([0.5] * 30 + [1.5] * 30 + [3.0]))
    array([1.])
    """
    kept: list[float] = []
    beyond = len(distance)
    for edge in edges.tolist():
        farther = int((distance > edge).sum())
        if min(beyond - farther, farther) >= _FEWEST_IN_BIN:
            kept.append(edge)
            beyond = farther
    return np.array(kept)


def _without_common_bias(
    residuals: NDArray[np.float64], bins: NDArray[np.int64], hidden: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Move the residuals of hidden rows so that their median in each bin is that of the other rows, shape (m,).

    A whole chemistry that was hidden is predicted too high or too low as a whole, and which of the two says nothing
    about the next chemistry. Bins with fewer than 19 other rows stay as they are.
    """
    moved = residuals.copy()
    for number in np.unique(bins[hidden]):
        known, own = (bins == number) & ~hidden, (bins == number) & hidden
        if known.sum() >= _FEWEST_IN_BIN:
            moved[own] += np.median(residuals[known]) - np.median(residuals[own])
    return moved


def _cumulative(
    residuals: NDArray[np.float64], standardised: NDArray[np.float64], *, below: bool
) -> NDArray[np.float64]:  # fmt: skip
    m = len(residuals)
    steps = np.arange(1, m + 1) / (m + 1)
    inside = np.interp(standardised, residuals, steps)  # of equal residuals the last
    first = np.minimum(np.searchsorted(residuals, standardised), m - 1)
    if below:
        inside = np.where(residuals[first] == standardised, steps[first], inside)
    # Beyond the known residuals the tail falls off hyperbolically, which keeps an order for ranking.
    below = residuals[0] - standardised
    above = standardised - residuals[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(below > 0, steps[0] / (1 + below), inside)
        inside = np.where(above > 0, 1 - (1 - steps[-1]) / (1 + above), inside)
    return np.where(np.isfinite(standardised) | np.isinf(standardised), inside, np.nan)


def _inverse(residuals: NDArray[np.float64], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert :func:`_cumulative` for probabilities between 0 and 1, shape (n,)."""
    m = len(residuals)
    steps = np.arange(1, m + 1) / (m + 1)
    inside = np.interp(probability, steps, residuals)
    with np.errstate(divide="ignore"):
        below = residuals[0] + 1 - steps[0] / probability
        above = residuals[-1] - 1 + (1 - steps[-1]) / (1 - probability)
    return np.where(probability < steps[0], below, np.where(probability > steps[-1], above, inside))
