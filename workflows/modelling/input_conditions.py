"""Conditions of the rows of an input: from its columns of that name, or those that a model is asked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.own_labels.label_cells import read_label, unit_in_header
from matloop.data.properties.conditions import unit_of_condition
from matloop.models.surrogates.surrogate import Surrogate


def columns_of_conditions(columns: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """Return the column of each condition that an input has one of: its name, with a unit in brackets or without.

    >>> columns_of_conditions(["formula", "Temperature (°C)", "pressures"], ["temperature", "pressure"])
    {'temperature': 'Temperature (°C)'}
    """
    stems = {column.split("(")[0].strip().casefold().replace(" ", "_"): column for column in reversed(columns)}
    return {name: stems[name] for name in names if name in stems}


def conditions_of_rows(
    surrogate: Surrogate, given: pa.Table, rows: NDArray[np.int64], *, fixed: Collection[str]
) -> dict[str, NDArray[np.float64]]:
    """Return the conditions of some rows of an input, by name; empty where the labels of the model vary in none.

    Args:
        surrogate: The surrogate, at the conditions of rows without any.
        given: Columns of the input.
        rows: The k rows that are predicted.
        fixed: Conditions that hold for all rows, whatever the columns say.

    Returns:
        Values in the unit in which each is stored, nan where a cell is none, each (k,).

    Raises:
        ModelError: If neither the input nor the model states a condition.
        UnitError: If the unit in the name of a column measures something else.
    """
    varied = [one.condition for one in surrogate.conditions if one.is_feature]
    columns = columns_of_conditions(given.column_names, [one.name for one in varied if one.name not in fixed])
    found: dict[str, NDArray[np.float64]] = {}
    for one in varied:
        if one.name in columns:
            unit = unit_of_condition(one.name, unit_in_header(columns[one.name]) or one.unit)
            cells = given.column(columns[one.name]).take(pa.array(rows)).to_pylist()
            texts = ["" if cell is None else str(cell) for cell in cells]
            found[one.name] = np.array([read_label(text, unit, one.unit).value for text in texts])
        elif surrogate.asked is not None:
            found[one.name] = np.full(len(rows), surrogate.asked[one.name])
    return found
