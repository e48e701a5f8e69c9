"""What candidates would decompose into, by the hull of a database, whether or not a run asked a potential."""

from __future__ import annotations

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.training.packaged_tables import packaged_crystals
from matloop.models.stability.computed_hull import computed_hull
from matloop.models.stability.hull import PhaseEnergies, packaged_references
from matloop.models.stability.packaged_stability import DATABASE, known_phases
from matloop.screening.dossier.competing_phases import CompetingPhase, Competition, with_crystals

_POLYMORPHS_BY = "sevennet"
"""Potential whose energies of packaged crystals tell which polymorph is drawn; its errors are smaller than CHGNet's."""


def competitions_of(batch: CandidateBatch) -> list[Competition]:
    """Find the phases that compete with each candidate: the cheapest mixture on the hull, and what has no energy.

    The own composition of a candidate is left out, as if nobody had computed it.

    Args:
        batch: n candidates.

    Raises:
        DatasetError: If a packaged file is not the one that was released.
    """
    hull = computed_hull(DATABASE)
    energies = dict(zip(hull.references.ids, hull.references.energies.tolist(), strict=True))
    nothing = np.zeros(len(batch))  # the mixture does not depend on the energy of the candidate
    asked = PhaseEnergies(hull.references.source, batch.compositions, nothing, list(batch.ids))
    products = hull.distances(asked, leave_out_own_composition=True).products
    coverage = known_phases().coverage(batch.compositions)
    crystals, found = packaged_crystals(), []
    polymorphs = packaged_references(crystals, _POLYMORPHS_BY).energies
    for row, mixture in enumerate(products):
        phases = [
            CompetingPhase(product.formula, float(product.fraction), energies[product.phase_id]) for product in mixture
        ]
        known = int(coverage.known[row])
        found.append(
            Competition(
                with_crystals(phases, crystals, polymorphs),
                known,
                round(float(coverage.shares[row]) * known),
                coverage.without_energy[row],
            )
        )
    return found
