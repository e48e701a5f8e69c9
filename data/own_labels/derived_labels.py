"""Labels derived from computed energies of one's own: formation energies and energies above the hull."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.own_labels.label_account import LabelRow
from matloop.data.own_labels.one_calculation import CORRECTED, check_one_calculation
from matloop.data.properties.columns import Column

Derived = Literal["formation_energy", "energy_above_hull"]


class Derivation(NamedTuple):
    """What became of n energies.

    Attributes:
        values: Derived labels in eV/atom, nan where there is a code, shape (n,).
        codes: Row code of each energy from which nothing can be derived, else empty, shape (n,).
        details: More about the code of each energy, length n.
        remarks: What somebody should know about the labels, one sentence each.
    """

    values: NDArray[np.float64]
    codes: NDArray[np.str_]
    details: Sequence[str]
    remarks: Sequence[str] = ()


Derive = Callable[[Compositions, NDArray[np.float64]], Derivation]
"""Derives labels from the compositions and the energies in eV/atom of all phases of one calculation."""
HIGHER_PHASE = "E-LABEL-HIGHER-PHASE"
"""Code of an energy above the lowest one of its formula, where nothing but the formula is known of its phase."""


def derived_rows(
    rows: Sequence[LabelRow], materials: CandidateBatch, derive: Derive, *, column: str
) -> tuple[list[LabelRow], CandidateBatch, Sequence[str]]:
    """Replace energies by what is derived from them.

    A formula without a crystal names no phase, so that its lowest energy alone teaches: that of its ground state.

    Args:
        rows: Every row; n of them have no code, and their cells hold energies in eV/atom.
        materials: Materials of the rows without a code, in their order, length n.
        derive: Derives the labels.
        column: Name of the column with the energies.

    Returns:
        Every row, the materials of those that still have no code, and remarks.

    Raises:
        EnergySourceError: If the energies come from several calculations, or nothing can be derived from any of them.
    """
    places = [place for place, row in enumerate(rows) if not row.code]
    if Column.ENTRY_SETTINGS in materials.table.column_names:
        settings = [str(text or "") for text in materials.table.column(Column.ENTRY_SETTINGS).to_pylist()]
        check_one_calculation(
            settings, materials.compositions, [rows[place].place for place in places], corrected=column == CORRECTED
        )
    found = derive(materials.compositions, np.array([rows[place].cell.value for place in places]))
    higher = _higher_phases([rows[place] for place in places], materials)
    changed, kept = list(rows), []
    for position, place in enumerate(places):
        row, code, detail = rows[place], str(found.codes[position]), found.details[position]
        if not code and position in higher:
            code, detail = HIGHER_PHASE, higher[position]
        if not code:
            kept.append(position)
        cell = row.cell._replace(value=float(found.values[position]))
        changed[place] = row._replace(cell=cell, code=code, detail=detail if code else row.detail)
    return changed, materials.take(np.array(kept, np.int64)), found.remarks


def _higher_phases(rows: Sequence[LabelRow], materials: CandidateBatch) -> dict[int, str]:
    """Find energies above the lowest of their formula under equal conditions, among materials without a crystal.

    Args:
        rows: Rows with energies, length n.
        materials: Their materials, length n.

    Returns:
        By the position of such a row, where the lowest energy stands.
    """
    alike: dict[tuple[str, tuple[float, ...]], list[int]] = defaultdict(list)
    for position in np.flatnonzero(~materials.has_crystal).tolist():
        alike[materials.ids[position], rows[position].conditions].append(position)
    found: dict[int, str] = {}
    for positions in alike.values():
        lowest = min(positions, key=lambda position: rows[position].cell.value)
        for position in positions:
            if rows[position].cell.value > rows[lowest].cell.value:
                found[position] = (
                    f"a higher phase of {rows[lowest].formula}, whose lowest energy is in {rows[lowest].place}"
                )
    return found
