"""Labels in a table of formulas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import RELATIVE_PATHS, UnitError
from matloop.data.own_labels.derived_labels import Derived
from matloop.data.own_labels.described_labels import ROWS_AT_ONCE, DescribedLabels, require_column, texts_of
from matloop.data.own_labels.label_account import LabelRow, ReadLabels
from matloop.data.own_labels.label_cells import EMPTY, is_missing, unit_in_header
from matloop.data.own_labels.label_conditions import WrittenConditions
from matloop.data.own_labels.label_trust import TextCell
from matloop.data.properties.conditions import unit_of_condition
from matloop.data.properties.units import convert
from matloop.data.readers.open_table import open_table
from matloop.data.readers.table_files import Rows
from matloop.data.sources.table import FormulaTable


class LabelledFormulas(DescribedLabels):
    """A table with a column of formulas and one of labels.

    Cells may hold errors (``1.2±0.1``, ``1.23(4)``), units (``12 MPa``) and limits (``<0.1``). A row of units below the
    column names is understood. Limits teach nothing, and neither do rows without a formula or a number; the account
    names them all. Rows of one material under equal conditions teach by their mean.

    Args:
        path: A ``.csv`` (UTF-8), ``.xlsx`` (its first sheet) or ``.parquet`` file.
        property: Name of the property.
        column: Column with the values.
        source: Where the values come from: ``exp``, ``exp:LAB``, ``dft:FUNCTIONAL``.
        unit: Unit of the values; by default the one in the name of the column, or that of the property.
        formula: Column with the formulas.
        group: Column that tells what was measured together, such as the paper; no split separates such rows. An empty
            cell, and one with ``-`` or ``n/a``, names no group.
        weight: Column with weights above zero: how much each row counts in the training, 1 for a usual one.
        uncertainty: Column with standard errors of the values. It comes before an error in the cell of a value.
        uncertainty_unit: Unit of that column; by default the one in its name, or that of the values.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        derive: ``formation_energy`` or ``energy_above_hull``, if the values are total energies by atom: it is derived
            from these energies alone, which must hold those of the pure elements.
        conditions: What the values depend on besides the material, such as `temperature`: the `column` and its
            `unit`; with `from` or `to` only rows inside these limits teach. Or one value with its unit for all rows.
    """

    def __init__(
        self, path: str | Path, *, property: str, column: str, source: str, unit: str | None = None,
        formula: str = "formula", group: str | None = None, weight: str | None = None, uncertainty: str | None = None,
        uncertainty_unit: str | None = None, licence: str = "unknown", citation: str = "",
        derive: Derived | None = None, conditions: WrittenConditions | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            derive=derive, conditions=conditions,
        )  # fmt: skip
        self.group = group
        self._trust = self.trust_columns(weight, uncertainty, uncertainty_unit)
        present = list(open_table(self.path, if_missing=RELATIVE_PATHS).types)
        condition_columns = [one.column for one in self.conditions]
        for name in filter(None, (formula, column, group, *self._trust.columns, *condition_columns)):
            require_column(self.path.name, name, present)
        self._table = FormulaTable(self.path, formula_column=formula)

    def files(self) -> list[Path]:
        """The file that is read."""
        return [self.path]

    def read_rows(self) -> ReadLabels:
        """Read every row, and the material of each that teaches."""
        rows: list[LabelRow] = []
        materials: list[CandidateBatch] = []
        condition_columns = [one.column for one in self.conditions]
        columns = (self.column, self.group, *self._trust.columns, *condition_columns)
        names = list(dict.fromkeys(filter(None, columns)))
        for intake, part in self._table.cells(names, ROWS_AT_ONCE):
            read = list(self._part(intake, part))
            if not any(row.code == "" for row in rows):
                read = self._without_units(read, part)
            keeping = [row.code == "" for row in read]
            refused = {row.row for row in intake.refused}
            usable = [keeping[place] for place in range(len(read)) if place not in refused]
            materials.append(intake.batch.take(np.flatnonzero(usable)))
            rows += read
        return self.described(rows, materials)

    def _part(self, intake: Intake, part: Rows) -> Iterator[LabelRow]:
        refused = {row.row: row for row in intake.refused}
        formulas, cells = texts_of(part, self._table.formula_column), texts_of(part, self.column)
        written = texts_of(part, self.group) if self.group else [""] * len(cells)
        groups = ["" if is_missing(text) else text.strip() for text in written]
        trusted = {name: self._cells(part, name) for name in self._trust.columns}
        kept = [self._cells(part, one.column) if one.column else [] for one in self.conditions]
        for place, (formula, text, group) in enumerate(zip(formulas, cells, groups, strict=True)):
            where = self._table.cell_name(part, place, self.column)
            wrong = refused.get(place)
            code, detail = (
                ("", "") if wrong is None else (wrong.code, wrong.detail.split(": ", 1)[-1])
            )  # the cell is named
            if code == "E-FORMULA-EMPTY":
                detail = "a label without a formula; write the formula in every row, also below merged cells"
            said = [cells[place] if cells else TextCell("", "") for cells in kept]
            row = self.row_of(where, formula, text, code=code, detail=detail, group=group, kept=said)
            yield self._trust.applied(row, {name: column[place] for name, column in trusted.items()})

    def _cells(self, part: Rows, name: str) -> list[TextCell]:
        texts = texts_of(part, name)
        return [TextCell(text, self._table.cell_name(part, row, name)) for row, text in enumerate(texts)]

    def _without_units(self, rows: Sequence[LabelRow], part: Rows) -> list[LabelRow]:
        """Take a row for one of units if it stands before all that teach, has no formula and its cell is a unit.

        Args:
            rows: The first rows.
            part: The same rows as they stand in the file.

        Raises:
            UnitError: If it is another unit than the values, or those of a condition, are said to have.
        """
        first = next((place for place, row in enumerate(rows) if not row.code), len(rows))
        return [self._without_unit(row, part, place) for place, row in enumerate(rows[:first])] + list(rows[first:])

    def _without_unit(self, row: LabelRow, part: Rows, place: int) -> LabelRow:
        has_formula = not row.code.startswith("E-FORMULA")
        written = "" if has_formula else unit_in_header(f"({row.written.strip().strip('()[]')})")
        if not written:
            return row
        if convert(1.0, written, self.unit) != 1.0:
            raise UnitError(
                f"the row of units in {self.path.name} says {written} for '{self.column}', and the unit given is "
                f"{self.unit}", written, "give the unit that the values have",
            )  # fmt: skip
        for one in filter(lambda each: each.column, self.conditions):
            below = unit_in_header(f"({texts_of(part, one.column)[place].strip().strip('()[]')})")
            if below and unit_of_condition(one.condition.name, below) != one.unit:
                raise UnitError(
                    f"the row of units in {self.path.name} says {below} for '{one.column}', and the unit of the "
                    f"condition is {one.unit}", below, "give the unit that the values have",
                )  # fmt: skip
        return row._replace(code=EMPTY, detail="a row of units")
