"""Oxidation state and bond-valence sum of every site of crystals, on the scale of known crystals."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.bond_valence import (
    SOFTNESS,
    Kinds,
    instability_indices,
    kinds_of,
    lengths_between,
    site_valences,
)
from matloop.data.chemistry.lone_pairs import has_lone_pair
from matloop.data.packaged.crystals_near_hull import crystals_near_hull
from matloop.data.properties.columns import Column
from matloop.screening.flags.candidate_states import candidate_states

LARGEST_MISFIT = 0.5
"""Of a bond-valence sum from the charge, in valence units; one known stable crystal in eleven has a larger one
(``benchmarks/screening/flags.py``)."""
LARGEST_UNCERTAIN_MISFIT = 1.0
"""The same where no known crystal shows the ion with this charge, and other charges of the element stand in for it."""
FEWEST_CRYSTALS = 3
"""Known crystals that have to show the valences of a pair of ions before sums with it are judged."""


BondCorrections = Mapping[tuple[int, int, int], float]
"""What is added to R0 in Å, by element and charge of the cation and element of the anion."""


class SiteChemistry(NamedTuple):
    """Chemistry of the sites of n crystals, in the order of their flat arrays.

    Attributes:
        states: Oxidation state of each site, shape (sites,); nan throughout a crystal without an assignment.
        sums: Bond-valence sum of each site in valence units, shape (sites,); nan where it cannot be judged.
        off_centre: Distance in Å of each site from the mean place of its counter-ions, shape (sites,); likewise.
        instability: Global instability index of each crystal in valence units, shape (n,).
        limits: By how many valence units the sum of each site may differ from its charge, shape (sites,).
    """

    states: NDArray[np.float64]
    sums: NDArray[np.float64]
    off_centre: NDArray[np.float64]
    instability: NDArray[np.float64]
    limits: NDArray[np.float64]


def site_chemistry(batch: CandidateBatch, corrections: BondCorrections | None = None) -> SiteChemistry:
    """Find the chemistry of the sites of crystals.

    Args:
        batch: n candidates with crystals.
        corrections: Of R0, by default those that the packaged crystals show.
    """
    crystals = batch.crystals
    assert crystals is not None  # the caller chose candidates with crystals
    states = _states_of_sites(batch)
    kinds = kinds_of(crystals, states)
    added, stands_in = _added(kinds, corrections or bond_corrections())
    found = site_valences(crystals, kinds, lengths_between(kinds) + added)
    instability = instability_indices(crystals.offsets, found.sums, states)
    limits = np.full(len(states), LARGEST_MISFIT)
    for start, stop in itertools.pairwise(crystals.offsets.tolist()):
        own = kinds.sites[start:stop]
        limits[start:stop][stands_in[own][:, own].any(axis=1)] = LARGEST_UNCERTAIN_MISFIT
    return SiteChemistry(states, found.sums, found.off_centre, instability, limits)


def has_own_distances(batch: CandidateBatch) -> NDArray[np.bool_]:
    """Which of n crystals have distances of their own: a child that was not relaxed has those of its parent, scaled."""
    made, relaxed = np.zeros(len(batch), bool), np.zeros(len(batch), bool)
    for name in (Column.PARENT_ID, Column.PROTOTYPE):
        if name in batch.table.column_names:
            made |= np.array(batch.table[name].is_valid())
    if Column.RELAXATION_OUTCOME in batch.table.column_names:
        relaxed = np.array([bool(value) for value in batch.table[Column.RELAXATION_OUTCOME].to_pylist()], bool)
    return ~made | relaxed


def _states_of_sites(batch: CandidateBatch) -> NDArray[np.float64]:
    compositions, crystals = batch.compositions, batch.crystals
    assert crystals is not None
    table = np.full((len(batch), 119), np.nan)
    table[compositions.rows, compositions.elements] = candidate_states(batch)
    return table[np.repeat(np.arange(len(batch)), crystals.site_counts), crystals.species]


def _added(kinds: Kinds, known: BondCorrections) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What is added to R0 of each pair of kinds in Å, nan where too few known crystals show it.

    R0 of the published table does not depend on the charge, so other charges of a cation stand in for one that is not
    shown, but not an ion with a lone pair for one without: its bonds are of another length.

    Returns:
        The corrections, and for which pairs other charges stand in, both of shape (k, k).
    """
    added = np.full((len(kinds.elements),) * 2, np.nan)
    stands_in = np.zeros(added.shape, bool)
    for at in np.flatnonzero(kinds.charges > 0):
        element, charge = int(kinds.elements[at]), float(kinds.charges[at])
        paired = has_lone_pair(element, round(charge))
        for other in np.flatnonzero(kinds.charges < 0):
            anion = int(kinds.elements[other])
            shown = known.get((element, round(charge), anion))
            if shown is None:
                alike = [
                    correction
                    for (cation, state, around), correction in known.items()
                    if (cation, around) == (element, anion) and has_lone_pair(cation, state) == paired
                ]
                shown = float(np.median(alike)) if alike else np.nan
                stands_in[at, other] = stands_in[other, at] = bool(alike)
            added[at, other] = added[other, at] = shown
    return added, stands_in


@functools.cache
def bond_corrections() -> BondCorrections:
    """Corrections of R0 that the packaged crystals near the hull show.

    With the published element parameters the median sum of Si4+ in known oxides is 4.6, and that of V5+ is 4.4. So R0
    of each pair is moved until the median over the packaged crystals near the hull, with this one anion, is the charge.
    """
    return bond_corrections_of(crystals_near_hull())


def bond_corrections_of(known: CandidateBatch) -> BondCorrections:
    """Corrections of R0 that n known crystals show; see :func:`bond_corrections`.

    Args:
        known: The crystals.
    """
    crystals, states = known.crystals, _states_of_sites(known)
    assert crystals is not None  # packaged crystals all have cells
    kinds = kinds_of(crystals, states)
    found = site_valences(crystals, kinds, lengths_between(kinds))
    rows = np.repeat(np.arange(len(known)), crystals.site_counts)
    anion = np.zeros(len(known), np.int64)
    negative = np.flatnonzero(states < 0)
    anion[rows[negative]] = crystals.species[negative]
    several = np.bincount(rows[negative], crystals.species[negative] != anion[rows[negative]], len(known)) > 0
    judged = np.flatnonzero((states > 0) & (found.sums > 0) & ~several[rows])
    keys = np.stack([crystals.species[judged], np.rint(states[judged]).astype(np.int64), anion[rows[judged]]])
    ratios = found.sums[judged] / states[judged]
    corrections = {}
    distinct, which = np.unique(keys, axis=1, return_inverse=True)
    for number, key in enumerate(distinct.T.tolist()):
        own = np.flatnonzero(which.ravel() == number)
        if len(np.unique(rows[judged[own]])) >= FEWEST_CRYSTALS:
            corrections[tuple(key)] = float(-SOFTNESS * np.log(np.median(ratios[own])))
    return corrections
