"""Choose family and feature set within a budget, by nested cross-validation with folds grouped by formula.

The choice is made on rows that do not report its score. In each of five outer folds the candidates are compared by
inner folds of the other rows, and the best of them predicts the fold: the error of these predictions is the error of
the whole procedure, which includes the choice. The winner is the candidate that predicts all folds best. Its own error
is a little too small, because the candidate was picked for it; the record shows it as the reason for the choice.

The family ``mean`` without settings stands for means of the other candidates: of the best two, three and so on, and one
with the weights of least absolute error. They are made from predictions that are there already. Which of the others are
the best, and their weights, are found like the choice itself: inside each outer fold for the error of the procedure,
over all folds for the winner. The error of weights is that of rows other than they were found from.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.definition import Transform
from matloop.data.registry import lookup
from matloop.models.families.making import make_ensemble, settings_by_name
from matloop.models.families.mean import Mean
from matloop.models.families.mixture import least_absolute_weights
from matloop.models.families.part_reader import COLUMNS
from matloop.models.families.row_weights import fitted, relative_weights
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.registry import MODELS
from matloop.models.surrogates.computed_model import ComputedModel
from matloop.models.surrogates.conditions import features_with, learned_conditions
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET

_INNER_FOLDS = 3
_FITTING = 0.75
"""Time of fitting a surrogate of a candidate against that of trying it, at most: on 1,056 rows 0.4 for a Gaussian
process, 0.7 for extra trees and for boosted ones."""
ROWS_WITHIN_TIME = 1500
"""Rows that suffice to tell families apart; with more, a budget of minutes would end before the second of them."""
_FAMILIES, _WEIGHTS = "families", "weights"
_NO_CONDITIONS: Mapping[str, NDArray[np.float64]] = {}
_TRIED, _UNTRIED = "tried", "out of budget"
_NO_MEAN = "no two of the others can be fitted in time"


@dataclass(frozen=True)
class Candidate:
    """A family, a feature set and settings that may be chosen.

    Attributes:
        family: Registered family.
        features: Name of a feature set; empty where there is but one.
        parameters: Settings of the family.
    """

    family: str
    features: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        hidden = (COLUMNS, _FAMILIES, _WEIGHTS)
        settings = {name: value for name, value in self.parameters.items() if name not in hidden}
        inside = [each if isinstance(each, str) else next(iter(each)) for each in self.parameters.get(_FAMILIES, ())]
        if weights := self.parameters.get(_WEIGHTS):
            inside = [f"{weight:.2f} {each}" for weight, each in zip(weights, inside, strict=True)]
        named = f"{self.family} of {', '.join(inside)}" if inside else self.family
        return f"{named}{f' {settings}' if settings else ''}" + (f" on {self.features}" if self.features else "")

    @property
    def is_mean_of_others(self) -> bool:
        """Whether it stands for means of the other candidates."""
        return self.family == Mean.family and _FAMILIES not in self.parameters

    def mean_of(self, others: Sequence[Candidate], weights: Sequence[float] | None = None) -> Candidate:
        """Return the mean of some of the other candidates, for one that stands for such means."""
        families = [{each.family: dict(each.parameters)} if each.parameters else each.family for each in others]
        weighted = {} if weights is None else {_WEIGHTS: list(weights)}
        return Candidate(self.family, self.features, {_FAMILIES: families, **weighted})


@dataclass(frozen=True)
class Budget:
    """Limits on the search; the cheapest candidate is always tried.

    The search ends as soon as too little time would be left to fit the slowest candidate tried, in case it wins.

    Which candidates fit into ``seconds`` depends on the machine. With ``candidates`` alone the choice is the same on
    every run.

    Attributes:
        seconds: Time for trying candidates and fitting the winner.
        candidates: Most candidates tried.
        fits: How often the winner is to be fitted: twice where a classifier is grown beside it.
        rows: Most rows to compare candidates on, drawn by whole formulas; the winner is fitted to all of them.
    """

    seconds: float | None = None
    candidates: int | None = None
    fits: int = 1
    rows: int | None = None

    def __post_init__(self) -> None:
        if any(limit is not None and not limit > 0 for limit in (self.seconds, self.candidates, self.rows)):
            raise ModelError(f"a budget of {self}", "limits above zero, or none")

    def __str__(self) -> str:
        limits = [f"{self.seconds:g} s"] if self.seconds is not None else []
        limits += [f"{self.candidates} candidates"] if self.candidates is not None else []
        return " and ".join(limits) or "any size"


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


@dataclass(frozen=True)
class Choice:
    """The winner, and how the search found it.

    Attributes:
        winner: Candidate with the least error over the outer folds.
        reason: Why, in a sentence or two.
        nested_mae: Error of the whole procedure on rows that took no part in the choice.
        trials: All candidates, in the order they were tried.
        budget: As given.
        rows: Number of rows it is based on.
    """

    winner: Candidate
    reason: str
    nested_mae: float
    trials: tuple[Trial, ...]
    budget: Budget
    rows: int

    def card(self) -> dict[str, Any]:
        """Return the record for the card of the fitted model, as plain JSON values."""
        return {
            "winner": str(self.winner), "reason": self.reason, "nested_mae": self.nested_mae, "rows": self.rows,
            "budget": {"seconds": self.budget.seconds, "candidates": self.budget.candidates},
            "split": f"{FOLDS} folds grouped by reduced formula, {_INNER_FOLDS} inside each to choose by",
            "tried": [
                {
                    "candidate": str(trial.candidate), "family": trial.candidate.family, "outcome": trial.outcome,
                    "mae": trial.mae if np.isfinite(trial.mae) else None, "seconds": round(trial.seconds, 2),
                }
                for trial in self.trials
            ],
        }  # fmt: skip


class _OutOfBudget(Exception):
    """When the budget ends before a candidate, or in the middle of it."""


@dataclass(frozen=True)
class _Rows:
    """Rows to choose by: features of each set, their names, targets, groups and, if rows count differently, weights."""

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


@dataclass(frozen=True)
class _Tried:
    """Predictions of one candidate: of all rows by the outer folds, and of the other rows inside each of them."""

    candidate: Candidate
    mean: NDArray[np.float64]
    inner: tuple[NDArray[np.float64], ...]
    seconds: float
    of_inner_choice: NDArray[np.float64] | None = None

    @property
    def nested(self) -> NDArray[np.float64]:
        """Predictions of all rows that owe nothing to the choice of members by the same rows."""
        return self.mean if self.of_inner_choice is None else self.of_inner_choice

    def inner_errors(self, rows: _Rows) -> NDArray[np.float64]:
        """Return the mean absolute error inside each outer fold."""
        return np.array(
            [
                np.abs(mean - rows.target[train]).mean()
                for mean, (train, _) in zip(self.inner, rows.folds(), strict=True)
            ]
        )


def choose(
    candidates: Sequence[Candidate],
    features: Mapping[str, FeatureMatrix],
    *,
    target: NDArray[np.float64],
    groups: NDArray[np.integer],
    budget: Budget,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> Choice:
    """Try candidates, cheapest first, until the budget is used.

    Each candidate costs fifteen fits inside the outer folds and five fits on them. Rows are those with a target and
    finite features in every feature set, so that all candidates are compared on the same ones. A candidate that refuses
    them (a family that is not installed, say) is recorded with its reason and passed over.

    Args:
        candidates: Candidates to try.
        features: Feature sets by name, each of m rows.
        target: On the scale the model is to work on, nan where unknown, shape (m,).
        groups: Reduced-formula group of each row, shape (m,); no fold separates a group.
        budget: When to stop.
        seed: Of folds and families.
        weights: How much each row counts in the fits, shape (m,); all the same if left out.

    Raises:
        UnknownNameError: For an unknown family.
        ModelError: If there is no candidate, a candidate names a feature set that is missing, there are too few rows,
            or every candidate refuses them.
    """
    ordered = _cheapest_first(candidates, features)
    sound = np.logical_and.reduce([matrix.codes == "" for matrix in features.values()])
    used = np.flatnonzero(np.isfinite(target) & sound)
    if len(used) < SMALLEST_TRAINING_SET or len(np.unique(groups[used])) < 2 * FOLDS:
        raise ModelError(
            f"{len(used)} rows of {len(np.unique(groups[used]))} formulas to choose by",
            f"at least {SMALLEST_TRAINING_SET} rows of {2 * FOLDS} formulas",
            "add labelled rows",
        )
    known = len(used)
    if budget.rows is not None:
        used = _drawn(used, groups, budget.rows, seed)
    values = {name: matrix.values[used] for name, matrix in features.items()}
    own = None if weights is None else relative_weights(weights[used], len(used))
    names = {name: matrix.names for name, matrix in features.items()}
    rows = _Rows(values, names, target[used], groups[used], own, seed)
    end = np.inf if budget.seconds is None else time.perf_counter() + budget.seconds
    means = [each for each in ordered if each.is_mean_of_others]
    trials, tried = _try_all(
        [each for each in ordered if each not in means], rows, budget, end=end, all_are_fitted=bool(means)
    )
    if not tried:
        refused = "; ".join(f"{trial.candidate}: {trial.outcome}" for trial in trials)
        raise ModelError(f"no candidate can be fitted: {refused}", "at least one that can")
    most_seconds = (end - time.perf_counter()) / (_FITTING * budget.fits)
    for mean in means:
        made = _means_of_others(mean, tried, rows, most_seconds=most_seconds)
        tried += made
        trials += [Trial(each.candidate, _TRIED, rows.error(each.mean), 0.0) for each in made]
        trials += [] if made else [Trial(mean, _NO_MEAN, np.nan, 0.0)]
    finished = [trial for trial in trials if trial.outcome == _TRIED]
    order = sorted(range(len(finished)), key=lambda number: finished[number].mae)
    inner = np.array([each.inner_errors(rows) for each in tried])
    nested = _nested_error(tried, inner, rows)
    reason = _reason([finished[number] for number in order], int((inner.argmin(axis=0) == order[0]).sum()))
    if left := [trial for trial in trials if trial.outcome == _UNTRIED]:
        reason += f" {len(left)} of {len(trials)} candidates did not fit into the budget of {budget}."
    if len(used) < known:
        reason += f" Compared on {len(used):,} of {known:,} rows."
    return Choice(finished[order[0]].candidate, reason, nested, tuple(trials), budget, len(used))


def fit_chosen(
    property_name: str,
    candidates: Sequence[Candidate],
    features: Mapping[str, FeatureMatrix],
    *,
    target: NDArray[np.float64],
    groups: NDArray[np.integer],
    budget: Budget,
    transform: Transform = "identity",
    ids: Sequence[str] | None = None,
    about: Mapping[str, str] | None = None,
    conditions: Mapping[str, NDArray[np.float64]] = _NO_CONDITIONS,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
    computed: ComputedModel | None = None,
) -> Surrogate:
    """Choose a candidate, fit a surrogate with it, and put the record of the choice on its card under ``choice``.

    The scores on the card are out-of-fold scores of the winner. They are a little too good, because the winner was
    picked for them; ``nested_mae`` in the record is not affected.

    Args:
        property_name: What is predicted.
        candidates: See :func:`choose`.
        features: Feature sets by name, each of m rows.
        target: In the property's unit, nan where unknown, shape (m,).
        groups: Reduced-formula group of each row, shape (m,).
        budget: When to stop trying.
        transform: Scale of the model.
        ids: ``candidate_id`` of each row, shape (m,).
        about: What the card says of the training data.
        conditions: Of each row by name, each (m,), as for :meth:`Surrogate.fit`.
        seed: Of folds and families.
        weights: How much each row counts in the fits, shape (m,); all the same if left out.
        computed: Model of computed values to transfer from, as for :meth:`Surrogate.fit`. Families are compared with
            the computed value as a feature, and the winner is used in the transfer.

    Raises:
        UnknownNameError: For an unknown property or family.
        ModelError: As :func:`choose`.
    """
    scaled = forward(np.asarray(target, float), transform)
    learned = learned_conditions(conditions)
    complete = {name: features_with(one, learned, conditions) for name, one in features.items()}
    choice = choose(candidates, complete, target=scaled, groups=groups, budget=budget, seed=seed, weights=weights)
    winner = choice.winner
    surrogate = Surrogate.fit(
        property_name, features[winner.features], target, groups, family=winner.family, transform=transform,
        parameters={"seed": seed, **winner.parameters}, ids=ids, about=about,
        weights=weights, conditions=conditions, computed=computed,
    )  # fmt: skip
    return replace(surrogate, card={**surrogate.card, "choice": choice.card()})


def _drawn(rows: NDArray[np.int64], groups: NDArray[np.integer], most: int, seed: int) -> NDArray[np.int64]:
    """Draw whole groups of rows at random up to a number of rows, but never fewer rows than a choice needs."""
    _, number = np.unique(groups[rows], return_inverse=True)
    place = np.random.default_rng(seed).permutation(number.max() + 1)[number]
    upto = np.cumsum(np.bincount(place))[place]
    return rows[(upto <= max(most, SMALLEST_TRAINING_SET)) | (place < 2 * FOLDS)]


def _cheapest_first(candidates: Sequence[Candidate], features: Mapping[str, FeatureMatrix]) -> list[Candidate]:
    if not candidates:
        raise ModelError("no candidates to choose from", "at least one")
    costs = {candidate.family: lookup("model", MODELS, candidate.family).cost for candidate in candidates}
    for candidate in candidates:
        if candidate.features not in features:
            raise ModelError(f"feature set {candidate.features!r} of {candidate}", ", ".join(sorted(features)))
    return sorted(candidates, key=lambda each: (costs[each.family], len(features[each.features].names)))


def _try_all(
    ordered: Sequence[Candidate], rows: _Rows, budget: Budget, *, end: float, all_are_fitted: bool
) -> tuple[list[Trial], list[_Tried]]:
    """Try each candidate; return the results, and the predictions of those tried to the end.

    Args:
        ordered: Candidates.
        rows: The rows.
        budget: Limits.
        end: When the winner is to be fitted, in seconds of the clock.
        all_are_fitted: Whether the winner may be a mean of all that were tried, instead of one of them.
    """
    fitting, slowest = _FITTING * budget.fits, 0.0
    trials: list[Trial] = []
    tried: list[_Tried] = []
    for candidate in ordered:
        began = time.perf_counter()
        besides = sum(each.seconds for each in tried) if all_are_fitted else 0.0
        share = (end - began - fitting * besides) / (1 + fitting)
        deadline = min(began + share, end - fitting * slowest) if tried else np.inf
        outcome, mae = _TRIED, np.nan
        try:
            if tried and budget.candidates is not None and len(tried) >= budget.candidates:
                raise _OutOfBudget
            one = _try(candidate, rows, deadline)
        except _OutOfBudget:
            outcome = _UNTRIED
        except MatloopError as error:
            outcome = str(error)
        else:
            tried.append(one)
            mae = rows.error(one.mean)
            slowest = max(slowest, one.seconds)
        trials.append(Trial(candidate, outcome, mae, time.perf_counter() - began))
    return trials, tried


def _try(candidate: Candidate, rows: _Rows, deadline: float) -> _Tried:
    began, mean, inside = time.perf_counter(), np.empty(len(rows.target)), []
    for train, held in rows.folds():
        mean[held] = rows.predicted(candidate, train, held, deadline)
        means = np.empty(len(train))
        for inner, out in grouped_folds(rows.groups[train], folds=_INNER_FOLDS, seed=rows.seed):
            means[out] = rows.predicted(candidate, train[inner], train[out], deadline)
        inside.append(means)
    return _Tried(candidate, mean, tuple(inside), time.perf_counter() - began)


def _means_of_others(mean: Candidate, tried: Sequence[_Tried], rows: _Rows, *, most_seconds: float) -> list[_Tried]:
    """Make means of the candidates that were tried on the same features, of the best of them and one with weights.

    Args:
        mean: The candidate that stands for them.
        tried: Other candidates.
        rows: The rows.
        most_seconds: Time for trying the families of a mean, whose fits take about as long.
    """
    singles = [each for each in tried if each.candidate.features == mean.features]
    if len(singles) < 2:
        return []
    inner_errors = np.array([each.inner_errors(rows) for each in singles])
    whole = means_of_best(np.array([each.mean for each in singles]), errors=[rows.error(each.mean) for each in singles])
    made: list[_Tried] = []
    predicted = [np.empty(len(rows.target)) for _ in whole]
    inside: list[list[NDArray[np.float64]]] = [[] for _ in whole]
    for fold, (_, held) in enumerate(rows.folds()):
        of_inner = means_of_best(np.array([each.inner[fold] for each in singles]), errors=inner_errors[:, fold])
        for size, (members, means) in enumerate(of_inner):
            inside[size].append(means)
            predicted[size][held] = np.mean([singles[member].mean[held] for member in members], axis=0)
    for size, (members, means) in enumerate(whole):
        seconds = sum(singles[member].seconds for member in members)
        if seconds <= most_seconds:
            candidate = mean.mean_of([singles[member].candidate for member in members])
            made.append(_Tried(candidate, means, tuple(inside[size]), seconds, predicted[size]))
    weighted = _weighted_mean(mean, singles, rows)
    return [*made, weighted] if weighted is not None and weighted.seconds <= most_seconds else made


def _weighted_mean(mean: Candidate, singles: Sequence[_Tried], rows: _Rows) -> _Tried | None:
    """Make the mean with the weights of least absolute error; None if they leave a single candidate."""
    outer = np.array([each.mean for each in singles])
    weights = least_absolute_weights((outer - rows.target).T)
    used = [int(member) for member in np.flatnonzero(weights)]
    if len(used) < 2:
        return None
    inside, predicted = [], np.empty(len(rows.target))
    for fold, (train, held) in enumerate(rows.folds()):
        inner = np.array([each.inner[fold] for each in singles])
        folds = grouped_folds(rows.groups[train], folds=_INNER_FOLDS, seed=rows.seed)
        inside.append(_cross_weighted(inner, rows.target[train], list(folds)))
        predicted[held] = least_absolute_weights((inner - rows.target[train]).T) @ outer[:, held]
    candidate = mean.mean_of([singles[member].candidate for member in used], weights[used].tolist())
    seconds = sum(singles[member].seconds for member in used)
    return _Tried(candidate, _cross_weighted(outer, rows.target, rows.folds()), tuple(inside), seconds, predicted)


def _cross_weighted(
    predictions: NDArray[np.float64],
    target: NDArray[np.float64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> NDArray[np.float64]:
    """Weigh the predictions (c, n) of each fold by what is best for the others, shape (n,)."""
    mean = np.empty(len(target))
    for train, held in folds:
        mean[held] = least_absolute_weights((predictions[:, train] - target[train]).T) @ predictions[:, held]
    return mean


def means_of_best(
    predictions: NDArray[np.float64], *, errors: Sequence[float] | NDArray[np.float64]
) -> list[tuple[list[int], NDArray[np.float64]]]:
    """Return the means of the best two, three and so on of c predictions, each with the rows it is made of.

    Args:
        predictions: Of n rows by c candidates, shape (c, n).
        errors: Error of each candidate, shape (c,).

    >>> [(members, mean.tolist()) for members, mean in means_of_best(np.array([[1.0], [2.0], [6.0]]), errors=[3, 1, 2])]
    [([1, 2], [4.0]), ([1, 2, 0], [3.0])]
    """
    order = np.argsort(errors, kind="stable").tolist()
    return [(order[:size], predictions[order[:size]].mean(axis=0)) for size in range(2, len(order) + 1)]


def _nested_error(tried: Sequence[_Tried], inner: NDArray[np.float64], rows: _Rows) -> float:
    """Compute the mean absolute error when each outer fold is predicted by the candidate that its other rows prefer."""
    mean = np.empty(len(rows.target))
    for fold, (_, held) in enumerate(rows.folds()):
        mean[held] = tried[int(inner[:, fold].argmin())].nested[held]
    return rows.error(mean)


def _reason(best_first: Sequence[Trial], times_chosen: int) -> str:
    winner, *others = best_first
    if not others:
        return f"{winner.candidate} was the only candidate tried."
    return (
        f"{winner.candidate} had the least mean absolute error over {FOLDS} folds, {winner.mae:.4g} against"
        f" {others[0].mae:.4g} of {others[0].candidate}, and was chosen inside {times_chosen} of them."
    )
