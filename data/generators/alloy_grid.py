"""Make alloy compositions on a grid of equal steps (a simplex lattice, Scheffé, J. R. Stat. Soc. B 20, 344 (1958)).

Amounts are whole numbers of steps, so that a fraction of 0.3 is exactly three tenths and not 0.30000000000000004.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import Intake
from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import GeneratorError, unknown_name
from matloop.data.generators.pools import composition_intake, element_pool, require_whole
from matloop.data.sources.contract import Recipe

MOST_STEPS = 1000
_MOST_COUNTED = 2**62


class AlloyGrid:
    """All mixtures of some elements whose atomic fractions are multiples of a step.

    Args:
        elements: Symbols.
        step: Step of the atomic fractions, one over a whole number: 0.05, or as text "1/12".
        bounds: Symbol -> lowest and highest atomic fraction. An element with a lowest fraction above zero is in every
            composition; the others may be absent.
        fewest_elements: Smallest number of elements in a composition.
        most_elements: Largest number; all of them where left out.
        limit: Most compositions, the first ones; all where left out.

    Raises:
        GeneratorError: If a setting is out of bounds or nothing is left to make.
        UnknownNameError: If an element is none, or has bounds but is not among the elements.

    >>> grid = AlloyGrid(["Ni", "Fe", "Cr"], step=0.1, bounds={"Ni": (0.5, 0.8)}, fewest_elements=3)
    >>> grid.count(), next(grid.intakes(2)).batch.formulas
    (10, ['CrFeNi8', 'CrFe2Ni7'])
    """

    name = "alloy_grid"
    gives_crystals = False

    def __init__(
        self,
        elements: Sequence[str],
        *,
        step: float | str = 0.05,
        bounds: Mapping[str, Sequence[float | str]] | None = None,
        fewest_elements: int = 1,
        most_elements: int | None = None,
        limit: int | None = None,
    ) -> None:
        self.pool = element_pool(elements)
        if len(self.pool) == 0:
            raise GeneratorError("no elements", "at least one")
        self.steps = _steps(step)
        self.lowest, self.highest = self._bounds(bounds or {})
        self.fewest = require_whole("fewest_elements", fewest_elements, least=1, most=len(self.pool))
        most = len(self.pool) if most_elements is None else most_elements
        self.most = require_whole("most_elements", most, least=self.fewest, most=len(self.pool))
        self.limit = None if limit is None else require_whole("limit", limit, least=1)

    def _bounds(self, bounds: Mapping[str, Sequence[float | str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Smallest and largest number of steps of each element."""
        lowest, highest = np.zeros(len(self.pool), np.int64), np.full(len(self.pool), self.steps)
        for symbol, pair in bounds.items():
            here = np.flatnonzero(self.pool == ATOMIC_NUMBERS.get(symbol, 0))
            if len(here) == 0:
                raise unknown_name("element of the grid", str(symbol), [SYMBOLS[z] for z in self.pool])
            low, high = (_fraction(f"a bound of {symbol}", value) for value in _pair(symbol, pair))
            if not 0 <= low <= high <= 1:
                raise GeneratorError(f"bounds {list(pair)} of {symbol}", "lowest and highest fraction from 0 to 1")
            lowest[here], highest[here] = -(-low * self.steps // 1), high * self.steps // 1
        return lowest, highest

    @cached_property
    def _completions(self) -> NDArray[np.int64]:
        """Number of ways to complete a composition.

        Entry [i, c, t] counts the ways to share t steps among the elements from the i-th on, if c elements are used
        already. The table is filled from the last element back, each entry from running sums of later entries.
        """
        k, n = len(self.pool), self.steps
        after = [[int(t == 0 and self.fewest <= c <= self.most) for t in range(n + 1)] for c in range(k + 1)]
        table = [after]
        for i in reversed(range(k)):
            low, high = int(self.lowest[i]), int(self.highest[i])
            sums = [list(itertools.accumulate(row, initial=0)) for row in after]
            now = []
            for c in range(i + 1):
                least = max(low, 1)
                present = [sums[c + 1][max(t - least + 1, 0)] - sums[c + 1][max(t - high, 0)] for t in range(n + 1)]
                absent = after[c] if low == 0 else [0] * (n + 1)
                now.append([max(one, 0) + other for one, other in zip(present, absent, strict=True)])
            after = [*now, *([[0] * (n + 1)] * (k - i))]
            table.append(after)
        total = table[-1][0][n]
        if not 0 < total < _MOST_COUNTED:
            got = "bounds that no composition keeps" if total == 0 else f"a grid of {total:.1e} compositions"
            raise GeneratorError(got, "1 to 4e18 compositions", "widen the bounds, or take a larger step")
        # No composition of the grid uses entries beyond the total, so they are never read.
        return np.array(
            [[[min(ways, _MOST_COUNTED) for ways in row] for row in part] for part in table[::-1]], np.int64
        )

    def count(self) -> int:
        """Exact number of compositions, counted without making them.

        Raises:
            GeneratorError: If no composition lies within the bounds.
        """
        total = int(self._completions[0, 0, self.steps])
        return total if self.limit is None else min(total, self.limit)

    def compositions(self, size: int) -> Iterator[Compositions]:
        """Yield the compositions with whole amounts, at most ``size`` at a time."""
        for start in range(0, self.count(), size):
            rows = np.arange(start, min(start + size, self.count()))
            shares = _unrank(rows, self._completions, self.lowest, self.highest)
            present = shares > 0
            offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
            elements = np.broadcast_to(self.pool.astype(np.uint8), shares.shape)[present]
            yield Compositions(offsets, elements, shares[present].astype(np.float64)).reduced()[0]

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` compositions with the columns ``origin`` and ``known``.

        They are sorted by the fraction of the lightest element, then of the next.
        """
        return (recipe() for recipe in self.recipes(size))

    def recipes(self, size: int) -> Iterator[Recipe]:
        """Yield one recipe for each batch of :meth:`intakes`."""
        names = ", ".join(SYMBOLS[z] for z in self.pool)
        for compositions in self.compositions(size):
            yield partial(composition_intake, compositions, f"grid of {names} in steps of 1/{self.steps}")


def _fraction(what: str, value: float | str) -> Fraction:
    """Return the fraction with a small denominator that a number or a text stands for."""
    try:
        exact = Fraction(value)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        raise GeneratorError(f"{what} of {value!r}", 'a number, or a fraction as text such as "1/12"') from None
    short = exact.limit_denominator(10 * MOST_STEPS)
    return short if abs(short - exact) < Fraction(1, 10**12) else exact


def _steps(step: float | str) -> int:
    value = _fraction("a step", step)
    if value <= 0 or value.numerator != 1 or value.denominator > MOST_STEPS:
        allowed = f'one over a whole number from 1 to {MOST_STEPS}, such as 0.05 or "1/12"'
        raise GeneratorError(f"a step of {step!r}", allowed)
    return value.denominator


def _pair(symbol: str, pair: Any) -> Sequence[float | str]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise GeneratorError(f"bounds {pair!r} of {symbol}", "two numbers: lowest and highest atomic fraction")
    return pair


@numba.njit(cache=True, nogil=True)
def _unrank(ranks, completions, lowest, highest):  # type: ignore[no-untyped-def]
    """Return the compositions with the given numbers, in steps, shape (len(ranks), elements)."""
    k, n = len(lowest), completions.shape[2] - 1
    shares = np.zeros((len(ranks), k), np.int64)
    for row in range(len(ranks)):
        rank, left, used = ranks[row], n, 0
        for i in range(k):
            for share in range(lowest[i], min(highest[i], left) + 1):
                ways = completions[i + 1, used + (share > 0), left - share]
                if rank < ways:
                    shares[row, i] = share
                    left -= share
                    used += share > 0
                    break
                rank -= ways
    return shares
