"""What real results say of predictions: coverage of intervals, drift, hits against what was promised, what is left.

Every figure is exact or a bound, since results are few. The order of results matters for drift alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import binomtest

LEVEL = 0.9
"""Probability with which an interval is to hold the value."""
ALARM = 20.0
"""Capital of the martingale from which predictions are said to have drifted; chance reaches it with 5 % at most."""
_POWERS = (np.arange(2000) + 0.5) / 2000
_LEAST = 1e-12


class Coverage(NamedTuple):
    """How many of the results lie in the intervals that were predicted for them.

    Attributes:
        results: Number of results.
        inside: How many lie inside.
        chance: Probability of a number as unlikely as this or more so, were each inside with the stated probability
            (two-sided exact binomial test).
    """

    results: int
    inside: int
    chance: float


class Drift(NamedTuple):
    """Whether results came out other than predicted, one after the other.

    Attributes:
        capital: Value of the martingale after each result, shape (n,).
        bias: Mean of the probabilities that were predicted for values below the result, less 0.5: positive where
            results are higher than predicted.
    """

    capital: NDArray[np.float64]
    bias: float

    @property
    def highest(self) -> float:
        """Largest capital so far; 1 before any result."""
        return float(self.capital.max(initial=1.0))

    @property
    def alarms(self) -> bool:
        """Whether predictions have drifted."""
        return self.highest >= ALARM


class Hits(NamedTuple):
    """Hits among candidates that were tried, beside what had been promised.

    Attributes:
        tried: Number of candidates.
        found: How many were hits.
        promised: Sum of the probabilities that were stated.
        chance: Probability of a number as far from that, were the probabilities right (exact, two-sided).
        corrected: Sum of the same as earlier results had corrected each when it was stated.
    """

    tried: int
    found: int
    promised: float
    chance: float
    corrected: float


class Left(NamedTuple):
    """What trying the rest of a pool would bring, if probabilities are right.

    Attributes:
        any_left: Probability that at least one candidate is a hit, were candidates independent.
        at_least: A lower bound that holds whatever they have in common: the largest single probability.
        at_most: An upper bound of the same kind: the sum, or one.
        expected: Expected number of hits.
        candidates: Number of candidates with a probability.
        to_even_odds: How many have to be tried, the most probable first, until a hit is as likely as not; None if the
            whole pool does not suffice.
        to_nine_in_ten: The same until a hit is found with 90 %.
    """

    any_left: float
    at_least: float
    at_most: float
    expected: float
    candidates: int
    to_even_odds: int | None
    to_nine_in_ten: int | None


def coverage_of(inside: NDArray[np.bool_], *, level: float = LEVEL) -> Coverage | None:
    """Compare intervals with results; None without any.

    >>> coverage_of(np.arange(10) < 9)
    Coverage(results=10, inside=9, chance=1.0)
    """
    if not len(inside):
        return None
    count = int(inside.sum())
    return Coverage(len(inside), count, float(binomtest(count, len(inside), level).pvalue))


def drift_of(below: NDArray[np.float64]) -> Drift:
    """Bet against the predictions, result by result.

    Where a result lies in its predicted distribution is uniform if the prediction is right, and so is the probability p
    of lying further out. Against that bets the simple mixture of power martingales, the integral over e from 0 to 1 of
    the product of e p^(e-1) (Vovk, Nouretdinov and Gammerman, ICML 2003, section 3.2). If all predictions are right,
    its capital reaches 20 at any time with a probability of 5 % at most (Ville's inequality). It grows where results
    lie far out more often than predicted: intervals are too narrow, or values shifted.

    Args:
        below: Predicted probability of a value below each result, in the order in which results came, shape (n,).

    >>> right = np.array([0.5, 0.1, 0.9, 0.3, 0.7])
    >>> drift_of(right).alarms, drift_of(np.full(8, 0.999)).alarms
    (False, True)
    """
    further = np.clip(2 * np.minimum(below, 1 - below), _LEAST, 1.0)
    bets = np.log(_POWERS)[:, None] + (_POWERS[:, None] - 1) * np.log(further)
    capital = np.exp(logsumexp(np.cumsum(bets, axis=1), axis=0) - np.log(len(_POWERS)))
    return Drift(capital, float(np.mean(below) - 0.5) if len(below) else 0.0)


def hits_against(
    promised: NDArray[np.float64], found: NDArray[np.bool_], *, corrected: NDArray[np.float64] | None = None
) -> Hits | None:
    """Compare hits with the probabilities that were stated for the candidates tried; None without any.

    The number of hits has a Poisson binomial distribution if probabilities are right and candidates independent (Hong,
    Comput. Stat. Data Anal. 59, 41 (2013)); it is computed by convolution.

    Args:
        promised: Probability that was stated for each of n candidates, shape (n,).
        found: Whether each is a hit, shape (n,).
        corrected: As earlier results had corrected it, shape (n,); the same if left out.

    >>> hits_against(np.array([0.5, 0.5]), np.array([True, True]))
    Hits(tried=2, found=2, promised=1.0, chance=0.5, corrected=1.0)
    """
    if not len(promised):
        return None
    mass = np.ones(1)
    for one in np.clip(promised, 0.0, 1.0):
        mass = np.convolve(mass, [1 - one, one])
    count = int(found.sum())
    chance = 2 * min(float(mass[: count + 1].sum()), float(mass[count:].sum()))
    total = float(promised.sum())
    return Hits(len(promised), count, total, min(chance, 1.0), total if corrected is None else float(corrected.sum()))


def what_is_left(chances: NDArray[np.float64]) -> Left:
    """Say what trying a pool would bring.

    Args:
        chances: Probability that each candidate is a hit, shape (n,); nan counts as none.

    >>> found = what_is_left(np.array([0.5, 0.3, 0.1]))
    >>> round(found.any_left, 3), found.at_least, found.to_even_odds, found.to_nine_in_ten
    (0.685, 0.5, 1, None)
    """
    ordered = -np.sort(-np.clip(np.nan_to_num(chances), 0.0, 1.0 - _LEAST))
    found = -np.expm1(np.cumsum(np.log1p(-ordered)))

    def until(share: float) -> int | None:
        reached = np.flatnonzero(found >= share - 1e-12)
        return int(reached[0]) + 1 if len(reached) else None

    total = float(ordered.sum())
    return Left(
        float(found[-1]) if len(found) else 0.0, float(ordered.max(initial=0.0)), min(total, 1.0), total,
        int(np.isfinite(chances).sum()),
        until(0.5), until(0.9),
    )  # fmt: skip
