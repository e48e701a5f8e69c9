"""Read CSV and Parquet files as a stream of Arrow tables of a few megabytes, without guessing types.

Each part of the stream is a :class:`Rows`: the requested columns, and a row code for each row that is broken in the
file. All cells of a CSV file are text. Blank lines of a CSV file are skipped; every other line is a row.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from matloop.data.errors import InputFileError
from matloop.data.readers.parquet_trial import BUFFER, check_parquet

_MOST_COLUMNS = 16_384  # as many as a spreadsheet has
_MOST_NAMED = 2_000  # columns; a thousand of numbers are taken along
_BLOCK_BYTES = 4_000_000  # a row must fit in one
_PARQUET_ROWS = 8_192
_SHOWN = 256  # characters of a broken row that are shown


class Rows(NamedTuple):
    """Some rows of a table.

    Attributes:
        table: The requested columns, in the requested order.
        codes: Row code of each row that is broken in the file, null for the others; type string.
        details: Details about each code.
        numbers: Number of each row in the file, counted from 1 with the header; type int64.
    """

    table: pa.Table
    codes: pa.Array
    details: pa.Array
    numbers: pa.Array


class TableFile(Protocol):
    """A file with named columns.

    Attributes:
        types: Type of each column by name; string if the file does not state one.
        place: Name of the file, and of the sheet if it has one, as people look for it.
    """

    types: dict[str, pa.DataType]
    place: str

    def rows(self, names: Sequence[str]) -> Iterator[Rows]:
        """Yield the columns ``names`` of all rows in parts."""
        ...

    def cell(self, name: str, number: int) -> str:
        """Name of the cell of a column in the row of that number."""
        ...


def sound_rows(table: pa.Table, first: int) -> Rows:
    """Rows of which none is broken in the file, the first of that number."""
    nothing = pa.nulls(table.num_rows, pa.string())
    return Rows(table, nothing, nothing, _numbered(first, table.num_rows))


def _numbered(first: int, count: int) -> pa.Array:
    return pa.array(np.arange(first, first + count, dtype=np.int64))


def named_columns(names: Sequence[str], file: str) -> list[str]:
    """Return the column names of a header; columns without a name are left out.

    Raises:
        InputFileError: If two columns share a name, or there are too many.
    """
    named = [name for name in names if name.strip()]
    if len(named) > _MOST_NAMED:
        raise InputFileError(
            f"{file} has {len(named):,} columns with a name", f"{_MOST_NAMED:,}", "leave out columns that nobody needs"
        )
    repeated = sorted(name for name, count in Counter(named).items() if count > 1)
    if repeated:
        raise InputFileError(f"{file} has two columns '{repeated[0][:80]}'", "a name of its own for each column")
    return named


class CsvFile:
    """A CSV file in UTF-8, with commas between the cells and the column names in the first line.

    A line such as ``sep=;`` above the column names, as Excel takes it, says what stands between the cells instead.

    Args:
        path: The file.

    Raises:
        InputFileError: If it is in another encoding or has no header.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_encoding(path)
        self._delimiter = _stated_delimiter(path)
        self.place = path.name
        _check_header(path, self._delimiter)
        with self._open([], deque()) as reader:
            names = reader.schema.names
        self.types = dict.fromkeys(named_columns(names, path.name), pa.string())

    def rows(self, names: Sequence[str]) -> Iterator[Rows]:
        """Yield the columns ``names`` of all rows; one with a wrong number of cells keeps its place and gets a code."""
        ragged: deque[pyarrow.csv.InvalidRow] = deque()
        lines_above = 2 if self._delimiter else 1
        at = 0
        with self._open(names, ragged) as reader:
            for batch in reader:
                part = _with_ragged(pa.Table.from_batches([batch]), ragged, at, lines_above)
                at += part.table.num_rows
                yield part
            rest = reader.schema.empty_table()
        yield _with_ragged(rest, ragged, at, lines_above, to_the_end=True)

    def cell(self, name: str, number: int) -> str:
        """Name of the cell of a column in the row of that number; blank lines are not counted."""
        return f"row {number}, column '{name}'"

    def _open(self, names: Sequence[str], ragged: deque[pyarrow.csv.InvalidRow]) -> pyarrow.csv.CSVStreamingReader:
        def note(row: pyarrow.csv.InvalidRow) -> str:
            ragged.append(row)
            return "skip"

        # Arrow tells the numbers of broken rows only if it reads with one thread.
        return pyarrow.csv.open_csv(
            self.path,
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, skip_rows=1 if self._delimiter else 0
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self._delimiter or ",", newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=list(names), column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )


_DELIMITER = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)


def _stated_delimiter(path: Path) -> str:
    """Return what the first line says stands between the cells; empty if it says nothing about that."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        match = _DELIMITER.fullmatch(text.readline(40))
    return match[1] if match else ""


def _check_header(path: Path, delimiter: str) -> None:
    """Refuse a first line with more columns than any sheet: Arrow takes some kilobytes for each.

    Raises:
        InputFileError: If there are too many.
    """
    with path.open(encoding="utf-8-sig") as text:
        if delimiter:
            text.readline(40)
        columns = text.readline(_BLOCK_BYTES).count(delimiter or ",") + 1
    if columns > _MOST_COLUMNS:
        raise InputFileError(
            f"{path.name} has {columns:,} columns", f"{_MOST_COLUMNS:,}", "leave out columns that nobody needs"
        )


def _with_ragged(
    table: pa.Table,
    ragged: deque[pyarrow.csv.InvalidRow],
    at: int,
    lines_above: int,
    *,
    to_the_end: bool = False,
) -> Rows:
    """Put the broken rows back at their places, as rows of nulls, into the rows from number ``at`` on.

    Raises:
        ValueError: If a broken row is the rest of the file after an unclosed quotation mark.
    """
    places: list[int] = []
    texts: list[str] = []
    while ragged and (to_the_end or ragged[0].number - lines_above - 1 < at + table.num_rows + len(places)):
        row = ragged.popleft()
        if row.text.count('"') % 2 and "\n" in row.text.rstrip():
            raise ValueError(f"a quotation mark in row {row.number - lines_above} is never closed")
        places.append(row.number - lines_above - 1 - at)
        texts.append(f"{row.actual_columns} cells, {row.expected_columns} columns: {row.text[:_SHOWN]}")
    if not places:
        return sound_rows(table, at + lines_above + 1)
    total = table.num_rows + len(places)
    is_sound = np.ones(total, bool)
    is_sound[places] = False
    source = np.maximum(np.cumsum(is_sound) - 1, 0)
    codes, details = np.full((2, total), None, object)
    codes[places], details[places] = "E-TABLE-RAGGED", texts
    taken = table.take(pa.array(source, mask=~is_sound))
    numbers = _numbered(at + lines_above + 1, total)
    return Rows(taken, pa.array(codes, pa.string()), pa.array(details, pa.string()), numbers)


def _check_encoding(path: Path) -> None:
    """Read the whole file once as UTF-8.

    Raises:
        InputFileError: If it has another encoding; the message names the likely one.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise _wrong_encoding(path, "it begins like UTF-16 or UTF-32")
        if start == b"PK\3\4" or start == b"\xd0\xcf\x11\xe0":
            raise InputFileError(f"{path.name} is a spreadsheet", "a CSV file", "name it .xlsx or save it as CSV UTF-8")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError as error:
        sample = error.object[max(error.start - 30, 0) : error.start + 30]
        raise _wrong_encoding(path, f"it holds {sample!r}; perhaps it is GB18030 or Windows-1252") from error


def _wrong_encoding(path: Path, reason: str) -> InputFileError:
    return InputFileError(
        f"{path.name} is not in UTF-8: {reason}",
        "a UTF-8 .csv file, with or without byte order mark; not UTF-16, GBK, GB18030, Latin-1 or Windows-1252",
        "save it as 'CSV UTF-8', or as .xlsx",
    )


class ParquetFile:
    """A Parquet file. Columns keep the types that the file states.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = path.name
        self._tried: set[tuple[str, ...]] = set()
        with pq.ParquetFile(path) as file:
            named_columns(file.schema_arrow.names, path.name)
            self.types = {field.name: _plain(field.type) for field in file.schema_arrow}
            self.row_count = int(file.metadata.num_rows)

    def rows(self, names: Sequence[str]) -> Iterator[Rows]:
        """Yield the columns ``names`` of all rows. Only some thousand rows are in memory at a time."""
        wanted = pa.schema([(name, self.types[name]) for name in names])
        number = 2
        if tuple(names) not in self._tried:
            check_parquet(self.path, names, rows=_PARQUET_ROWS)
            self._tried.add(tuple(names))
        with pq.ParquetFile(self.path, buffer_size=BUFFER) as file:
            for batch in file.iter_batches(_PARQUET_ROWS, columns=list(names), use_threads=False):
                yield sound_rows(pa.Table.from_batches([batch]).select(list(names)).cast(wanted), number)
                number += batch.num_rows

    def cell(self, name: str, number: int) -> str:
        """Name of the cell of a column in the row of that number."""
        return f"row {number - 1}, column '{name}'"


def _plain(kind: pa.DataType) -> pa.DataType:
    """Replace every Arrow type that holds text by the plain string type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_binary(kind)
    return pa.string() if is_text or pa.types.is_large_binary(kind) else kind
