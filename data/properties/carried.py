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
    """Column name of a number from elsewhere: a property keeps its name, another never poses as one computed here.

    Args:
        origin: What kind of file it comes from.
        name: Its name there.

    >>> carried_name("table", "band_gap_exp"), carried_name("table", "probability")
    ('band_gap_exp', 'table_probability')
    """
    return name if is_property_column(name) else f"{origin}_{name}"
