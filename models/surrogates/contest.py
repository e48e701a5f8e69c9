"""Champion and challenger: whether a model that learned from new results takes the place of the one in use.

Results that the champion has not seen are parted by the order in which they came, so that each of two tests has its
own. In grouped cross-validation on the older ones, where a fold hides all rows of a formula from the challenger, it has
to be better with a probability of 90 %, by mean absolute error on the scale of the model. On the newest ones, which a
challenger trained without them has not seen either, its error must not be the larger one. If there are too few results,
or it fails once, the champion stays. Beside both stands the trivial rival: to guess the mean of the other results.
``benchmarks/models/loop_decisions.py`` simulates how often this replaces a champion for one that is no better, and for
one that is.
"""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.training import SMALLEST_TRAINING_SET

LEVEL = 0.9
"""Probability of being better with which the challenger has to win in cross-validation."""
FEWEST_NEWEST = 5
"""Formulas among the newest results below which they decide nothing."""
NEWEST_SHARE = 1 / 3
"""Share of the formulas that the champion has not seen which count as the newest."""
_DRAWS = 2000

Reason = Literal[
    "first", "first_measured", "waits", "loses_to_mean", "wins", "few_results", "nothing_new", "few_newest",
    "loses_cross_validation", "loses_newest", "back", "taken_back",
    "cannot_learn",
]  # fmt: skip


class Comparison(NamedTuple):
    """Errors of two models on the same rows, which neither has seen.

    Attributes:
        rows: Number of rows.
        formulas: Number of formulas.
        champion: Mean absolute error of the champion, on the scale of the model.
        challenger: Mean absolute error of the challenger.
        mean: Mean absolute error of guessing the mean of the other results.
        chance: Share of draws of the formulas (Bayesian bootstrap, Rubin, Ann. Statist. 9, 130 (1981)) in which the
            challenger has the smaller error.
        unpredicted: Further rows for which one of the two has no prediction; they do not count.
    """

    rows: int
    formulas: int
    champion: float
    challenger: float
    mean: float
    chance: float
    unpredicted: int = 0

    @property
    def is_won(self) -> bool:
        """Whether the challenger has the smaller error."""
        return self.challenger < self.champion


def compare(
    truth: NDArray[np.float64],
    groups: NDArray[np.integer],
    *,
    champion: NDArray[np.float64],
    challenger: NDArray[np.float64],
    seed: int = 0,
) -> Comparison | None:
    """Compare two models; None where no row is predicted by both.

    Args:
        truth: Measured values on the scale of the model, shape (n,).
        groups: Formula group of each row, shape (n,).
        champion: Predictions of the champion on that scale, nan where it has none, shape (n,).
        challenger: Those of the challenger.
        seed: Of the draws.

    >>> found = compare(np.arange(6.0), np.arange(6), champion=np.arange(6.0) + 1, challenger=np.arange(6.0) + 0.5)
    >>> found.champion, found.challenger, found.mean, found.chance, found.is_won
    (1.0, 0.5, 1.8, 1.0, True)
    """
    both = np.isfinite(champion) & np.isfinite(challenger) & np.isfinite(truth)
    if not both.any():
        return None
    truth, group = truth[both], np.unique(groups[both], return_inverse=True)[1]
    errors = np.abs(np.stack([champion[both], challenger[both], _mean_of_others(truth, group)]) - truth)
    of_groups = np.bincount(group, weights=errors[1] - errors[0])
    draws = np.random.default_rng(seed).exponential(size=(_DRAWS, len(of_groups)))
    of_champion, of_challenger, of_mean = (float(one) for one in errors.mean(axis=1))
    return Comparison(
        len(truth), len(of_groups), of_champion, of_challenger, of_mean, float((draws @ of_groups < 0).mean()),
        unpredicted=int((~both).sum()),
    )  # fmt: skip


def compare_with_mean(
    truth: NDArray[np.float64], groups: NDArray[np.integer], *, challenger: NDArray[np.float64], seed: int = 0
) -> Comparison | None:
    """Compare a model where there is no champion: guessing the mean of the other results stands in its place.

    Args:
        truth: Measured values on the scale of the model, shape (n,).
        groups: Formula group of each row, shape (n,).
        challenger: Predictions by models that saw none of their formulas, nan where there is none, shape (n,).
        seed: Of the draws.

    >>> found = compare_with_mean(np.arange(6.0), np.arange(6), challenger=np.arange(6.0) + 0.5)
    >>> found.champion == found.mean, found.is_won
    (True, True)
    """
    sound = np.isfinite(challenger) & np.isfinite(truth)
    guessed = np.full(len(truth), np.nan)
    if sound.any():
        guessed[sound] = _mean_of_others(truth[sound], np.unique(groups[sound], return_inverse=True)[1])
    return compare(truth, groups, champion=guessed, challenger=challenger, seed=seed)


def newest_groups(first_seen: NDArray[np.integer], groups: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which rows belong to the newest formulas, shape (n,): a third of them, and at least five.

    Args:
        first_seen: Place of each row in the order in which results came, shape (n,).
        groups: Formula group of each row, shape (n,). A formula came when the first of its rows did.

    >>> newest_groups(np.array([0, 1, 2, 3, 4, 5, 6, 0]), np.array([0, 1, 2, 3, 4, 5, 6, 6])).tolist()
    [False, True, True, True, True, True, False, False]
    """
    number = np.unique(groups, return_inverse=True)[1]
    came = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(came, number, np.asarray(first_seen, np.int64))
    count = newest_count(len(came))
    newest = np.argsort(came, kind="stable")[len(came) - count :] if len(came) > count else np.arange(len(came))
    return np.isin(number, newest)


def newest_count(formulas: int) -> int:
    """How many of so many formulas, which the champion has not seen, are set aside as the newest."""
    return max(FEWEST_NEWEST, int(formulas * NEWEST_SHARE))


def fewest_to_decide() -> int:
    """Formulas with a result from which on the newest decide, where the champion has seen none of them.

    >>> fewest_to_decide()
    29
    """
    return next(n for n in itertools.count() if n - newest_count(n) >= SMALLEST_TRAINING_SET)


def verdict(cross_validation: Comparison | None, newest: Comparison | None) -> Reason:
    """Say whether the challenger wins, or why the champion stays."""
    if cross_validation is None and newest is None:
        return "few_results"
    if cross_validation is None or newest is None or newest.formulas < FEWEST_NEWEST:
        return "few_newest"
    if not (cross_validation.is_won and cross_validation.chance >= LEVEL):
        return "loses_cross_validation"
    return "wins" if newest.challenger <= newest.champion else "loses_newest"


def _mean_of_others(truth: NDArray[np.float64], group: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of the rows of other formulas, for each row, shape (n,); the row itself where there are none."""
    others = len(truth) - np.bincount(group)
    rest = truth.sum() - np.bincount(group, weights=truth)
    return np.where(others > 0, rest / np.maximum(others, 1), 0.0)[group] if others.any() else truth
