"""Labels derived from computed energies: what turns energies into labels, and that they come from one calculation.

Formation energies and energies above the hull compare phases with each other. That means something only where all
energies come from one functional with one set of +U values and pseudopotentials.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS
from matloop.data.errors import EnergySourceError
from matloop.data.own_labels.label_account import LabelRow
from matloop.data.properties.columns import Column

Derived = Literal["formation_energy", "energy_above_hull"]
_CORRECTED = Column.ENTRY_CORRECTED_ENERGY_PER_ATOM
_MOST_SHOWN = 3


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
            settings, materials.compositions, [rows[place].place for place in places], corrected=column == _CORRECTED
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


def check_one_calculation(
    settings: Sequence[str], compositions: Compositions, places: Sequence[str], *, corrected: bool
) -> None:
    """Check that energies may be compared, by what their files say of functional, +U and pseudopotentials.

    Rows that say nothing contradict nobody.

    Args:
        settings: What each of n files says (:func:`matloop.data.readers.entry_settings.read_settings`).
        compositions: Of the n phases.
        places: Where each energy stands.
        corrected: Whether the energies hold corrections, which are made to compare energies with +U and without.

    Raises:
        EnergySourceError: If two rows contradict each other; it names them.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row, (text, place) in enumerate(zip(settings, places, strict=True)):
        if not text:
            continue
        stated = json.loads(text)
        elements = compositions.elements[compositions.offsets[row] : compositions.offsets[row + 1]].tolist()
        for name, value in _statements(stated, [SYMBOLS[z] for z in elements], corrected=corrected).items():
            found[name][value].append(place)
    for name, values in found.items():
        if len(values) > 1:
            told = "; ".join(f"{value} in {_shown(rows)}" for value, rows in values.items())
            raise EnergySourceError(
                f"energies of several calculations, which form no hull together: {name} is {told}",
                "one functional, with one +U value and one pseudopotential for each element",
                f"keep the rows of one calculation in a file of their own, or write column: {_CORRECTED} if the "
                "entries hold corrections that bring energies with +U and without together",
            )  # fmt: skip


def _statements(stated: Mapping[str, Any], symbols: Sequence[str], *, corrected: bool) -> dict[str, str]:
    """What one file says, by what it is about."""
    found = {"the functional": str(stated["functional"])} if "functional" in stated else {}
    for symbol in symbols:
        if "u" in stated and (symbol in stated["u"] or not corrected):
            value = stated["u"].get(symbol)
            found[f"U of {symbol}"] = "none" if value is None else f"{value:g} eV"
        if symbol in stated.get("pseudopotentials", {}):
            found[f"the pseudopotential of {symbol}"] = str(stated["pseudopotentials"][symbol])
    return found


def _shown(places: Sequence[str]) -> str:
    more = len(places) - _MOST_SHOWN
    return ", ".join(places[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
