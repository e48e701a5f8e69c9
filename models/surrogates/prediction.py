"""Predictions of a surrogate for candidates, with their full predictive distributions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.properties.definition import Transform
from matloop.models.surrogates.calibration import Calibration

_SEARCH = 12.0  # widths of the predictive distribution to look at on either side
_STEPS = 241
_TAIL = 0.05  # of a 90 % interval, on either side
_SMALLEST = 1e-12


def forward(values: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """Convert values of the property to the scale of the model; values without a log10 become minus infinity."""
    if transform == "identity":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log10(values), -np.inf)


def backward(values: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """Convert values on the scale of the model to the property."""
    return values if transform == "identity" else np.power(10.0, values)


@dataclass(frozen=True)
class Prediction:
    """Predictions for n candidates; every number is nan where ``codes`` says why there is none.

    Attributes:
        centre: Ensemble mean on the model scale, to which features contribute; see :attr:`median`, shape (n,).
        scale: Width of the predictive distribution on the model scale, shape (n,).
        in_domain: Whether the candidate is close to the training data, shape (n,); False where not predicted.
        codes: Row code of each candidate that was not predicted, empty otherwise, shape (n,).
        calibration: Distribution of standardised residuals.
        transform: How the model scale came from the property.
        bounds: Physically possible values; median and interval are clipped to them.
        bins: Bin of the calibration each candidate belongs to, shape (n,), or one for all.
        met: Probability of lying in ``wanted`` by a classifier, shape (n,); None where there is no classifier.
        wanted: Range the classifier was trained for, in the property's unit.
        computed: In a transfer, what the model of computed values says, in the property's unit, shape (n,).
        insulator: Probability that the candidate has a value at all, shape (n,), where the training rows all had one
            and candidates may not: a metal has no band gap. Without a value it counts as lying on the lower bound. All
            numbers for people speak of both cases together; centre, scale and ``met`` of a candidate with a value. None
            where this is not asked.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    codes: NDArray[np.str_]
    calibration: Calibration
    transform: Transform
    bounds: tuple[float, float]
    bins: NDArray[np.int64] | int = 0
    met: NDArray[np.float64] | None = None
    wanted: tuple[float, float] | None = None
    computed: NDArray[np.float64] | None = None
    insulator: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[np.int64]) -> Prediction:
        """Return the predictions of some of the candidates."""
        return replace(
            self, centre=self.centre[rows], scale=self.scale[rows], in_domain=self.in_domain[rows],
            codes=self.codes[rows], bins=self.bins if isinstance(self.bins, int) else self.bins[rows],
            met=None if self.met is None else self.met[rows],
            computed=None if self.computed is None else self.computed[rows],
            insulator=None if self.insulator is None else self.insulator[rows],
        )  # fmt: skip

    def without(self, rows: NDArray[np.bool_], code: str) -> Prediction:
        """Return the predictions without the numbers of some rows (n,), which get a row code if they have none yet."""
        codes = np.where(rows & (self.codes == ""), code, self.codes)
        return replace(
            self, centre=np.where(rows, np.nan, self.centre), scale=np.where(rows, np.nan, self.scale),
            in_domain=self.in_domain & ~rows, codes=codes,
            met=None if self.met is None else np.where(rows, np.nan, self.met),
            computed=None if self.computed is None else np.where(rows, np.nan, self.computed),
        )  # fmt: skip

    @property
    def median(self) -> NDArray[np.float64]:
        """Predicted value in the property's unit, shape (n,): the middle of each predictive distribution.

        It is the value that is shown to people, since it agrees with what stands beside it: the probability of lying
        above a threshold is more than one half just where the median lies above the threshold, and every interval holds
        the median. The mean of the ensemble (``centre``) does neither where its errors on held-out formulas are skewed.
        Among all values the median has the least mean absolute error.

        Where a candidate has no value with one half or more, the median lies on the lower bound.
        """
        if self.insulator is None:
            return self._value(
                self.centre + self.scale * self.calibration.inverse(np.full_like(self.centre, 0.5), self.bins)
            )
        rest = 0.5 - (1 - self.insulator)
        share = np.clip(rest / np.maximum(self.insulator, _SMALLEST), _SMALLEST, 0.5)
        value = self._value(self.centre + self.scale * self.calibration.inverse(share, self.bins))
        return np.where(np.isnan(value) | (rest > 0), value, self.bounds[0])

    @property
    def scaled_median(self) -> NDArray[np.float64]:
        """The median on the scale of the model, shape (n,)."""
        return np.where(np.isnan(self.centre), np.nan, forward(self.median, self.transform))

    @property
    def with_a_value(self) -> Prediction:
        """Predictions under the condition that each candidate has a value at all: of a gap, that it is no metal."""
        return replace(self, insulator=None)

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Half the width of the central 68.3 % interval in the property's unit, shape (n,)."""
        return (self.quantile(0.8413) - self.quantile(0.1587)) / 2

    def quantile(self, probability: float) -> NDArray[np.float64]:
        """Quantile of each predictive distribution in the property's unit, shape (n,)."""
        if self.insulator is None:
            return self._value(self.centre + self.scale * self.calibration.quantile(probability)[self.bins])
        rest = probability - (1 - self.insulator)  # of the distribution of candidates with a value
        share = np.clip(rest / np.maximum(self.insulator, _SMALLEST), 0.0, 1.0)
        value = self._value(self.centre + self.scale * self.calibration.quantiles(share, self.bins))
        return np.where(np.isnan(value) | (rest > 0), value, self.bounds[0])

    def interval(self, level: float = 0.9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the equal-tailed interval holding the truth with probability ``level``."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def relative_error(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Truth minus prediction over half the width of the 90 % interval, both on the model scale, shape (n,).

        Args:
            target: True values in the property's unit, shape (n,).
        """
        return (forward(np.asarray(target, float), self.transform) - self.centre) / self._half_width

    def interval_of_errors(self, lower: float, upper: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends of the interval in which :meth:`relative_error` lies between two values, each (n,).

        Errors are those of rows with a value. Where a candidate has none with 5 % or more, the interval begins at the
        lower bound.
        """
        low, high = (self._value(self.centre + error * self._half_width) for error in (lower, upper))
        if self.insulator is None:
            return low, high
        return np.where(np.isnan(low) | (1 - self.insulator < _TAIL), low, self.bounds[0]), high

    def probability_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Probability that the property lies in [lower, upper] (its unit; infinite ends allowed), shape (n,).

        A classifier gives the probability where there is one. Values beyond a physical bound count as lying on it, as
        in :meth:`quantile`.

        Raises:
            ModelError: If the classifier was trained for another range.
        """
        chance = self._probability_with_a_value(lower, upper)
        if self.insulator is None:
            return chance
        return self.insulator * chance + (1 - self.insulator) * (lower <= self.bounds[0] <= upper)

    def _probability_with_a_value(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Probability that a candidate with a value lies in [lower, upper], shape (n,)."""
        if self.met is not None:
            if (lower, upper) != self.wanted:
                raise ModelError(
                    f"a probability of lying in [{lower:g}, {upper:g}]", f"{self.wanted}, which the classifier knows",
                    "train it for that range",
                )  # fmt: skip
            return self.met
        least, most = self.bounds
        if upper < least or lower > most:
            return np.where(np.isnan(self.centre), np.nan, 0.0)
        ends = -np.inf if lower <= least else lower, np.inf if upper >= most else upper
        return self._cumulative(ends[1]) - self._cumulative(ends[0], below=True)  # both ends belong to the range

    @property
    def _half_width(self) -> NDArray[np.float64]:
        return self.scale * ((self.calibration.quantile(0.95) - self.calibration.quantile(0.05)) / 2)[self.bins]

    def _value(self, model_scale: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(backward(model_scale, self.transform), *self.bounds)

    def _cumulative(self, threshold: float, *, below: bool = False) -> NDArray[np.float64]:
        """Probability of a value of at most the threshold, or below it, shape (n,)."""
        if np.isinf(threshold):
            return np.where(np.isnan(self.centre), np.nan, float(threshold > 0))
        on_scale = forward(np.array([threshold]), self.transform)[0]
        return self.calibration.cumulative((on_scale - self.centre) / self.scale, self.bins, below=below)


def value_at_probability(
    prediction: Prediction, row: int, *, ends: tuple[float, float], probability: float
) -> float | None:
    """Find the predicted value, nearest to the present one, at which the probability would reach a given one.

    The width of the predictive distribution stays the same.

    Args:
        prediction: Of n candidates.
        row: Which of them.
        ends: Wanted range, in the property's unit.
        probability: Of lying in the range.

    Returns:
        The value in the property's unit; None if no value reaches the probability, or if a classifier gives the
        probability.
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
    return float(_shifted(prediction, row, np.array([min(found)[1]])).median[0])


def _shifted(prediction: Prediction, row: int, centres: NDArray[np.float64]) -> Prediction:
    """Move the predictive distribution of one row to other centres."""
    n = len(centres)
    bins = prediction.bins if isinstance(prediction.bins, int) else np.full(n, prediction.bins[row])
    return replace(
        prediction, centre=centres, scale=np.full(n, prediction.scale[row]), bins=bins,
        in_domain=np.full(n, prediction.in_domain[row]), codes=np.full(n, ""),
        insulator=None if prediction.insulator is None else np.full(n, prediction.insulator[row]),
    )  # fmt: skip
