"""The probability that no other candidate beats a candidate, given how uncertain the predictions are.

Each objective of each candidate is drawn again and again from a normal distribution with the mean and the standard
deviation of its prediction, independently of all others; facts without uncertainty stay as they are. The share of draws
in which a candidate stands on the first Pareto front estimates the probability. With p from n draws it has the standard
error sqrt(p (1 - p) / n).

The random numbers of a candidate come from its id and the seed alone, so that its draws are the same in any company and
any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.screening.ranking.pareto import pareto_fronts

DRAWS = 1000
"""The standard error is at most 0.016."""
MOST_DRAWN = 2000
"""Candidates of the first fronts that are drawn; those behind them hardly ever reach the first one."""


def non_dominated_probability(
    gains: NDArray[np.float64], deviations: NDArray[np.float64], ids: Sequence[str], *, seed: int = 0,
    draws: int = DRAWS, most: int = MOST_DRAWN,
) -> NDArray[np.float64]:  # fmt: skip
    """Probability of each candidate to stand on the first Pareto front.

    Args:
        gains: Mean of each objective, the larger the better, shape (n, d).
        deviations: Standard deviations, shape (n, d).
        ids: Of the candidates.
        seed: Of the random numbers.
        draws: How often objectives are drawn.
        most: How many candidates are drawn, those of the first fronts by their means; equal fronts by id.

    Returns:
        Shape (n,); 0 for candidates that were not drawn, which are not compared with either, and nan where an objective
        is not known.

    >>> one, other = [2.0, 2.0], [1.0, 1.0]
    >>> non_dominated_probability(np.array([one, other]), np.zeros((2, 2)), ["a", "b"]).tolist()
    [1.0, 0.0]
    """
    found = np.where(np.isfinite(gains).all(axis=1), 0.0, np.nan)
    fronts = pareto_fronts(gains)
    rows = np.flatnonzero(fronts)
    rows = rows[np.lexsort((np.array(ids, str)[rows], fronts[rows]))][:most]
    if not len(rows):
        return found
    drawn = [_normal_numbers(ids[row], seed, (draws, gains.shape[1])) for row in rows.tolist()]
    times = np.zeros(len(rows), np.int64)
    for turn in range(draws):
        errors = np.array([numbers[turn] for numbers in drawn])
        times += pareto_fronts(gains[rows] + deviations[rows] * errors, fronts=1) == 1
    found[rows] = times / draws
    return found


def standard_error(probability: NDArray[np.float64], *, draws: int = DRAWS) -> NDArray[np.float64]:
    """Standard error of probabilities that are shares of draws, shape (n,)."""
    return np.asarray(np.sqrt(probability * (1 - probability) / draws))


def _normal_numbers(candidate_id: str, seed: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    digest = hashlib.blake2b(f"{seed}:{candidate_id}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(shape)
