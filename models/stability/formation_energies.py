"""How formation energies come from the energies of a potential: what is fitted, on what, and how wrong they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.elements import SYMBOLS
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import PhaseEnergies


@dataclass(frozen=True)
class FormationEnergyFit:
    """Energies of the elements, and corrections beside them, fitted to known formation energies.

    Attributes:
        crystals: Number of crystals with a known formation energy that the fit used.
        corrections: What an atom of an element counts besides in phases with oxygen or fluorine, in eV, by its symbol.
        error: Mean absolute error of formation energies of compositions that the fit had not seen, in eV/atom.
        error_uncorrected: The same where only energies of the elements are fitted.
    """

    crystals: int
    corrections: Mapping[str, float]
    error: float
    error_uncorrected: float

    @classmethod
    def of(cls, phases: PhaseEnergies, known: NDArray[np.float64], *, corrected: Sequence[str]) -> FormationEnergyFit:
        """Fit to all crystals, and judge the fit on folds of compositions.

        Args:
            phases: Energies of n crystals by one potential.
            known: Their known formation energies in eV/atom, nan where unknown, shape (n,).
            corrected: Symbols of the elements with a correction.
        """
        fitted = ElementalReferences.fitted(phases, known, corrected=corrected)
        plain = error = _mean_error(held_out_formation_energies(phases, known), known)
        if corrected:
            error = _mean_error(held_out_formation_energies(phases, known, corrected=corrected), known)
        corrections = {symbol: float(fitted.corrections[SYMBOLS.index(symbol)]) for symbol in corrected}
        return cls(int(np.isfinite(phases.energies - known).sum()), corrections, error, plain)


def held_out_formation_energies(
    phases: PhaseEnergies,
    known: NDArray[np.float64],
    *,
    corrected: Sequence[str] = (),
    groups: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Compute the formation energy of each crystal by a fit that has not seen its composition.

    Args:
        phases: Energies of n crystals by one potential.
        known: Their known formation energies in eV/atom, nan where unknown, shape (n,).
        corrected: Symbols of the elements with a correction.
        groups: What the fit must not have seen of each crystal, shape (n,); its composition by default.

    Returns:
        Formation energies in eV/atom, nan where a fold has no energy of an element or none is known, shape (n,).
    """
    usable = np.flatnonzero(np.isfinite(phases.energies - known))
    keys = composition_keys(phases.compositions) if groups is None else groups
    groups = np.unique(keys[usable], return_inverse=True)[1].ravel()
    energies = np.full(len(known), np.nan)
    if groups.max(initial=-1) + 1 < FOLDS:
        return energies
    for train, test in grouped_folds(groups):
        rows = usable[test]
        fitted = ElementalReferences.fitted(phases.take(usable[train]), known[usable[train]], corrected=corrected)
        energies[rows] = fitted.formation_energies(phases.take(rows)).energies
    return energies


def _mean_error(found: NDArray[np.float64], known: NDArray[np.float64]) -> float:
    errors = np.abs(found - known)
    return float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan")
