"""Quantities of elements that age: prices, concentration of production, abundance, recycling rates."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.element_facts.fact_tables import FactTable, fact_table
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import DatasetError


class ElementQuantity(NamedTuple):
    """A quantity of the elements.

    Attributes:
        table: The packaged table.
        values: In the unit of the table, by atomic number, nan where nothing is known, shape (119,). Where the source
            tells a range, it is the end that is worse for whoever needs the element: the highest concentration, the
            lowest recycling rate.
        sources: Year and source of each value, by atomic number; empty where nothing is known.
    """

    table: FactTable
    values: NDArray[np.float64]
    sources: tuple[str, ...]

    def with_values(self, values: dict[str, tuple[float, str]]) -> ElementQuantity:
        """The same with other values and sources of some elements.

        Args:
            values: Value in the unit of the table and source, by symbol.
        """
        changed, sources = self.values.copy(), list(self.sources)
        for symbol, (value, source) in values.items():
            changed[ATOMIC_NUMBERS[symbol]], sources[ATOMIC_NUMBERS[symbol]] = value, source
        changed.setflags(write=False)
        return self._replace(values=changed, sources=tuple(sources))


@functools.cache
def element_quantity(name: str) -> ElementQuantity:
    """Read a packaged table of a quantity.

    Raises:
        UnknownNameError: For a name that no table has.
        DatasetError: If the packaged file is not the one that was released, or holds no quantity.

    >>> recycling = element_quantity("recycling_rates")
    >>> float(recycling.values[ATOMIC_NUMBERS["Pb"]]), recycling.sources[ATOMIC_NUMBERS["Pb"]]
    (0.5, '2011')
    """
    table = fact_table(name)
    values, sources = np.full(len(SYMBOLS), np.nan), [""] * len(SYMBOLS)
    try:
        for row in table.rows():
            number = ATOMIC_NUMBERS[row["element"]]
            values[number] = float(row["value"])
            told = [text for text in (row["basis"], row["note"]) if text]
            sources[number] = ", ".join([row["year"], *told])
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{name}.csv holds no quantity: {error}", "a table with a value by element") from error
    values.setflags(write=False)
    return ElementQuantity(table, values, tuple(sources))
