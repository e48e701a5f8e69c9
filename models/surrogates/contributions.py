"""Why a surrogate predicts what it does: contributions of features, their levels, nearest training rows.

Contributions are Shapley values: with the base value they add up to the prediction on the model scale.

- ``extra_trees``: interventional TreeSHAP, exact for every pair of a candidate and a background row (Lundberg et al.,
  Nat. Mach. Intell. 2, 56 (2020), supplementary algorithm 3; Laberge and Pequignot, arXiv:2209.15123). The background
  are training rows evenly spaced by their value; the base value is the mean prediction for them.
- ``boosted_trees``: path-dependent TreeSHAP as LightGBM computes it, averaged over the boosters; the base value is
  their expected prediction.
- ``stack``: a weighted mean, so that the contributions of its families are weighted likewise; only where all families
  that have weight are trees. Features that a family is not shown get nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.models.families.ensembles import BoostedTrees, Ensemble, ExtraTrees
from matloop.models.families.part_reader import PartReader
from matloop.models.families.stack import Stack
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.surrogate import Surrogate

BACKGROUND_ROWS = 100
_SEARCH = 12.0  # widths of the predictive distribution to look at on either side
_STEPS = 241


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to the predictions of n candidates, on the model scale.

    Attributes:
        base: Prediction before anything is known of a candidate.
        values: Shape (n, k); base plus a row's sum is that row's prediction.
        method: How they were computed.
    """

    base: float
    values: NDArray[np.float64]
    method: str


def contributions(
    ensemble: Ensemble, values: NDArray[np.float64], background: NDArray[np.float64]
) -> Contributions | None:
    """Contributions of each feature, None for a family that has no exact ones.

    Args:
        ensemble: Fitted.
        values: Features of n candidates, shape (n, k).
        background: Features of the rows that extra trees are compared with, shape (b, k); see :func:`background_of`.
    """
    if isinstance(ensemble, ExtraTrees):
        return _of_forest(ensemble, values, background)
    if isinstance(ensemble, BoostedTrees):
        return _of_boosters(ensemble, values)
    if isinstance(ensemble, Stack):
        return _of_stack(ensemble, values, background)
    if isinstance(ensemble, PartReader):
        return _of_part(ensemble, values, background)
    return None


def training_features(surrogate: Surrogate) -> NDArray[np.float64]:
    """Features of the training rows as far as the domain keeps them, shape (m, k).

    They are kept in single precision, and those the ensemble makes no use of are not: all rows have the mean there.
    """
    domain = surrogate.domain
    scale = np.where(domain.weight > 0, domain.weight, np.inf)
    return np.asarray(domain.points / scale + domain.centre, np.float64)


def background_of(surrogate: Surrogate, *, rows: int = BACKGROUND_ROWS) -> NDArray[np.float64]:
    """Features of training rows evenly spaced by their value, shape (at most ``rows``, k)."""
    by_value = np.argsort(surrogate.training.target, kind="stable")
    picks = np.linspace(0, len(by_value) - 1, min(rows, len(by_value))).round().astype(np.int64)
    return training_features(surrogate)[by_value[picks]]


def levels(surrogate: Surrogate, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of training rows below each value, equal ones counted half, shape (n, k).

    Args:
        surrogate: Its training rows are compared with.
        values: Features of n candidates, shape (n, k).
    """
    rows = training_features(surrogate)
    slack = 1e-6 * rows.std(axis=0)  # of single precision
    below = [(rows < value - slack).mean(axis=0) for value in values]
    upto = [(rows <= value + slack).mean(axis=0) for value in values]
    return (np.array(below) + np.array(upto)).reshape(values.shape) / 2


def nearest_training(
    surrogate: Surrogate, values: NDArray[np.float64], *, count: int = 5
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The training rows nearest to n candidates, as the applicability domain measures distance.

    Args:
        surrogate: Its training rows.
        values: Features, shape (n, k).
        count: How many.

    Returns:
        Training rows and their distances, each (n, count), nearest first.
    """
    domain = surrogate.domain
    weighted = ((values - domain.centre) * domain.weight).astype(np.float32)
    distances = np.array([np.sqrt(((domain.points - row) ** 2).sum(axis=1)) for row in weighted])
    distances = distances.reshape(len(values), len(domain.points))
    rows = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(distances, rows, axis=1).astype(np.float64)


def value_at_probability(
    prediction: Prediction, row: int, *, ends: tuple[float, float], probability: float
) -> float | None:
    """The predicted value nearest to the present one at which a probability would fall to (or rise to) a given one.

    The width of the predictive distribution is held.

    Args:
        prediction: Of n candidates.
        row: Which of them.
        ends: Wanted range, in the property's unit.
        probability: Of lying in the range.

    Returns:
        The value in the property's unit, None where no value reaches that probability, or where a classifier gives it.
    """
    if prediction.met is not None:
        return None
    centre, scale = float(prediction.centre[row]), float(prediction.scale[row])
    if not np.isfinite([centre, scale]).all():
        return None
    found = []
    for side in (-1.0, 1.0):
        near, far = 0.0, _SEARCH
        for _ in range(3):
            shifts = np.linspace(near, far, _STEPS)
            chances = _shifted(prediction, row, centre + side * scale * shifts).probability_between(*ends)
            above = chances > probability
            crossings = np.flatnonzero(above != above[0])
            if not len(crossings):
                break
            near, far = float(shifts[crossings[0] - 1]), float(shifts[crossings[0]])
        else:
            found.append((far, centre + side * scale * far))
    if not found:
        return None
    return float(_shifted(prediction, row, np.array([min(found)[1]])).mean[0])


def _shifted(prediction: Prediction, row: int, centres: NDArray[np.float64]) -> Prediction:
    """The distribution of one row moved to other centres."""
    n = len(centres)
    bins = prediction.bins if isinstance(prediction.bins, int) else np.full(n, prediction.bins[row])
    return replace(
        prediction, centre=centres, scale=np.full(n, prediction.scale[row]), bins=bins,
        in_domain=np.full(n, prediction.in_domain[row]), codes=np.full(n, ""),
    )  # fmt: skip


def _of_boosters(ensemble: BoostedTrees, values: NDArray[np.float64]) -> Contributions:
    members = np.mean([booster.predict(values, pred_contrib=True, num_threads=1) for booster in ensemble._fitted()], 0)
    base = float(members[0, -1]) if len(members) else float("nan")
    return Contributions(base, np.ascontiguousarray(members[:, :-1]), "path-dependent TreeSHAP")


def _of_forest(ensemble: ExtraTrees, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions:
    from scipy.special import beta

    a = ensemble._fitted()
    # (x - 1)! z! / (x + z)!, the Shapley weight of a leaf that x features lead to and z others lead away from.
    depth = min(values.shape[1], int(np.diff(a["starts"]).max())) + 1
    counts = np.arange(depth + 1, dtype=float)
    weights = beta(np.maximum(counts, 1)[:, None], counts + 1)
    parts = _interventional(
        np.ascontiguousarray(values, np.float32), np.ascontiguousarray(background, np.float32),
        a["starts"], a["feature"], a["right"], a["threshold"], weights,
    )  # fmt: skip
    base = float(ensemble.predict(background)[0].mean())
    return Contributions(base, parts, "interventional TreeSHAP")


def _of_stack(ensemble: Stack, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions | None:
    members = [contributions(member, values, background) for member in ensemble._fitted]
    weighted = [
        (weight, part)
        for weight, part in zip(ensemble._weights[ensemble._used()], members, strict=True)
        if part is not None
    ]
    if len(weighted) < len(members):
        return None
    return Contributions(
        float(sum(weight * part.base for weight, part in weighted)),
        np.sum([weight * part.values for weight, part in weighted], axis=0),
        " and ".join(sorted({part.method for _, part in weighted})),
    )


def _of_part(
    ensemble: PartReader, values: NDArray[np.float64], background: NDArray[np.float64]
) -> Contributions | None:
    part = contributions(ensemble.reader, ensemble.part(values), ensemble.part(background))
    if part is None:
        return None
    everywhere = np.zeros(values.shape)
    everywhere[:, ensemble.shown] = part.values
    return replace(part, values=everywhere)


@numba.njit(cache=True, nogil=True)
def _interventional(rows, background, starts, feature, right, threshold, weights):  # type: ignore[no-untyped-def]
    """Shapley values of each row against each background row, averaged over background rows and trees.

    Where row and background part at a split, both ways are followed: one for coalitions with the feature, one for
    those without it. ``side`` holds which way a feature was already taken on the path, 1 with the row, 2 against it.
    """
    n, k = rows.shape
    trees = len(starts) - 1
    result = np.zeros((n, k))
    side, path = np.zeros(k, np.int8), np.empty(k + 1, np.int64)
    size = 2
    for tree in range(trees):
        size = max(size, starts[tree + 1] - starts[tree])
    nodes, lengths, chosen = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    for tree in range(trees):
        start = starts[tree]
        for i in range(n):
            for j in range(len(background)):
                nodes[0], lengths[0], chosen[0] = start, 0, -1
                waiting, length, towards = 1, 0, 0
                while waiting > 0:
                    waiting -= 1
                    node = nodes[waiting]
                    while length > lengths[waiting]:
                        length -= 1
                        towards -= side[path[length]] == 1
                        side[path[length]] = 0
                    if chosen[waiting] >= 0:
                        side[chosen[waiting]], path[length] = 2, chosen[waiting]
                        length += 1
                    while feature[node] >= 0:
                        f = feature[node]
                        with_row = node + 1 if rows[i, f] <= threshold[node] else start + right[node]
                        without = node + 1 if background[j, f] <= threshold[node] else start + right[node]
                        if with_row != without and side[f] == 0:
                            nodes[waiting], lengths[waiting], chosen[waiting] = without, length, f
                            waiting += 1
                            side[f], path[length] = 1, f
                            length += 1
                            towards += 1
                        node = without if side[f] == 2 else with_row
                    leaf, against = np.float64(threshold[node]), length - towards
                    for step in range(length):
                        if side[path[step]] == 1:
                            result[i, path[step]] += leaf * weights[towards, against]
                        else:
                            result[i, path[step]] -= leaf * weights[against, towards]
                while length > 0:
                    length -= 1
                    side[path[length]] = 0
    return result / (trees * len(background))
