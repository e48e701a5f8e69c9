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
_MOST_DECADES = 7  # powers of ten that are marked on one axis; of more, every second or third is
_SMALLEST_PLAIN, _LARGEST_PLAIN = 1e-4, 1e6
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
        """Some round values within: at most eight or so.

        A logarithmic axis has powers of ten if there are three of them, and otherwise 1, 2 and 5 times powers of ten.
        One that is too short for that has those of a linear axis.
        """
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [(m, m * 10.0**power) for power in powers for m in (1, 2, 5)]
            inside = [(m, value) for m, value in values if self.low <= value <= self.high]
            decades = [value for m, value in inside if m == 1]
            if len(decades) >= 3:
                return decades[:: math.ceil(len(decades) / _MOST_DECADES)]
            if len(inside) >= 3:
                return [value for _, value in inside]
        rough = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(rough))
        step = min((1, 2, 2.5, 5, 10), key=lambda m: abs(m * unit - rough)) * unit
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{k * step:.12g}") for k in range(first, last + 1)]

    def labelled_ticks(self) -> list[tuple[float, str]]:
        """Each tick with its text; all are written in full, or all with powers of ten."""
        ticks = self.ticks()
        in_full = all(tick == 0 or _SMALLEST_PLAIN <= abs(tick) < _LARGEST_PLAIN for tick in ticks)
        return [(tick, _in_full(tick) if in_full else _with_power(tick)) for tick in ticks]

    def plotly(self) -> dict[str, Any]:
        """Scale, ends and ticks as plotly wants them."""
        ticks = self.labelled_ticks()
        ends = [math.log10(self.low), math.log10(self.high)] if self.log else [self.low, self.high]
        return {
            "type": "log" if self.log else "linear", "range": ends, "tickmode": "array",
            "tickvals": [tick for tick, _ in ticks], "ticktext": [text for _, text in ticks],
            # What the page falls back on when a reader zooms in: whole numbers instead of the last digit alone.
            "tickformat": ",.6~r",
        }  # fmt: skip


def _in_full(value: float) -> str:
    """A number with all its digits.

    >>> [_in_full(value) for value in (-0.05, 20.0, 250000.0)]
    ['−0.05', '20', '250,000']
    """
    decimals = f"{abs(value):.12f}".rstrip("0").partition(".")[2]
    return f"{value:,.{len(decimals)}f}".replace("-", "−")


def _with_power(value: float) -> str:
    """A number as a multiple of a power of ten; 0, 1 and 10 as they are.

    >>> [_with_power(value) for value in (1.0, 2e-7, -2.5e6, 1e9)]
    ['1', '2×10⁻⁷', '−2.5×10⁶', '10⁹']
    """
    if value in (0, 1, 10):
        return f"{value:.0f}"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    factor = f"{value / 10.0**power:.4g}".replace("-", "−")
    raised = f"10{str(power).translate(_RAISED)}"
    return raised if factor == "1" else f"{factor}×{raised}"


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
