"""Objectives of a ranking as columns of the candidates: what is wanted large or small, with weights and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.errors import unknown_name
from matloop.data.label import Label
from matloop.data.properties.carried import is_property_column
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.units import convert
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.ranking_settings import Objective

SCORES: Mapping[str, Label] = {
    Column.PROBABILITY: Label("probability of all targets", "满足全部目标的概率"),
    Column.MAKEABLE_PROBABILITY: Label("P(makeable phase)", "可制备相概率"),
    Column.SUPPLY_RISK: Label("supply risk", "供应风险"),
    Column.PRICE_PER_KILOGRAM: Label("price of the elements of a kilogram", "每千克元素成本"),
    Column.PRICE_PER_MOLE: Label("price of the elements of a mole", "每摩尔元素成本"),
    Column.CRITICAL_SHARE_EU: Label("mass share of critical elements (EU)", "关键元素质量占比（欧盟）"),
    Column.CRITICAL_SHARE_US: Label("mass share of critical elements (US)", "关键元素质量占比（美国）"),
    Column.RECYCLABILITY: Label("recyclability", "可回收性"),
}
"""Scores of candidates that may be objectives beside properties."""
_UNITS = {str(column): column.unit for column in Column}


@dataclass(frozen=True)
class ObjectiveColumn:
    """An objective, found among the columns of candidates.

    Attributes:
        name: As the campaign names it.
        column: Column of its values.
        unit: Unit of the column.
        is_maximized: Whether large values are wanted.
        weight: How much it counts.
        worst: Value from which on a candidate is worth nothing, in the unit of the column; nan without limits.
        best: Value from which on nothing is gained.
        shape: Exponent between the two.
        sigma: Column of the standard deviations of its values; empty where they are certain.
    """

    name: str
    column: str
    unit: str = "1"
    is_maximized: bool = True
    weight: float = 1.0
    worst: float = np.nan
    best: float = np.nan
    shape: float = 1.0
    sigma: str = ""

    def values(self, table: pa.Table) -> NDArray[np.float64]:
        """Values of the candidates, nan where they are not known, shape (n,)."""
        if self.column not in table.column_names:
            return np.full(table.num_rows, np.nan)
        return np.asarray(table[self.column].to_numpy(), np.float64)

    def deviations(self, table: pa.Table) -> NDArray[np.float64]:
        """Standard deviations of the values, 0 where they are certain, shape (n,)."""
        if self.sigma not in table.column_names:
            return np.zeros(table.num_rows)
        return np.nan_to_num(np.asarray(table[self.sigma].to_numpy(), np.float64))


def objectives_of(campaign: Campaign) -> tuple[ObjectiveColumn, ...]:
    """The objectives of a campaign, in its order.

    Raises:
        UnknownNameError: For a name that no objective has.
        UnitError: For a unit of another quantity.
    """
    return tuple(objective_column(objective, campaign) for objective in campaign.ranking.objectives)


def objective_column(written: Objective, campaign: Campaign) -> ObjectiveColumn:
    """Find the column of an objective.

    Args:
        written: The objective.
        campaign: Names the properties with targets.

    Raises:
        UnknownNameError: For a name that no objective has.
        UnitError: For a unit of another quantity.
    """
    name, wanted = written.name, [target.property for target in campaign.targets]
    if name in wanted:
        known = property_named(name)
        column, sigma, unit = known.column("pred"), known.column("sigma"), known.unit
    elif name in SCORES:
        column, sigma, unit = name, "", _UNITS[name]
    elif is_property_column(name) and name.endswith(("_dft", "_exp")):
        column, sigma, unit = name, "", property_named(name.rpartition("_")[0]).unit
    else:
        raise unknown_name("objective", name, [*wanted, *map(str, SCORES)])
    worst, best = (_in_unit(value, written, unit) for value in (written.worst, written.best))
    return ObjectiveColumn(
        name, column, unit, written.goal == "maximize", written.weight, worst, best, written.shape, sigma
    )


def _in_unit(value: float | None, written: Objective, unit: str) -> float:
    """A limit in the unit of its column; nan without one."""
    return np.nan if value is None or written.unit is None else convert(value, written.unit, unit)


def gains(objectives: tuple[ObjectiveColumn, ...], table: pa.Table) -> NDArray[np.float64]:
    """Values of objectives with the sign that makes larger ones better, shape (n, d); nan where one is not known."""
    columns = [objective.values(table) * (1 if objective.is_maximized else -1) for objective in objectives]
    return np.column_stack(columns) if columns else np.empty((table.num_rows, 0))


def unknown_objectives(objectives: tuple[ObjectiveColumn, ...], table: pa.Table) -> list[str]:
    """Name of the first objective that is not known of each candidate; empty where all are, n of them."""
    found = np.full(table.num_rows, "", object)
    for objective in reversed(objectives):
        found[~np.isfinite(objective.values(table))] = objective.name
    return [str(name) for name in found]
