"""Families of compounds that a chemist would name, each defined by the elements of a formula.

They were chosen by chemistry before any result was seen: oxides of high-valent transition metals, salts of the first
two columns, nitrides, borides and carbides, intermetallics and so on. A compound may belong to several or to none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.data.chemistry.oxidation_states import METALS
from matloop.data.elements import SYMBOLS, require_elements

_ALKALI_METALS, _ALKALINE_EARTHS = "Li Na K Rb Cs", "Be Mg Ca Sr Ba"
_HALOGENS, _CHALCOGENS = "F Cl Br I", "S Se Te"
_LANTHANIDES = " ".join(SYMBOLS[57:72])


@dataclass(frozen=True)
class ChemicalFamily:
    """Compounds with an element of each list, and with no element that is excluded.

    Attributes:
        name: What a chemist calls them.
        has: Lists of symbols; a compound has at least one element of each list.
        without: Symbols that it has not.
        metals_only: Whether all its elements are metals, two or more.
    """

    name: str
    has: tuple[str, ...] = ()
    without: str = ""
    metals_only: bool = False

    def contains(self, elements: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each compound belongs to the family, shape (m,).

        Args:
            elements: Which elements each compound contains, by atomic number, shape (m, 119).

        >>> compounds = np.zeros((2, 119), bool)
        >>> compounds[0, require_elements(["V", "O"])] = compounds[1, require_elements(["V", "O", "F"])] = True
        >>> ChemicalFamily("oxides of V", ("V", "O"), without="F").contains(compounds)
        array([ True, False])
        """
        found = np.asarray(~elements[:, _numbers(self.without)].any(axis=1))
        for symbols in self.has:
            found &= elements[:, _numbers(symbols)].any(axis=1)
        if self.metals_only:
            others = [number for number in range(1, len(SYMBOLS)) if SYMBOLS[number] not in METALS]
            found &= ~elements[:, others].any(axis=1) & (elements.sum(axis=1) >= 2)
        return found


FAMILIES: tuple[ChemicalFamily, ...] = (
    ChemicalFamily("oxides of V, Nb, Ta, Mo, W", ("V Nb Ta Mo W", "O")),
    ChemicalFamily("oxides of Ti, Zr, Hf", ("Ti Zr Hf", "O")),
    ChemicalFamily("phosphates and silicates", ("P Si", "O")),
    ChemicalFamily("borates, carbonates, nitrates", ("B C N", "O")),
    ChemicalFamily("alkali chalcogenides", (_ALKALI_METALS, _CHALCOGENS), without="O"),
    ChemicalFamily("chalcogenides of p-block metals", ("Ga In Tl Ge Sn Pb As Sb Bi", _CHALCOGENS), without="O"),
    ChemicalFamily("halides of alkaline earths", (_ALKALINE_EARTHS, _HALOGENS), without="O"),
    ChemicalFamily("chlorides, bromides, iodides of alkali metals", (_ALKALI_METALS, "Cl Br I"), without="O"),
    ChemicalFamily("fluorides", ("F",), without="O"),
    ChemicalFamily("nitrides", ("N",), without=f"O H {_HALOGENS} {_CHALCOGENS}"),
    ChemicalFamily("borides and carbides", ("B C",), without=f"O N H {_HALOGENS} {_CHALCOGENS}"),
    ChemicalFamily("compounds of lanthanides", (_LANTHANIDES,)),
    ChemicalFamily("intermetallics of Al, Ga, In", ("Al Ga In",), metals_only=True),
    ChemicalFamily("intermetallics without Al, Ga, In", without="Al Ga In", metals_only=True),
)  # fmt: skip


def _numbers(symbols: str) -> list[int]:
    return require_elements(symbols.split())
