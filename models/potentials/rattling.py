"""A test of relaxed crystals: every atom is moved a little, and the crystal relaxes again.

A relaxation keeps the symmetry it starts with: where symmetry makes a force zero, no atom moves along it. The crystal
that it ends in may be a saddle point, from which distorted crystals of lower energy can be reached. A small random
displacement of every atom breaks the symmetry. Where the crystal falls in energy after that, the new crystal takes its
place; else the symmetric crystal stays as it was. A crystal that falls by much into another space group was at a
saddle point; one that falls by little may have stopped early instead, on a slope below the limit of forces.

Only distortions that fit the cell are found: those that double a cell are not.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.properties.columns import Column
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.relaxed_crystal import Outcome

FALL_TOLERANCE = 0.005
"""eV/atom that a crystal must fall by. Smaller falls are mostly what a limit of forces of 0.1 eV/Å leaves: relaxing the
symmetric crystal further gives them too."""
_OF_THE_END = (
    Column.RELAXATION_OUTCOME, Column.RELAXATION_ENERGY, Column.RELAXATION_LARGEST_FORCE, Column.RELAXATION_DETAIL,
)  # fmt: skip


def rattle_and_relax(
    potential: str, relaxed: CandidateBatch, settings: GuardedRelaxationSettings | None = None, *, displacement: float
) -> CandidateBatch:
    """Move the atoms of crystals whose relaxation converged, relax them again under guard, and keep the lower ones.

    A crystal is replaced if its second relaxation ended at least :data:`FALL_TOLERANCE` lower, except where time cut
    that one short: it would end elsewhere on another machine. The random displacements follow from the identifier of
    the candidate, so that the answer does not depend on the other crystals of the batch. The limits of steps and
    seconds hold for the second relaxation as they did for the first one.

    Args:
        potential: Name of the potential that relaxed them.
        relaxed: n crystals with the columns that :func:`~matloop.models.potentials.relaxation.relax` gives.
        settings: How they were relaxed.
        displacement: Root mean square of the displacements of an atom in Å; with 0 nothing is moved.

    Returns:
        The batch with the steps and seconds of both relaxations together, and the column ``relaxation_rattle_gain``:
        the energy in eV/atom by which a crystal fell, 0 where it stays as it was, and nan where nothing is known,
        because it was not moved or its second relaxation came to no end.

    Raises:
        UnknownNameError: For an unknown potential, option or optimiser.
        CapabilityError: If the potential neither evaluates nor relaxes.
        PotentialError: If the potential cannot be loaded.
    """
    chosen = settings or GuardedRelaxationSettings()
    rows = np.flatnonzero(relaxed.column(Column.RELAXATION_OUTCOME) == Outcome.CONVERGED)
    gains = np.full(len(relaxed), np.nan)
    if not displacement or not len(rows):
        return relaxed.with_columns({Column.RELAXATION_RATTLE_GAIN: gains})
    second = relax_guarded(potential, rattled(relaxed.take(rows), displacement), chosen)
    outcomes, steps = (second.column(name) for name in (Column.RELAXATION_OUTCOME, Column.RELAXATION_STEPS))
    used_up = (outcomes == Outcome.NOT_CONVERGED) & (steps >= chosen.limits.steps)
    falls = relaxed.column(Column.RELAXATION_ENERGY)[rows] - second.column(Column.RELAXATION_ENERGY)
    fell = ((outcomes == Outcome.CONVERGED) | used_up) & (falls >= FALL_TOLERANCE)
    gains[rows[outcomes == Outcome.CONVERGED]] = 0.0
    gains[rows[fell]] = falls[fell]
    kept = _replaced(relaxed, rows[fell], second.take(np.flatnonzero(fell)))
    spent: dict[str, Any] = {
        name: kept.column(name).copy() for name in (Column.RELAXATION_STEPS, Column.RELAXATION_SECONDS)
    }
    for name, values in spent.items():
        values[rows] += second.column(name)
    return kept.with_columns({**spent, Column.RELAXATION_RATTLE_GAIN: gains})


def rattled(batch: CandidateBatch, displacement: float) -> CandidateBatch:
    """Move every atom by a random vector that follows from the identifier of the candidate.

    Args:
        batch: n crystals.
        displacement: Root mean square of the displacements of an atom in Å. The three coordinates are normally
            distributed; their mean over the atoms of a crystal is taken off.
    """
    crystals = batch.crystals
    assert crystals is not None  # they were relaxed
    places = crystals.frac_coords.copy()
    for row, name in enumerate(batch.ids):
        sites = slice(crystals.offsets[row], crystals.offsets[row + 1])
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        moves = np.random.default_rng(seed).normal(0, displacement / np.sqrt(3), places[sites].shape)
        places[sites] += (moves - moves.mean(axis=0)) @ np.linalg.inv(crystals.lattice[row])
    moved = Crystals(crystals.lattice, crystals.offsets, crystals.species, places)
    return batch.with_block(CRYSTALS, moved)


def _replaced(first: CandidateBatch, rows: NDArray[np.int64], second: CandidateBatch) -> CandidateBatch:
    """Put the crystals that fell in the place of those they came from."""
    before, after = first.crystals, second.crystals
    assert before is not None
    assert after is not None
    lattice, places = before.lattice.copy(), before.frac_coords.copy()
    lattice[rows] = after.lattice
    for number, row in enumerate(rows.tolist()):
        sites = slice(before.offsets[row], before.offsets[row + 1])
        places[sites] = after.frac_coords[after.offsets[number] : after.offsets[number + 1]]
    columns: dict[str, Any] = {name: first.column(name).copy() for name in _OF_THE_END}
    for name, values in columns.items():
        values[rows] = second.column(name)
    change = first.column(Column.RELAXATION_VOLUME_CHANGE).copy()
    change[rows] = (1 + change[rows]) * (1 + second.column(Column.RELAXATION_VOLUME_CHANGE)) - 1
    columns[Column.RELAXATION_VOLUME_CHANGE] = change
    crystals = Crystals(lattice, before.offsets, before.species, places)
    return first.with_block(CRYSTALS, crystals).with_columns(columns)
