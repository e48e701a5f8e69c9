"""Sites on which a substitution put a cation without a lone pair in place of one with it, or the other way round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.assigned_states import states_of_words
from matloop.data.chemistry.lone_pairs import has_lone_pair
from matloop.data.generators.substitution_record import read_record
from matloop.data.properties.columns import Column


def lone_pair_swaps(batch: CandidateBatch, off_centre: NDArray[np.float64] | None = None) -> list[str]:
    """Tell which swaps gained or lost a lone pair, and how far off centre the new ions stand; empty where none did.

    The parent's ions stand where a lone pair left them room, or where none needed it. Relaxing seldom leads from one
    coordination to the other, because it starts in the parent's.

    Args:
        batch: n candidates with the column ``origin``.
        off_centre: Distance of each site of their crystals from the mean place of its counter-ions in Å, shape
            (sites,).

    >>> child = CandidateBatch.from_formulas(["La2WO6"]).batch.with_columns(
    ...     origin=["Bi2WO6 (mp-25730), Bi3+ to La3+"])
    >>> lone_pair_swaps(child)
    ['Bi3+ to La3+']
    """
    if Column.ORIGIN not in batch.table.column_names:
        return [""] * len(batch)
    told = []
    for row, origin in enumerate(batch.table[Column.ORIGIN].to_pylist()):
        record = read_record(origin)
        changed = [swap for swap in record.swaps if _changes_lone_pair(*swap)] if record else []
        told.append(", ".join(_told(batch, row, swap, off_centre) for swap in changed))
    return told


def _changes_lone_pair(old: str, new: str) -> bool:
    before, after = (
        any(has_lone_pair(element, state) for element, state in states_of_words(ion).items()) for ion in (old, new)
    )
    return before != after


def _told(batch: CandidateBatch, row: int, swap: tuple[str, str], off_centre: NDArray[np.float64] | None) -> str:
    told = " to ".join(swap)
    crystals = batch.crystals
    if off_centre is None or crystals is None:
        return told
    sites = slice(*crystals.offsets[row : row + 2].tolist())
    own = off_centre[sites][np.isin(crystals.species[sites], list(states_of_words(swap[1])))]
    return f"{told} {np.nanmax(own):.2f} Å" if np.isfinite(own).any() else told
