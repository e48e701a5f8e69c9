"""A filter by a value that the source of a candidate states, such as one's own energy above the hull."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.errors import CampaignError
from matloop.data.label import Label
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import property_column
from matloop.data.properties.units import convert
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.combined import COMBINED_WORDS, NEGATED, Answer, Predicate, reasons_where

STATED_VALUE = "R-FILTER-STATED-VALUE"
"""The stated value lies beyond a limit; the value has the unit of the property, which the limit tells."""
NOT_STATED = "R-FILTER-NOT-STATED"
"""The source states no value of the property."""


class StatedValue(Predicate):
    """Keep candidates for which a value of a property is known beforehand and lies within limits.

    The value is the one that a source states, in a column such as ``band_gap_exp`` or ``energy_above_hull_dft``, or
    that the ``hull`` of the campaign gives. Nothing is predicted.

    Args:
        property: Name of the property.
        unit: Unit of the limits; by default that of the property.
        at_least: Smallest value.
        at_most: Largest value.
        kind: ``dft`` for computed values, ``exp`` for measured ones.

    Raises:
        CampaignError: If no limit is given, or the smallest value is larger than the largest.
        UnknownNameError: For an unknown property or unit.
        UnitError: If the unit measures another quantity.
    """

    name = "stated_value"
    reason_words: ClassVar[Mapping[str, Label]] = {
        STATED_VALUE: Label("stated value not {limit}", "已知数值不满足 {limit}"),
        NOT_STATED: Label("no stated value of {value}", "缺少 {value} 的已知数值"),
        NEGATED: COMBINED_WORDS[NEGATED],
    }

    def __init__(
        self, property: str, *, unit: str | None = None, at_least: float | None = None, at_most: float | None = None,
        kind: Literal["dft", "exp"] = "dft",
    ) -> None:  # fmt: skip
        known = property_named(property)
        low, high = (
            None if end is None else convert(end, unit or known.unit, known.unit) for end in (at_least, at_most)
        )
        if (low is None and high is None) or (low is not None and high is not None and low > high):
            raise CampaignError(
                f"stated_value of {property} from {at_least} to {at_most}", "at least one limit, the smaller one first",
                "write stated_value: {property: energy_above_hull, at_most: 50, unit: meV/atom}, for example",
            )  # fmt: skip
        self.property_name, self.unit = property, known.unit
        self.low, self.high = -np.inf if low is None else low, np.inf if high is None else high
        self.kind, self.column = kind, property_column(property, kind)

    def __str__(self) -> str:
        limits = (("at_least", self.low), ("at_most", self.high))
        ends = [f"{name}={end:.6g}" for name, end in limits if np.isfinite(end)]
        measured = ["kind=exp"] * (self.kind == "exp")
        return f"{self.name}({', '.join([self.property_name, *ends, *measured])})"

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates have a stated value within the limits; unknown where none is stated."""
        values = self._values(batch)
        met = (values >= self.low) & (values <= self.high)
        text = str(self)

        def against(row: int) -> Reason:
            value = float(values[row])
            return (
                Reason(NOT_STATED, self.property_name) if np.isnan(value) else Reason(STATED_VALUE, value, self._limits)
            )

        within = reasons_where(met, lambda row: Reason(NEGATED, float(values[row]), text))
        return Answer(met, np.isnan(values), reasons_where(~met, against), within)

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("stated value", "已知数值")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say which value passes which limits."""
        (value,) = self._values(finalist)
        words = property_named(self.property_name)
        return Label(
            f"{words.label_en} {value:.4g} {self.unit} as stated; {self._limits} passes",
            f"已知{words.label_zh} {value:.4g} {self.unit}；要求 {self._limits}",
        )

    @property
    def _limits(self) -> str:
        ends = ((f"≥ {self.low:.4g}", self.low), (f"≤ {self.high:.4g}", self.high))
        return f"{', '.join(text for text, end in ends if np.isfinite(end))} {self.unit}"

    def _values(self, batch: CandidateBatch) -> NDArray[np.float64]:
        if self.column not in batch.table.column_names:
            return np.full(len(batch), np.nan)
        return np.asarray(batch.table.column(self.column).to_numpy(), np.float64)
