"""What a precursor becomes when it is heated alone: the residue that meets the others.

Salts decompose before solids react: carbonates lose CO2, hydrates and hydroxides H2O, ammonium salts NH3, nitrates
N2O5, oxalates CO and CO2, acetates (C2H3O)2O. All of that leaves the oxidation state of the cation as it was (A. R.
West, Solid State Chemistry and its Applications, 2nd ed., Wiley 2014, chapter 4). Carbonates of alkali metals decompose
in part only where nothing takes their oxide up.
"""

from __future__ import annotations

from fractions import Fraction

from matloop.data.synthesis.amounts import Amounts
from matloop.data.synthesis.precursors import Precursor

# Formula that leaves, and the atoms of one element that all leave with it: one formula for so many of them.
_LEAVING = {
    "carbonate": ("C", 1, {"C": 1, "O": 2}),
    "nitrate": ("N", 2, {"N": 2, "O": 5}),
    "oxalate": ("C", 2, {"C": 2, "O": 3}),
    "acetate": ("C", 4, {"C": 4, "H": 6, "O": 3}),
    "ammonium": ("N", 1, {"N": 1, "H": 3}),
}


def residue(precursor: Precursor) -> Amounts:
    """Atoms that stay of a formula unit.

    Args:
        precursor: What is heated.

    >>> from matloop.data.synthesis.precursors import find_precursor
    >>> for formula in ("BaCO3", "FeC2O4.2H2O", "NH4H2PO4", "Bi(NO3)3.5H2O", "TiO2"):
    ...     print(formula, {symbol: str(amount) for symbol, amount in residue(find_precursor(formula)).items()})
    BaCO3 {'O': '1', 'Ba': '1'}
    FeC2O4.2H2O {'O': '1', 'Fe': '1'}
    NH4H2PO4 {'O': '5/2', 'P': '1'}
    Bi(NO3)3.5H2O {'O': '3/2', 'Bi': '1'}
    TiO2 {'O': '2', 'Ti': '1'}
    """
    left = dict(precursor.amounts)
    if precursor.kind in _LEAVING:
        carrier, atoms, gas = _LEAVING[precursor.kind]
        times = left.get(carrier, Fraction(0)) / atoms
        for symbol, amount in gas.items():
            left[symbol] = left.get(symbol, Fraction(0)) - times * amount
    water = min(left.get("H", Fraction(0)) / 2, left.get("O", Fraction(0)))
    if water > 0:
        left["H"] -= 2 * water
        left["O"] -= water
    return {symbol: amount for symbol, amount in left.items() if amount > 0}
