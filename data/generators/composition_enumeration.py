"""Make every charge-neutral composition of a pool of elements.

A composition is kept if :mod:`matloop.data.chemistry.charge_balance` finds it neutral: the rule of Davies et al.,
Chem 1, 617 (2016), widened for mixed valence and for bonds between like anions. Alloys and metallic compounds, to
which the rule does not apply, are made only on request.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import Intake
from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.charge_balance import ORDER_TOLERANCE, element_roles, metal_kinds
from matloop.data.errors import GeneratorError
from matloop.data.generators.neutral_search import search
from matloop.data.generators.pools import composition_intake, element_pool, require_whole
from matloop.data.sources.contract import Recipe

MOST_ELEMENTS = 5
MOST_ATOMS_PER_ELEMENT = 12


class CompositionEnumeration:
    """Reduced compositions of two to five elements of a pool, sorted by number of elements, elements, then amounts.

    Args:
        elements: Symbols of the pool.
        fewest_elements: Smallest number of elements in a composition, at least 2.
        most_elements: Largest number, at most 5.
        largest_coefficient: Most atoms of one element in the reduced formula, at most 12.
        required: Elements of the pool that every composition must contain.
        metallic: Whether compositions of metals, and metal-rich borides, carbides, silicides and pnictides, are made
            too, although their charges do not balance.
        limit: Most compositions, the first ones; all where left out.

    Raises:
        GeneratorError: If a setting is out of bounds or the pool is too small.
        UnknownNameError: If a symbol is not an element.

    >>> source = CompositionEnumeration(["Fe", "O"], largest_coefficient=4)
    >>> source.count(), [formula for intake in source.intakes(10) for formula in intake.batch.formulas]
    (4, ['FeO', 'FeO2', 'Fe2O3', 'Fe3O4'])
    """

    name = "composition_enumeration"
    gives_crystals = False

    def __init__(
        self,
        elements: Sequence[str],
        *,
        fewest_elements: int = 2,
        most_elements: int = 3,
        largest_coefficient: int = 6,
        required: Sequence[str] = (),
        metallic: bool = False,
        limit: int | None = None,
    ) -> None:
        self.pool = element_pool(elements)
        needed = element_pool(required)
        if missing := sorted(set(required) - set(elements)):
            raise GeneratorError(f"the required {', '.join(missing)} outside the pool", "elements of the pool")
        self.fewest = require_whole("fewest_elements", fewest_elements, least=2, most=MOST_ELEMENTS)
        self.most = require_whole("most_elements", most_elements, least=self.fewest, most=MOST_ELEMENTS)
        self.largest = require_whole("largest_coefficient", largest_coefficient, least=1, most=MOST_ATOMS_PER_ELEMENT)
        self.limit = None if limit is None else require_whole("limit", limit, least=1)
        if len(self.pool) < self.fewest or len(needed) > self.most:
            raise GeneratorError(
                f"{len(self.pool)} elements, {len(needed)} of them required",
                f"at least fewest_elements={self.fewest} elements, at most most_elements={self.most} of them required",
            )
        if not isinstance(metallic, bool):
            raise GeneratorError(f"metallic={metallic!r}", "true or false")
        self.metallic = metallic
        self._required = np.isin(self.pool, needed)

    @cached_property
    def _count(self) -> int:
        total, nothing = 0, np.iinfo(np.int64).max
        for width in range(self.fewest, self.most + 1):
            room = nothing if self.limit is None else self.limit - total
            if width <= len(self.pool):
                total += self._search(*_start(width), np.empty((0, width), np.int64), room)[0]
        return total

    def count(self) -> int:
        """Exact number of compositions, found by a search that does not store them."""
        return self._count

    def compositions(self, size: int) -> Iterator[Compositions]:
        """Yield the compositions, at most ``size`` at a time."""
        left = np.iinfo(np.int64).max if self.limit is None else self.limit
        waiting: list[Compositions] = []
        held = 0
        for width in range(self.fewest, min(self.most, len(self.pool)) + 1):
            combination, position = _start(width)
            while left and combination[0] >= 0:
                room = min(size - held, left)
                elements = np.empty((room, width), np.int64)
                found, atoms = self._search(combination, position, elements, room)
                left -= found
                held += found
                if found:
                    waiting.append(_rectangular(elements[:found], atoms[:found]))
                if held == size:
                    yield joined(waiting)
                    waiting, held = [], 0
        if held:
            yield joined(waiting)

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` compositions with the columns ``origin`` and ``known``."""
        return (recipe() for recipe in self.recipes(size))

    def recipes(self, size: int) -> Iterator[Recipe]:
        """Yield one recipe for each batch of :meth:`intakes`."""
        origin = f"composition of a pool of {len(self.pool)} elements, at most {self.largest} atoms of each"
        return (partial(composition_intake, compositions, origin) for compositions in self.compositions(size))

    def _search(
        self, combination: NDArray[np.int64], position: NDArray[np.int64], elements: NDArray[np.int64], room: int
    ) -> tuple[int, NDArray[np.int64]]:
        """Continue the search by ``room`` compositions; fill ``elements`` unless it has no rows."""
        width = len(combination)
        roles = element_roles()
        cation, anion = int(roles.cations[self.pool].max()), int(roles.anion[self.pool].max())
        agreed = self.largest * max(min((width - k) * cation, k * anion) for k in range(1, width))
        atoms = np.empty_like(elements)
        found = search(
            combination, position, self.pool, self._required,
            _all_amounts(self.largest, width // 2), _all_amounts(self.largest, width - width // 2),
            agreed, 2 * agreed // 64 + 1, self.metallic, ORDER_TOLERANCE, *roles, metal_kinds(), elements, atoms, room,
        )  # fmt: skip
        return int(found), atoms


def _start(width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first combination of elements and its first amounts."""
    return np.arange(width), np.zeros(1, np.int64)


def _all_amounts(largest: int, width: int) -> NDArray[np.int64]:
    return np.array(list(itertools.product(range(1, largest + 1), repeat=width)), np.int64)


def _rectangular(elements: NDArray[np.int64], atoms: NDArray[np.int64]) -> Compositions:
    offsets = np.arange(len(elements) + 1) * elements.shape[1]
    return Compositions(offsets, elements.reshape(-1).astype(np.uint8), atoms.reshape(-1).astype(np.float64))


def joined(parts: Sequence[Compositions]) -> Compositions:
    """Join compositions one after another."""
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat: list[NDArray[Any]] = [
        np.concatenate([getattr(part, name) for part in parts]) for name in ("elements", "amounts")
    ]
    return Compositions(offsets, flat[0], flat[1])
