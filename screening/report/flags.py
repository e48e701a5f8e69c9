"""Flags and oxidation states of finalists on their cards, and what the flags of a run mean."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.assigned_states import state_label
from matloop.data.elements import SYMBOLS
from matloop.data.plain_text import plain
from matloop.data.properties.columns import Column
from matloop.screening.flags.flag_words import MEANINGS, FlagWords, Meaning, flag_words
from matloop.screening.flags.flags import FACTS, Flag, raised_in
from matloop.screening.flags.symmetric_sites import symmetric_sites
from matloop.screening.language.text import formula_markup, ion_markup, number
from matloop.screening.report.batch_columns import numbers, texts
from matloop.screening.runs.run_view import RunView

_LEAST_MOVE = 0.001  # Å; the last digit that is told
_ION = re.compile(r"[A-Z][a-z]?[0-9.]*[+-]")
_FORMULA = re.compile(r"[A-Z](?:[A-Za-z0-9()]*[A-Za-z0-9)])?")


class SiteRow(NamedTuple):
    """Equivalent sites of a symmetrised crystal, ready to print.

    Attributes:
        ion: Element with its oxidation state, without one where none is known.
        letter: Multiplicity and Wyckoff letter; empty without symmetry.
        place: Fractional coordinates of one of them.
        sum: Bond-valence sum; a dash where it cannot be judged.
        off_centre: Distance from the mean place of the counter-ions in Å; likewise.
    """

    ion: Markup
    letter: str
    place: str
    sum: str
    off_centre: str


class SiteTable(NamedTuple):
    """The sites of a symmetrised crystal.

    Attributes:
        tolerance: Within which it was symmetrised, in Å; empty where no symmetry was found.
        moved: By how much the atom that moved most did, in Å.
        rows: One for each kind of site.
    """

    tolerance: str
    moved: str
    rows: list[SiteRow]


class ChemistryWords(NamedTuple):
    """What a card says of the chemistry of a candidate.

    Attributes:
        states: Oxidation state of each element; empty where none neutralises it.
        sums: Bond-valence sums by element; empty where there are none.
        instability: Global instability index in valence units; empty likewise.
    """

    states: Markup
    sums: str
    instability: str


def card_flags(batch: CandidateBatch, row: int) -> list[FlagWords]:
    """The flags of one candidate, with ions and formulas as they are printed.

    Args:
        batch: Ranked candidates.
        row: One of them.
    """
    facts = {str(name): texts(batch, name)[row] for name in FACTS.values() if name is not None}
    return flag_words(texts(batch, Column.FLAGS)[row], facts, written=chemical_markup)


def chemistry_words(batch: CandidateBatch, row: int) -> ChemistryWords | None:
    """The oxidation states and bond-valence sums of one candidate; None where nobody looked at them.

    Args:
        batch: Ranked candidates.
        row: One of them.
    """
    states = texts(batch, Column.OXIDATION_STATES)[row]
    if states is None:
        return None
    index = float(numbers(batch, Column.INSTABILITY_INDEX)[row])
    sums = (texts(batch, Column.BOND_VALENCE_SUMS)[row] or "").replace(" to ", "–")
    return ChemistryWords(chemical_markup(states), sums, number(index, 0.1) if np.isfinite(index) else "")


def site_table(batch: CandidateBatch, row: int) -> SiteTable | None:
    """The sites of one candidate in its symmetrised conventional cell; None without a crystal.

    Args:
        batch: Ranked candidates.
        row: One of them.
    """
    if batch.crystals is None or not batch.has_crystal[row]:
        return None
    sites = symmetric_sites(batch, row)
    known, cell = sites.chemistry, sites.cell
    rows = []
    first = np.unique(sites.atoms, return_index=True)[1].tolist()
    for at in sorted(first, key=lambda site: known.states[site] < 0):  # cations before anions
        element, state = int(cell.species[sites.atoms[at]]), float(known.states[at])
        rows.append(
            SiteRow(
                ion_markup(state_label(element, state)) if np.isfinite(state) else escape(SYMBOLS[element]),
                sites.letters[at],
                " ".join(f"{coordinate:.4f}" for coordinate in sites.places[at] + 0.0),
                number(float(known.sums[at]), 0.1),
                number(float(known.off_centre[at]), 0.1),
            )
        )
    moved = f"{max(cell.moved, _LEAST_MOVE):.3f}"
    return SiteTable("" if cell.tolerance is None else f"{cell.tolerance:g}", moved, rows)


def chemical_markup(text: str) -> Markup:
    """A text of ions, formulas and other words, with charges raised and amounts lowered.

    >>> print(chemical_markup("Ti4+, Hf4+: HfO2 (mp-352) 25%"))
    Ti<sup>4+</sup>, Hf<sup>4+</sup>: HfO<sub>2</sub> (mp-352) 25%
    """
    parts = []
    for word in re.split(r"(\s+|[,;:](?=\s|$))", plain(text)):
        if _ION.fullmatch(word):
            parts.append(ion_markup(word))
        elif _FORMULA.fullmatch(word):
            parts.append(formula_markup(word))
        else:
            parts.append(escape(word))
    return Markup("").join(parts)


def flag_meanings(run: RunView) -> dict[Flag, Meaning]:
    """What the flags that any ranked candidate of a run has mean, in their order.

    Args:
        run: The run.
    """
    raised = {flag for codes in texts(run.ranked, Column.FLAGS) for flag in raised_in(codes)}
    return {flag: meaning for flag, meaning in MEANINGS.items() if flag in raised}
