"""The learning curve of a model, and what more labels would buy.

Errors fall with a power of the number of rows (Cortes et al., Adv. Neural Inf. Process. Syst. 6, 327 (1993)). The model
itself is fitted with half the rows and with four fifths of them anyway. Points with fewer rows come from the small
ensemble of :mod:`matloop.models.surrogates.held_out`, scaled so that both agree at four fifths of the rows; a family
without a small ensemble has the two points of the model only.

The exponent is uncertain: the rows and the folds may have been lucky, and a curve may flatten. So exponents are
estimated from resampled folds and formulas, once from the two points of the model and once from all points of the small
ensemble, and what more labels would buy is told as the range of all of these estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.surrogates.held_out import Rows, SmallEnsemble
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET, STEEPEST

MORE_LABELS = 50
_SHARES = (0.25, 0.5, 0.75)  # of the training formulas of a fold, for the points of the small ensemble
_DRAWS = 400
_SEED = 0
_ENDS = (0.05, 0.95)


class CurvePoint(NamedTuple):
    """Errors of ensembles that were fitted to some of the rows.

    Attributes:
        rows: How many rows they were fitted to, on average over the folds.
        error: Absolute error of each row, by an ensemble that saw no row of its group, shape (m,).
    """

    rows: float
    error: NDArray[np.float64]


def small_points(rows: Rows, small: SmallEnsemble, of_most: NDArray[np.float64]) -> list[CurvePoint]:
    """Fit small ensembles to one, two and three fifths of the rows, fold by fold; the last point has four.

    Args:
        rows: Training rows of the model.
        small: The small ensemble.
        of_most: Errors of the small ensemble on grouped folds, shape (m,).

    Returns:
        Points with at least twenty rows each, the fewest rows first.
    """
    points = [
        _point(rows, small, share)
        for share in _SHARES
        if share * (1 - 1 / FOLDS) * len(rows.target) >= SMALLEST_TRAINING_SET
    ]
    return [*points, CurvePoint(len(rows.target) * (1 - 1 / FOLDS), of_most)]


def _point(rows: Rows, small: SmallEnsemble, share: float) -> CurvePoint:
    error, counts = np.empty(len(rows.target)), []
    for train, held_out in _smaller_folds(rows.groups, share):
        ensemble = rows.fit(small.make(), train)
        error[held_out] = np.abs(ensemble.predict(rows.values[held_out])[0] - rows.target[held_out])
        counts.append(len(train))
    return CurvePoint(float(np.mean(counts)), error)


def _smaller_folds(groups: NDArray[np.integer], share: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the grouped folds with a share of the training groups, at random; a smaller share is part of a larger."""
    random = np.random.default_rng(_SEED)
    for train, held_out in grouped_folds(groups):
        order = random.permutation(np.unique(groups[train]))
        chosen = order[: max(round(share * len(order)), 1)]
        yield train[np.isin(groups[train], chosen)], held_out


def learning_curve(
    model: Sequence[CurvePoint],
    small: Sequence[CurvePoint],
    groups: NDArray[np.integer],
    *,
    of_all: float,
    size: str,
) -> dict[str, Any]:
    """Describe the learning curve for a card, as plain JSON values; errors are on the scale of the model.

    Args:
        model: Points of the model, with half and with four fifths of the rows.
        small: Points of the small ensemble, the last with four fifths of the rows; empty if it stands in for the model.
        groups: Formula group of each row, shape (m,).
        of_all: Expected error of the model with all rows.
        size: Size of the small ensemble, such as ``10 trees``.

    Returns:
        ``points`` with the range of each error, ``exponent``, ``rows`` and ``mae`` of all rows, and ``more`` with the
        range of the error that 50 more labels would give, and twice as many.
    """
    weights, number = _resampled(groups), _numbers(groups)
    of_model = [_resampled_means(point.error, number, weights) for point in model]
    of_small = [_resampled_means(point.error, number, weights) for point in small]
    exponents = _exponents(model, of_model)
    if len(small) > 1:
        exponents = np.concatenate([exponents, _exponents(small, of_small)])
    points = [_told(point, drawn, "model") for point, drawn in zip(model, of_model, strict=True)]
    if small and small[-1].error.any():
        factor = float(model[-1].error.mean() / small[-1].error.mean())
        scaled = [point._replace(error=factor * point.error) for point in small]
        # The last point of the small ensemble is that of the model now.
        points += [_told(p, factor * drawn, size) for p, drawn in zip(scaled[:-1], of_small[:-1], strict=True)]
    count = len(groups)
    return {
        "points": sorted(points, key=lambda point: point["rows"]),
        "exponent": dict(zip(("low", "median", "high"), _range(exponents), strict=True)),
        "rows": count,
        "mae": of_all,
        "more": [_expected(of_all, exponents, count, more) for more in (MORE_LABELS, count)],
    }


def _numbers(groups: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number the groups from 0, shape (m,)."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _resampled(groups: NDArray[np.integer]) -> NDArray[np.float64]:
    """Draw weights of the groups: folds are drawn with replacement, groups by the Bayesian bootstrap.

    Rubin, Ann. Stat. 9, 130 (1981). Returns weights that are never all zero, shape (draws, groups).
    """
    number = _numbers(groups)
    fold = np.empty(number.max() + 1, np.int64)
    for at, (_, held_out) in enumerate(grouped_folds(groups)):
        fold[number[held_out]] = at
    random = np.random.default_rng(_SEED)
    times = random.multinomial(FOLDS, np.full(FOLDS, 1 / FOLDS), size=_DRAWS)
    return times[:, fold] * random.exponential(size=(_DRAWS, len(fold)))


def _resampled_means(
    error: NDArray[np.float64], number: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean error of the rows in each draw, shape (draws,)."""
    return (weights @ np.bincount(number, error)) / (weights @ np.bincount(number).astype(float))


def _exponents(points: Sequence[CurvePoint], drawn: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Fit the exponent in each draw by least squares of logarithms through the last point, within reason, (draws,).

    >>> points = [CurvePoint(rows, np.ones(1)) for rows in (100.0, 400.0, 1600.0)]
    >>> _exponents(points, [np.array([rows**-0.25]) for rows in (100.0, 400.0, 1600.0)])
    array([0.25])
    """
    last = np.maximum(drawn[-1], np.finfo(float).tiny)
    distance = np.log([points[-1].rows / point.rows for point in points[:-1]])
    rise = np.log(np.maximum(drawn[:-1], np.finfo(float).tiny) / last)
    return np.clip(distance @ rise / (distance @ distance), 0.0, STEEPEST)


def _expected(of_all: float, exponents: NDArray[np.float64], rows: int, more: int) -> dict[str, Any]:
    low, median, high = _range(of_all * ((rows + more) / rows) ** -exponents)
    return {"labels": more, "mae": median, "low": low, "high": high}


def _told(point: CurvePoint, drawn: NDArray[np.float64], ensemble: str) -> dict[str, Any]:
    low, _, high = _range(drawn)
    mae = float(point.error.mean())
    return {"rows": round(point.rows), "mae": mae, "low": low, "high": high, "ensemble": ensemble}


def _range(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, median, high = np.quantile(values, (_ENDS[0], 0.5, _ENDS[1]))
    return float(low), float(median), float(high)
