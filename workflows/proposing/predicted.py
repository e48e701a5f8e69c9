"""Predictions of a target as a run writes them, on the scale and in the units by which batches are chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import RunError
from matloop.models.acquisition.batch import Prospects
from matloop.models.acquisition.outlook import TargetOutlook
from matloop.models.surrogates.prediction import forward
from matloop.screening.runs.run_view import RunView

HALF_WIDTH = 1.6448536269514722
"""Standard deviations of a normal distribution to the end of a 90 % interval."""


class WantedTarget(NamedTuple):
    """A target as batches are chosen by it, on the scale of its model.

    Attributes:
        name: The property.
        lower: Lower end of the wanted range.
        upper: Upper end.
        spread: Standard deviation of the labels.
        on_log_scale: Whether the model works on the decimal logarithm.
    """

    name: str
    lower: float
    upper: float
    spread: float
    on_log_scale: bool


class PredictedColumns(NamedTuple):
    """Predictions of n candidates in the unit of the property.

    Attributes:
        value: Predicted values.
        sigma: Half the width of the central 68.3 % interval.
        low: Lower end of the 90 % interval.
        high: Upper end.
    """

    value: NDArray[np.float64]
    sigma: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def shown(self) -> NDArray[np.float64]:
        """Value and both ends of the interval, as people are shown them, shape (n, 3)."""
        return np.column_stack([self.value, self.low, self.high])


class Scores(NamedTuple):
    """What is said of n candidates of a pool.

    Attributes:
        prospects: By which a batch is chosen; they take distributions as normal ones.
        shown: Of each target the calibrated value and 90 % interval in the unit of the property, shape (n, t, 3).
        stated: Probability of meeting all targets that evidence supports, for people, shape (n,); nan where none is
            known. The prospects hold it without caps, which order candidates.
    """

    prospects: Prospects
    shown: NDArray[np.float64]
    stated: NDArray[np.float64]


def wanted_targets(view: RunView) -> tuple[WantedTarget, ...]:
    """The targets of a run.

    Raises:
        RunError: If a target is not limited on either side.
    """
    found = []
    for target in view.campaign.targets:
        name, transform = target.property, target.scale()
        stated = view.ranges[name]
        ends = [
            np.array([end if end is not None else sign * np.inf]) for end, sign in zip(stated, (-1, 1), strict=True)
        ]
        lower, upper = (float(forward(end, transform)[0]) for end in ends)
        if np.isinf(lower) and np.isinf(upper):
            raise RunError(f"the run does not say which range of {name} is wanted", "a run of this version")
        held = view.held_out.get(name)
        labels = forward(held.target, transform) if held is not None else np.empty(0)
        spread = float(np.std(labels[np.isfinite(labels)])) if len(labels) else 0.0
        found.append(WantedTarget(name, lower, upper, spread or 1.0, transform == "log10"))
    return tuple(found)


def outlook_of(target: WantedTarget, columns: PredictedColumns) -> TargetOutlook:
    """The outlook of a target on the scale of its model."""
    mean, sigma = on_logarithms(*columns) if target.on_log_scale else (columns.value, columns.sigma)
    return TargetOutlook(mean, sigma, target.lower, target.upper, target.spread)


def on_logarithms(
    value: NDArray[np.float64], sigma: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the decimal logarithm of predictions, from their 90 % intervals, each (n,).

    >>> [found.round(4) for found in on_logarithms(*(np.array([value]) for value in (10.0, 5.0, 1.0, 100.0)))]
    [array([1.]), array([0.608])]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        width = (np.log10(high) - np.log10(low)) / 2 / HALF_WIDTH
        centre = np.log10(value)
        return centre, np.where(np.isfinite(width), width, sigma / value / np.log(10))
