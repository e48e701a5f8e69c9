"""Whether what was measured of a candidate lies in a wanted range: values, limits, and the conditions of both."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from matloop.data.properties.conditions import CONDITIONS
from matloop.data.records.contents import values_table
from matloop.data.records.database import RecordsDatabase

Conditions = Mapping[str, Mapping[str, float]]
"""Value of each condition, by property."""

_NEAR = 0.05
"""Relative distance up to which a value counts as measured under the wanted conditions."""


class ValueFound(NamedTuple):
    """A value of a property, or a limit of it.

    Attributes:
        value: In the unit of the property.
        relation: ``=``, ``~``, or ``<`` and ``>`` for a limit.
        conditions: Conditions that it states.
    """

    value: float
    relation: str
    conditions: Mapping[str, float] = {}


def values_by_candidate(
    database: RecordsDatabase, properties: Sequence[str], *, laboratory: str = ""
) -> defaultdict[tuple[str, str], list[ValueFound]]:
    """Values and limits that count now, by candidate and property, in the order of import.

    Args:
        database: The records.
        properties: Names of the properties.
        laboratory: Whose values; those of all laboratories if empty.
    """
    found = defaultdict[tuple[str, str], list[ValueFound]](list)
    for row in values_table(database, properties).to_pylist() if properties else ():
        if not laboratory or row["laboratory"] == laboratory:
            stated = {name: row.get(one.column) for name, one in CONDITIONS.items()}
            conditions = {name: value for name, value in stated.items() if value is not None}
            found[row["candidate_id"], row["property"]].append(ValueFound(row["value"], row["relation"], conditions))
    return found


def is_met(values: Sequence[ValueFound], ends: tuple[float, float], at: Mapping[str, float]) -> bool | None:
    """Whether the mean of the replicates of a property lies in a range; None where that is not known.

    Values that state other conditions than those wanted say nothing. Where the campaign wants none, or values state
    more of them, those count that were measured under the conditions that came first.

    Args:
        values: What was measured, in the order in which it came.
        ends: Lower and upper end of the range; nan where none is known.
        at: Conditions under which the property is wanted.

    >>> at_least = (3.0, math.inf)
    >>> is_met([ValueFound(2.0, "="), ValueFound(5.0, "=")], at_least, {})
    True
    >>> is_met([ValueFound(0.1, "<")], at_least, {}), is_met([ValueFound(9.0, "<")], at_least, {})
    (False, None)
    >>> is_met([ValueFound(5.0, "=", {"temperature": 900.0})], at_least, {"temperature": 300.0}) is None
    True
    """
    comparable = [
        one for one in values
        if all(math.isclose(one.conditions.get(name, value), value, rel_tol=_NEAR) for name, value in at.items())
    ]  # fmt: skip
    others = [{key: value for key, value in one.conditions.items() if key not in at} for one in comparable]
    replicates = [one for one, stated in zip(comparable, others, strict=True) if stated == others[0]]
    exact = [one.value for one in replicates if one.relation in "=~"]
    low, high = ends
    if math.isnan(low) or math.isnan(high):
        return None
    if exact:
        return low <= float(np.mean(exact)) <= high
    below = min((one.value for one in replicates if one.relation == "<"), default=math.inf)
    above = max((one.value for one in replicates if one.relation == ">"), default=-math.inf)
    if below <= low or above >= high:
        return False
    return True if above >= low and below <= high else None
