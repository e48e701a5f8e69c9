"""Energies of substances on the packaged hull: of listed phases, and of the cheapest mixture of any composition."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.synthesis.amounts import Amounts
from matloop.models.stability.competitors import rows_within
from matloop.models.stability.computed_hull import computed_hull
from matloop.models.stability.hull import Hull, PhaseEnergies

DATABASE = "materials_project"
HIGHEST_ABOVE_HULL = 0.1
"""Energy above the hull in eV/atom from which a listed phase is not the substance that exists: 90 % of all known
crystals that are metastable lie below 0.067 (W. Sun et al., Science Advances 2, e1600225 (2016),
doi:10.1126/sciadv.1600225)."""


@dataclass(frozen=True)
class PhaseHull:
    """Energies of substances by one hull, in eV for a formula unit, counted from the elements.

    Attributes:
        hull: Of computed phases; its elements, O2, N2 and H2 among them, stand at zero.
    """

    hull: Hull

    @property
    def source(self) -> str:
        """Name of the energies."""
        return self.hull.references.source

    @functools.cached_property
    def _rows(self) -> dict[int, int]:
        return {int(key): row for row, key in enumerate(composition_keys(self.hull.references.compositions))}

    @functools.cached_property
    def _believed(self) -> dict[int, bool]:
        """Whether a listed phase is what can be bought, by key of its composition, as far as that was asked."""
        return {}

    def listed_energy(self, amounts: Amounts) -> float | None:
        """Energy of the lowest listed phase of a composition; None where none is listed."""
        row = self._rows.get(int(composition_keys(compositions_of([amounts]))[0]))
        return None if row is None else float(self.hull.references.energies[row]) * float(sum(amounts.values()))

    def energy_of_substance(self, amounts: Amounts) -> float | None:
        """Energy of a substance that exists; None where none is listed, or only a phase that cannot be it.

        What can be bought does not fall apart, so that a listed phase far above the cheapest mixture of its composition
        is another structure (that of Ba(OH)2.8H2O lies 0.57 eV/atom above) or wrong (Yb2O3, 0.20 eV/atom).
        """
        key = int(composition_keys(compositions_of([amounts]))[0])
        if key not in self._rows:
            return None
        if key not in self._believed:
            (above,) = self.hull.distances(self.hull.references.take(np.array([self._rows[key]]))).energy_above_hull
            self._believed[key] = bool(above <= HIGHEST_ABOVE_HULL)
        return self.listed_energy(amounts) if self._believed[key] else None

    def mixture_energies(self, substances: Sequence[Amounts]) -> list[float | None]:
        """Energy of the cheapest mixture of phases of each composition; None where an element lacks."""
        compositions = compositions_of(substances)
        asked = PhaseEnergies(self.source, compositions, np.zeros(len(substances)), [""] * len(substances))
        found = -self.hull.distances(asked).energy_above_hull * compositions.totals
        return [None if np.isnan(energy) else float(energy) for energy in found]

    def decomposition(self, amounts: Amounts, energy: float) -> tuple[float, tuple[str, ...]]:
        """Distance of a phase from the hull of all others in eV/atom, and what it would decompose into.

        Args:
            amounts: Atoms in a formula unit.
            energy: eV for a formula unit.
        """
        per_atom = np.array([energy / float(sum(amounts.values()))])
        phase = PhaseEnergies(self.source, compositions_of([amounts]), per_atom, [""])
        found = self.hull.distances(phase, leave_out_own_composition=True)
        return float(found.energy_above_hull[0]), tuple(product.formula for product in found.products[0])

    def phases_within(self, symbols: Iterable[str]) -> PhaseEnergies:
        """The compounds that have no other elements than those given."""
        numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols], np.uint8)
        references = self.hull.references
        inside = rows_within(references.compositions, numbers)
        return references.take(inside[references.compositions.lengths[inside] > 1])


@functools.cache
def packaged_phase_hull() -> PhaseHull:
    """The packaged hull of the Materials Project of 2019.

    >>> from matloop.data.synthesis.amounts import read_amounts
    >>> round(packaged_phase_hull().listed_energy(read_amounts("BaTiO3")), 2)
    -17.53
    """
    return PhaseHull(computed_hull(DATABASE))


def compositions_of(substances: Sequence[Amounts]) -> Compositions:
    """Substances as one batch of compositions."""
    sorted_items = [sorted((ATOMIC_NUMBERS[symbol], float(n)) for symbol, n in one.items()) for one in substances]
    offsets = np.concatenate([[0], np.cumsum([len(items) for items in sorted_items])]).astype(np.int64)
    flat = [pair for items in sorted_items for pair in items]
    return Compositions(
        offsets, np.array([number for number, _ in flat], np.uint8), np.array([amount for _, amount in flat], float)
    )
