"""Applicability domain: whether a candidate is close enough to the training data of a model.

The surrogate itself handles elements that do not occur in the training data: it does not predict such candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.calibration import DOMAIN_SHARE

_SAVED = "domain_"
_NEIGHBOURS = 5
EXTRAPOLATED = 0.01  # total importance of the features that may lie outside the range of the training rows
_SHORTLIST = 16
_CHUNK = 512  # so that the estimates of a chunk stay in cache


class Distances(NamedTuple):
    """How far rows are from the training rows.

    Attributes:
        mean: Distance to the five nearest on average, shape (n,).
        nearest: Distance to the nearest, shape (n,).
    """

    mean: NDArray[np.float64]
    nearest: NDArray[np.float64]


@dataclass(frozen=True)
class Domain:
    """Domain by the mean distance to the five nearest training rows in weighted features, and by their ranges.

    Features are standardised and weighted by the square root of their importance in the fitted model. The limit is
    the 95th percentile of the same distance among training rows, each measured to rows of other formulas only, or a
    lower one where there is evidence for that (:mod:`matloop.models.surrogates.domain_limit`).
    A candidate is also outside if its features beyond the range of the training rows together have more than 1 % of the
    importance.

    Attributes:
        centre: Mean of each feature, shape (k,).
        weight: Factor of each feature, shape (k,).
        points: Weighted training rows, shape (m, k), float32.
        limit: Largest distance that counts as inside.
        own: Distance of each training row to rows of other formulas, shape (m,).
        ranges: Smallest and largest value of each feature in training, shape (2, k).
        importances: Importance of each feature, shape (k,).
    """

    centre: NDArray[np.float64]
    weight: NDArray[np.float64]
    points: NDArray[np.float32]
    limit: float
    own: NDArray[np.float64]
    ranges: NDArray[np.float64]
    importances: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float64], importances: NDArray[np.float64], groups: NDArray[np.integer]) -> Domain:
        """Learn from training features (m, k), importances (k,) and formula groups (m,)."""
        deviation = values.std(axis=0)
        weight = np.sqrt(importances) / np.where(deviation > 0, deviation, np.inf)
        centre = values.mean(axis=0)
        points = _weighted(values, centre, weight)
        own = _to_nearest(points, points, groups).mean
        ranges = np.stack([values.min(axis=0), values.max(axis=0)])
        return cls(centre, weight, points, float(np.quantile(own, DOMAIN_SHARE)), own, ranges, importances)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its arrays by the names under which they are saved."""
        return {f"{_SAVED}{part.name}": np.asarray(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Domain:
        """Read what :meth:`arrays` returned, among other arrays.

        Raises:
            KeyError: If one is missing.
        """
        found: dict[str, Any] = {part.name: arrays[f"{_SAVED}{part.name}"] for part in fields(cls)}
        return cls(**{**found, "limit": float(found["limit"])})

    def distances(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the mean weighted distance of each row (n, k) to its five nearest training rows, shape (n,)."""
        return self.near(values).mean

    def near(self, values: NDArray[np.float64]) -> Distances:
        """Compute the weighted distances of rows (n, k) to the nearest training rows."""
        return _to_nearest(_weighted(values, self.centre, self.weight), self.points)

    def extrapolated(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum importance of features of each row (n, k) that lie outside the training range, shape (n,), 0 to 1."""
        beyond = (values < self.ranges[0]) | (values > self.ranges[1])
        return np.where(beyond, self.importances, 0.0).sum(axis=1)

    def contains(self, values: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether rows (n, k), with their :meth:`distances`, are inside, shape (n,)."""
        return (distances <= self.limit) & (self.extrapolated(values) <= EXTRAPOLATED)


def _weighted(
    values: NDArray[np.float64], centre: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float32]:
    return ((values - centre) * weight).astype(np.float32)


def _to_nearest(
    rows: NDArray[np.float32], points: NDArray[np.float32], groups: NDArray[np.integer] | None = None
) -> Distances:
    """Compute the distances to the nearest points; if rows are the points, their own groups do not count.

    A matrix product finds a few near points. Its last digits depend on the number of rows, so the exact distances are
    then computed one by one.
    """
    squared, doubled = np.einsum("ij,ij->i", points, points), np.ascontiguousarray(-2 * points.T)
    estimates = np.empty((min(_CHUNK, len(rows)), len(points)), np.float32)
    means, nearest = np.empty((2, len(rows)))
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        estimate = np.matmul(chunk, doubled, out=estimates[: len(chunk)])
        estimate += squared
        if groups is not None:
            estimate[groups[start : start + _CHUNK, None] == groups] = np.inf
        part = slice(start, start + _CHUNK)
        _distances_of(estimate, chunk, points, means[part], nearest[part])
    return Distances(means, nearest)


@numba.njit(cache=True, nogil=True)
def _distances_of(estimate, rows, points, means, nearest):  # type: ignore[no-untyped-def]
    """Exact distances of each row to the nearest of the points whose estimate is smallest; infinite ones too."""
    wanted, kept = min(_NEIGHBOURS, len(points)), min(_SHORTLIST, len(points))
    near, estimated, squared = np.empty(kept, np.int64), np.empty(kept, np.float32), np.empty(kept)
    for i in range(len(rows)):
        held = 0
        for j in range(len(points)):
            if held == kept and not estimate[i, j] < estimated[kept - 1]:
                continue
            at = min(held, kept - 1)
            held = at + 1
            while at > 0 and estimated[at - 1] > estimate[i, j]:
                near[at], estimated[at] = near[at - 1], estimated[at - 1]
                at -= 1
            near[at], estimated[at] = j, estimate[i, j]
        for k in range(kept):
            squared[k] = np.inf if np.isinf(estimated[k]) else 0.0
            for column in range(rows.shape[1]):
                squared[k] += (np.float64(rows[i, column]) - np.float64(points[near[k], column])) ** 2
        squared.sort()
        means[i], nearest[i] = np.sqrt(squared[:wanted]).mean(), np.sqrt(squared[0])
