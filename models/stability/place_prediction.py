"""Predictive distribution of the energy above the hull: what is wrong about a place, and what the hull lacks.

A candidate lies where the energy by a potential puts it among the phases whose energies are known. Three things make
the truth another one. The energy is wrong, by as much as those of other candidates were. A phase is missing from the
hull: then the candidate lies higher, by as much as compositions near such a place rose when a database grew. And the
other candidates with which it competes have wrong energies too. The errors of two candidates by one potential share
their median, by which the potential puts all new crystals too low, so it cancels as far as candidates compete; the
errors of two crystals of one composition cancel further (``benchmarks/models/missing_phases.py`` measures all three).

Everything that is said of the energy above the hull is read from this one distribution: median, interval, probability.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.models.stability.competition import Competition
from matloop.models.stability.error_distribution import ErrorDistribution, NearbyValues
from matloop.models.stability.local_prediction import LocalPrediction

POINTS = 1024
"""Points at which the three distributions are combined; with so many a probability is exact to about 0.005."""
KEPT = 300
"""Equally probable values that are kept of them."""
_RATIO = 1.2207440846057596  # solves x^4 = x + 1


def predict_places(
    errors: ErrorDistribution,
    competition: Competition,
    compositions: Compositions,
    *,
    missing: NearbyValues | None = None,
    polymorphs: NearbyValues | None = None,
) -> LocalPrediction:
    """Predict the energy above the hull of n candidates.

    Args:
        errors: How wrong distances from the hull of the reference phases are.
        competition: Where the candidates lie.
        compositions: Theirs.
        missing: How much the hull falls below a place when more phases come to be known, by the place in eV/atom.
        polymorphs: How wrong the difference of two crystals of one composition is, by the difference in eV/atom.

    Returns:
        Predictions with the places of the candidates in their centres, and :data:`KEPT` values around each.
    """
    places = competition.distances.energy_above_hull
    known = errors.around("energy_above_hull", places, compositions, competition.distances.codes)
    of_error, of_rise, of_other = _points()
    error, other = (_drawn(known.residuals, points) for points in (of_error, of_other))
    alone = competition.alone.energy_above_hull
    rise = 0.0 if missing is None else _drawn(missing.around(alone), of_rise)
    reference = alone[:, None] + rise
    shared = competition.share[:, None]
    # Of the others in a mixture, the errors are those of candidates like this one, and independent of its own.
    among = np.where(shared > 0, places[:, None] - shared * other, -np.inf)
    values = error + np.maximum(reference, among)
    rows = np.flatnonzero(competition.sibling >= 0)
    behind, lower = places[rows], competition.sibling[rows]
    apart = behind[:, None] + (0.0 if polymorphs is None else _drawn(polymorphs.around(behind), of_other))
    values[rows] = np.maximum(apart, 0.0) + np.maximum(reference[lower] + error[lower], 0.0)
    kept = np.sort(values, axis=1)[:, ((np.arange(KEPT) + 0.5) / KEPT * POINTS).astype(np.int64)]
    # Without an upper bound of the property, an interval that nothing bounds stays open.
    return LocalPrediction(places, kept - places[:, None], known.codes, (known.bounds[0], np.inf))


def _points() -> NDArray[np.float64]:
    """Points that fill the unit cube evenly, shape (3, POINTS): a Kronecker sequence, the same at every call."""
    steps = _RATIO ** -np.arange(1.0, 4.0)
    return np.modf(0.5 + steps[:, None] * np.arange(POINTS))[0]


def _drawn(values: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, equally probable in each row, that lie at points between 0 and 1, shape (n, points)."""
    return values[:, (points * values.shape[1]).astype(np.int64)]
