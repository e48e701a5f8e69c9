"""Lists that name elements: restricted substances, critical raw materials, export controls.

A law names raw materials and substances, not elements. A list says of each element whether every material that holds
it is meant, or only some forms of it: the EU lists titanium *metal*, RoHS restricts chromium of oxidation state six.
A composition does not tell the form. So an element that is listed in some form counts as listed where that is the
careful answer, and a suspended rule counts as a rule: it returns unless somebody prolongs its suspension.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.element_facts.fact_tables import FactTable, fact_table
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import DatasetError

_STATUSES = {"listed": True, "form": False}


class ListEntry(NamedTuple):
    """A line of a list.

    Attributes:
        element: Symbol; empty if the raw material stands for no element.
        every_form: Whether every material that holds the element is meant, or only some forms.
        name: Name of the raw material or substance in the act.
        act: Act or announcement.
        in_force: Since when.
        suspended_from: First day of a suspension.
        suspended_until: Last day of a suspension.
        limit: Mass fraction that is tolerated; nan if none is stated.
        note: What else is to be known.
    """

    element: str
    every_form: bool
    name: str
    act: str
    in_force: dt.date
    suspended_from: dt.date | None
    suspended_until: dt.date | None
    limit: float
    note: str

    def __str__(self) -> str:
        suspended = f", suspended until {self.suspended_until}" if self.suspended_until else ""
        return f"{self.name} ({self.act}, in force {self.in_force}{suspended})"


class ElementList(NamedTuple):
    """The elements that a packaged table lists.

    Attributes:
        table: The table.
        entries: Its lines.
        listed: Whether an element is listed in some form or in every form, by atomic number, shape (119,).
        every_form: Whether it is listed in every form, shape (119,).
    """

    table: FactTable
    entries: tuple[ListEntry, ...]
    listed: NDArray[np.bool_]
    every_form: NDArray[np.bool_]

    def entries_of(self, symbol: str) -> list[ListEntry]:
        """The lines that name an element.

        >>> [str(entry) for entry in element_list("eu_rohs").entries_of("Cd")]
        ['cadmium (Directive 2011/65/EU, Annex II, in force 2013-01-03)']
        """
        return [entry for entry in self.entries if entry.element == symbol]

    @property
    def symbols(self) -> list[str]:
        """Symbols of the listed elements, by atomic number."""
        return [SYMBOLS[number] for number in np.flatnonzero(self.listed)]


@functools.cache
def element_list(name: str) -> ElementList:
    """Read a packaged list.

    Raises:
        UnknownNameError: For a name that no table has.
        DatasetError: If the packaged file is not the one that was released, or no list.

    >>> element_list("eu_rohs").symbols
    ['Cr', 'Cd', 'Hg', 'Pb']
    """
    table = fact_table(name)
    try:
        entries = tuple(_entry(row) for row in table.rows())
    except (KeyError, ValueError) as error:
        raise DatasetError(f"{name}.csv is no list of elements: {error}", "a table with a status by element") from error
    return ElementList(table, entries, _mask(entries), _mask([entry for entry in entries if entry.every_form]))


def _entry(row: dict[str, str]) -> ListEntry:
    percent = row["limit_percent"]
    return ListEntry(
        row["element"], _STATUSES[row["status"]], row["entry"], row["act"],
        dt.date.fromisoformat(row["in_force"]), _date(row["suspended_from"]), _date(row["suspended_until"]),
        float(percent) / 100 if percent else float("nan"), row["note"],
    )  # fmt: skip


def _date(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _mask(entries: Sequence[ListEntry]) -> NDArray[np.bool_]:
    mask = np.zeros(len(SYMBOLS), bool)
    mask[[ATOMIC_NUMBERS[entry.element] for entry in entries if entry.element]] = True
    mask.setflags(write=False)
    return mask
