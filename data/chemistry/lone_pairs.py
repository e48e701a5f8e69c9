"""Ions with a lone pair of s electrons, which often stand off the centre of the ions around them."""

from __future__ import annotations

import numpy as np

from matloop.data.elements import ATOMIC_NUMBERS

_VALENCE_ELECTRONS = {
    **dict.fromkeys("Ga In Tl".split(), 3),
    **dict.fromkeys("Ge Sn Pb".split(), 4),
    **dict.fromkeys("P As Sb Bi".split(), 5),
    **dict.fromkeys("S Se Te Po".split(), 6),
    **dict.fromkeys("Cl Br I At".split(), 7),
    **dict.fromkeys("Kr Xe".split(), 8),
}
_BY_NUMBER = {ATOMIC_NUMBERS[symbol]: electrons for symbol, electrons in _VALENCE_ELECTRONS.items()}


def has_lone_pair(element: int, charge: float) -> bool:
    """Whether a cation keeps the two s electrons of its outer shell (an ns2 configuration), as Bi3+ and Te4+ do.

    Such cations need room on one side: their coordination is one-sided in most crystals (Shannon and Prewitt, Acta
    Cryst. B25, 925 (1969); Brown, Chem. Rev. 109, 6858 (2009), doi:10.1021/cr900053k).

    Args:
        element: Atomic number.
        charge: Oxidation state.

    >>> has_lone_pair(83, 3), has_lone_pair(83, 5), has_lone_pair(57, 3)
    (True, False, False)
    """
    electrons = _BY_NUMBER.get(element, 0)
    return charge > 0 and bool(np.isclose(electrons - charge, 2))
