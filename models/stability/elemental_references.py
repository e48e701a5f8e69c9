"""Energies of the pure elements, against which formation energies are counted.

A formation energy compares a compound with its elements, so an error in the elements enters every compound. A potential
is often worst for the elements, and data sets lack some of them: energies of the elements fitted to known formation
energies are then better than those of elemental crystals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS
from matloop.data.errors import BatchError
from matloop.models.stability.hull import PhaseEnergies

FEWEST_PHASES = 3
"""Phases an element must occur in for its energy to be fitted."""
_ANIONS = [8, 9]  # O and F, beside which the Materials Project uses +U


@dataclass(frozen=True)
class ElementalReferences:
    """Energies of the pure elements on the scale of one source.

    Attributes:
        source: Source of the energies they go with.
        kind: How they were obtained; this becomes part of the name of the source of formation energies.
        energies: eV/atom by atomic number, nan where there is none, shape (119,).
        corrections: What an atom of an element counts besides, in eV, in phases that hold oxygen or fluorine, by atomic
            number, shape (119,).
    """

    source: str
    kind: str
    energies: NDArray[np.float64]
    corrections: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SYMBOLS)))

    @classmethod
    def of_crystals(cls, phases: PhaseEnergies) -> ElementalReferences:
        """Take the lowest energy among the elemental crystals in ``phases``."""
        energies = np.full(len(SYMBOLS), np.nan)
        single = np.flatnonzero((phases.compositions.lengths == 1) & np.isfinite(phases.energies))
        elements = phases.compositions.elements[phases.compositions.offsets[single]]
        np.fmin.at(energies, elements, phases.energies[single])
        return cls(phases.source, "elements as crystals", energies)

    @classmethod
    def fitted(
        cls, phases: PhaseEnergies, formation_energies: NDArray[np.float64], *, corrected: Sequence[str] = ()
    ) -> ElementalReferences:
        """Fit elemental energies so that formation energies agree best with known ones, by least absolute deviation.

        The sum over elements of fraction times energy is fitted to energy minus formation energy; deviations are
        weighted down repeatedly (iterative reweighting), so that single outliers do not pull an element.

        Args:
            phases: Phases with energies from one source.
            formation_energies: Known formation energies in eV/atom, all from one source of their own, nan where
                unknown, shape (n,).
            corrected: Symbols of elements that get a correction too, fitted together with the elements: a density
                functional with +U is used for them where oxygen or fluorine is present, and one without elsewhere.

        Raises:
            BatchError: If no phase has both energies.
        """
        difference = phases.energies - formation_energies
        rows = np.flatnonzero(np.isfinite(difference))
        if not len(rows):
            raise BatchError("no phase with both energies", "some phases with a known formation energy")
        fractions = _dense(phases.compositions.take(rows))
        fitted = np.flatnonzero((fractions > 0).sum(axis=0) >= FEWEST_PHASES)
        # A phase with an element that is not fitted says nothing about the others.
        covered = np.isclose(fractions[:, fitted].sum(axis=1), 1)
        matrix, target = fractions[covered][:, fitted], difference[rows][covered]
        extra = [SYMBOLS.index(symbol) for symbol in corrected]
        if extra:
            with_anion = fractions[covered][:, _ANIONS].sum(axis=1, keepdims=True) > 0
            matrix = np.hstack([matrix, fractions[covered][:, extra] * with_anion])
        weights, sparse = np.ones(len(target)), csr_array(matrix)
        for _ in range(30):
            weighted = sparse.multiply(weights[:, None] ** 2).tocsr()
            # The normal equations are small; least squares give columns of zeros, which nothing decides, a zero.
            solution = np.linalg.lstsq((sparse.T @ weighted).toarray(), weighted.T @ target, rcond=1e-12)[0]
            weights = 1 / np.sqrt(np.maximum(np.abs(target - matrix @ solution), 0.02))
        energies, corrections = np.full(len(SYMBOLS), np.nan), np.zeros(len(SYMBOLS))
        seen = (matrix[:, : len(fitted)] > 0).any(axis=0)
        energies[fitted[seen]] = solution[: len(fitted)][seen]
        corrections[extra] = solution[len(fitted) :]
        kind = "elements fitted" + (f", {' '.join(corrected)} corrected beside O and F" if extra else "")
        return cls(phases.source, kind, energies, corrections)

    @property
    def missing(self) -> list[str]:
        """List the symbols of the elements up to plutonium that have no energy."""
        return [SYMBOLS[z] for z in range(1, 95) if np.isnan(self.energies[z])]

    def formation_energies(self, phases: PhaseEnergies) -> PhaseEnergies:
        """Return the same phases with formation energies.

        Args:
            phases: Energies from the source these references go with.

        Returns:
            Formation energies in eV/atom, nan for phases with an element that has no reference; their source names the
            potential and the kind of references.

        Raises:
            EnergySourceError: If the energies come from another source.
        """
        phases.require_source(self.source)
        compositions = phases.compositions
        parts = compositions.fractions * self.energies[compositions.elements]
        energies = phases.energies - np.bincount(compositions.rows, parts, len(compositions))
        energies = energies + self.added_to_formation_energies(compositions)
        return replace(phases, source=f"{self.source}, formation, {self.kind}", energies=energies)

    def added_to_formation_energies(self, compositions: Compositions) -> NDArray[np.float64]:
        """Return what the corrections add to the formation energies of n compositions, in eV/atom, shape (n,)."""
        anions = np.bincount(compositions.rows, np.isin(compositions.elements, _ANIONS), len(compositions)) > 0
        parts = compositions.fractions * self.corrections[compositions.elements] * anions[compositions.rows]
        return np.asarray(0 - np.bincount(compositions.rows, parts, len(compositions)), np.float64)

    def elements(self) -> PhaseEnergies:
        """Return the elements with a formation energy of zero, to complete the references of a hull."""
        known = np.flatnonzero(np.isfinite(self.energies))
        count = len(known)
        compositions = Compositions(np.arange(count + 1), known.astype(np.uint8), np.ones(count))
        ids = [f"element {SYMBOLS[z]}" for z in known]
        return PhaseEnergies(f"{self.source}, formation, {self.kind}", compositions, np.zeros(count), ids)


def _dense(compositions: Compositions) -> NDArray[np.float64]:
    dense = np.zeros((len(compositions), len(SYMBOLS)))
    dense[compositions.rows, compositions.elements] = compositions.fractions
    return dense
