"""Choose family and feature set within a budget, by nested cross-validation with folds grouped by formula.

The choice is made on rows that do not report its score. In each of five outer folds the candidates are compared by
inner folds of the other rows, and the best of them predicts the fold: the error of these predictions is the error of
the whole procedure, which includes the choice. The winner is the candidate that predicts all folds best. Its own error
is a little too small, because the candidate was picked for it; the record shows it as the reason for the choice.

The family ``mean`` without settings stands for the mean of the other candidates on its features, and takes their place
in the comparison (:mod:`matloop.models.surrogates.family_means`). It is made from predictions that are there already.
Its weights are found like the choice itself: inside each outer fold for the error of the procedure, over all folds for
the winner.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.definition import Transform
from matloop.data.registry import lookup
from matloop.models.families.row_weights import relative_weights
from matloop.models.grouped_folds import FOLDS
from matloop.models.registry import MODELS
from matloop.models.surrogates.computed_model import ComputedModel
from matloop.models.surrogates.conditions import features_with, learned_conditions
from matloop.models.surrogates.family_candidates import Budget, Candidate
from matloop.models.surrogates.family_means import mean_of_others, standard_errors
from matloop.models.surrogates.family_trials import (
    FITTING,
    INNER_FOLDS,
    TRIED,
    UNTRIED,
    ComparedRows,
    Trial,
    Tried,
    try_all,
)
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET

ROWS_WITHIN_TIME = 1500
"""Rows that suffice to tell families apart; with more, a budget of minutes would end before the second of them."""
_NO_CONDITIONS: Mapping[str, NDArray[np.float64]] = {}
_NO_MEAN = "no two of the others can be fitted in time"


@dataclass(frozen=True)
class Choice:
    """The winner, and how the search found it.

    Attributes:
        winner: Candidate with the least error over the outer folds.
        reason: Why, in a sentence or two.
        nested_mae: Error of the whole procedure on rows that took no part in the choice.
        above_best: How much it exceeds the error of the best candidate alone, which is known by hindsight only, and the
            standard error of this difference.
        trials: All candidates, in the order they were tried.
        budget: As given.
        rows: Number of rows it is based on.
    """

    winner: Candidate
    reason: str
    nested_mae: float
    above_best: tuple[float, float]
    trials: tuple[Trial, ...]
    budget: Budget
    rows: int

    def card(self) -> dict[str, Any]:
        """Return the record for the card of the fitted model, as plain JSON values."""
        return {
            "winner": str(self.winner), "reason": self.reason, "nested_mae": self.nested_mae, "rows": self.rows,
            "budget": {"seconds": self.budget.seconds, "candidates": self.budget.candidates},
            "split": f"{FOLDS} folds grouped by reduced formula, {INNER_FOLDS} inside each to choose by",
            "tried": [
                {
                    "candidate": str(trial.candidate), "family": trial.candidate.family, "outcome": trial.outcome,
                    "mae": trial.mae if np.isfinite(trial.mae) else None, "seconds": round(trial.seconds, 2),
                }
                for trial in self.trials
            ],
        }  # fmt: skip


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
    rows = ComparedRows(values, names, target[used], groups[used], own, seed)
    end = np.inf if budget.seconds is None else time.perf_counter() + budget.seconds
    means = [each for each in ordered if each.is_mean_of_others]
    trials, tried = try_all(
        [each for each in ordered if each not in means], rows, budget, end=end, all_are_fitted=bool(means)
    )
    if not tried:
        refused = "; ".join(f"{trial.candidate}: {trial.outcome}" for trial in trials)
        raise ModelError(f"no candidate can be fitted: {refused}", "at least one that can")
    compared, of_means = _with_means(
        means, tried, rows, most_seconds=(end - time.perf_counter()) / FITTING / budget.fits
    )
    trials += of_means
    compared.sort(key=lambda each: rows.error(each.mean))
    inner = np.array([each.inner_errors(rows) for each in compared])
    nested = _nested(compared, inner, rows)
    reason = _reason(compared, tried, rows, times_chosen=int((inner.argmin(axis=0) == 0).sum()))
    if left := [trial for trial in trials if trial.outcome == UNTRIED]:
        reason += f" {len(left)} of {len(trials)} candidates did not fit into the budget of {budget}."
    if len(used) < known:
        reason += f" Compared on {len(used):,} of {known:,} rows."
    return Choice(
        compared[0].candidate, reason, rows.error(nested), _above_best(nested, tried, rows), tuple(trials), budget,
        len(used),
    )  # fmt: skip


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


def _with_means(
    means: Sequence[Candidate], tried: Sequence[Tried], rows: ComparedRows, *, most_seconds: float
) -> tuple[list[Tried], list[Trial]]:
    """Let each mean stand for the candidates on its features; return what is left to compare, and records of means.

    Args:
        means: Candidates that stand for means of the others.
        tried: Other candidates.
        rows: The rows.
        most_seconds: Time for trying the families of a mean at most.
    """
    compared, trials = list(tried), []
    for mean in means:
        made = mean_of_others(mean, tried, rows, most_seconds=most_seconds)
        if made is None:
            trials.append(Trial(mean, _NO_MEAN, np.nan, 0.0))
        else:
            shown = made.candidate if made.candidate.family == mean.family else mean  # one candidate may be all of it
            trials.append(Trial(shown, TRIED, rows.error(made.mean), 0.0))
            compared = [*(each for each in compared if each.candidate.features != mean.features), made]
    return compared, trials


def _nested(compared: Sequence[Tried], inner: NDArray[np.float64], rows: ComparedRows) -> NDArray[np.float64]:
    """Predict each outer fold by the candidate that its other rows prefer, shape (n,)."""
    mean = np.empty(len(rows.target))
    for fold, (_, held) in enumerate(rows.folds()):
        mean[held] = compared[int(inner[:, fold].argmin())].nested[held]
    return mean


def _above_best(nested: NDArray[np.float64], tried: Sequence[Tried], rows: ComparedRows) -> tuple[float, float]:
    """How far the error of predictions (n,) exceeds that of the best candidate alone, and its standard error."""
    best = min((np.abs(each.mean - rows.target) for each in tried), key=lambda errors: float(errors.mean()))
    excess = np.abs(nested - rows.target) - best
    return float(excess.mean()), float(standard_errors(excess[None], rows.groups)[0])


def _reason(compared: Sequence[Tried], tried: Sequence[Tried], rows: ComparedRows, *, times_chosen: int) -> str:
    """Say why the first of those compared was chosen, best first, from all that were tried."""
    winner, *others = compared
    if len(tried) == 1:
        return f"{winner.candidate} was the only candidate tried."
    error = rows.error(winner.mean)
    if others:
        return (
            f"{winner.candidate} had the least mean absolute error over {FOLDS} folds, {error:.4g} against"
            f" {rows.error(others[0].mean):.4g} of {others[0].candidate}, and was chosen inside {times_chosen} of them."
        )
    best = min(tried, key=lambda each: rows.error(each.mean))
    return (
        f"Families count in the mean as much as rows of other formulas support: {winner.candidate}. Its mean absolute"
        f" error over {FOLDS} folds is {error:.4g}; that of the best family alone, {best.candidate}, is"
        f" {rows.error(best.mean):.4g}."
    )
