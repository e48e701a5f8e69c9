"""Distances of all finalists from the hulls as one drawing, a row for each."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column, property_column
from matloop.screening.language.text import formula_markup
from matloop.screening.report.axes import Axis
from matloop.screening.report.batch_columns import numbers

MOST_ROWS = 30
_LEAST_END, _MARGIN = 0.05, 0.06
_KINDS = {"first": Column.HULL_DISTANCE, "second": Column.HULL_DISTANCE_SECOND, "own": Column.HULL_DISTANCE_OWN}
_INTERVAL = tuple(property_column("energy_above_hull", end) for end in ("lo", "hi"))


class HullRow(NamedTuple):
    """One finalist; positions run from 0 to 100.

    Attributes:
        place: On the shortlist.
        formula: Its formula.
        interval: Left and right end of the 90 % interval, which goes to the edge where it is open; None where there is
            none.
        marks: Kind (``first``, ``second``, ``own``) and position of each distance.
    """

    place: int
    formula: Markup
    interval: tuple[float, float] | None
    marks: list[tuple[str, float]]


class HullFigure(NamedTuple):
    """The drawing.

    Attributes:
        rows: One for each finalist, best place first.
        ticks: Position and text of each tick, in eV/atom.
        zero: Position of the hull.
        kinds: Kinds of marks that occur.
    """

    rows: list[HullRow]
    ticks: list[tuple[float, str]]
    zero: float
    kinds: list[str]


def hull_figure(batch: CandidateBatch) -> HullFigure | None:
    """Draw the distances of shortlisted candidates from the hulls; None where there are none.

    Args:
        batch: The shortlisted candidates, best place first; at most the first thirty are drawn.
    """
    batch = batch.take(np.arange(min(len(batch), MOST_ROWS)))
    distances = {kind: numbers(batch, name) for kind, name in _KINDS.items()}
    if not np.isfinite(distances["first"]).any():
        return None
    low, high = (numbers(batch, name) for name in _INTERVAL)
    axis = _axis(np.concatenate([*distances.values(), low, high]))
    places = numbers(batch, Column.SHORTLISTED)
    rows = [
        HullRow(
            int(places[row]), formula_markup(batch.formulas[row]),
            None if np.isnan([low[row], high[row]]).any() else (_at(axis, low[row]), _at(axis, high[row])),
            [(kind, _at(axis, found[row])) for kind, found in distances.items() if math.isfinite(found[row])],
        )
        for row in range(len(batch))
    ]  # fmt: skip
    ticks = [(_at(axis, tick), text) for tick, text in axis.labelled_ticks()]
    kinds = [kind for kind, found in distances.items() if np.isfinite(found).any()]
    return HullFigure(rows, ticks, _at(axis, 0.0), kinds)


def _axis(values: np.ndarray) -> Axis:
    """An axis that holds all values and the hull itself, and is not stretched beyond what is worth telling."""
    shown = values[np.isfinite(values)]
    low, high = min(float(shown.min()), -_LEAST_END), max(float(shown.max()), _LEAST_END)
    margin = _MARGIN * (high - low)
    return Axis(low - margin, high + margin, log=False)


def _at(axis: Axis, value: float) -> float:
    return 100.0 if value == math.inf else round(100 * axis.position(value), 2)
