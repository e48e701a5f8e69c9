"""Rows of an input in their order, with the candidates they hold, and columns that are written beside them.

An input is a table of formulas, structure files or an ASE database. A row that is refused keeps its place, with its
code. Rows are read and written some thousand at a time, so that memory does not grow with their number.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.batch import Intake
from matloop.data.errors import InputFileError, RunError
from matloop.data.properties.columns import Column
from matloop.data.readers.open_table import TABLE_FORMATS
from matloop.data.sources.ase_database import AseDatabase
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.sources.table import FormulaTable
from matloop.data.whole_files import write_csv, write_whole

OUTPUT_FORMATS = (".csv", ".parquet")
_ASE_DATABASE = ".db"
_ROWS = 10_000
_SIGNED_NUMBER = re.compile(r"[+-][0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")


class InputRows:
    """The rows of an input.

    Args:
        path: A table of formulas (``.csv``, ``.xlsx`` or ``.parquet``), an ASE database (``.db``), or a structure file,
            a folder, a pattern or an archive of them.
        formula_column: Column of the table with the formulas.
        id_column: Column of the table with ids, which are then kept as text.

    Raises:
        InputFileError: If the input cannot be read.

    Attributes:
        columns: Names of the columns of the input: those of the table, or origin and formula of structures.
        gives_crystals: Whether its candidates have crystals.
    """

    def __init__(self, path: str | Path, *, formula_column: str = "formula", id_column: str | None = None) -> None:
        self.path = Path(path).expanduser()
        self._table: FormulaTable | None = None
        self._source: AseDatabase | StructureFiles | None = None
        if self.path.suffix.lower() in TABLE_FORMATS:
            self._table = FormulaTable(self.path, formula_column=formula_column, id_column=id_column)
        elif self.path.suffix.lower() == _ASE_DATABASE:
            self._source = AseDatabase(self.path)
        else:
            self._source = StructureFiles(self.path)
        self.gives_crystals = self._table is None
        self.columns: list[str] = [Column.ORIGIN, Column.FORMULA] if self._table is None else self._table.columns

    def check_fit(self, written: Sequence[str], *, needs_crystals: bool) -> None:
        """Refuse features of crystals for a table of formulas, and a column that the output is to hold.

        Args:
            written: Columns that the output holds besides those of the input.
            needs_crystals: Whether the features do.

        Raises:
            InputFileError: If the input does not fit.
        """
        if needs_crystals and not self.gives_crystals:
            raise InputFileError(
                f"{self.path.name} holds formulas, and the features need crystals", "structure files",
                "give a structure file, a folder or an archive of them, or use features of compositions",
            )  # fmt: skip
        taken = sorted(set(self.columns) & set(written)) if self._table is not None else []
        if taken:
            raise InputFileError(
                f"{self.path.name} has a column '{taken[0]}', which the output is to hold", "other names",
                "rename the column in the table",
            )  # fmt: skip

    def parts(self) -> Iterator[tuple[pa.Table, Intake]]:
        """Yield the rows some thousand at a time: columns of the input, and candidates with the rows refused."""
        if self._table is not None:
            for given, intake in zip(self._table.windows(_ROWS), self._table.intakes(_ROWS), strict=True):
                yield _with_lines(given, intake, self._table.formula_column), intake
        elif self._source is not None:
            for intake in self._source.intakes(_ROWS):
                yield _described(intake), intake


def _with_lines(given: pa.Table, intake: Intake, formula_column: str) -> pa.Table:
    """Put number and line of each ragged row where its formula would stand, since its cells belong to no columns."""
    lines = {row.row: row.detail for row in intake.refused if row.code == "E-TABLE-RAGGED"}
    if not lines:
        return given
    cells = [lines.get(row, cell) for row, cell in enumerate(given.column(formula_column).to_pylist())]
    at = given.column_names.index(formula_column)
    return given.set_column(at, formula_column, pa.array(cells, pa.string()))


def _described(intake: Intake) -> pa.Table:
    """Origin and formula of each row of structure files, in place of the columns of a table."""
    refused = {row.row: row for row in intake.refused}
    origins, formulas = iter(intake.batch.column(Column.ORIGIN)), iter(intake.batch.formulas)
    rows = []
    for row in range(len(intake.batch) + len(refused)):
        found = refused.get(row)
        rows.append((next(origins), next(formulas)) if found is None else (found.detail.split(": ")[0], found.formula))
    names = (Column.ORIGIN, Column.FORMULA)
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)})


def beside(
    given: pa.Table, intake: Intake, codes: NDArray[np.str_], columns: Mapping[str, NDArray[Any] | pa.Array]
) -> pa.Table:
    """Put ids, codes and results beside the columns of the input, each row in its place.

    Args:
        given: Columns of the input, n rows.
        intake: Its m candidates, and the rows refused.
        codes: Row code of each candidate, empty where nothing went wrong, shape (m,).
        columns: Results for the candidates, each (m,); a row with a code has none.
    """
    count = len(intake.batch) + len(intake.refused)
    places = np.setdiff1d(np.arange(count), [row.row for row in intake.refused])
    ids, all_codes = np.full((2, count), "", object)
    ids[places], all_codes[places] = intake.batch.ids, codes
    for row in intake.refused:
        ids[row.row], all_codes[row.row] = row.candidate_id, row.code
    where = np.full(count, -1)
    where[places] = np.where(codes == "", np.arange(len(intake.batch)), -1)
    rows = pa.array(where, mask=where < 0)
    written: dict[str, Any] = {name: given.column(name) for name in given.column_names}
    written |= {Column.CANDIDATE_ID: pa.array(ids, pa.string()), Column.CODE: pa.array(all_codes, pa.string())}
    written |= {name: pa.array(values, from_pandas=True).take(rows) for name, values in columns.items()}
    return pa.table(written)


def check_output(output: Path, *, of: str, given: Path | None = None) -> None:
    """Make sure that a file of results can be written.

    Args:
        output: The file.
        of: What is written.
        given: The input, which the output must not be.

    Raises:
        RunError: If its folder does not exist, its suffix names no format, or it is the input.
    """
    if output.suffix.lower() not in OUTPUT_FORMATS:
        raise RunError(
            f"--output {output.name} names no format that {of} are written in", " or ".join(OUTPUT_FORMATS),
            f"such as --output {output.stem or of}.csv",
        )  # fmt: skip
    if not output.parent.is_dir():
        raise RunError(f"no folder {output.parent} to write {output.name} into", "an existing folder")
    if given is not None and output.exists() and given.exists() and output.samefile(given):
        raise RunError(
            f"--output {output} is the input itself", "another file", f"such as --output {output.stem}-{of}.csv"
        )


def write_parts(output: Path, parts: Iterable[pa.Table], *, columns: Sequence[str]) -> None:
    """Write tables one below the other into one file, whole or not at all.

    Args:
        output: A ``.csv`` or ``.parquet`` file.
        parts: The tables, all with the same columns.
        columns: Their names, for an input without rows.
    """
    tables = iter(parts)
    first = next(tables, pa.table({name: pa.nulls(0) for name in columns}))
    every = itertools.chain([first], tables)
    if output.suffix.lower() == ".csv":
        write_csv(output, first.column_names, (row for table in every for row in _rows(table)))
        return

    def fill(draft: Path) -> None:
        with pq.ParquetWriter(draft, first.schema, compression="zstd") as writer:
            for table in every:
                writer.write_table(table.cast(first.schema))

    write_whole(output, fill)


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    """Rows of a table for a CSV file; what is missing is an empty cell."""
    for batch in table.to_batches(max_chunksize=1000):
        yield from (list(map(_cell, row)) for row in zip(*(column.to_pylist() for column in batch), strict=True))


def _cell(value: Any) -> Any:
    """A signed number stays a number: it must not get the apostrophe of text that looks like a formula."""
    if isinstance(value, str) and _SIGNED_NUMBER.fullmatch(value):
        return Decimal(value)
    return "" if value is None else value
