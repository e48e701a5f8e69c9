"""What the command line says below a shortlist: where crystals lie on the hull, and which of them changed much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from matloop.data.plain_text import one_line
from matloop.data.properties.columns import Column
from matloop.screening.flags.flag_words import flag_words
from matloop.screening.flags.flags import FACTS, Flag
from matloop.screening.flags.relaxed_volume import LARGEST_VOLUME_CHANGE, volume_changed_much
from matloop.screening.language.supported_probability import capped_words
from matloop.screening.runs.run_summary import SupportedProbability

if TYPE_CHECKING:
    import pandas as pd

_MOST_NAMED = 30
_TOLD_IN_NUMBERS = {Flag.VOLUME_CHANGE, Flag.IMAGINARY_VIBRATION, Flag.REFERENCES_INCOMPLETE}
_REASONS = {"element_products": "competes with an element", "far_below": "lies far below the hull"}


def shortlist_notes(shortlist: pd.DataFrame, supported: Sequence[SupportedProbability] = ()) -> list[str]:
    """Sentences about capped probabilities, and about candidates that were relaxed with a potential.

    Args:
        shortlist: The shortlisted candidates, best place first.
        supported: The largest probabilities that calibration rows of the run support.
    """
    notes = _capped(shortlist, supported)
    if Column.HULL_DISTANCE in shortlist:
        distances = shortlist[Column.HULL_DISTANCE].to_numpy(np.float64)
        if np.isfinite(distances).any():
            told = _listed(shortlist, np.isfinite(distances), [f"{distance:.3f}" for distance in distances])
            notes.append(f"Distance from the hull in eV/atom, below it negative: {told}.")
    notes += _by_second_potential(shortlist) + _coverage(shortlist) + _incomplete(shortlist)
    notes += _imaginary_vibrations(shortlist) + _flagged(shortlist)
    if Column.RELAXATION_VOLUME_CHANGE in shortlist:
        changes = shortlist[Column.RELAXATION_VOLUME_CHANGE].to_numpy(np.float64)
        changed = volume_changed_much(changes)
        if changed.any():
            told = _listed(shortlist, changed, [f"{change:+.0%}" for change in changes])
            limit = f"{LARGEST_VOLUME_CHANGE:.0%}"
            notes.append(f"Look at these, whose volume relaxing changed by more than {limit}: {told}.")
    return notes


def _capped(shortlist: pd.DataFrame, supported: Sequence[SupportedProbability]) -> list[str]:
    """A sentence about each cap that holds the probability of a candidate."""
    if Column.CAPPED_TARGETS not in shortlist:
        return []
    texts = [_text(value) for value in shortlist[Column.CAPPED_TARGETS]]
    found = dict.fromkeys(words.en for text in texts for words in capped_words(text, supported))
    return [f"{sentence}." for sentence in found]


def _imaginary_vibrations(shortlist: pd.DataFrame) -> list[str]:
    if Column.PHONON_IMAGINARY not in shortlist or Column.PHONON_LOWEST not in shortlist:
        return []
    imaginary = np.array([value is True or value == 1 for value in shortlist[Column.PHONON_IMAGINARY].tolist()], bool)
    if not imaginary.any():
        return []
    texts = [f"{-lowest:.1f} THz" for lowest in shortlist[Column.PHONON_LOWEST].to_numpy(np.float64)]
    return [f"An imaginary lattice vibration says that these would distort: {_listed(shortlist, imaginary, texts)}."]


def _flagged(shortlist: pd.DataFrame) -> list[str]:
    """A sentence about each candidate with flags, but for what other notes tell in numbers."""
    if Column.FLAGS not in shortlist:
        return []
    notes = []
    for row in shortlist.to_dict("records"):
        facts = {str(name): _text(row.get(name)) for name in FACTS.values() if name is not None}
        raised = flag_words(_text(row[Column.FLAGS]), facts)
        told = [words.words.en for words in raised if words.flag not in _TOLD_IN_NUMBERS]
        if told:
            notes.append(
                f"Look twice at {row[Column.SHORTLISTED]} {one_line(str(row[Column.FORMULA]))}: {'; '.join(told)}."
            )
    return notes[:_MOST_NAMED]


def _text(value: object) -> str:
    """A text as it is without what cannot be seen, empty where there is none."""
    return one_line(value) if isinstance(value, str) else ""


def _by_second_potential(shortlist: pd.DataFrame) -> list[str]:
    if Column.HULL_DISTANCE_SECOND not in shortlist:
        return []
    distances = shortlist[Column.HULL_DISTANCE_SECOND].to_numpy(np.float64)
    if not np.isfinite(distances).any():
        return []
    told = _listed(shortlist, np.isfinite(distances), [f"{distance:.3f}" for distance in distances])
    return [f"The same by the second potential: {told}."]


def _coverage(shortlist: pd.DataFrame) -> list[str]:
    """How many of the known compositions of its elements have an energy, where not all of them do."""
    if Column.HULL_COVERAGE not in shortlist or Column.HULL_KNOWN_COMPOSITIONS not in shortlist:
        return []
    shares = shortlist[Column.HULL_COVERAGE].to_numpy(np.float64)
    known = shortlist[Column.HULL_KNOWN_COMPOSITIONS].to_numpy(np.float64)
    lacking = np.isfinite(shares) & (shares < 1) & (known > 0)
    if not lacking.any():
        return []
    texts = [
        f"{np.nan_to_num(share * count):.0f} of {np.nan_to_num(count):.0f}"
        for share, count in zip(shares, known, strict=True)
    ]
    return [f"Known compositions of their elements with an energy: {_listed(shortlist, lacking, texts)}."]


def _incomplete(shortlist: pd.DataFrame) -> list[str]:
    if Column.HULL_INCOMPLETE not in shortlist:
        return []
    reasons = shortlist[Column.HULL_INCOMPLETE].fillna("").astype(str).tolist()
    chosen = np.array([reason != "" for reason in reasons], bool)
    if not chosen.any():
        return []
    texts = [", ".join(_REASONS.get(code, code) for code in reason.split(", ")) for reason in reasons]
    return [f"Competing phases may be missing, which value and interval count: {_listed(shortlist, chosen, texts)}."]


def _listed(shortlist: pd.DataFrame, chosen: np.ndarray, texts: list[str]) -> str:
    """Place, formula and text of the chosen candidates, the first thirty of them."""
    rows = np.flatnonzero(chosen)
    places, formulas = shortlist[Column.SHORTLISTED].tolist(), shortlist[Column.FORMULA].tolist()
    named = [f"{places[row]} {one_line(str(formulas[row]))} {texts[row]}" for row in rows[:_MOST_NAMED]]
    return ", ".join(named) + (f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else "")
