"""What all labels of one's own have in common: their property, unit, source, conditions and what is derived."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import InputFileError, UnitError
from matloop.data.own_labels.derived_labels import Derive, Derived, derived_rows
from matloop.data.own_labels.label_account import LabelAccount, LabelRow, ReadLabels, assembled
from matloop.data.own_labels.label_cells import EMPTY, LabelCell, has_factor, read_label, unit_at_end, unit_of_column
from matloop.data.own_labels.label_conditions import WrittenConditions, label_conditions
from matloop.data.own_labels.label_trust import TextCell, TrustColumns
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.provenance import Provenance
from matloop.data.properties.units import convert, measure_alike
from matloop.data.readers.header_numbers import is_total_energy
from matloop.data.readers.table_files import Rows
from matloop.data.training.training_set import TrainingSet

_TOTAL_BY_ATOM = (
    "energy_per_atom", "free_energy_per_atom", Column.ENTRY_ENERGY_PER_ATOM, Column.ENTRY_CORRECTED_ENERGY_PER_ATOM,
)  # fmt: skip
_DERIVED_PROPERTIES: Mapping[str, Derived] = {
    "formation_energy_per_atom": "formation_energy", "energy_above_hull": "energy_above_hull",
}  # fmt: skip
_LOGARITHM = re.compile(r"(?<![a-z])(?:log|lg|ln)(?![a-z])", re.IGNORECASE)
ROWS_AT_ONCE = 10_000
"""Rows of a file that are read together."""
NOTHING = LabelCell(float("nan"), float("nan"))
"""A cell without a label."""


class DescribedLabels(ABC):
    """What the options of every source of labels mean.

    Args:
        path: File or folder.
        property: Name of the property.
        column: Column or key with the values.
        unit: Their unit; by default the one in the name of the column, or that of the property.
        source: Where the values come from: ``exp``, ``exp:LAB``, ``dft:FUNCTIONAL``.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        derive: What is derived from the values, which are total energies by atom; None if they are labels themselves.
        conditions: What the values depend on besides the material.

    Raises:
        UnknownNameError: For an unknown property, condition or unit.
        UnitError: If the unit measures another quantity, or is not that in the name of the column.
        ProvenanceError: If the source is written in another way.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        property: str,
        column: str,
        unit: str | None,
        source: str,
        licence: str,
        citation: str,
        derive: Derived | None = None,
        conditions: WrittenConditions | None = None,
    ) -> None:
        self.derive = derive
        self._derivations: Mapping[Derived, Derive] = {}
        self.path = Path(path).expanduser()
        self.conditions = label_conditions(conditions)
        self.property_name, self.column = property, column
        self.provenance = str(Provenance.read(source))
        self.licence, self.citation = licence, citation
        own = property_named(property).unit
        self.unit = self._unit(unit, own)
        self._says_unit = unit is not None or unit_of_column(self.column, own) != ""
        convert(0.0, self.unit, own)

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that are read."""

    def stamps(self) -> tuple[Any, ...]:
        """Size and time of change of every file that is read."""
        states = [(path, path.stat()) for path in self.files()]
        return tuple((str(path), state.st_size, state.st_mtime_ns) for path, state in states)

    def derive_by(self, known: Mapping[Derived, Derive]) -> None:
        """Hand over what derives labels from energies."""
        self._derivations = known

    def _unit(self, stated: str | None, own: str) -> str:
        in_header = unit_of_column(self.column, own)
        if stated is None:
            if has_factor(self.column):
                raise UnitError(
                    f"the column '{self.column}' has a power of ten in its name", "a unit of the values",
                    "give the unit that the numbers have, such as unit: mS/cm for 10^-3 S/cm",
                )  # fmt: skip
            return in_header or own
        if in_header and convert(1.0, in_header, stated) != 1.0:
            raise UnitError(
                f"the column '{self.column}' names {in_header}, and the unit given is {stated}", in_header,
                "give the unit that the values have",
            )  # fmt: skip
        return stated

    def _cell(self, text: str) -> LabelCell:
        return read_label(text, self.unit, property_named(self.property_name).unit)

    def row_of(
        self, place: str, formula: str, text: str, *, code: str = "", detail: str = "", group: str = "",
        kept: Sequence[TextCell] = (),
    ) -> LabelRow:  # fmt: skip
        """Read the cell of a row and those of its conditions; a code that is given comes first, unless it is empty.

        Args:
            place: Where the cell stands.
            formula: As written.
            text: Content of the cell.
            code: Why the row teaches nothing, whatever the cell says.
            detail: Further text about the code.
            group: What is measured together.
            kept: The cell of each condition.
        """
        cell = self._cell(text)
        found = [one.read(said) for one, (said, _) in zip(self.conditions, kept, strict=True)]
        values = tuple(value for value, _, _ in found)
        if cell.code == EMPTY and not code.startswith("E-TABLE"):  # a broken row has no cells at all
            return LabelRow(place, formula, text, cell, EMPTY, "", group, conditions=values)
        reasons = [(code, detail, place), (cell.code, cell.detail, place)]
        reasons += [(wrong, why, at or place) for (_, wrong, why), (_, at) in zip(found, kept, strict=True)]
        code, detail, where = next((reason for reason in reasons if reason[0]), ("", "", place))
        return LabelRow(where, formula, text, cell, code, detail, group, conditions=values)

    def trust_columns(self, weight: str | None, uncertainty: str | None, unit: str | None) -> TrustColumns:
        """Return the columns that tell how much each row counts and how sure its value is."""
        own = property_named(self.property_name).unit
        return TrustColumns(weight, uncertainty, unit, unit=self.unit, to=own)

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set of these labels alone, and what became of every row."""
        return assembled([self.read_rows()])

    @abstractmethod
    def read_rows(self) -> ReadLabels:
        """Read every row, and the material of each that teaches."""

    def described(self, rows: Sequence[LabelRow], materials: Sequence[CandidateBatch]) -> ReadLabels:
        """Return rows, and the materials of those without a code, with all that is said of them."""
        parts = [batch.to_arrow() for batch in materials if len(batch)]
        if parts:
            joined = CandidateBatch.from_arrow(pa.concat_tables(parts, promote_options="permissive"))
        else:
            joined = CandidateBatch.from_formulas([]).batch
        remarks: Sequence[str] = ()
        if self.derive is not None:
            derive = self._derivations[self.derive]
            rows, joined, remarks = derived_rows(rows, joined, derive, column=self.column)
        elif self.column in _TOTAL_BY_ATOM and self.property_name in _DERIVED_PROPERTIES:
            derive_to = _DERIVED_PROPERTIES[self.property_name]
            remarks = [f"'{self.column}' holds total energies, if it is what its name says; write derive: {derive_to}"]
        return ReadLabels(
            self.path.name, self.property_name, self.provenance, self.licence, self.citation, self.conditions, rows,
            joined, [*remarks, *self._doubts()], self.derive is not None,
        )  # fmt: skip

    def _doubts(self) -> Iterator[str]:
        """Say what the name of the column and its unit leave open."""
        own, name = property_named(self.property_name).unit, self.column.casefold()
        at_end, _ = unit_at_end(self.column)
        if not self._says_unit and at_end and at_end != own and measure_alike(at_end, own):
            yield f"'{self.column}' may name {at_end} as its unit; its values are taken in {self.unit}, without 'unit'"
        elif not self._says_unit and set(self.column) & set("([（/{"):
            yield f"'{self.column}' names no unit that is known; its values are taken in {self.unit}"
        if _LOGARITHM.search(self.column):
            yield f"'{self.column}' holds logarithms, if it is what its name says; values are taken as they are"
        if is_total_energy(name) and "formation" not in name and own.endswith("/atom") and name != self.property_name:
            yield f"'{self.column}' is taken in {self.unit}; divide energies of whole cells by their number of atoms"


def texts_of(rows: Rows, name: str) -> list[str]:
    """Return the cells of a column of a table as text."""
    return ["" if value is None else str(value) for value in rows.table.column(name).to_pylist()]


def texts_of_column(batch: CandidateBatch, name: str) -> list[str]:
    """Return a column of candidates as text."""
    return [str(value) for value in batch.table.column(name).to_pylist()]


def require_column(file: str, name: str, present: Sequence[str]) -> None:
    """Make sure that a file has a column.

    Raises:
        InputFileError: If it has none of that name; the message names the nearest.
    """
    if name in present:
        return
    near = {key.strip().casefold(): key for key in present}
    begins = [key for key in near if key.startswith(name.casefold())]
    close = begins or difflib.get_close_matches(name.casefold(), near, 1, 0.5)
    shown = ", ".join(f"'{key[:80]}'" for key in list(present)[:40]) or "none"
    mend = f"did you mean '{near[close[0]]}'?" if close else "name one of its columns"
    if len(present) == 1 and any(mark in present[0] for mark in ";\t"):
        mend = "separate the columns by commas"
    raise InputFileError(f"{file} has no column '{name}'", f"its columns: {shown}", mend)
