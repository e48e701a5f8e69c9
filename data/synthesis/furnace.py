"""Where a solid-state reaction sets in, by Tammann's rule: a range of temperatures, and no programme.

Ions move noticeably through a crystal from about half to two thirds of its melting point in kelvin (G. Tammann, Z.
Anorg. Allg. Chem. 149, 21 (1925); R. Merkle and J. Maier, Z. Anorg. Allg. Chem. 631, 1163 (2005),
doi:10.1002/zaac.200400540). The precursor that melts first is the first to move. Real programmes are often hotter, and
where an intermediate melts, the rule knows nothing of it. It speaks of solids, so there is no range where a precursor
melts near room temperature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matloop.data.synthesis.precursors import Precursor

LEAST_SHARE, LARGEST_SHARE = 0.5, 2 / 3
"""Shares of the melting point in K."""
ZERO_CELSIUS = 273.15
LEAST_ONSET = 25.0
"""Degrees Celsius: a range that begins below would have the reaction set in on the shelf."""


class OnsetRange(NamedTuple):
    """Temperatures between which the reaction should set in.

    Attributes:
        low: In degrees Celsius.
        high: In degrees Celsius.
        precursor: Formula of the precursor that melts first.
        melting_point: Its melting point in K.
    """

    low: float
    high: float
    precursor: str
    melting_point: float


def onset_range(precursors: Sequence[Precursor]) -> OnsetRange | None:
    """Range in which the reaction should set in; None where the melting point of a precursor is not known, or too low.

    Ammonium salts, nitrates, hydroxides, oxalates and acetates decompose before they could react as they are, so a
    route with one of them has no range.

    Args:
        precursors: Those of a route.

    >>> from matloop.data.synthesis.precursors import find_precursor
    >>> found = onset_range([find_precursor("BaCO3"), find_precursor("TiO2")])
    >>> found.precursor, round(found.low), round(found.high)
    ('BaCO3', 641, 946)
    >>> onset_range([find_precursor("Ga")]) is None  # it melts in the hand
    True
    """
    if any(precursor.kind in ("ammonium", "nitrate", "hydroxide", "oxalate", "acetate") for precursor in precursors):
        return None
    points = [(precursor.melting_point or 0.0, precursor.formula) for precursor in precursors]
    if not points or min(points)[0] == 0:
        return None
    melting, formula = min(points)
    low, high = LEAST_SHARE * melting - ZERO_CELSIUS, LARGEST_SHARE * melting - ZERO_CELSIUS
    return OnsetRange(low, high, formula, melting) if low >= LEAST_ONSET else None
