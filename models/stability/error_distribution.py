"""How wrong the predictions of a potential are, by kind of chemistry and, where it pays, near a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.properties.catalogue import property_named
from matloop.models.stability.local_prediction import LocalPrediction

NEIGHBOURS = 300
"""Crystals that say how wrong a prediction is; 300 of them place the ends of a 90 % interval to 2 %."""
FEWEST = 100
"""A kind of chemistry with fewer crystals has the errors of all of them."""
_ANIONS = (1, 7, 9, 15, 16, 17, 33, 34, 35, 52, 53)  # H, N, P, As, chalcogens and halogens


def kinds_of_chemistry(compositions: Compositions) -> NDArray[np.int64]:
    """Return 0 for compositions with oxygen, 1 for those with another anion and 2 for metals, shape (n,)."""
    holds = compositions.element_mask()
    return np.where(holds[:, 8], 0, np.where(holds[:, _ANIONS].any(axis=1), 1, 2))


@dataclass(frozen=True)
class NearbyValues:
    """What has been found near a place, as a distribution for another one.

    Attributes:
        places: Where m values were found, ascending, shape (m,).
        values: The values, shape (m,).
        width: How many of the nearest speak for a place.
    """

    places: NDArray[np.float64]
    values: NDArray[np.float64]
    width: int

    @classmethod
    def of(cls, places: NDArray[np.float64], values: NDArray[np.float64], width: int) -> NearbyValues:
        """Keep the pairs without nan, in any order, shape (n,) each; at most ``width`` of them speak for a place."""
        known = np.flatnonzero(~np.isnan(places + values))
        order = known[np.argsort(places[known], kind="stable")]
        return cls(places[order], values[order], min(width, len(order)))

    def around(self, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values found nearest to n places, ascending, shape (n, width); zeros where none was ever found.

        >>> NearbyValues.of(np.array([3.0, 1.0, 2.0]), np.array([0.3, 0.1, 0.2]), 2).around(np.array([0.0, 2.9]))
        array([[0.1, 0.2],
               [0.2, 0.3]])
        """
        if not self.width:
            return np.zeros((len(asked), 1))
        # The nearest of sorted places are a window; it is centred on the place and pushed inside at the ends.
        at = np.searchsorted(self.places, np.nan_to_num(asked)) - self.width // 2
        first = np.clip(at, 0, len(self.places) - self.width)
        return np.sort(self.values[first[:, None] + np.arange(self.width)], axis=1)


@dataclass(frozen=True)
class ErrorDistribution:
    """Predictions of m crystals and how wrong they were.

    Attributes:
        predicted: Predictions in eV/atom, ascending, shape (m,).
        residuals: Truth minus prediction, shape (m,).
        rows: Of the crystals, shape (m,).
        kinds: Kind of chemistry of each, shape (m,).
        local: Whether the crystals with the nearest predictions speak for a candidate, or all. The nearest ones carry
            over how often crystals like these are stable: they are right where candidates are drawn as these crystals
            were. All of them carry over the errors alone.
    """

    predicted: NDArray[np.float64]
    residuals: NDArray[np.float64]
    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    local: bool

    @classmethod
    def of(
        cls, predicted: NDArray[np.float64], truth: NDArray[np.float64], compositions: Compositions, *, local: bool
    ) -> ErrorDistribution:
        """Keep the rows with a prediction and a truth, shape (n,) each."""
        rows = np.flatnonzero(np.isfinite(predicted - truth))
        rows = rows[np.argsort(predicted[rows], kind="stable")]
        kinds = kinds_of_chemistry(compositions.take(rows))
        return cls(predicted[rows], (truth - predicted)[rows], rows, kinds, local)

    def around(
        self, name: str, values: NDArray[np.float64], compositions: Compositions, codes: NDArray[np.str_]
    ) -> LocalPrediction:
        """Predict a property of n candidates.

        Args:
            name: Of the property.
            values: By the potential, nan where there is none, shape (n,).
            compositions: Of the candidates.
            codes: Why there is no value, empty where there is one, shape (n,).
        """
        return self._predict(name, values, kinds_of_chemistry(compositions), codes)

    def _predict(
        self, name: str, values: NDArray[np.float64], kinds: NDArray[np.int64], codes: NDArray[np.str_]
    ) -> LocalPrediction:
        k = min(NEIGHBOURS, len(self.predicted))
        residuals = np.zeros((len(values), k))
        for kind in np.unique(kinds).tolist():
            rows = np.flatnonzero(kinds == kind)
            like = np.flatnonzero(self.kinds == kind)
            like = like if len(like) >= FEWEST else np.arange(len(self.predicted))
            residuals[rows] = self._nearest(like, values[rows], k)
        bounds = property_named(name)
        return LocalPrediction(values, residuals, codes, (bounds.lower, bounds.upper))

    def around_themselves(self, name: str) -> LocalPrediction:
        """Predict the crystals themselves, each with its own error among those that speak for it."""
        return self._predict(name, self.predicted, self.kinds, np.full(len(self.predicted), ""))

    def _nearest(self, like: NDArray[np.int64], values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """Return k residuals for each value, ascending, from those of the rows ``like``."""
        width = min(k, len(like))
        if not self.local:
            shares = (np.arange(k) + 0.5) / k
            return np.broadcast_to(np.quantile(self.residuals[like], shares), (len(values), k))
        nearest = NearbyValues(self.predicted[like], self.residuals[like], width).around(values)
        return nearest[:, np.arange(k) * width // k]
