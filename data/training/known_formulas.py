"""A list of formulas that somebody knows already, read from a file, and the rows of it that are no formulas."""

from __future__ import annotations

import codecs
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import explain_refusal, parse_formulas
from matloop.data.candidates.kinds import COMPOSITION
from matloop.data.errors import RELATIVE_PATHS, ROW_CODES, InputFileError
from matloop.data.plain_text import counted, one_line
from matloop.data.readers.open_table import TABLE_FORMATS, open_table, rows_of
from matloop.data.readers.structure_split import Unreadable, decode_text
from matloop.data.readers.table_files import ParquetFile, Rows, TableFile

LARGEST_LIST = 64_000_000
"""Bytes of a file of known formulas."""
MOST_ROWS = 1_000_000
"""Rows of such a file."""
LIST_FORMATS = (".txt", *TABLE_FORMATS)
"""Suffixes of the files that it may be."""
_COLUMN = "formula"
_LONGEST_NAME = 80
_LONGEST_SHOWN = 100  # characters of a row that is no formula
_MOST_SHOWN = 5
_MOST_EXPLAINED = 1000  # explaining a million rows would take minutes


class UnreadRow(NamedTuple):
    """A row that is no formula.

    Attributes:
        number: Of the row in the file, from 1.
        written: What the row holds.
        code: Row code, see :data:`matloop.data.errors.ROW_CODES`.
        detail: What more is known.
    """

    number: int
    written: str
    code: str
    detail: str

    def __str__(self) -> str:
        meaning = self.detail or ROW_CODES[self.code]
        return f"row {self.number} '{one_line(self.written)}': {self.code}: {one_line(meaning)}"


@dataclass(frozen=True, eq=False)
class KnownFormulas:
    """Formulas from a file.

    Attributes:
        name: Name of the file, fit for a list of names with commas between them.
        sha256: Of the file.
        rows: Number of rows that it has.
        compositions: Each different composition once, in the order of the file.
        unread: The rows that are no formulas.
    """

    name: str
    sha256: str
    rows: int
    compositions: CandidateBatch
    unread: tuple[UnreadRow, ...] = ()

    @functools.cached_property
    def keys(self) -> NDArray[np.uint64]:
        """Keys of the compositions, ascending."""
        return np.unique(composition_keys(self.compositions.compositions))

    def lines(self, *, is_asked: bool = True) -> list[str]:
        """Say how many formulas were read and which rows were not, one line each, at most some of them.

        Args:
            is_asked: Whether a filter asks what is known; without one nothing is left out.
        """
        compositions, unread = counted(len(self.compositions), "composition"), len(self.unread)
        first = f"{self.name}: {counted(self.rows, 'row')} with {compositions} count as known"
        if not is_asked:
            first += " and stay candidates; the filter new_compounds would leave them out"
        if not unread:
            return [first]
        lines = [f"{first}; {counted(unread, 'row')} without a readable formula"]
        lines += [f"  {row}" for row in self.unread[:_MOST_SHOWN]]
        if unread > _MOST_SHOWN:
            lines.append(f"  and {unread - _MOST_SHOWN:,} more; known_unread.csv of a run lists all of them")
        return lines


class _Written(NamedTuple):
    """The rows of a file as they stand there.

    Attributes:
        numbers: Number of each row, from 1, shape (n,).
        texts: What should be a formula, length n.
        codes: Row code of each row that is broken in the file; empty for the others, shape (n,).
        details: What more is known of it, length n.
    """

    numbers: NDArray[np.int64]
    texts: pa.Array
    codes: NDArray[np.str_]
    details: list[str | None]


def read_known_formulas(path: str | Path) -> KnownFormulas:
    """Read a file with one formula a row.

    A table has a column ``formula``; its other columns do not matter. A table with one column may do without the name
    of that column. Rows that are no formulas are told of and not used.

    Args:
        path: A ``.txt`` file of lines, or a ``.csv`` (UTF-8), ``.xlsx`` (its first sheet) or ``.parquet`` table.

    Raises:
        InputFileError: If the file is not there, cannot be read, is too large or holds no formula.
    """
    path = Path(path).expanduser()
    if not path.is_file() or path.suffix.lower() not in LIST_FORMATS:
        got, fix = f"no file {path}", RELATIVE_PATHS
        if path.is_file():
            got, fix = f"{path.name} is no list that can be read", "save it in one of these formats"
        raise InputFileError(got, f"a file of the kinds {', '.join(LIST_FORMATS)}", fix)
    about = path.stat()
    if not 0 < about.st_size <= LARGEST_LIST:
        raise InputFileError(
            f"{path.name} has {about.st_size:,} bytes", f"1 to {LARGEST_LIST:,} bytes", "write one formula a row"
        )
    return _read(path, (about.st_size, about.st_mtime_ns))


@functools.lru_cache(maxsize=2)
def _read(path: Path, _stamp: tuple[int, int]) -> KnownFormulas:
    """Read a file, once as long as it does not change."""
    numbers, texts, codes, details = _lines(path) if path.suffix.lower() == ".txt" else _cells(path)
    if len(texts) > MOST_ROWS:
        raise InputFileError(f"{path.name} has more than {MOST_ROWS:,} rows", f"{MOST_ROWS:,}", "shorten the list")
    compositions, refused = parse_formulas(texts)
    codes = np.where(codes == "", refused, codes)
    sound = np.flatnonzero(codes == "")
    if not len(sound):
        raise InputFileError(
            f"{path.name} holds no formula{_first_row(texts, codes)}", "at least one formula, such as Fe2O3",
            "write one formula a row, with commas between the columns of a table (or 'sep=;' in a line above them), "
            "or leave 'known' out of the campaign",
        )  # fmt: skip
    _, first = np.unique(composition_keys(compositions.take(sound)), return_index=True)
    distinct = CandidateBatch.of_kind(COMPOSITION, {COMPOSITIONS: compositions.take(sound[np.sort(first)])})
    unread = list[UnreadRow]()
    for row in np.flatnonzero(codes != "").tolist():
        written, detail = texts[row].as_py(), details[row] or ""
        if not detail and len(unread) < _MOST_EXPLAINED:
            detail = explain_refusal(written)
        unread.append(UnreadRow(int(numbers[row]), written[:_LONGEST_SHOWN], str(codes[row]), detail))
    name = one_line(path.name).replace(",", " ")[:_LONGEST_NAME]
    return KnownFormulas(name, _sha256(path), len(texts), distinct, tuple(unread))


def _lines(path: Path) -> _Written:
    """The lines of a text that hold anything."""
    try:
        content = path.read_bytes()
        if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            content.decode("utf-8")
        lines = [line.strip() for line in decode_text(content).split("\n")]
    except UnicodeDecodeError as error:
        got = f"{path.name} is not in UTF-8; perhaps it is GB18030 or Windows-1252"
        raise InputFileError(got, "text in UTF-8", "save it as UTF-8") from error
    except Unreadable as error:
        raise InputFileError(f"{path.name} {error.detail}", "text in UTF-8", "save it as UTF-8") from error
    except OSError as error:
        raise InputFileError(f"cannot read {path}: {error.strerror}", "a file that you may read") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line]
    if numbered and numbered[0][1].casefold() == _COLUMN:
        del numbered[0]
    numbers = np.array([number for number, _ in numbered], np.int64)
    texts = pa.array([line for _, line in numbered], pa.string())
    return _Written(numbers, texts, np.full(len(texts), ""), [None] * len(texts))


def _cells(path: Path) -> _Written:
    """The cells of the column with the formulas."""
    file = open_table(path, if_missing=RELATIVE_PATHS)
    column, above = _formula_column(file, path)
    parts = list(_limited(rows_of(file, path, [column])))
    columns = [part.table.column(column).cast(pa.string()).combine_chunks() for part in parts]
    texts = pa.concat_arrays([pa.array([column] * above, pa.string()), *columns]).fill_null("")
    codes = [code for part in parts for code in part.codes.fill_null("").to_pylist()]
    details = [detail for part in parts for detail in part.details.to_pylist()]
    return _Written(
        np.concatenate([np.ones(above, np.int64), *(part.numbers.to_numpy() for part in parts)]),
        pc.replace_substring_regex(texts, "^'", ""),  # it keeps a spreadsheet from taking text for a formula
        np.array([""] * above + codes, str),
        [None] * above + details,
    )


def _limited(parts: Iterator[Rows]) -> Iterator[Rows]:
    """The parts of a file, up to the one with which there are too many rows."""
    count = 0
    for part in parts:
        yield part
        count += part.table.num_rows
        if count > MOST_ROWS:
            return


def _formula_column(file: TableFile, path: Path) -> tuple[str, int]:
    """The column with the formulas, and 1 where its name is itself a row, else 0."""
    names = list(file.types)
    found = [name for name in names if name.strip().casefold() == _COLUMN]
    column = found[0] if found else names[0] if len(names) == 1 else ""
    if column and not pa.types.is_string(file.types[column]):
        raise InputFileError(f"{path.name}: the formulas in '{column}' are {file.types[column]}", "text")
    if column:
        return column, int(not found and not isinstance(file, ParquetFile))
    shown = ", ".join(f"'{one_line(name)[:40]}'" for name in names[:10]) or "none"
    raise InputFileError(
        f"{file.place} has no column '{_COLUMN}'", f"such a column, or one column alone; its columns: {shown}",
        f"name the column with the formulas '{_COLUMN}'",
    )  # fmt: skip


def _first_row(texts: pa.Array, codes: NDArray[np.str_]) -> str:
    return f"; its first row is '{one_line(texts[0].as_py())[:40]}' ({codes[0]})" if len(texts) else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
