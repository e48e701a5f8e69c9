"""What gives cause to look twice at each candidate that reached the end, as one list in one order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.assigned_states import state_label, states_in_words
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.open_shells import shell_of
from matloop.data.elements import SYMBOLS
from matloop.data.properties.columns import CHEMISTRY_COLUMNS, Column
from matloop.screening.flags.candidate_states import candidate_states
from matloop.screening.flags.index_opinions import index_opinions
from matloop.screening.flags.lone_pairs import lone_pair_swaps
from matloop.screening.flags.ordered_slices import ordered_slices
from matloop.screening.flags.relaxed_volume import volume_changed_much
from matloop.screening.flags.site_chemistry import BondCorrections, SiteChemistry, has_own_distances, site_chemistry

MOST_LOOKED_AT = 1000
"""Ranked candidates whose chemistry is looked at, as many as the report lists."""
_DECIMALS = 6  # decimals that a misfit is rounded to, so that the last bits of a sum do not decide


class Flag(StrEnum):
    """A cause to look twice, in the order in which causes are told."""

    CHARGE_BALANCE = "charge_balance"
    OPEN_SHELL = "open_shells"
    BOND_VALENCE = "bond_valence"
    LONE_PAIR = "lone_pair"
    ORDERED_SLICE = "ordered_slice"
    INDEX_DISAGREES = "index_disagrees"
    NOT_CONVERGED = "not_converged"
    VOLUME_CHANGE = "volume_change"
    SADDLE_POINT = "saddle_point"
    IMAGINARY_VIBRATION = "imaginary_vibration"
    POTENTIALS_DISAGREE = "potentials_disagree"
    REFERENCES_INCOMPLETE = "references_incomplete"
    OUTSIDE_DOMAIN = "outside_domain"


def with_flags(
    ranked: CandidateBatch, *, hull_error: float = np.nan, corrections: BondCorrections | None = None
) -> CandidateBatch:
    """Add the chemistry of ranked candidates and their flags.

    Args:
        ranked: Candidates, best first, with all that the stages found out about them.
        hull_error: Mean absolute error of formation energies by the potential in eV/atom; nan without a potential.
        corrections: Of bond lengths, by default those that the packaged crystals show.

    Returns:
        The candidates with the columns :data:`~matloop.data.properties.columns.CHEMISTRY_COLUMNS` and ``flags``, which
        are null beyond the first :data:`MOST_LOOKED_AT`.
    """
    first = ranked.take(np.arange(min(len(ranked), MOST_LOOKED_AT)))
    chemistry = _chemistry(first, corrections)
    first = first.with_columns(chemistry)
    codes = [", ".join(flags) for flags in flags_of(first, hull_error=hull_error)]
    beyond = len(ranked) - len(first)
    columns: dict[str, Any] = {}
    for name, values in {**chemistry, Column.FLAGS: pa.array(codes, pa.string())}.items():
        columns[name] = pa.concat_arrays([values, pa.nulls(beyond, values.type)])
    return ranked.with_columns(columns)


def flags_of(batch: CandidateBatch, *, hull_error: float = np.nan) -> list[list[Flag]]:
    """Find what gives cause to look twice at each candidate, from what its columns say.

    Args:
        batch: n candidates with their chemistry.
        hull_error: As in :func:`with_flags`; potentials disagree that differ by more than twice of it.
    """
    raised = {flag: rule(batch, hull_error) for flag, rule in _RULES.items()}
    return [[flag for flag in Flag if raised[flag][row]] for row in range(len(batch))]


def _chemistry(batch: CandidateBatch, corrections: BondCorrections | None) -> dict[str, pa.Array]:
    """The columns of the chemistry of n candidates."""
    states = candidate_states(batch)
    slices = ordered_slices(batch)
    columns: dict[str, list[Any]] = {
        Column.OXIDATION_STATES: [states_in_words(states, batch.compositions, row) for row in range(len(batch))],
        Column.OPEN_SHELL: [_open_shells(states, batch.compositions, row) for row in range(len(batch))],
        Column.ORDERED_SLICE: ["" if found is None else str(found) for found in slices],
        Column.BOND_VALENCE_SUMS: [""] * len(batch),
        Column.VALENCE_MISFITS: [""] * len(batch),
        Column.INSTABILITY_INDEX: [None] * len(batch),
    }
    off_centre = None
    if batch.crystals is not None:
        rows = np.flatnonzero(batch.has_crystal & has_own_distances(batch))
        if len(rows):
            chosen = batch.take(rows)
            found = site_chemistry(chosen, corrections)
            off_centre = _spread(batch, rows, found.off_centre)
            for at, row in enumerate(rows.tolist()):
                told = _site_texts(chosen, at, found)
                columns[Column.BOND_VALENCE_SUMS][row], columns[Column.VALENCE_MISFITS][row] = told
                index = float(found.instability[at])
                columns[Column.INSTABILITY_INDEX][row] = index if np.isfinite(index) else None
    columns[Column.LONE_PAIR_SWAPS] = lone_pair_swaps(batch, off_centre)
    indices, columns[Column.INDEX_DISAGREEMENT] = index_opinions(batch)
    columns[Column.INDEX_BY_POLARISABILITIES] = [value if np.isfinite(value) else None for value in indices.tolist()]
    types = {"text": pa.string(), "number": pa.float64()}
    return {name: pa.array(columns[name], types[name.type]) for name in CHEMISTRY_COLUMNS}


def _open_shells(states: NDArray[np.float64], compositions: Compositions, row: int) -> str:
    """The ions of one composition with an open d or f shell, such as ``Fe3+ d5``; empty where there are none."""
    told = []
    for entry in range(compositions.offsets[row], compositions.offsets[row + 1]):
        element, state = int(compositions.elements[entry]), float(states[entry])
        shell = None if np.isnan(state) else shell_of(element, state)
        if shell is not None and shell.is_open:
            told.append(f"{state_label(element, state)} {shell}")
    return ", ".join(told)


def _spread(batch: CandidateBatch, rows: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the sites of the crystals in ``rows`` as values of all sites of a batch, nan for the others."""
    crystals = batch.crystals
    assert crystals is not None
    spread = np.full(len(crystals.species), np.nan)
    spread[np.isin(np.repeat(np.arange(len(batch)), crystals.site_counts), rows)] = values
    return spread


def _site_texts(batch: CandidateBatch, row: int, found: SiteChemistry) -> tuple[str, str]:
    """Bond-valence sums by element, and the ions whose sum is far from their charge, each ion once with its worst."""
    assert batch.crystals is not None
    sites = slice(*batch.crystals.offsets[row : row + 2].tolist())
    species, sums, states = batch.crystals.species[sites], found.sums[sites], found.states[sites]
    ranges, misfits = [], []
    for element in dict.fromkeys(species[np.argsort(states < 0, kind="stable")].tolist()):
        own = np.flatnonzero((species == element) & np.isfinite(sums))
        if not len(own):
            continue
        low, high = f"{sums[own].min():.2f}", f"{sums[own].max():.2f}"
        ranges.append(f"{SYMBOLS[element]} {low}" + (f" to {high}" if high != low else ""))
        excess = np.round(np.abs(sums[own] - np.abs(states[own])) - found.limits[sites][own], _DECIMALS)
        if excess.max() >= 0:
            worst = own[excess.argmax()]
            misfits.append(f"{state_label(element, states[worst])} {sums[worst]:.2f}")
    return ", ".join(ranges), ", ".join(misfits)


Rule = Callable[[CandidateBatch, float], NDArray[np.bool_]]


def _present(batch: CandidateBatch, name: str) -> NDArray[np.bool_]:
    """Which rows have something to say in a column of text; none where there is no such column."""
    if name not in batch.table.column_names:
        return np.zeros(len(batch), bool)
    return np.array([bool(value) for value in batch.table[name].to_pylist()], bool)


def _numbers(batch: CandidateBatch, name: str) -> NDArray[np.float64]:
    if name not in batch.table.column_names:
        return np.full(len(batch), np.nan)
    return np.array([np.nan if value is None else value for value in batch.table[name].to_pylist()], np.float64)


def _unbalanced(batch: CandidateBatch, _: float) -> NDArray[np.bool_]:
    found = charge_balance(batch.compositions)
    return ~(found.neutral | found.metallic)


def _not_converged(batch: CandidateBatch, _: float) -> NDArray[np.bool_]:
    if Column.RELAXATION_OUTCOME not in batch.table.column_names:
        return np.zeros(len(batch), bool)
    return np.array([value == "not_converged" for value in batch.table[Column.RELAXATION_OUTCOME].to_pylist()], bool)


def _potentials_disagree(batch: CandidateBatch, error: float) -> NDArray[np.bool_]:
    apart = np.abs(_numbers(batch, Column.HULL_DISTANCE) - _numbers(batch, Column.HULL_DISTANCE_SECOND))
    return np.asarray(apart > 2 * error)


def _says_something_in(name: Column) -> Rule:
    return lambda batch, _: _present(batch, name)


_RULES: Mapping[Flag, Rule] = {
    Flag.CHARGE_BALANCE: _unbalanced,
    Flag.OPEN_SHELL: _says_something_in(Column.OPEN_SHELL),
    Flag.BOND_VALENCE: _says_something_in(Column.VALENCE_MISFITS),
    Flag.LONE_PAIR: _says_something_in(Column.LONE_PAIR_SWAPS),
    Flag.ORDERED_SLICE: _says_something_in(Column.ORDERED_SLICE),
    Flag.INDEX_DISAGREES: _says_something_in(Column.INDEX_DISAGREEMENT),
    Flag.NOT_CONVERGED: _not_converged,
    Flag.VOLUME_CHANGE: lambda batch, _: volume_changed_much(_numbers(batch, Column.RELAXATION_VOLUME_CHANGE)),
    Flag.SADDLE_POINT: lambda batch, _: np.isfinite(_numbers(batch, Column.SPACE_GROUP_BEFORE_RATTLE)),
    Flag.IMAGINARY_VIBRATION: lambda batch, _: _numbers(batch, Column.PHONON_IMAGINARY) == 1,
    Flag.POTENTIALS_DISAGREE: _potentials_disagree,
    Flag.REFERENCES_INCOMPLETE: _says_something_in(Column.HULL_INCOMPLETE),
    Flag.OUTSIDE_DOMAIN: lambda batch, _: _numbers(batch, Column.IN_DOMAIN) == 0,
}


FACTS: Mapping[Flag, Column | None] = {
    Flag.CHARGE_BALANCE: None,
    Flag.OPEN_SHELL: Column.OPEN_SHELL,
    Flag.BOND_VALENCE: Column.VALENCE_MISFITS,
    Flag.LONE_PAIR: Column.LONE_PAIR_SWAPS,
    Flag.ORDERED_SLICE: Column.ORDERED_SLICE,
    Flag.INDEX_DISAGREES: Column.INDEX_DISAGREEMENT,
    Flag.NOT_CONVERGED: None,
    Flag.VOLUME_CHANGE: None,
    Flag.SADDLE_POINT: None,
    Flag.IMAGINARY_VIBRATION: None,
    Flag.POTENTIALS_DISAGREE: None,
    Flag.REFERENCES_INCOMPLETE: None,
    Flag.OUTSIDE_DOMAIN: None,
}
"""The column that tells more about each flag, None where its words say it all."""


def raised_in(codes: str | None) -> list[Flag]:
    """The flags of one candidate, from its column ``flags``; codes that are none are left out.

    >>> raised_in("bond_valence, of_another_version"), raised_in(None)
    ([<Flag.BOND_VALENCE: 'bond_valence'>], [])
    """
    known = {str(flag): flag for flag in Flag}
    return [known[code] for code in (codes or "").split(", ") if code in known]
