"""How wrong a potential is about the energy difference of two crystals of one composition.

What a potential gets wrong about a composition, or about all crystals that it has not seen, cancels in this difference.
What is left grows with the difference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.models.stability.competition import places_among_polymorphs
from matloop.models.stability.error_distribution import NearbyValues
from matloop.models.stability.hull import PhaseEnergies

NEIGHBOURS = 50
"""Pairs of nearest energy difference that say how wrong it is."""


def polymorph_errors(phases: PhaseEnergies, truth: NDArray[np.float64]) -> NearbyValues:
    """Compare each crystal with the lowest one of its composition.

    Args:
        phases: Energies of n crystals by a potential.
        truth: Their energies by what the potential is judged by, eV/atom on any scale, nan where unknown, shape (n,).

    Returns:
        True less predicted difference in eV/atom, by the predicted one; elements do not count.

    >>> phases = PhaseEnergies.from_table(["TiO2", "TiO2", "ZnO"], [-3.0, -2.9, -2.0], ["x"] * 3)
    >>> polymorph_errors(phases, np.array([-8.0, -7.87, -5.0])).values.round(2).tolist()
    [0.03]
    """
    _, lowest = places_among_polymorphs(phases)
    behind = phases.energies - phases.energies[lowest]
    errors = truth - truth[lowest] - behind
    higher = (lowest != np.arange(len(lowest))) & (phases.compositions.lengths > 1)
    return NearbyValues.of(np.where(higher, behind, np.nan), errors, NEIGHBOURS)
