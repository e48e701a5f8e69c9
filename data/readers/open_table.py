"""Open a table of rows with named columns: CSV, Parquet or XLSX, by the suffix of its name."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from matloop.data.errors import InputFileError
from matloop.data.readers.table_files import CsvFile, ParquetFile, Rows, TableFile
from matloop.data.readers.xlsx import Spreadsheet

_FILES: dict[str, type[CsvFile] | type[ParquetFile] | type[Spreadsheet]] = {
    ".csv": CsvFile, ".parquet": ParquetFile, ".xlsx": Spreadsheet,
}  # fmt: skip
TABLE_FORMATS = tuple(_FILES)
"""Suffixes of the files that hold a table."""

# Errors that the readers raise for a file that breaks the rules of its format.
_BROKEN = (
    OSError, pa.ArrowException, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError,
    EOFError, RuntimeError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def open_table(path: Path, *, if_missing: str) -> TableFile:
    """Open a file with named columns.

    Args:
        path: A ``.csv`` (UTF-8), ``.xlsx`` (its first sheet) or ``.parquet`` file.
        if_missing: How to mend a path that leads to no file.

    Raises:
        InputFileError: If it does not exist, is of another kind, or is damaged.
    """
    if not path.is_file() or path.suffix.lower() not in _FILES:
        got = f"no file {path}" if not path.is_file() else f"{path.name} is no table that can be read"
        fix = if_missing if not path.is_file() else "save it in one of these formats"
        raise InputFileError(got, "a .csv, .xlsx or .parquet file", fix)
    with _coded(path):
        return _FILES[path.suffix.lower()](path)


def rows_of(file: TableFile, path: Path, names: Sequence[str], *, as_shown: bool = False) -> Iterator[Rows]:
    """Yield columns of all rows in parts.

    Args:
        file: The file.
        path: Where it lies.
        names: The columns.
        as_shown: Whether a number that a workbook shows in percent is the text that people see, such as ``85%``.

    Raises:
        InputFileError: If the file turns out to be damaged.
    """
    with _coded(path):
        wanted = list(dict.fromkeys(names))
        yield from file.rows(wanted, as_shown=True) if as_shown and isinstance(file, Spreadsheet) else file.rows(wanted)


@contextmanager
def _coded(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputFileError(
            f"{path.name}: {reason}", "a UTF-8 .csv, an .xlsx or a .parquet file that is whole"
        ) from error
