"""The stretch of a property that the run report shows, and how values are spread over it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import property_column
from matloop.screening.report.batch_columns import numbers
from matloop.screening.runs.run_view import RunView

DENSITY_BINS = 60
_PLOTLY_TICKS = ((1.0, "D1"), (2.5, "D2"), (math.inf, 1))
"""Decades up to which ticks stand at all digits, at 1, 2 and 5, and at powers of ten only."""


class Axis(NamedTuple):
    """The stretch of a property that is shown, the same wherever the property is drawn.

    Attributes:
        low: Left end, in the property's unit.
        high: Right end.
        log: Whether the scale is logarithmic.
    """

    low: float
    high: float
    log: bool

    def position(self, value: float) -> float:
        """Place of a value between 0 (left end) and 1 (right end), cut off there."""
        return min(max(float(self.scaled(value)), 0.0), 1.0)

    def scaled(self, values: Any) -> Any:
        """Places of values, left end 0 and right end 1."""
        if not self.log:
            return (np.asarray(values, np.float64) - self.low) / (self.high - self.low)
        safe = np.maximum(np.asarray(values, np.float64), np.finfo(float).tiny)
        return np.log10(safe / self.low) / math.log10(self.high / self.low)

    def ticks(self) -> list[float]:
        """Some round values within, on a logarithmic axis too short for 1, 2 and 5 those of a linear one."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            all_ticks = [
                m * 10.0**power for power in powers for m in (1, 2, 5) if self.low <= m * 10.0**power <= self.high
            ]
            decades = [tick for tick in all_ticks if math.log10(tick).is_integer()]
            if len(all_ticks) >= 3:
                return decades if len(decades) >= 3 else all_ticks
        rough = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(rough))
        step = min((1, 2, 2.5, 5, 10), key=lambda m: abs(m * unit - rough)) * unit
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(k * step, 12) for k in range(first, last + 1)]

    def plotly(self) -> dict[str, Any]:
        """Scale, ends and ticks as plotly wants them."""
        if not self.log:
            return {"type": "linear", "range": [self.low, self.high]}
        ends = [math.log10(self.low), math.log10(self.high)]
        spacing = next(spacing for decades, spacing in _PLOTLY_TICKS if ends[1] - ends[0] <= decades)
        return {"type": "log", "range": ends, "dtick": spacing}


def property_axis(run: RunView, name: str) -> Axis:
    """The stretch that shows most of the training data, the ranked values, shortlisted intervals and what is wanted.

    Args:
        run: The run.
        name: Property.
    """
    training = run.held_out[name].target if name in run.held_out else np.empty(0)
    ranked = numbers(run.ranked, property_column(name, "pred"))
    shown = np.concatenate(
        [
            np.quantile(training, (0.02, 0.95)) if len(training) else [],
            ranked,
            numbers(run.shortlisted, property_column(name, "lo")),
            numbers(run.shortlisted, property_column(name, "hi")),
            [end for end in run.ranges[name] if end is not None],
        ]
    )
    shown = shown[np.isfinite(shown)]
    log = run.on_log_scale(name) and bool((shown > 0).any())
    if log:
        shown = np.log10(shown[shown > 0])
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    if log:
        return Axis(10 ** (low - margin), 10 ** (high + margin), log)
    # Close to a physical bound only a sliver beyond it is shown, so that points on the bound stay whole.
    bound = property_named(name).lower
    start = max(low - margin, bound - 0.015 * (high - low + margin)) if low >= bound else low - margin
    return Axis(start, high + margin, log)


def density(values: NDArray[np.float64], axis: Axis) -> NDArray[np.float64]:
    """Smoothed density of values along an axis, highest point 1, shape (DENSITY_BINS,)."""
    counts, _ = np.histogram(axis.scaled(values), bins=DENSITY_BINS, range=(0, 1))
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.3) ** 2)
    smooth = np.convolve(np.pad(counts, 4, mode="edge"), kernel / kernel.sum(), mode="valid")
    return smooth / smooth.max() if smooth.max() > 0 else smooth
