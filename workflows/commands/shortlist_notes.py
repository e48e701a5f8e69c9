"""What the command line says below a shortlist: where crystals lie on the hull, and which of them changed much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matloop.data.plain_text import one_line
from matloop.data.properties.columns import Column
from matloop.screening.dossier.relaxed_volume import LARGEST_VOLUME_CHANGE, volume_changed_much

if TYPE_CHECKING:
    import pandas as pd

_MOST_NAMED = 30


def shortlist_notes(shortlist: pd.DataFrame) -> list[str]:
    """Sentences about candidates that were relaxed with a potential; none where there are none.

    Args:
        shortlist: The shortlisted candidates, best place first.
    """
    notes = []
    if Column.HULL_DISTANCE in shortlist:
        distances = shortlist[Column.HULL_DISTANCE].to_numpy(np.float64)
        if np.isfinite(distances).any():
            told = _listed(shortlist, np.isfinite(distances), [f"{distance:.3f}" for distance in distances])
            notes.append(f"Distance from the potential's hull in eV/atom, below it negative: {told}.")
    if Column.RELAXATION_VOLUME_CHANGE in shortlist:
        changes = shortlist[Column.RELAXATION_VOLUME_CHANGE].to_numpy(np.float64)
        changed = volume_changed_much(changes)
        if changed.any():
            told = _listed(shortlist, changed, [f"{change:+.0%}" for change in changes])
            limit = f"{LARGEST_VOLUME_CHANGE:.0%}"
            notes.append(f"Look at these, whose volume relaxing changed by more than {limit}: {told}.")
    return notes


def _listed(shortlist: pd.DataFrame, chosen: np.ndarray, texts: list[str]) -> str:
    """Place, formula and text of the chosen candidates, the first thirty of them."""
    rows = np.flatnonzero(chosen)
    places, formulas = shortlist[Column.SHORTLISTED].tolist(), shortlist[Column.FORMULA].tolist()
    named = [f"{places[row]} {one_line(str(formulas[row]))} {texts[row]}" for row in rows[:_MOST_NAMED]]
    return ", ".join(named) + (f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else "")
