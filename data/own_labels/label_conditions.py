"""Conditions of labels in a file: in which column each stands, in which unit, and which rows are wanted.

A condition without limits teaches: its values become features. One with ``from`` or ``to`` is a filter: rows inside the
limits count as measured under equal conditions, and the others teach nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matloop.data.errors import CampaignError, UnitError, UnknownNameError
from matloop.data.own_labels.label_cells import EMPTY, LabelCell, read_label, unit_of_column
from matloop.data.properties.conditions import Condition, condition_named, unit_of_condition

OUTSIDE, UNREADABLE = "E-LABEL-CONDITION", "E-LABEL-CONDITION-CELL"
_KEYS = ("column", "unit", "from", "to")
_DIGITS = 9
_CELSIUS = re.compile(r"[(\[（/]\s*C\s*(?:[)\]）]|$)|_C$")
"""The end of the name of a column of temperatures in degrees Celsius, as many write it."""

WrittenConditions = Mapping[str, str | Mapping[str, str | float]]
"""Conditions as a campaign writes them: a value with its unit, or column, unit and limits."""


class LabelCondition(NamedTuple):
    """A condition of the labels in a file.

    Attributes:
        condition: The quantity.
        column: Column of its values; empty where all rows have one value.
        unit: Unit of the column and of the limits.
        lowest: Least value of rows that teach, in the unit in which the condition is stored.
        highest: Largest value of rows that teach, likewise.
        constant: Value of all rows, likewise; nan where a column holds the values.
    """

    condition: Condition
    column: str
    unit: str
    lowest: float = -math.inf
    highest: float = math.inf
    constant: float = math.nan

    @property
    def is_filter(self) -> bool:
        """Whether it only chooses rows."""
        return math.isfinite(self.lowest) or math.isfinite(self.highest)

    @property
    def limits(self) -> str:
        """The limits in words."""
        ends = (("from", self.lowest), ("to", self.highest))
        return " ".join(f"{word} {self.condition.write(end)}" for word, end in ends if math.isfinite(end))

    def read(self, text: str) -> tuple[float, str, str]:
        """Read a cell: value in the unit in which the condition is stored, and code and detail where it teaches not.

        >>> LabelCondition(condition_named("temperature"), "T", "°C").read("25")
        (298.15, '', '')
        """
        if not math.isnan(self.constant):
            return self.constant, "", ""
        cell: LabelCell = read_label(text, self.unit, self.condition.unit)
        about = f"the {self.condition.label.en} in column '{self.column}'"
        if cell.code == EMPTY:
            return math.nan, UNREADABLE, f"{about} is empty; write it in every row"
        if cell.code:
            return math.nan, UNREADABLE, f"{about}: {cell.detail}"
        value = float(f"{cell.value:.{_DIGITS}g}")
        if self.condition.scale == "reciprocal" and value <= 0:
            return math.nan, UNREADABLE, f"{about} is {self.condition.write(value)}, which is not possible"
        if not self.lowest <= value <= self.highest:
            return value, OUTSIDE, f"{about} is {self.condition.write(value)}; rows {self.limits} teach"
        return value, "", ""


def label_conditions(written: WrittenConditions | None) -> tuple[LabelCondition, ...]:
    """Read what a campaign says of the conditions of labels.

    Raises:
        CampaignError: If a condition has no column, or the limits are no range.
        UnknownNameError: If a condition, a key or a unit is unknown.
        UnitError: If a unit measures something else than the condition.

    >>> label_conditions({"temperature": {"column": "T (°C)", "from": 20, "to": 30}})[0].limits
    'from 293.15 K to 303.15 K'
    """
    return tuple(_read(condition_named(name), said) for name, said in (written or {}).items())


def _read(condition: Condition, written: str | Mapping[str, str | float]) -> LabelCondition:
    name = condition.name
    if isinstance(written, str):
        return LabelCondition(condition, "", condition.unit, constant=condition.read(written))
    if unknown := [key for key in written if key not in _KEYS]:
        raise UnknownNameError(
            f"unknown key '{unknown[0]}' of the condition {name}", ", ".join(_KEYS), "choose one of the allowed keys"
        )
    column, unit = written.get("column"), written.get("unit")
    if not isinstance(column, str):
        raise CampaignError(
            f"the condition {name} without a column", f"the column of the {condition.label.en}, or one value",
            f"write {name}: {{column: T}} with the name of the column, or {name}: 300 {condition.unit}",
        )  # fmt: skip
    used = _unit(condition, column, None if unit is None else str(unit))
    ends = []
    for key, without in (("from", -math.inf), ("to", math.inf)):
        end = written.get(key)
        if end is not None and (isinstance(end, str) or not math.isfinite(end)):
            raise CampaignError(f"'{key}' of the condition {name} is {end!r}", f"a number, in {used}")
        ends.append(without if end is None else condition.convert(float(end), used))
    if not ends[0] <= ends[1]:
        raise CampaignError(f"the condition {name} with 'from' above 'to'", "from <= to", "swap them")
    return LabelCondition(condition, column, used, *ends)


def _unit(condition: Condition, column: str, stated: str | None) -> str:
    """Return the unit of a column: the one that is stated, or the one in its name, which must not contradict.

    >>> _unit(condition_named("temperature"), "T (C)", None)
    '°C'
    """
    in_header = unit_of_column(column, condition.unit) or (
        "°C" if condition.unit == "K" and _CELSIUS.search(column) else ""
    )
    if stated is None:
        return unit_of_condition(condition.name, in_header or condition.unit)
    used = unit_of_condition(condition.name, stated)
    if in_header and used != unit_of_condition(condition.name, in_header):
        raise UnitError(
            f"the column '{column}' of the {condition.label.en} names {in_header}, and the unit given is {stated}",
            in_header, "give the unit that the values have",
        )  # fmt: skip
    return used


def features_among(conditions: Sequence[LabelCondition]) -> list[int]:
    """Return the places of the conditions whose values teach."""
    return [place for place, one in enumerate(conditions) if not one.is_filter]
