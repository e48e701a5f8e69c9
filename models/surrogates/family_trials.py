"""Try candidates on folds and on folds inside them, within a budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError
from matloop.models.families.making import make_ensemble, settings_by_name
from matloop.models.families.row_weights import fitted
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.family_candidates import Budget, Candidate

INNER_FOLDS = 3
FITTING = 0.75
"""Time of fitting a surrogate of a candidate against that of trying it, at most: on 1,056 rows 0.4 for a Gaussian
process, 0.7 for extra trees and for boosted ones."""
TRIED, UNTRIED = "tried", "out of budget"


@dataclass(frozen=True)
class Trial:
    """The result of trying a candidate.

    Attributes:
        candidate: The candidate that was tried.
        outcome: ``tried``, ``out of budget``, or why it could not be fitted.
        mae: Mean absolute error over the outer folds, on the scale of the target; nan where not tried to the end.
        seconds: Time spent on it.
    """

    candidate: Candidate
    outcome: str
    mae: float
    seconds: float


class _OutOfBudget(Exception):
    """When the budget ends before a candidate, or in the middle of it."""


@dataclass(frozen=True)
class ComparedRows:
    """Rows that candidates are compared on.

    Attributes:
        features: Features by the name of the set, each (n, k).
        names: Names of their columns.
        target: On the scale of the model, shape (n,).
        groups: Reduced-formula group of each row, shape (n,).
        weights: How much each row counts in the fits, shape (n,); None if all count the same.
        seed: Of folds and families.
    """

    features: Mapping[str, NDArray[np.float64]]
    names: Mapping[str, tuple[str, ...]]
    target: NDArray[np.float64]
    groups: NDArray[np.integer]
    weights: NDArray[np.float64] | None
    seed: int

    def predicted(
        self, candidate: Candidate, train: NDArray[np.int64], held: NDArray[np.int64], deadline: float
    ) -> NDArray[np.float64]:
        """Predict the mean of the held-out rows after fitting to the training rows."""
        if time.perf_counter() > deadline:
            raise _OutOfBudget
        values = self.features[candidate.features]
        settings = {"seed": self.seed, **candidate.parameters}
        names = self.names[candidate.features]
        ensemble = make_ensemble(candidate.family, settings_by_name(candidate.family, settings, names))
        own = None if self.weights is None else self.weights[train]
        fitted(ensemble, values[train], self.target[train], groups=self.groups[train], weights=own)
        return ensemble.predict(values[held])[0]

    def error(self, mean: NDArray[np.float64]) -> float:
        """Return the mean absolute error of predictions of all rows."""
        return float(np.abs(mean - self.target).mean())

    def folds(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return training and held-out rows of the outer folds."""
        return list(grouped_folds(self.groups, seed=self.seed))

    def outer_folds(self) -> NDArray[np.int64]:
        """Return the number of the outer fold that holds out each row, shape (n,)."""
        return _numbers(self.folds())

    def folds_inside(self, train: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return training and held-out places of the folds inside the training rows of an outer fold."""
        return list(grouped_folds(self.groups[train], folds=INNER_FOLDS, seed=self.seed))

    def inner_folds(self, train: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the fold inside that holds out each training row, shape (len(train),)."""
        return _numbers(self.folds_inside(train))


@dataclass(frozen=True)
class Tried:
    """A candidate that was tried to the end.

    Attributes:
        candidate: The candidate.
        mean: Predictions of all rows by the outer folds, shape (n,).
        inner: For each outer fold, predictions of its training rows by folds inside them.
        seconds: Time spent on it.
        of_inner_weights: For a mean of candidates, the predictions of all rows with weights that were found inside each
            outer fold, shape (n,).
    """

    candidate: Candidate
    mean: NDArray[np.float64]
    inner: tuple[NDArray[np.float64], ...]
    seconds: float
    of_inner_weights: NDArray[np.float64] | None = None

    @property
    def nested(self) -> NDArray[np.float64]:
        """Predictions of all rows that owe nothing to weights from the same rows."""
        return self.mean if self.of_inner_weights is None else self.of_inner_weights

    def inner_errors(self, rows: ComparedRows) -> NDArray[np.float64]:
        """Return the mean absolute error inside each outer fold."""
        return np.array(
            [
                np.abs(mean - rows.target[train]).mean()
                for mean, (train, _) in zip(self.inner, rows.folds(), strict=True)
            ]
        )


def try_all(
    ordered: Sequence[Candidate], rows: ComparedRows, budget: Budget, *, end: float, all_are_fitted: bool
) -> tuple[list[Trial], list[Tried]]:
    """Try each candidate; return the results, and the predictions of those tried to the end.

    Args:
        ordered: Candidates.
        rows: The rows.
        budget: Limits.
        end: When the winner is to be fitted, in seconds of the clock.
        all_are_fitted: Whether the winner may be a mean of all that were tried, instead of one of them.
    """
    fitting, slowest = FITTING * budget.fits, 0.0
    trials: list[Trial] = []
    tried: list[Tried] = []
    for candidate in ordered:
        began = time.perf_counter()
        besides = sum(each.seconds for each in tried) if all_are_fitted else 0.0
        share = (end - began - fitting * besides) / (1 + fitting)
        deadline = min(began + share, end - fitting * slowest) if tried else np.inf
        outcome, mae = TRIED, np.nan
        try:
            if tried and budget.candidates is not None and len(tried) >= budget.candidates:
                raise _OutOfBudget
            one = _try(candidate, rows, deadline)
        except _OutOfBudget:
            outcome = UNTRIED
        except MatloopError as error:
            outcome = str(error)
        else:
            tried.append(one)
            mae = rows.error(one.mean)
            slowest = max(slowest, one.seconds)
        trials.append(Trial(candidate, outcome, mae, time.perf_counter() - began))
    return trials, tried


def _try(candidate: Candidate, rows: ComparedRows, deadline: float) -> Tried:
    began, mean, inside = time.perf_counter(), np.empty(len(rows.target)), []
    for train, held in rows.folds():
        mean[held] = rows.predicted(candidate, train, held, deadline)
        means = np.empty(len(train))
        for inner, out in rows.folds_inside(train):
            means[out] = rows.predicted(candidate, train[inner], train[out], deadline)
        inside.append(means)
    return Tried(candidate, mean, tuple(inside), time.perf_counter() - began)


def _numbers(folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> NDArray[np.int64]:
    """Return the number of the fold that holds out each row."""
    numbers = np.empty(sum(len(held) for _, held in folds), np.int64)
    for number, (_, held) in enumerate(folds):
        numbers[held] = number
    return numbers
