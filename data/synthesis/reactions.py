"""Balanced reactions: exact rational linear algebra, so that every element is conserved to the last atom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from matloop.data.synthesis.amounts import Amounts, read_amounts


@dataclass(frozen=True)
class Term:
    """A substance in a reaction.

    Attributes:
        formula: Its formula.
        amount: Moles of it for one mole of the target; of a gas negative where it is taken up.
    """

    formula: str
    amount: Fraction

    @property
    def amounts(self) -> Amounts:
        """Atoms of each element in a formula unit."""
        return read_amounts(self.formula.replace(".", "·"), exact=True)


@dataclass(frozen=True)
class Reaction:
    """A balanced reaction to one mole of a target.

    Attributes:
        target: Formula of the target.
        solids: Precursors, all with positive amounts.
        gases: Gases that leave (positive) or are taken up (negative).
    """

    target: str
    solids: tuple[Term, ...]
    gases: tuple[Term, ...]

    @property
    def multiple(self) -> int:
        """The smallest number of moles of the target for which all amounts are whole."""
        return math.lcm(*(term.amount.denominator for term in (*self.solids, *self.gases)))

    def coefficients(self) -> dict[str, int]:
        """Smallest whole numbers, positive for what arises and negative for what is used up, by formula.

        >>> carbonate, oxide, gas = Term("BaCO3", Fraction(1)), Term("TiO2", Fraction(1)), Term("CO2", Fraction(1))
        >>> Reaction("BaTiO3", (carbonate, oxide), (gas,)).coefficients()
        {'BaTiO3': 1, 'BaCO3': -1, 'TiO2': -1, 'CO2': 1}
        """
        used = {term.formula: -int(term.amount * self.multiple) for term in self.solids}
        return {self.target: self.multiple} | used | {t.formula: int(t.amount * self.multiple) for t in self.gases}

    def equation(self) -> str:
        """The reaction as chemistry writes it.

        >>> gas = Term("O2", Fraction(-1, 2))
        >>> Reaction("CoO", (Term("Co", Fraction(1)),), (gas,)).equation()
        '2 Co + O2 -> 2 CoO'
        """
        numbers = self.coefficients()
        left = [_written(-number, formula) for formula, number in numbers.items() if number < 0]
        right = [_written(number, formula) for formula, number in numbers.items() if number > 0]
        return f"{' + '.join(left)} -> {' + '.join(right)}"


def _written(number: int, formula: str) -> str:
    return formula if number == 1 else f"{number} {formula}"


@dataclass(frozen=True)
class Exchange:
    """How a gas may take part.

    Attributes:
        formula: Of the gas.
        taken: Whether the reaction may take it up.
        released: Whether it may leave.
    """

    formula: str
    taken: bool = False
    released: bool = True


def balance(target: str, solids: Sequence[str], gases: Sequence[Exchange], *, exact: bool = False) -> Reaction | None:
    """Balance a reaction to one mole of a target.

    Args:
        target: Formula.
        solids: Formulas of precursors.
        gases: Gases that may take part.
        exact: Whether a program wrote the formula of the target.

    Returns:
        The reaction, if there is exactly one that uses all the precursors and no gas in a forbidden direction; else
        None.

    Raises:
        SynthesisError: If a formula cannot be read.

    >>> gases = [Exchange("NH3"), Exchange("CO2"), Exchange("H2O"), Exchange("CO")]
    >>> balance("LiFePO4", ["Li2CO3", "FeC2O4.2H2O", "NH4H2PO4"], gases).equation()
    'Li2CO3 + 2 FeC2O4.2H2O + 2 NH4H2PO4 -> 2 LiFePO4 + 2 NH3 + 3 CO2 + 7 H2O + 2 CO'
    """
    wanted = read_amounts(target, exact=exact)
    columns = [read_amounts(solid.replace(".", "·"), exact=True) for solid in solids]
    made = [{symbol: -amount for symbol, amount in read_amounts(gas.formula, exact=True).items()} for gas in gases]
    found = solve_exactly([*columns, *made], wanted)
    if found is None:
        return None
    used, left = found[: len(solids)], found[len(solids) :]
    if any(amount <= 0 for amount in used):
        return None
    if any(
        (amount > 0 and not gas.released) or (amount < 0 and not gas.taken)
        for gas, amount in zip(gases, left, strict=True)
    ):
        return None
    return Reaction(
        target,
        tuple(Term(solid, amount) for solid, amount in zip(solids, used, strict=True)),
        tuple(Term(gas.formula, amount) for gas, amount in zip(gases, left, strict=True) if amount),
    )


def solve_exactly(columns: Sequence[Amounts], wanted: Amounts) -> list[Fraction] | None:
    """Solve the linear system of element balances over the rational numbers, by Gauss's elimination.

    Args:
        columns: Atoms of each element in each substance.
        wanted: Atoms of each element that they must give together.

    Returns:
        Amount of each substance; None where there is no solution, or more than one.

    >>> half = solve_exactly([{"Li": Fraction(2), "O": Fraction(1)}], {"Li": Fraction(1), "O": Fraction(1, 2)})
    >>> [str(amount) for amount in half]
    ['1/2']
    """
    elements = sorted({symbol for column in (*columns, wanted) for symbol in column})
    zero, width = Fraction(0), len(columns)
    rows = [[*(column.get(symbol, zero) for column in columns), wanted.get(symbol, zero)] for symbol in elements]
    for at in range(width):
        pivot = next((row for row in range(at, len(rows)) if rows[row][at]), None)
        if pivot is None:
            return None  # more than one solution, or none
        rows[at], rows[pivot] = rows[pivot], rows[at]
        factor = rows[at][at]
        rows[at] = [value / factor for value in rows[at]]
        for row in range(len(rows)):
            if row != at and (times := rows[row][at]):
                rows[row] = [value - times * own for value, own in zip(rows[row], rows[at], strict=True)]
    if any(row[-1] for row in rows[width:]):
        return None
    return [rows[at][-1] for at in range(width)]
