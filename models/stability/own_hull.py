"""The convex hull of computed energies of one's own, on which candidates with such an energy are placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS
from matloop.data.own_labels.one_calculation import check_one_calculation, statements_of
from matloop.models.stability.computed_entries import ROUNDING, SOURCE, missing_elements
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import Hull, PhaseEnergies


class OwnEnergies(NamedTuple):
    """Computed energies of n phases.

    Attributes:
        compositions: Elements and amounts.
        energies: Total energies in eV/atom, nan where there is none, shape (n,).
        names: Name of each phase, as people look for it, length n.
        settings: What is stated of how each was computed
            (:func:`matloop.data.readers.entry_settings.read_settings`), length n.
    """

    compositions: Compositions
    energies: NDArray[np.float64]
    names: Sequence[str]
    settings: Sequence[str]

    @property
    def phases(self) -> PhaseEnergies:
        """The phases, under the name that all of one's own energies have."""
        return PhaseEnergies(SOURCE, self.compositions, self.energies, list(self.names))


class Placed(NamedTuple):
    """Where n candidates lie on a hull of one's own energies.

    Attributes:
        formation_energies: eV/atom, nan where there is none, shape (n,).
        energies_above_hull: eV/atom, nan where there is none, shape (n,); negative below all mixtures of other phases.
        remarks: Phases into which each candidate would decompose, or why it has no place, length n.
    """

    formation_energies: NDArray[np.float64]
    energies_above_hull: NDArray[np.float64]
    remarks: list[str]


@dataclass(frozen=True)
class OwnHull:
    """The hull of the phases of one calculation.

    Attributes:
        elements: Energies of the pure elements among them.
        hull: Of their formation energies.
        stated: What the phases say of how they were computed, by what it is about.
        corrected: Whether the energies hold corrections, which bring energies with +U and without together.
    """

    elements: ElementalReferences
    hull: Hull
    stated: Mapping[str, str]
    corrected: bool = False

    @classmethod
    def of(cls, references: OwnEnergies, *, corrected: bool = False) -> OwnHull:
        """The hull of phases.

        Args:
            references: The phases; those without an energy do not count.
            corrected: Whether the energies hold corrections.

        Raises:
            EnergySourceError: If the phases say that they come from several calculations.
        """
        stated = check_one_calculation(
            references.settings, references.compositions, references.names, corrected=corrected
        )
        elements = ElementalReferences.of_crystals(references.phases)
        return cls(elements, Hull(elements.formation_energies(references.phases)), stated, corrected)

    def place(self, candidates: OwnEnergies) -> Placed:
        """Place candidates with energies of the same calculation on the hull.

        Args:
            candidates: Those that say that they come from another calculation get no place.
        """
        formation = self.elements.formation_energies(candidates.phases)
        found = self.hull.distances(formation)
        missing = missing_elements(candidates.compositions, np.isnan(self.elements.energies))
        remarks = []
        for row in range(len(candidates.energies)):
            if np.isnan(candidates.energies[row]):
                remarks.append("no energy")
            elif other := self._contradiction(candidates, row):
                remarks.append(f"an energy of another calculation: {other}")
            elif missing[row]:
                remarks.append(f"there is no energy of pure {', '.join(missing[row])}")
            else:
                products = found.products[row]
                remarks.append(" + ".join(f"{p.fraction:.2f} {p.formula} ({p.phase_id})" for p in products))
        has_place = np.array([bool(found.products[row]) for row in range(len(remarks))], bool)
        has_place &= np.array([not self._contradiction(candidates, row) for row in range(len(remarks))], bool)
        above = np.where(np.abs(found.energy_above_hull) < ROUNDING, 0.0, found.energy_above_hull)
        return Placed(np.where(has_place, formation.energies, np.nan), np.where(has_place, above, np.nan), remarks)

    def _contradiction(self, candidates: OwnEnergies, row: int) -> str:
        """In what a candidate says that it was computed otherwise than the phases of the hull; empty if in nothing."""
        elements = candidates.compositions.elements[slice(*candidates.compositions.offsets[row : row + 2])]
        symbols = [SYMBOLS[z] for z in elements.tolist()]
        for about, value in statements_of(candidates.settings[row], symbols, corrected=self.corrected).items():
            if (other := self.stated.get(about, value)) != value:
                return f"{about} is {value}, and {other} in the hull"
        return ""
