"""Labels of structure files, in a table beside them or in the files themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import RELATIVE_PATHS, InputFileError
from matloop.data.own_labels.derived_labels import Derived
from matloop.data.own_labels.described_labels import (
    NOTHING,
    ROWS_AT_ONCE,
    DescribedLabels,
    require_column,
    texts_of,
    texts_of_column,
)
from matloop.data.own_labels.label_account import LabelRow, ReadLabels
from matloop.data.own_labels.label_conditions import WrittenConditions
from matloop.data.own_labels.label_trust import TextCell
from matloop.data.own_labels.labelled_columns import read_columns, unit_of_energy
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.readers.header_numbers import PREFIX
from matloop.data.readers.open_table import open_table, rows_of
from matloop.data.readers.table_files import TableFile
from matloop.data.sources.structure_files import StructureFiles

NO_PARTNER, TWO_PARTNERS = "E-LABEL-NO-PARTNER", "E-LABEL-TWO-PARTNERS"


class _Cells(NamedTuple):
    """A row of a table of labels: place and text of the label, the texts of its conditions, and cells by column."""

    place: str
    text: str
    conditions: tuple[str, ...]
    beside: Mapping[str, TextCell]


class LabelledStructureFiles(DescribedLabels):
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
            unit = unit_of_energy(column, unit, property_named(property).unit)
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            derive=derive, conditions=conditions,
        )  # fmt: skip
        self._structures = StructureFiles(path, disorder=disorder)
        self.labels = None if labels is None else Path(labels).expanduser()
        self.file, self._trust = file, self.trust_columns(weight, uncertainty, uncertainty_unit)
        if self.labels is not None:
            present = list(open_table(self.labels, if_missing=RELATIVE_PATHS).types)
            condition_columns = [one.column for one in self.conditions]
            for name in filter(None, (file, column, *self._trust.columns, *condition_columns)):
                require_column(self.labels.name, name, present)
        elif self._trust.columns:
            raise InputFileError(
                f"columns {', '.join(self._trust.columns)} without a table of labels", "labels: a table",
                "name the table, or leave these columns out",
            )  # fmt: skip

    def files(self) -> list[Path]:
        """The files that are read."""
        return [*self._structures.files(), *([] if self.labels is None else [self.labels])]

    def read_rows(self) -> ReadLabels:
        """Read every structure and every row of labels, and the material of each that teaches."""
        if self.labels is None:
            return read_columns(self, self._structures, prefix=PREFIX)
        found = self._cells_by_name(open_table(self.labels, if_missing=RELATIVE_PATHS))
        rows: list[LabelRow] = []
        materials: list[CandidateBatch] = []
        used: set[str] = set()
        intakes = list(self._structures.intakes(ROWS_AT_ONCE))
        meant = _structures_meant(intakes, found)
        for intake in intakes:
            rows += [LabelRow(row.detail, row.formula, "", NOTHING, row.code, row.detail) for row in intake.refused]
            taught: list[int] = []
            for at, origin in enumerate(texts_of_column(intake.batch, Column.ORIGIN)):
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
            LabelRow(cells.place, "", cells.text, NOTHING, NO_PARTNER, f"no structure file is named {name[:80]}")
            for name in unused
            for cells in found[name]
        ]
        return self.described(rows, materials)

    def _of_structure(self, origin: str, formula: str, name: str, cells: Sequence[_Cells]) -> Iterator[LabelRow]:
        """Rows of one structure: one for each of its rows of labels, which differ by their conditions."""
        assert self.labels is not None
        if not cells:
            detail = f"no row of {self.labels.name} names this file in its column '{self.file}'"
            yield LabelRow(origin, formula, "", NOTHING, NO_PARTNER, detail)
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
                yield LabelRow(origin, formula, "", NOTHING, TWO_PARTNERS, detail)
            else:
                row = self.row_of(f"{origin}, {one.place}", formula, one.text, kept=kept)
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
        names = list(dict.fromkeys([self.file, self.column, *others]))
        for part in rows_of(file, self.labels, names, as_shown=True):
            texts, numbers = texts_of(part, self.column), part.numbers.to_pylist()
            beside = {name: texts_of(part, name) for name in others}
            for row, name in enumerate(texts_of(part, self.file)):
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


def _structures_meant(intakes: Sequence[Intake], names: Container[str]) -> dict[str, set[str]]:
    """Structures that each name in a table of labels means, by their ids."""
    meant: dict[str, set[str]] = defaultdict(set)
    for intake in intakes:
        for origin, candidate in zip(texts_of_column(intake.batch, Column.ORIGIN), intake.batch.ids, strict=True):
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
