"""Labels derived from computed energies of one's own: formation energies and energies above the hull."""

from __future__ import annotations

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


def derived_rows(
    rows: Sequence[LabelRow], materials: CandidateBatch, derive: Derive, *, column: str
) -> tuple[list[LabelRow], CandidateBatch, Sequence[str]]:
    """Replace energies by what is derived from them.

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
    changed = list(rows)
    for place, value, code, detail in zip(
        places, found.values.tolist(), found.codes.tolist(), found.details, strict=True
    ):
        row = changed[place]
        cell = row.cell._replace(value=value)
        changed[place] = row._replace(cell=cell, code=code, detail=detail if code else row.detail)
    return changed, materials.take(np.flatnonzero(found.codes == "")), found.remarks
