"""Read candidates from a table of formulas (CSV, XLSX or Parquet), with the columns of numbers beside them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.identity import text_id
from matloop.data.errors import RELATIVE_PATHS, InputFileError
from matloop.data.properties.carried import MOST_COLUMNS, carried_name, is_property_column
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.readers.open_table import open_table, rows_of
from matloop.data.readers.table_files import ParquetFile, Rows, TableFile

# A number as a person writes it. 007 is a name, and so is a number that a float64 cannot hold exactly.
_NUMBER = r"^-?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$"
_ESCAPED = r"^'([=+\-@\t\r])"  # text with an apostrophe that keeps a spreadsheet from taking it for a formula


class _Plan(NamedTuple):
    """Result of the first pass over the file: its rows, and which columns hold numbers.

    A column of ``numeric`` may be ``mixed``: a row without a formula has another cell there, such as a unit.
    """

    row_count: int
    numeric: list[str]
    stamp: tuple[int, int]
    mixed: set[str]


class FormulaTable:
    """Formulas from one column of a file, and the columns of numbers beside it.

    Formulas and ids are text, so ``NaN``, ``InF`` and ``007`` are not changed. An id that is a number in a spreadsheet
    or Parquet file is converted to text. An apostrophe that keeps a spreadsheet from taking text for a formula is
    removed. A cell with a spreadsheet formula has the value that was last saved.

    A column is kept as float64 if every filled cell of it is a plain number. It gets the prefix ``table_``, so that
    nobody takes it for a result of matloop. A property column that :mod:`matloop.data.properties.catalogue` defines,
    such as ``band_gap_exp``, keeps its name. It must be in the unit defined there, and a row is refused if its cell is
    not a number. Columns of text are not kept; the id leads back to them in the file.

    Args:
        path: A ``.csv`` (UTF-8), ``.xlsx`` (its first sheet) or ``.parquet`` file, column names in the first row.
        formula_column: Column with the formulas.
        id_column: Column with ids of the user, which are shown as the origin of the candidates.

    Raises:
        InputFileError: If the file does not exist, cannot be opened or lacks a column. While reading: if it is damaged.
    """

    name = "table"
    gives_crystals = False

    def __init__(self, path: str | Path, *, formula_column: str = "formula", id_column: str | None = None) -> None:
        self.path = Path(path).expanduser()
        self.formula_column, self.id_column = formula_column, id_column
        self._file = self._opened()

    def files(self) -> list[Path]:
        """The file that the source reads."""
        return [self.path]

    def has_rows(self) -> bool:
        """Whether there is a row below the names of the columns; no more than the beginning of the file is read."""
        return any(part.table.num_rows for part in self._rows(self._text_columns))

    def count(self) -> int:
        """Number of rows of the file. A CSV or XLSX file is read once for this; a Parquet file states the number."""
        return self._plan.row_count

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` rows. A row without a readable formula is refused with its row code.

        Raises:
            InputFileError: If the file changed since it was counted.
        """
        plan = self._plan
        self._check_unchanged(plan.row_count)
        at = 0
        for rows in _windows(self._rows([*self._text_columns, *plan.numeric]), size):
            yield self._intake(rows, at, plan.numeric)
            at += rows.table.num_rows
        self._check_unchanged(at)

    def cells(self, names: Sequence[str], size: int) -> Iterator[tuple[Intake, Rows]]:
        """Yield the candidates of parts of the file, without columns of numbers, and the rows they come from.

        Args:
            names: Columns of the rows besides those of the formulas and ids, as the file shows them.
            size: Rows of a part.
        """
        at = 0
        wanted = [*self._text_columns, *names]
        for rows in _windows(rows_of(self._file, self.path, wanted, as_shown=True), size):
            yield self._intake(rows, at, ()), rows
            at += rows.table.num_rows

    def cell_name(self, rows: Rows, row: int, name: str) -> str:
        """Name of a cell as people look for it: file, sheet, and cell of the column ``name`` in a row of a part."""
        return f"{self._file.place}, {self._file.cell(name, rows.numbers[row].as_py())}"

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the file, in their order."""
        return list(self._file.types)

    def windows(self, size: int) -> Iterator[pa.Table]:
        """Yield all columns of the file in the parts of :meth:`intakes`, as the file holds them.

        A column of a CSV or XLSX file is text, unless every filled cell of it is a plain number.
        """
        stated = isinstance(self._file, ParquetFile)
        plain = [name for name in self._plan.numeric if not is_property_column(name) and name not in self._plan.mixed]
        numeric = [] if stated else plain
        for rows in _windows(self._rows(self.columns), size):
            columns = {name: rows.table.column(name) for name in self.columns}
            numbers = {name: _numbers(column)[0] for name, column in columns.items() if name in numeric}
            yield pa.table({**columns, **numbers})

    def _check_unchanged(self, count: int) -> None:
        if count != self._plan.row_count or _stamp(self.path) != self._plan.stamp:
            raise InputFileError(f"{self.path.name} changed while it was read", "a file that nobody writes to")

    @property
    def _text_columns(self) -> list[str]:
        return list(dict.fromkeys([self.formula_column, self.id_column or self.formula_column]))

    def _opened(self) -> TableFile:
        file = open_table(self.path, if_missing=RELATIVE_PATHS)
        for name, option in ((self.formula_column, "formula_column"), (self.id_column, "id_column")):
            if name is not None and name not in file.types:
                raise _missing_column(file.place, name, option, list(file.types))
        kind = file.types[self.formula_column]
        if not pa.types.is_string(kind):
            raise InputFileError(f"{self.path.name}: the formulas in '{self.formula_column}' are {kind}", "text")
        return file

    @cached_property
    def _plan(self) -> _Plan:
        stamp = _stamp(self.path)
        types = self._file.types
        others = [name for name in types if name not in self._text_columns]
        stated = [name for name in others if _is_numeric(types[name])]
        texts = [name for name in others if pa.types.is_string(types[name])]
        if isinstance(self._file, ParquetFile):
            known = [name for name in texts if is_property_column(name)]
            count, numeric, mixed = self._file.row_count, {*stated, *known}, set[str]()
        else:
            count, numeric, mixed = self._scan(texts)
        chosen = [name for name in others if name in numeric]
        if len(chosen) > MOST_COLUMNS:
            raise InputFileError(f"{self.path.name} has {len(chosen):,} columns of numbers", f"{MOST_COLUMNS:,}")
        return _Plan(count, chosen, stamp, mixed)

    def _scan(self, texts: list[str]) -> tuple[int, set[str], set[str]]:
        """Find the number of rows, the columns that are numeric, and those that are mixed; see :class:`_Plan`."""
        count, filled, other, mixed = 0, set[str](), set[str](), set[str]()
        for rows in self._rows([*self._text_columns, *texts]):
            count += rows.table.num_rows
            has_formula = pc.not_equal(pc.utf8_trim_whitespace(_text(rows.table.column(self.formula_column))), "")
            for name in texts:
                if name not in other:
                    values, bad = _numbers(rows.table.column(name))
                    if pc.any(bad).as_py():
                        mixed.add(name)
                    if pc.any(pc.and_(bad, has_formula)).as_py():
                        other.add(name)
                    elif values.null_count < len(values):
                        filled.add(name)
        return count, (filled - other) | set(filter(is_property_column, texts)), mixed

    def _rows(self, names: Sequence[str]) -> Iterator[Rows]:
        return rows_of(self._file, self.path, names)

    def _intake(self, rows: Rows, at: int, numeric: Sequence[str]) -> Intake:
        """Return the candidates and refused rows of a part that begins at row ``at`` of the file.

        Args:
            rows: The part.
            at: Number of its first row.
            numeric: Columns of numbers that travel with the candidates.
        """
        table = rows.table
        formulas = _text(table.column(self.formula_column))
        formulas = pc.replace_substring_regex(formulas, "^'", "")
        names = pc.replace_substring_regex(_text(table.column(self.id_column or self.formula_column)), _ESCAPED, r"\1")
        columns, codes = {}, np.array(rows.codes.fill_null("").to_pylist(), object)
        reasons = {row: reason for row, reason in enumerate(rows.details.to_pylist()) if reason}
        for row in np.flatnonzero(codes == "E-TABLE-CELL").tolist():
            reasons[row] = f"{self.cell_name(rows, row, self.formula_column)} holds {reasons[row]}"
        for name in numeric:
            columns[carried_name("table", name)], bad = _numbers(table.column(name))
            if is_property_column(name):
                for row in np.flatnonzero((codes == "") & bad.to_numpy(zero_copy_only=False)).tolist():
                    codes[row], reasons[row] = "E-TABLE-NUMBER", self._no_number(rows, row, name)
        read = CandidateBatch.from_formulas(formulas.to_pylist())
        for refused in read.refused:
            if not codes[refused.row]:
                codes[refused.row], reasons[refused.row] = refused.code, refused.detail
        if at == 0 and len(codes) and codes[0] and not formulas[0].as_py().strip():
            reasons[0] = ": ".join(filter(None, [reasons.get(0), "if this row holds the units, remove it"]))
        kept = pa.array(np.flatnonzero(codes == ""))
        # The batch holds the rows with a readable formula; a bad cell may still refuse some of them.
        readable = np.setdiff1d(np.arange(len(codes)), [refused.row for refused in read.refused])
        batch = read.batch.take(np.flatnonzero(codes[readable] == ""))
        batch = batch.with_columns(
            {
                Column.ORIGIN: names.take(kept),
                **{name: values.take(kept) for name, values in columns.items()},
            }
        )
        refused_rows = []
        for row in np.flatnonzero(codes != "").tolist():
            name, broken, formula = names[row].as_py(), rows.details[row].as_py(), formulas[row].as_py()
            detail = f"row {at + row + 1}: " + ": ".join(filter(None, [name, reasons.get(row)]))
            refused_rows.append(Refused(row, text_id(broken or formula), formula, codes[row], detail))
        return Intake(batch, refused_rows)

    def _no_number(self, rows: Rows, row: int, name: str) -> str:
        """Say which cell of a property column holds no number, and what to write there."""
        unit = property_named(name.rpartition("_")[0]).unit
        held = str(rows.table.column(name)[row].as_py())[:40]
        wanted = "a number" if unit == "1" else f"a number in {unit}"
        return f"{self.cell_name(rows, row, name)} holds '{held}'; write {wanted}, or leave it empty"


def _is_numeric(kind: pa.DataType) -> bool:
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return numeric or pa.types.is_boolean(kind)


def _text(column: pa.ChunkedArray) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), "").combine_chunks()


def _numbers(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return values as float64 (null if the cell is empty or not a number), and which cells are not numbers."""
    if not pa.types.is_string(column.type):
        values = column.cast(pa.float64(), safe=False).combine_chunks()
        return pc.if_else(pc.is_nan(values), None, values), pc.fill_null(pc.is_inf(values), False)
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(_text(column), _ESCAPED, r"\1"))
    is_number = pc.match_substring_regex(text, _NUMBER)
    values = pc.if_else(is_number, text, None).cast(pa.float64())
    is_finite = pc.fill_null(pc.is_finite(values), False)
    return pc.if_else(is_finite, values, None), pc.and_(pc.not_equal(text, ""), pc.invert(is_finite))


def _windows(parts: Iterator[Rows], size: int) -> Iterator[Rows]:
    """Yield the same rows, ``size`` at a time."""
    waiting: list[Rows] = []
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += part.table.num_rows
        if rows >= size:
            joined = _joined(waiting)
            whole = rows - rows % size
            for start in range(0, whole, size):
                yield Rows(*(column.slice(start, size) for column in joined))
            waiting, rows = [Rows(*(column.slice(whole) for column in joined))], rows - whole
    if rows:
        yield _joined(waiting)


def _joined(parts: list[Rows]) -> Rows:
    return Rows(
        pa.concat_tables([part.table for part in parts]),
        pa.concat_arrays([part.codes for part in parts]),
        pa.concat_arrays([part.details for part in parts]),
        pa.concat_arrays([part.numbers for part in parts]),
    )


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def _missing_column(file: str, name: str, option: str, present: list[str]) -> InputFileError:
    close = difflib.get_close_matches(name.casefold(), {key.strip().casefold(): key for key in present}, 1, 0.5)
    meant = next((key for key in present if close and key.strip().casefold() == close[0]), None)
    flag = f"--{option.replace('_', '-')}"
    fix = f"did you mean {option}: '{meant}'?" if meant else f"name the column with {option}"
    fix += f" On the command line: {flag} '{meant}'" if meant else f", on the command line with {flag}"
    if len(present) == 1 and any(mark in present[0] for mark in ";\t"):
        fix = "separate the columns by commas"
    shown = ", ".join(f"'{key[:80]}'" for key in present[:40]) or "none"
    return InputFileError(f"{file} has no column '{name}'", f"its columns: {shown}", fix)
