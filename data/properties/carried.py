"""Names of the numbers that travel from a user's file with the candidates."""

from __future__ import annotations

from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import Suffix

_CARRIED: tuple[Suffix, ...] = ("dft", "exp", "pred", "sigma", "lo", "hi")
MOST_COLUMNS = 1_000


def is_property_column(name: str) -> bool:
    """Whether the catalogue defines unit and meaning of a column of that name.

    >>> is_property_column("band_gap_exp"), is_property_column("band_gap"), is_property_column("price_exp")
    (True, False, False)
    """
    stem, _, suffix = name.rpartition("_")
    return suffix in _CARRIED and stem in catalogue()


def carried_name(origin: str, name: str) -> str:
    """Name the column of a number from a file: a property keeps its name; no other can pose as one computed here.

    Args:
        origin: Kind of the file it comes from.
        name: Its name in the file.

    >>> carried_name("table", "band_gap_exp"), carried_name("table", "probability")
    ('band_gap_exp', 'table_probability')
    """
    return name if is_property_column(name) else f"{origin}_{name}"
