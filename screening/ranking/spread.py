"""A shortlist spread over chemistry and structures as a campaign asks for, and what that costs in score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.comparison.structure_distance import structure_distances, structure_fingerprints
from matloop.screening.campaign.campaign import Shortlist
from matloop.screening.ranking.ranking import diverse_choice
from matloop.screening.runs.run_summary import DiversityPrice, ListSpread


def spread_choice(
    merit: NDArray[np.float64], candidates: CandidateBatch, wanted: Shortlist, *, size: int | None = None
) -> list[int]:
    """Choose the rows of a shortlist, best first, as a campaign asks for.

    Args:
        merit: Score of n ranked candidates, nan where one may not be chosen, shape (n,).
        candidates: The same candidates.
        wanted: Size and diversity.
        size: In place of that size.
    """
    return diverse_choice(
        merit, candidates.compositions, size=wanted.size if size is None else size, diversity=wanted.diversity,
        structures=structures_of(candidates, wanted), structural_diversity=wanted.structural_diversity,
    )  # fmt: skip


def structures_of(candidates: CandidateBatch, wanted: Shortlist) -> NDArray[np.float64] | None:
    """Fingerprints of the crystals of candidates, None where a shortlist does not ask for them or there are none."""
    if wanted.structural_diversity == 0 or candidates.crystals is None:
        return None
    return structure_fingerprints(candidates.crystals)


def list_spread(
    rows: list[int], candidates: CandidateBatch, *, merit: NDArray[np.float64], probability: NDArray[np.float64]
) -> ListSpread:
    """Measure how good a list is, and how far its members are from each other.

    Args:
        rows: Its members.
        candidates: n ranked candidates.
        merit: Their scores, shape (n,).
        probability: Their probabilities of meeting all targets, shape (n,).
    """
    members = candidates.take(rows)
    pairs = np.triu_indices(len(rows), 1)
    chemistry = structure = np.nan
    if len(rows) > 1:
        chemistry = float(composition_distances(members.compositions, members.compositions)[pairs].mean())
        if members.crystals is not None:
            marks = structure_fingerprints(members.crystals)
            structure = float(structure_distances(marks, marks)[pairs].mean())
    return ListSpread(
        score=float(merit[rows].mean()),
        probability=float(probability[rows].mean()),
        chemistry=chemistry if np.isfinite(chemistry) else None,
        structure=structure if np.isfinite(structure) else None,
    )


def price_of_diversity(
    merit: NDArray[np.float64], candidates: CandidateBatch, wanted: Shortlist, *, probability: NDArray[np.float64]
) -> DiversityPrice | None:
    """Compare the list as it is chosen with the one that would be chosen without diversity; None for an empty list.

    Args:
        merit: Score of n ranked candidates, nan where one may not be chosen, shape (n,).
        candidates: The same candidates.
        wanted: Size and diversity.
        probability: Of meeting all targets, shape (n,).
    """
    plain = wanted.model_copy(update={"diversity": 0.0, "structural_diversity": 0.0})
    lists = [spread_choice(merit, candidates, settings) for settings in (wanted, plain)]
    if not lists[0]:
        return None
    chosen, best = (list_spread(rows, candidates, merit=merit, probability=probability) for rows in lists)
    return DiversityPrice(chosen=chosen, undiversified=best)
