"""Formulas as exact amounts of elements, so that reactions balance in whole numbers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from fractions import Fraction

from matloop.data.candidates.formula import explain_refusal, parse_formulas
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table
from matloop.data.errors import SynthesisError

Amounts = Mapping[str, Fraction]
"""Atoms of each element in a formula unit, by symbol."""

_FINEST = 10**6  # largest denominator of an amount that somebody writes


@functools.lru_cache(maxsize=4096)
def read_amounts(formula: str, *, exact: bool = False) -> Amounts:
    """Read a formula.

    Args:
        formula: With a dot before the water of a hydrate.
        exact: Whether a program wrote it.

    Raises:
        SynthesisError: If it cannot be read, or can be read in two ways.

    >>> {symbol: str(amount) for symbol, amount in read_amounts("La1.85Sr0.15CuO4").items()}
    {'O': '4', 'Cu': '1', 'Sr': '3/20', 'La': '37/20'}
    >>> {symbol: int(amount) for symbol, amount in read_amounts("FeC2O4·2H2O", exact=True).items()}
    {'H': 4, 'C': 2, 'O': 6, 'Fe': 1}
    """
    compositions, codes = parse_formulas([formula], exact=exact)
    if codes[0]:
        raise SynthesisError(
            f"formula '{formula}' ({codes[0]}) {explain_refusal(formula)}".rstrip(), "a chemical formula such as BaTiO3"
        )
    pairs = zip(compositions.elements.tolist(), compositions.amounts.tolist(), strict=True)
    found: dict[str, Fraction] = {}
    for element, amount in sorted(pairs):
        found[SYMBOLS[element]] = found.get(SYMBOLS[element], Fraction(0)) + Fraction(amount).limit_denominator(_FINEST)
    return found


def molar_mass(amounts: Amounts) -> float:
    """Mass of a mole in g, by the atomic masses of the packaged table of elements.

    >>> round(molar_mass(read_amounts("BaTiO3")), 2)
    233.19
    """
    masses = element_table().columns(("atomic_mass",))[:, 0]
    return float(sum(float(amount) * masses[ATOMIC_NUMBERS[symbol]] for symbol, amount in amounts.items()))
