"""What a campaign may name under ``data``: tables, structure files and databases with labels of one's own."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import InputFileError, UnitError
from matloop.data.own_labels.derived_labels import Derive, Derived, derived_rows
from matloop.data.own_labels.label_account import LabelAccount, LabelRow, assembled
from matloop.data.own_labels.label_cells import EMPTY, LabelCell, has_factor, read_label, unit_in_header
from matloop.data.own_labels.label_conditions import WrittenConditions, label_conditions
from matloop.data.own_labels.label_trust import TextCell, TrustColumns
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.conditions import unit_of_condition
from matloop.data.properties.provenance import Provenance
from matloop.data.properties.units import convert
from matloop.data.readers.header_numbers import PER_ATOM, PREFIX, is_total_energy
from matloop.data.readers.open_table import open_table, rows_of
from matloop.data.readers.table_files import Rows, TableFile
from matloop.data.sources.ase_database import AseDatabase
from matloop.data.sources.contract import RELATIVE_PATHS, Source
from matloop.data.sources.snapshot import Snapshot
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.sources.table import FormulaTable
from matloop.data.training.training_set import TrainingSet

NO_PARTNER, TWO_PARTNERS = "E-LABEL-NO-PARTNER", "E-LABEL-TWO-PARTNERS"
LABEL_SOURCES: Mapping[str, str] = {
    "ase_database": "matloop.data.own_labels.label_sources:LabelledAseDatabase",
    "snapshot": "matloop.data.own_labels.label_sources:LabelledSnapshot",
    "structure_files": "matloop.data.own_labels.label_sources:LabelledStructureFiles",
    "table": "matloop.data.own_labels.label_sources:LabelledFormulas",
}
"""Labels of one's own by the name that a campaign gives; the packaged tables stand beside them."""
_SIZE = 10_000
_WHOLE_CELL = ("energy", "free_energy", Column.ENTRY_ENERGY)  # by ASE and pymatgen, whatever a campaign says
_TOTAL_BY_ATOM = (
    "energy_per_atom", "free_energy_per_atom", Column.ENTRY_ENERGY_PER_ATOM, Column.ENTRY_CORRECTED_ENERGY_PER_ATOM,
)  # fmt: skip
_DERIVED_PROPERTIES: Mapping[str, Derived] = {
    "formation_energy_per_atom": "formation_energy", "energy_above_hull": "energy_above_hull",
}  # fmt: skip
_LOGARITHM = re.compile(r"(?<![a-z])(?:log|lg|ln)(?![a-z])", re.IGNORECASE)


class _Cells(NamedTuple):
    """A row of a table of labels: place and text of the label, the texts of its conditions, and cells by column."""

    place: str
    text: str
    conditions: tuple[str, ...]
    beside: Mapping[str, TextCell]


_NOTHING = LabelCell(float("nan"), float("nan"))


@runtime_checkable
class LabelSource(Protocol):
    """Reads labels of one property.

    Attributes:
        property_name: The property.
    """

    property_name: str

    def files(self) -> list[Path]:
        """The files that are read."""
        ...

    def derive_by(self, known: Mapping[Derived, Derive]) -> None:
        """Hand over what derives labels from energies; only labels with an option ``derive`` use it."""
        ...

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set, and what became of every row.

        Raises:
            MatloopError: If a file cannot be read, or too few rows teach.
        """
        ...


class _Labels:
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
        self._says_unit = unit is not None or unit_in_header(self.column) != ""
        convert(0.0, self.unit, own)

    def derive_by(self, known: Mapping[Derived, Derive]) -> None:
        """Hand over what derives labels from energies."""
        self._derivations = known

    def _unit(self, stated: str | None, own: str) -> str:
        in_header = unit_in_header(self.column)
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

    def _row(
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

    def _trust_columns(self, weight: str | None, uncertainty: str | None, unit: str | None) -> TrustColumns:
        own = property_named(self.property_name).unit
        return TrustColumns(weight, uncertainty, unit, unit=self.unit, to=own)

    def _assembled(
        self, rows: Sequence[LabelRow], materials: Sequence[CandidateBatch]
    ) -> tuple[TrainingSet, LabelAccount]:
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
        training, account = assembled(
            self.path.name, rows, joined, property_name=self.property_name, provenance=self.provenance,
            licence=self.licence, citation=self.citation, conditions=self.conditions,
        )  # fmt: skip
        return training, replace(account, suspicious=[*remarks, *self._doubts(), *account.suspicious])

    def _doubts(self) -> Iterator[str]:
        """Say what the name of the column and its unit leave open."""
        if not self._says_unit and set(self.column) & set("([（/{"):
            yield f"'{self.column}' names no unit that is known; its values are taken in {self.unit}"
        if _LOGARITHM.search(self.column):
            yield f"'{self.column}' holds logarithms, if it is what its name says; values are taken as they are"
        own, name = property_named(self.property_name).unit, self.column.casefold()
        if is_total_energy(name) and "formation" not in name and own.endswith("/atom") and name != self.property_name:
            yield f"'{self.column}' is taken in {self.unit}; divide energies of whole cells by their number of atoms"
        if self.unit == "kJ/mol" and own.endswith("/atom"):
            yield (
                f"kJ/mol of '{self.column}' is taken for that of a mole of atoms; divide values of a mole of formulas "
                "by the atoms of each formula"
            )


class LabelledFormulas(_Labels):
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
        group: Column that tells what was measured together, such as the paper; no split separates such rows.
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
        self._trust = self._trust_columns(weight, uncertainty, uncertainty_unit)
        present = list(open_table(self.path, if_missing=RELATIVE_PATHS).types)
        condition_columns = [one.column for one in self.conditions]
        for name in filter(None, (formula, column, group, *self._trust.columns, *condition_columns)):
            _require_column(self.path.name, name, present)
        self._table = FormulaTable(self.path, formula_column=formula)

    def files(self) -> list[Path]:
        """The file that is read."""
        return [self.path]

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set, and what became of every row."""
        rows: list[LabelRow] = []
        materials: list[CandidateBatch] = []
        condition_columns = [one.column for one in self.conditions]
        columns = (self.column, self.group, *self._trust.columns, *condition_columns)
        names = list(dict.fromkeys(filter(None, columns)))
        for intake, part in self._table.cells(names, _SIZE):
            read = list(self._part(intake, part))
            if not any(row.code == "" for row in rows):
                read = self._without_units(read, part)
            keeping = [row.code == "" for row in read]
            refused = {row.row for row in intake.refused}
            usable = [keeping[place] for place in range(len(read)) if place not in refused]
            materials.append(intake.batch.take(np.flatnonzero(usable)))
            rows += read
        return self._assembled(rows, materials)

    def _part(self, intake: Intake, part: Rows) -> Iterator[LabelRow]:
        refused = {row.row: row for row in intake.refused}
        formulas, cells = _texts(part, self._table.formula_column), _texts(part, self.column)
        groups = _texts(part, self.group) if self.group else [""] * len(cells)
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
            row = self._row(where, formula, text, code=code, detail=detail, group=group.strip(), kept=said)
            yield self._trust.applied(row, {name: column[place] for name, column in trusted.items()})

    def _cells(self, part: Rows, name: str) -> list[TextCell]:
        texts = _texts(part, name)
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
            below = unit_in_header(f"({_texts(part, one.column)[place].strip().strip('()[]')})")
            if below and unit_of_condition(one.condition.name, below) != one.unit:
                raise UnitError(
                    f"the row of units in {self.path.name} says {below} for '{one.column}', and the unit of the "
                    f"condition is {one.unit}", below, "give the unit that the values have",
                )  # fmt: skip
        return row._replace(code=EMPTY, detail="a row of units")


class LabelledStructureFiles(_Labels):
    """Structure files, with labels in a table beside them or in the files themselves.

    Args:
        path: A folder, a pattern, a file or an archive, as for the source ``structure_files``.
        property: Name of the property.
        column: Column of the table of labels. Without such a table, a number that the files state: ``entry_energy`` or
            ``entry_energy_per_atom`` of a ``ComputedStructureEntry``, or any key in the header of extended XYZ. A key
            with ``energy`` in its name is the energy of all atoms of the cell; with ``_per_atom`` behind it, such as
            ``energy_per_atom`` or ``REF_energy_per_atom``, it is divided by their number.
        source: Where the values come from.
        unit: Unit of the values; by default the one in the name of the column, or that of the property. Energies that
            the files state are in eV, and in eV/atom where they are divided by the number of atoms.
        labels: A table with one row for each structure.
        file: Column of that table with the name of the file: with folders and ending, or without. A name that may mean
            several structures gives its label to none of them.
        weight: Column of that table with weights above zero, as for ``table``.
        uncertainty: Column of that table with standard errors of the values, as for ``table``.
        uncertainty_unit: Unit of that column; by default the one in its name, or that of the values.
        disorder: What becomes of shared or partly filled sites, as for the source ``structure_files``.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        derive: ``formation_energy`` or ``energy_above_hull``, if the values are total energies by atom: it is derived
            from these energies alone, which must hold those of the pure elements.
        conditions: What the values depend on besides the material, as for ``table``; columns of the table of labels,
            in which a structure may have several rows then.
    """

    def __init__(
        self, path: str | Path, *, property: str, column: str, source: str, unit: str | None = None,
        labels: str | None = None, file: str = "file", weight: str | None = None, uncertainty: str | None = None,
        uncertainty_unit: str | None = None, disorder: str = "reject", licence: str = "unknown", citation: str = "",
        derive: Derived | None = None, conditions: WrittenConditions | None = None,
    ) -> None:  # fmt: skip
        if labels is None:
            unit = _unit_of_energy(column, unit, property_named(property).unit)
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            derive=derive, conditions=conditions,
        )  # fmt: skip
        self._structures = StructureFiles(path, disorder=disorder)
        self.labels = None if labels is None else Path(labels).expanduser()
        self.file, self._trust = file, self._trust_columns(weight, uncertainty, uncertainty_unit)
        if self.labels is not None:
            present = list(open_table(self.labels, if_missing=RELATIVE_PATHS).types)
            condition_columns = [one.column for one in self.conditions]
            for name in filter(None, (file, column, *self._trust.columns, *condition_columns)):
                _require_column(self.labels.name, name, present)
        elif self._trust.columns:
            raise InputFileError(
                f"columns {', '.join(self._trust.columns)} without a table of labels", "labels: a table",
                "name the table, or leave these columns out",
            )  # fmt: skip

    def files(self) -> list[Path]:
        """The files that are read."""
        return [*self._structures.files(), *([] if self.labels is None else [self.labels])]

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set, and what became of every structure and every row of labels."""
        if self.labels is None:
            return _read_columns(self, self._structures, prefix=PREFIX)
        found = self._cells_by_name(open_table(self.labels, if_missing=RELATIVE_PATHS))
        rows: list[LabelRow] = []
        materials: list[CandidateBatch] = []
        used: set[str] = set()
        intakes = list(self._structures.intakes(_SIZE))
        meant = _structures_meant(intakes, found)
        for intake in intakes:
            rows += [LabelRow(row.detail, row.formula, "", _NOTHING, row.code, row.detail) for row in intake.refused]
            taught: list[int] = []
            for at, origin in enumerate(_column(intake.batch, Column.ORIGIN)):
                name = next((name for name in _names_of(origin) if name in found), "")
                used.add(name)
                read = list(self._of_structure(origin, intake.batch.formulas[at], name, found.get(name, [])))
                if len(meant[name]) > 1:
                    read = [self._not_joined(row, origin, name, len(meant[name])) for row in read]
                taught += [at] * sum(row.code == "" for row in read)
                rows += read
            materials.append(intake.batch.take(taught))
        unused = [name for name in found if name not in used]
        rows += [
            LabelRow(cells.place, "", cells.text, _NOTHING, NO_PARTNER, f"no structure file is named {name[:80]}")
            for name in unused
            for cells in found[name]
        ]
        return self._assembled(rows, materials)

    def _of_structure(self, origin: str, formula: str, name: str, cells: Sequence[_Cells]) -> Iterator[LabelRow]:
        """Rows of one structure: one for each of its rows of labels, which differ by their conditions."""
        assert self.labels is not None
        if not cells:
            detail = f"no row of {self.labels.name} names this file in its column '{self.file}'"
            yield LabelRow(origin, formula, "", _NOTHING, NO_PARTNER, detail)
            return
        under: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for one in cells:
            under[one.conditions].add(one.text)
        told: set[tuple[str, ...]] = set()
        for one in cells:
            if one.conditions in told:
                continue
            told.add(one.conditions)
            kept = [one.beside.get(each.column, TextCell("", "")) for each in self.conditions]
            if len(under[one.conditions]) > 1:
                alike = sum(other.conditions == one.conditions for other in cells)
                detail = f"{self.labels.name} has {alike} values for {name}"
                detail += " under equal conditions" if self.conditions else ""
                yield LabelRow(origin, formula, "", _NOTHING, TWO_PARTNERS, detail)
            else:
                row = self._row(f"{origin}, {one.place}", formula, one.text, kept=kept)
                yield self._trust.applied(row, one.beside)

    def _not_joined(self, row: LabelRow, origin: str, name: str, structures: int) -> LabelRow:
        """A row whose label may be that of another structure, so that it teaches nothing."""
        assert self.labels is not None
        detail = (
            f"{name[:80]} of {self.labels.name} may mean {structures} structures; write {origin[:200]} for this one"
        )
        return row._replace(code=TWO_PARTNERS, detail=detail)

    def _cells_by_name(self, file: TableFile) -> dict[str, list[_Cells]]:
        """Return the cells of each name in the table of labels."""
        assert self.labels is not None
        found: dict[str, list[_Cells]] = defaultdict(list)
        columns = [one.column for one in self.conditions]
        others = list(dict.fromkeys(filter(None, (*self._trust.columns, *columns))))
        for part in rows_of(file, self.labels, list(dict.fromkeys([self.file, self.column, *others]))):
            texts, numbers = _texts(part, self.column), part.numbers.to_pylist()
            beside = {name: _texts(part, name) for name in others}
            for row, name in enumerate(_texts(part, self.file)):
                own = {
                    column: TextCell(cells[row], f"{file.place}, {file.cell(column, numbers[row])}")
                    for column, cells in beside.items()
                }
                kept = tuple(own[column].text if column else "" for column in columns)
                key = name.strip().replace("\\", "/").removeprefix("./")
                found[key].append(
                    _Cells(f"{file.place}, {file.cell(self.column, numbers[row])}", texts[row], kept, own)
                )
        return dict(found)


class LabelledAseDatabase(_Labels):
    """Crystals of an ASE database with a key of numbers as labels.

    Args:
        path: A ``.db`` (SQLite) or ``.json`` file.
        property: Name of the property.
        column: Key with the values, or ``energy_per_atom`` for the energies of a calculator.
        source: Where the values come from.
        unit: Unit of the values; by default that of the property. Energies of a calculator are in eV, and in eV/atom
            where they are divided by the number of atoms.
        select: Which rows to read, in the language of ASE.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        derive: ``formation_energy`` or ``energy_above_hull``, if the values are total energies by atom: it is derived
            from these energies alone, which must hold those of the pure elements.
        conditions: What the values depend on besides the material, as for ``table``; a column is a key of numbers.
    """

    def __init__(
        self, path: str | Path, *, property: str, column: str, source: str, unit: str | None = None,
        select: str | None = None, licence: str = "unknown", citation: str = "",
        derive: Derived | None = None, conditions: WrittenConditions | None = None,
    ) -> None:  # fmt: skip
        if column.removeprefix("entry_") in ("energy", "energy_per_atom"):
            unit = _unit_of_energy(column, unit, property_named(property).unit)
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            derive=derive, conditions=conditions,
        )  # fmt: skip
        self._database = AseDatabase(path, select=select)

    def files(self) -> list[Path]:
        """The file that is read."""
        return [self.path]

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set, and what became of every row."""
        return _read_columns(self, self._database, prefix="ase_")


class LabelledSnapshot(_Labels):
    """A snapshot of a database, with one of its columns as labels.

    Args:
        path: A Parquet file that ``matloop fetch`` wrote.
        property: Name of the property.
        column: Column with the values, such as ``band_gap_dft``.
        source: Where the values come from, such as ``dft:pbe``.
        unit: Unit of the values; by default that of the property.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        conditions: What the values depend on besides the material, as for ``table``.
    """

    def __init__(
        self, path: str | Path, *, property: str, column: str, source: str, unit: str | None = None,
        licence: str = "unknown", citation: str = "", conditions: WrittenConditions | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            conditions=conditions,
        )  # fmt: skip
        self._snapshot = Snapshot(path)

    def files(self) -> list[Path]:
        """The file that is read."""
        return [self.path]

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set, and what became of every row."""
        return _read_columns(self, self._snapshot)


def _read_columns(labels: _Labels, source: Source, *, prefix: str = "") -> tuple[TrainingSet, LabelAccount]:
    """Read labels that are a column of numbers of the candidates of a source."""
    rows: list[LabelRow] = []
    materials: list[CandidateBatch] = []
    for intake in source.intakes(_SIZE):
        batch = intake.batch
        rows += [LabelRow(row.detail, row.formula, "", _NOTHING, row.code, row.detail) for row in intake.refused]
        if not len(batch):
            continue
        texts = _numbers_written(labels, batch, labels.column, prefix)
        kept = [
            [TextCell(text, "") for text in _numbers_written(labels, batch, one.column, prefix)] if one.column
            else [TextCell("", "")] * len(batch)
            for one in labels.conditions
        ]  # fmt: skip
        origins = _column(batch, Column.ORIGIN)
        read = [
            labels._row(origin, formula, text, kept=[said[row] for said in kept])
            for row, (origin, formula, text) in enumerate(zip(origins, batch.formulas, texts, strict=True))
        ]
        materials.append(batch.take(np.flatnonzero([row.code == "" for row in read])))
        rows += read
    return labels._assembled(rows, materials)


def _column_named(name: str, prefix: str, present: Sequence[str]) -> str:
    """Name of the column that a campaign means by the name in the file."""
    meant = [name, f"{prefix}{name}", f"entry_{name}"]
    return next((each for each in meant if each in present), name)


def _unit_of_energy(column: str, stated: str | None, own: str) -> str | None:
    """Return the unit of a number that structure files state, None if its name does not tell.

    Raises:
        UnitError: If energies of whole cells are named for a property that counts by atom.
    """
    if not is_total_energy(column):
        return stated or ("eV/atom" if column.endswith(PER_ATOM) else None)
    unit = "eV" if column in _WHOLE_CELL else stated or "eV"
    try:
        convert(0.0, unit, own)
    except UnitError as error:
        raise UnitError(
            f"'{column}', an energy of all atoms of a cell in {unit}, for a property in {own}", f"an energy in {own}",
            f"write column: {column}{PER_ATOM} to divide it by the number of atoms"
            + ("" if column in _WHOLE_CELL else f", or unit: {own} if the values are in it already"),
        ) from error  # fmt: skip
    return stated or unit


def _numbers_written(labels: _Labels, batch: CandidateBatch, name: str, prefix: str) -> list[str]:
    """Cells of a column of numbers as text; its name may lack the prefix of a source."""
    present = batch.table.column_names
    column = _column_named(name, prefix, present)
    if column not in present:
        _require_column(labels.path.name, name, [one.removeprefix(prefix) for one in present])
    return ["" if value is None else repr(value) for value in batch.table.column(column).to_pylist()]


def _structures_meant(intakes: Sequence[Intake], names: Container[str]) -> dict[str, set[str]]:
    """Structures that each name in a table of labels means, by their ids."""
    meant: dict[str, set[str]] = defaultdict(set)
    for intake in intakes:
        for origin, candidate in zip(_column(intake.batch, Column.ORIGIN), intake.batch.ids, strict=True):
            for name in [name for name in _names_of(origin) if name in names][:1]:
                meant[name].add(candidate)
    return meant


def _names_of(origin: str) -> list[str]:
    """Names by which a table of labels may mean a structure: of its file with folders or not, with ending or not."""
    file = origin.rpartition(" (")[0] if origin.endswith(")") and " (" in origin else origin
    base = file.rpartition("/")[2]
    return list(dict.fromkeys([origin, file, _stem(file), base, _stem(base)]))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _texts(rows: Rows, name: str) -> list[str]:
    return ["" if value is None else str(value) for value in rows.table.column(name).to_pylist()]


def _column(batch: CandidateBatch, name: str) -> list[str]:
    return [str(value) for value in batch.table.column(name).to_pylist()]


def _require_column(file: str, name: str, present: Sequence[str]) -> None:
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
