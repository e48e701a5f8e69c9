"""How alike two compositions are."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS, element_table

_LAST_NUMBERED = 103  # lawrencium; the table has no Mendeleev number beyond
_PERIOD = 32  # elements from one row of the periodic table to the next, from the sixth row on


def composition_distances(one: Compositions, other: Compositions) -> NDArray[np.float64]:
    """Element mover's distance between all pairs of two sets of compositions.

    The distance is the least work that turns one composition into the other, where moving an atomic fraction from one
    element to another costs that fraction times the steps between them on the Mendeleev-number axis (ElMD: Hargreaves,
    Dyer, Gaultois, Kurlin and Rosseinsky, Chem. Mater. 32, 10610 (2020), doi:10.1021/acs.chemmater.0c03381; there on
    the modified Pettifor axis, here on Magpie's ``MendeleevNumber``). On a line that work is the area between the two
    cumulative distributions. It is a metric, it ignores how many formula units are written, and a pair's distance
    does not depend on what else is asked for.

    Args:
        one: n compositions.
        other: m compositions.

    Returns:
        Distances in steps of the axis, shape (n, m): 0 for equal compositions, at most 102.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> salts, _ = parse_formulas(["NaCl", "KCl", "K2Cl2"])  # Na and K are one step apart, and half of all atoms
    >>> composition_distances(salts, salts)[0].tolist()
    [0.0, 0.5, 0.5]
    """
    from scipy.spatial.distance import cdist

    return cdist(_weighted_cumulatives(one), _weighted_cumulatives(other), "cityblock")


def _weighted_cumulatives(compositions: Compositions) -> NDArray[np.float64]:
    """Cumulative atomic fraction along the axis, times the step to the next place, shape (n, places - 1).

    The city-block distance between two rows is the area between the two cumulative distributions.
    """
    places = _axis_places()
    axis, position = np.unique(places[1:], return_inverse=True)
    fractions = np.zeros((len(compositions), len(axis)))
    fractions[compositions.rows, position[compositions.elements.astype(np.int64) - 1]] = compositions.fractions
    return np.cumsum(fractions, axis=1)[:, :-1] * np.diff(axis)


@functools.cache
def _axis_places() -> NDArray[np.float64]:
    """Place of each element on the axis, shape (119,); no two share one. Index 0 is unused.

    Magpie numbers hydrogen to lawrencium 1 to 103. An element beyond stands half a step after its lighter homologue
    (rutherfordium after hafnium, oganesson after radon): chemically next to it, yet not the same.
    """
    places = element_table().columns(("MendeleevNumber",))[:, 0].copy()
    heavy = np.arange(_LAST_NUMBERED + 1, len(SYMBOLS))
    places[heavy] = places[heavy - _PERIOD] + 0.5
    return places
