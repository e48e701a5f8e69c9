"""Ions with an open d or f shell, whose compounds may be magnetic or metallic, and whose gaps PBE seldom gets right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FULL_D, FULL_F = 10, 14
"""Electrons of a full shell."""
_LAST_OF_SHELL = {"d": FULL_D, "f": FULL_F}
# Shell, first and last atomic number of each series, and electrons of its core, a filled f shell among them.
_SERIES = (
    ("d", 21, 30, 18), ("d", 39, 48, 36), ("d", 72, 80, 68), ("d", 104, 112, 100),
    ("f", 57, 71, 54), ("f", 89, 103, 86),
)  # fmt: skip


class Shell(NamedTuple):
    """The outer d or f shell of an ion.

    Attributes:
        kind: ``d`` or ``f``.
        electrons: Electrons in it; not a whole number where the charge is a mean.
    """

    kind: str
    electrons: float

    @property
    def is_open(self) -> bool:
        """Whether it is neither empty nor full."""
        return 0 < self.electrons < _LAST_OF_SHELL[self.kind]

    def __str__(self) -> str:
        return f"{self.kind}{self.electrons:.3g}"


def shell_of(element: int, charge: float) -> Shell | None:
    """The d shell of an ion of a transition metal, or the f shell of one of a lanthanide or actinide; None for others.

    All valence electrons that the charge leaves are counted into this shell, as ligand-field theory does. Spins are
    not: low-spin d6 and square-planar d8 count as open, though their compounds are no magnets.

    Args:
        element: Atomic number.
        charge: Oxidation state.

    >>> [str(shell_of(*ion)) for ion in ((22, 4), (26, 3), (63, 2), (29, 1), (56, 2))]  # Ti4+ Fe3+ Eu2+ Cu+ Ba2+
    ['d0', 'd5', 'f7', 'd10', 'None']
    >>> [shell_of(*ion).is_open for ion in ((22, 4), (22, 3), (29, 1), (29, 2), (70, 2), (70, 3))]
    [False, True, False, True, False, True]
    """
    for kind, first, last, core in _SERIES:
        if first <= element <= last:
            return Shell(kind, min(max(element - core - charge, 0.0), _LAST_OF_SHELL[kind]))
    return None


def shell_electrons(
    elements: NDArray[np.integer], charges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the electrons of many ions in their d shells and in their f shells, as :func:`shell_of` does for one.

    Args:
        elements: Atomic numbers, shape (n,).
        charges: Oxidation states, nan where unknown, shape (n,).

    Returns:
        Electrons in the d shell and in the f shell, each (n,), nan where there is no such shell or no charge.

    >>> shell_electrons(np.array([24, 63, 8]), np.array([4.0, 2.0, -2.0]))
    (array([ 2., nan, nan]), array([nan,  7., nan]))
    """
    found = {kind: np.full(len(elements), np.nan) for kind in _LAST_OF_SHELL}
    for kind, first, last, core in _SERIES:
        rows = np.flatnonzero((elements >= first) & (elements <= last))
        left = elements[rows].astype(float) - core - charges[rows]
        found[kind][rows] = np.clip(left, 0.0, _LAST_OF_SHELL[kind])
    return found["d"], found["f"]
