"""Names of the numbers that travel from a user's file with the candidates."""

from __future__ import annotations

from matloop.data.properties.catalogue import PROPERTIES
from matloop.data.properties.columns import Suffix

_CARRIED: tuple[Suffix, ...] = ("dft", "exp", "pred", "sigma", "lo", "hi")
PROPERTY_COLUMNS = frozenset(known.column(suffix) for known in PROPERTIES.values() for suffix in _CARRIED)
"""Columns whose unit and meaning :mod:`matloop.data.properties.catalogue` defines."""

MOST_COLUMNS = 1_000


def carried_name(origin: str, name: str) -> str:
    """Column name of a number from elsewhere: a property keeps its name, another never poses as one computed here.

    Args:
        origin: What kind of file it comes from.
        name: Its name there.

    >>> carried_name("table", "band_gap_exp"), carried_name("table", "probability")
    ('band_gap_exp', 'table_probability')
    """
    return name if name in PROPERTY_COLUMNS else f"{origin}_{name}"
