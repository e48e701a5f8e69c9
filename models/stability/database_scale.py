"""Formation energies of the packaged crystals on the scale of the phases that a database computed.

The packaged labels are of 2015, and the packaged phases of 2019. In between the database computed some elements anew,
which shifts the formation energies of their compounds by up to 70 meV per atom of the element (niobium). Labels are
brought to the later scale by energies of the elements that make them agree with the lowest phase of each composition.
The fit minimises absolute deviations, so crystals that are not the lowest of their composition do not pull it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import PhaseEnergies

SAME_CRYSTAL = 0.02
"""Largest difference between a label and the lowest phase of its composition that are one crystal, in eV/atom."""


def formation_energies_on_scale(
    compositions: Compositions, labels: NDArray[np.float64], phases: PhaseEnergies, polymorphs: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return formation energies of n crystals on the scale of the phases of their database.

    A crystal is the lowest phase of its composition where the database has only one, or where its label says so; it has
    the energy of the phase then. Other crystals with a label have the label, brought to the same scale.

    Args:
        compositions: Of the crystals.
        labels: Formation energies in eV/atom of another version of the same database, nan where unknown, shape (n,).
        phases: The lowest phase of each composition.
        polymorphs: How many phases of each composition the database has, of the length of ``phases``.

    Returns:
        eV/atom, nan where unknown, shape (n,); elements are at zero in their lowest phase.
    """
    lowest, count = _looked_up(compositions, phases, polymorphs)
    labelled = PhaseEnergies("labels", compositions, labels, [""] * len(labels))
    if np.isfinite(labels - lowest).any():
        labels = ElementalReferences.fitted(labelled, lowest).formation_energies(labelled).energies
    with np.errstate(invalid="ignore"):
        is_lowest = np.abs(labels - lowest) < SAME_CRYSTAL
    is_lowest |= np.isnan(labels) & (count == 1)
    return np.where(is_lowest, lowest, labels)


def _looked_up(
    compositions: Compositions, phases: PhaseEnergies, polymorphs: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The energy of the phase with the composition of each crystal, nan without one, and how many phases there are."""
    keys, known = composition_keys(compositions), composition_keys(phases.compositions)
    order = np.argsort(known, kind="stable")
    at = order[np.clip(np.searchsorted(known[order], keys), 0, len(known) - 1)]
    found = known[at] == keys
    return np.where(found, phases.energies[at], np.nan), np.where(found, polymorphs[at], 0).astype(np.int64)
