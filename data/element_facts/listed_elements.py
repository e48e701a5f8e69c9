"""Which elements of compositions a list names, above the mass fraction that the list tolerates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.elements import SYMBOLS, element_table


class ListedElements(NamedTuple):
    """What a list says of the elements of n compositions.

    Attributes:
        every_form: Elements that the list names in every form, shape (n, 119).
        some_forms: Elements of which it names some forms only; a composition does not tell the form, shape (n, 119).
    """

    every_form: NDArray[np.bool_]
    some_forms: NDArray[np.bool_]


def listed_elements(compositions: Compositions, table: str, facts: ElementFacts) -> ListedElements:
    """Find the elements on a list.

    Args:
        compositions: n compositions.
        table: Name of the list.
        facts: Facts about elements, which may replace what the list says.

    Raises:
        UnknownNameError: For a name that no table has.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> found = listed_elements(parse_formulas(["CdS", "ZnS"])[0], "eu_rohs", ElementFacts())
    >>> found.every_form.any(axis=1).tolist()
    [True, False]
    """
    every, some = facts.listed(table)
    masses = compositions.amounts * element_table().columns(("atomic_mass",))[compositions.elements, 0]
    totals = np.bincount(compositions.rows, masses, len(compositions))
    above = np.zeros((len(compositions), len(SYMBOLS)), bool)
    shares = masses / totals[compositions.rows]
    above[compositions.rows, compositions.elements] = shares > facts.tolerated(table)[compositions.elements]
    return ListedElements(above & every, above & some)
