"""The mean of families with weights from what each of them predicted of held-out rows.

Which family is best, and how much each should count, is known only roughly. There are many ways to weigh: one family
alone, the best two, three and so on alike, or the weights of least absolute error. To take the way with the least error
would leave the choice between nearly equal ways to chance, so the weights of all ways are averaged (Breiman, Ann. Stat.
24, 2350 (1996)). A way counts the less, the more its error exceeds the least one, in standard errors of the difference,
as models do that are averaged by their likelihood (Buckland, Burnham and Augustin, Biometrics 53, 603 (1997)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.mixture import least_absolute_weights
from matloop.models.surrogates.family_candidates import Candidate
from matloop.models.surrogates.family_trials import ComparedRows, Tried

_LEAST_SHARE = 0.25
"""Weight below which a family is not worth its fits, as a share of the same weight for all."""


class HeldOut(NamedTuple):
    """What families predicted of rows that were held out.

    Attributes:
        predictions: Of c families, shape (c, n).
        target: Truth on the same scale, shape (n,).
        groups: Reduced-formula group of each row, shape (n,).
        fold: Number of the fold in which each row was held out, shape (n,).
    """

    predictions: NDArray[np.float64]
    target: NDArray[np.float64]
    groups: NDArray[np.integer]
    fold: NDArray[np.integer]

    def take(self, rows: NDArray[np.bool_]) -> Self:
        """Return some of the rows, marked in an array of shape (n,)."""
        return type(self)(self.predictions[:, rows], self.target[rows], self.groups[rows], self.fold[rows])

    def errors(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the absolute error of each row when the families count with weights (c,), shape (n,)."""
        return np.abs(weights @ self.predictions - self.target)


def averaged_weights(held: HeldOut) -> NDArray[np.float64]:
    """Weigh families by the average over ways to weigh them, shape (c,); the weights add up to 1.

    A way whose mean absolute error exceeds the least one by z standard errors of their difference counts
    exp(-z**2 / 2). A family whose weight would be small gets none.

    Args:
        held: What the families predicted.

    >>> random = np.random.default_rng(0)
    >>> truth = random.normal(size=200)
    >>> alike, wild = truth + random.normal(size=(2, 200)), truth + 9 * random.normal(size=200)
    >>> held = HeldOut(np.array([*alike, wild]), truth, np.arange(200), np.arange(200) % 5)
    >>> averaged_weights(held).round(1)
    array([0.5, 0.5, 0. ])
    """
    ways, errors = _ways_to_weigh(held)
    mean = errors.mean(axis=1)
    best = int(mean.argmin())
    deviation = standard_errors(errors - errors[best], held.groups)
    z = np.divide(mean - mean[best], deviation, out=np.where(mean > mean[best], np.inf, 0.0), where=deviation > 0)
    counts = np.exp(-0.5 * z**2)
    weights = counts @ ways / counts.sum()
    weights[weights < _LEAST_SHARE / len(weights)] = 0.0
    return np.asarray(weights / weights.sum())


def cross_weighted(held: HeldOut) -> NDArray[np.float64]:
    """Predict each row with the weights that the rows of the other folds give, shape (n,)."""
    return _with_weights_of_others(held, averaged_weights)


def mean_of_others(mean: Candidate, tried: Sequence[Tried], rows: ComparedRows, *, most_seconds: float) -> Tried | None:
    """Make the mean of the candidates that were tried on the same features; None if no two of them fit into the time.

    Its predictions of all rows are those of weights from the other folds. Where the weights leave a single candidate,
    it is this candidate.

    Args:
        mean: The candidate that stands for it.
        tried: Other candidates.
        rows: The rows.
        most_seconds: Time for trying the families of the mean, whose fits take about as long. Those with the smallest
            weights are left out until the others fit into it.
    """
    singles = [each for each in tried if each.candidate.features == mean.features]
    while len(singles) > 1:
        outer = HeldOut(np.array([each.mean for each in singles]), rows.target, rows.groups, rows.outer_folds())
        weights = averaged_weights(outer)
        used = np.flatnonzero(weights)
        seconds = sum(singles[member].seconds for member in used)
        if seconds <= most_seconds:
            members = [singles[member].candidate for member in used]
            candidate = mean.mean_of(members, weights[used].tolist()) if len(members) > 1 else members[0]
            inner, of_inner_weights = _inside(singles, outer, rows)
            return Tried(candidate, cross_weighted(outer), inner, seconds, of_inner_weights)
        singles.pop(int(used[weights[used].argmin()]))
    return None


def _inside(
    singles: Sequence[Tried], outer: HeldOut, rows: ComparedRows
) -> tuple[tuple[NDArray[np.float64], ...], NDArray[np.float64]]:
    """Predict with weights that are found inside each outer fold: the rows inside it, and those it holds out (n,)."""
    inside, held_out = [], np.empty(len(rows.target))
    for number, (train, held) in enumerate(rows.folds()):
        predictions = np.array([each.inner[number] for each in singles])
        inner = HeldOut(predictions, rows.target[train], rows.groups[train], rows.inner_folds(train))
        inside.append(cross_weighted(inner))
        held_out[held] = averaged_weights(inner) @ outer.predictions[:, held]
    return tuple(inside), held_out


def _ways_to_weigh(held: HeldOut) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights of w ways (w, c), and the absolute errors of held-out rows that they lead to (w, n)."""
    alone = np.eye(len(held.predictions))
    of_alone = np.abs(held.predictions - held.target)
    order = np.argsort(of_alone.mean(axis=1), kind="stable")
    best = np.array([alone[order[:size]].mean(axis=0) for size in range(2, len(order) + 1)])
    fitted = _least_absolute(held)
    errors = [*of_alone, *(held.errors(weights) for weights in best),
              np.abs(_with_weights_of_others(held, _least_absolute) - held.target)]  # fmt: skip
    return np.vstack([alone, best, fitted]), np.array(errors)


def _least_absolute(held: HeldOut) -> NDArray[np.float64]:
    return least_absolute_weights((held.predictions - held.target).T)


def _with_weights_of_others(held: HeldOut, weigh: Callable[[HeldOut], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Predict the rows of each fold with weights from those of the other folds, shape (n,)."""
    mean = np.empty(len(held.target))
    for number in np.unique(held.fold):
        inside = held.fold == number
        mean[inside] = weigh(held.take(~inside)) @ held.predictions[:, inside]
    return mean


def standard_errors(values: NDArray[np.float64], groups: NDArray[np.integer]) -> NDArray[np.float64]:
    """Compute the standard error of the mean of each row of values (w, n); rows of a group are not independent, (w,).

    >>> standard_errors(np.array([[1.0, 1.0, -1.0, -1.0]]), np.array([7, 7, 8, 8])).round(3)
    array([0.707])
    """
    _, number = np.unique(groups, return_inverse=True)
    excess = values - values.mean(axis=1, keepdims=True)
    sums = np.array([np.bincount(number, weights=each) for each in excess])
    return np.asarray(np.sqrt((sums**2).sum(axis=1)) / values.shape[1])
