"""The shortlist as a table for people: place, formula, probability, and the interval of each property."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, Suffix, property_column
from matloop.workflows.terminal_tables import Heading
from matloop.workflows.wording import number_text

_SHOWN: tuple[Suffix, ...] = ("pred", "lo", "hi")


def shortlist_cells(shortlist: Any, properties: Sequence[str]) -> tuple[list[Heading], list[list[str]]]:
    """Headings and cells of the shortlist: place, formula, space group, probability, and each property's interval.

    Where the campaign weighs objectives, their score stands before the probability.
    """
    weighed = Column.TRADEOFF_SCORE in shortlist
    headings = [Heading(""), Heading("formula"), Heading("space group"), *[Heading("score")] * weighed]
    headings.append(Heading("P(all)"))
    for known in map(property_named, properties):
        headings.append(Heading(known.symbol if known.unit == "1" else f"{known.symbol} ({known.unit})"))
    rows = []
    for _, row in shortlist.iterrows():
        numbers = [[row[property_column(name, suffix)] for suffix in _SHOWN] for name in properties]
        values = [f"{number_text(at)} [{_interval(low, high)}]" for at, low, high in numbers]
        values = [f"{told}{_computed(row, name)}" for told, name in zip(values, properties, strict=True)]
        group = row.get(Column.SPACE_GROUP_NUMBER)
        has_group = group is not None and group == group  # nan for a composition among crystals
        cells = [str(row[Column.SHORTLISTED]), row[Column.FORMULA], f"{group:.0f}" if has_group else ""]
        cells += [f"{row[Column.TRADEOFF_SCORE]:.3f}"] if weighed else []
        rows.append([*cells, f"{row[Column.PROBABILITY]:.2f}", *values])
    return headings, rows


def _interval(low: float, high: float) -> str:
    """Both ends, or the lower one where nothing bounds the interval above.

    >>> _interval(0.01, 0.08), _interval(0.01, math.inf)
    ('0.01, 0.08', '≥ 0.01')
    """
    return f"≥ {number_text(low, 2)}" if high == math.inf else f"{number_text(low, 2)}, {number_text(high, 2)}"


def _computed(row: Any, name: str) -> str:
    """The prediction on the computed scale, where that of the property is on the measured one; else empty."""
    value = row.get(property_column(name, "computed"))
    return "" if value is None or value != value else f" computed {number_text(value)}"
