"""Means of families, made from what each of them predicted of held-out rows: of the best ones, and with weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.mixture import least_absolute_weights
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.family_candidates import Candidate
from matloop.models.surrogates.family_trials import INNER_FOLDS, ComparedRows, Tried


def means_of_others(mean: Candidate, tried: Sequence[Tried], rows: ComparedRows, *, most_seconds: float) -> list[Tried]:
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
    made: list[Tried] = []
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
            made.append(Tried(candidate, means, tuple(inside[size]), seconds, predicted[size]))
    weighted = _weighted_mean(mean, singles, rows)
    return [*made, weighted] if weighted is not None and weighted.seconds <= most_seconds else made


def _weighted_mean(mean: Candidate, singles: Sequence[Tried], rows: ComparedRows) -> Tried | None:
    """Make the mean with the weights of least absolute error; None if they leave a single candidate."""
    outer = np.array([each.mean for each in singles])
    weights = least_absolute_weights((outer - rows.target).T)
    used = [int(member) for member in np.flatnonzero(weights)]
    if len(used) < 2:
        return None
    inside, predicted = [], np.empty(len(rows.target))
    for fold, (train, held) in enumerate(rows.folds()):
        inner = np.array([each.inner[fold] for each in singles])
        folds = grouped_folds(rows.groups[train], folds=INNER_FOLDS, seed=rows.seed)
        inside.append(_cross_weighted(inner, rows.target[train], list(folds)))
        predicted[held] = least_absolute_weights((inner - rows.target[train]).T) @ outer[:, held]
    candidate = mean.mean_of([singles[member].candidate for member in used], weights[used].tolist())
    seconds = sum(singles[member].seconds for member in used)
    return Tried(candidate, _cross_weighted(outer, rows.target, rows.folds()), tuple(inside), seconds, predicted)


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
