"""Reading files that a stranger may have made: regular files only, of bounded size, depth and number of values.

A run directory, a table or a file of labels may come from anybody. A named pipe would make a reader wait for ever, a
link could lead it out of the folder, nested brackets would end it, and a few hundred bytes of Parquet can open to
gigabytes. Every refusal is a coded error that names the file, what it holds and what is allowed.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matloop.data.deep_parsing import parsing_deeply
from matloop.data.errors import DamagedFileError, FileAccessError

LARGEST_JSON = 64_000_000
"""Bytes of one JSON file."""
DEEPEST_JSON = 40
MOST_JSON_VALUES = 5_000_000
LARGEST_PARQUET = 8_000_000_000
"""Bytes of one Parquet file."""
LARGEST_TABLE = 4_000_000_000
"""Bytes of the columns read from one Parquet file, once they are in memory."""
MOST_ROWS = 100_000_000
_MOST_COLUMN_PARTS = 1_000_000
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXT = "BYTE_ARRAY"
_LONGEST_TEXT = 1_000_000  # bytes of JSON without a quotation mark
_ABOUT_THE_FILE = (
    None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG, errno.EINVAL,
)  # fmt: skip
"""What the system says where the file is not what it should be. Anything else it says of itself, and may mend."""
_UNPAIRED = re.compile(r"\\u[dD][89a-fA-F]")


def regular_file(path: Path, *, inside: Path | None = None) -> Path:
    """Where a regular file really lies.

    Args:
        path: The file, or a link to it.
        inside: The folder that no link may lead out of.

    Raises:
        DamagedFileError: If there is no file, it is a pipe, a device or a folder, or a link leads out of the folder.
        FileAccessError: If the file system fails, or forbids to look.
    """
    try:
        real = path.resolve(strict=True)
        kind = real.stat().st_mode
        outside = inside is not None and not real.is_relative_to(inside.resolve())
    except (OSError, RuntimeError) as error:  # a link that leads to itself is a RuntimeError
        raise _cannot_be_opened(_told(path, inside), error) from error
    if outside:
        raise DamagedFileError(
            f"{_told(path, inside)} is a link that leads out of {inside}", "files of the folder itself",
            "put the file itself in place of the link",
        )  # fmt: skip
    if not stat.S_ISREG(kind):
        raise DamagedFileError(
            f"{_told(path, inside)} is no regular file", "a file: no folder, pipe or device", "restore the file"
        )
    return real


def _cannot_be_opened(name: str, error: OSError | RuntimeError) -> DamagedFileError:
    reason = getattr(error, "strerror", None) or str(error)
    if _is_of_the_system(error):
        return _no_access(name, reason)
    return DamagedFileError(f"{name} cannot be opened: {reason}", "a file that is there", "restore the file")


def _is_of_the_system(error: BaseException) -> bool:
    """Whether an error says nothing of the file: the disk, the network or the permissions stand in the way."""
    return isinstance(error, OSError) and error.errno not in _ABOUT_THE_FILE


def _no_access(name: str, reason: str) -> FileAccessError:
    return FileAccessError(
        f"{name} cannot be read: {reason}", "a file system that answers, and permission to read",
        "look at the disk and the permissions, then try again",
    )  # fmt: skip


def _bounded_file(path: Path, *, inside: Path | None, most_bytes: int) -> Path:
    """Where a regular file of at most ``most_bytes`` bytes really lies."""
    real = regular_file(path, inside=inside)
    try:
        size = real.stat().st_size
    except OSError as error:  # it was there when it was looked at
        raise _cannot_be_opened(_told(path, inside), error) from error
    if size > most_bytes:
        raise DamagedFileError(
            f"{_told(path, inside)} has {size:,} bytes", f"at most {most_bytes:,} bytes", "restore the file"
        )
    return real


def read_bounded(path: Path, *, inside: Path | None = None, most_bytes: int) -> bytes:
    """Content of a regular file of at most ``most_bytes`` bytes.

    Raises:
        DamagedFileError: As :func:`regular_file`; or if the file is larger, or cannot be read.
    """
    real = _bounded_file(path, inside=inside, most_bytes=most_bytes)
    try:
        # Without waiting: the file could have been replaced by a pipe since it was looked at.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise _cannot_be_opened(_told(path, inside), error) from error
    if len(content) > most_bytes:
        raise DamagedFileError(f"{_told(path, inside)} grows beyond {most_bytes:,} bytes", "a file that is finished")
    return content


def read_json(
    path: Path, *, inside: Path | None = None, most_bytes: int = LARGEST_JSON, allow_nan: bool = False
) -> Any:
    """Plain values from a JSON file.

    Raises:
        DamagedFileError: As :func:`read_bounded` and :func:`parse_json`.
    """
    content = read_bounded(path, inside=inside, most_bytes=most_bytes)
    return parse_json(content, name=_told(path, inside), allow_nan=allow_nan)


def parse_json(content: bytes, *, name: str, allow_nan: bool = False) -> Any:
    """Plain values from JSON: numbers finite, text whole, nesting and number of values bounded.

    Args:
        content: UTF-8.
        name: What an error calls the file.
        allow_nan: Whether NaN may stand for a number that is not known.

    Raises:
        DamagedFileError: If the content is anything else.

    >>> parse_json(b'{"a": [1, 2.5, null]}', name="a.json")
    {'a': [1, 2.5, None]}
    >>> parse_json(b"[1e999]", name="a.json")
    Traceback (most recent call last):
    ...
    matloop.data.errors.DamagedFileError: E-FILE-DAMAGED: a.json cannot be read: the number 1e999 is not finite...
    """
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MOST_JSON_VALUES:
        raise _no_json(name, f"it has more than {MOST_JSON_VALUES:,} values")
    if _holds_long_text(content):
        raise _no_json(name, f"it has a text, or numbers without a name, of more than {_LONGEST_TEXT:,} bytes")
    refuse = _nan_alone if allow_nan else _refuse_number
    try:
        text = content.decode("utf-8")
        with parsing_deeply():
            read = json.loads(text, parse_constant=refuse, parse_float=_finite)
    except RecursionError as error:
        raise _no_json(name, f"it is nested more than {DEEPEST_JSON} levels deep") from error
    except ValueError as error:
        raise _no_json(name, str(error)) from error
    _check_depth(read, name)
    if _UNPAIRED.search(text):
        try:
            json.dumps(read, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise _no_json(name, "a text in it has half of a character") from error
    return read


def _holds_long_text(content: bytes) -> bool:
    """Whether a stretch of JSON holds no quotation mark; a single character can make each of its bytes take four."""
    starts = range(0, len(content) - _LONGEST_TEXT, _LONGEST_TEXT)
    return any(content.find(b'"', start, start + _LONGEST_TEXT) < 0 for start in starts)


def read_table(
    path: Path, *, inside: Path | None = None, columns: Sequence[str] | None = None, most_rows: int = MOST_ROWS,
    most_bytes: int = LARGEST_TABLE,
) -> pa.Table:  # fmt: skip
    """Columns of a Parquet file, which must not take more memory than allowed.

    The file says itself how many rows and values it has; that is looked at before anything is read. Text that stands
    once in the file and a million times in the table is measured before it is written out.

    Args:
        path: The file.
        inside: The folder that no link may lead out of.
        columns: Which to read; those that the file lacks are left out. All without.
        most_rows: Rows allowed.
        most_bytes: Bytes allowed for the columns in memory.

    Raises:
        DamagedFileError: If the file is not as said, or cannot be read.
    """
    name, real = _told(path, inside), _bounded_file(path, inside=inside, most_bytes=LARGEST_PARQUET)
    try:
        wanted, shared = _looked_at(name, real, columns, most_rows=most_rows, most_bytes=most_bytes)
        with pq.ParquetFile(real, read_dictionary=shared) as parquet:
            table = _written_out(name, parquet.read(wanted), shared, most_bytes)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        raise _cannot_be_read(name, error) from error
    return table


def table_pieces(path: Path, *, inside: Path, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Columns of a Parquet file of any length, in pieces of at most ``rows`` rows, bounded as a table each.

    Args:
        path: The file.
        inside: The folder that no link may lead out of.
        columns: Which to read; those that the file lacks are left out.
        rows: Rows of a piece.

    Raises:
        DamagedFileError: If the file is not as said, or cannot be read.
    """
    name, real = _told(path, inside), _bounded_file(path, inside=inside, most_bytes=LARGEST_PARQUET)
    try:
        wanted, shared = _looked_at(name, real, columns, most_rows=MOST_ROWS, most_bytes=LARGEST_TABLE)
        with pq.ParquetFile(real, read_dictionary=shared) as parquet:
            for batch in parquet.iter_batches(rows, columns=wanted):
                yield _written_out(name, pa.Table.from_batches([batch]), shared, LARGEST_TABLE)
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        raise _cannot_be_read(name, error) from error


def _looked_at(
    name: str, real: Path, columns: Sequence[str] | None, *, most_rows: int, most_bytes: int
) -> tuple[list[str], list[str]]:
    """The columns to read, and those among them that could be larger than they look; see :func:`_check_size`."""
    with pq.ParquetFile(real) as parquet:
        names = parquet.schema_arrow.names
        if len(set(names)) != len(names):
            raise _no_table(name, "two of its columns have the same name")
        wanted = [column for column in names if columns is None or column in columns]
        return wanted, _check_size(name, parquet, set(wanted), most_rows=most_rows, most_bytes=most_bytes)


def count_rows(path: Path, *, inside: Path | None = None) -> int:
    """Rows that a Parquet file says it has.

    Raises:
        DamagedFileError: If it is no Parquet file.
    """
    real = _bounded_file(path, inside=inside, most_bytes=LARGEST_PARQUET)
    try:
        return int(pq.read_metadata(real).num_rows)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _cannot_be_read(_told(path, inside), error) from error


def _check_size(
    name: str, parquet: pq.ParquetFile, wanted: set[str], *, most_rows: int, most_bytes: int
) -> list[str]:  # fmt: skip
    """Refuse a file that says it is too large; returns the text columns that could be larger than they look.

    A value that stands once in the file may be told for all rows, so a text column could take the bytes of the file
    for each of them.
    """
    metadata = parquet.metadata
    if not 0 <= metadata.num_rows <= most_rows:
        raise _no_table(name, f"it has {metadata.num_rows:,} rows, allowed are {most_rows:,}")
    if metadata.num_row_groups * metadata.num_columns > _MOST_COLUMN_PARTS:
        raise _no_table(name, f"it has more than {_MOST_COLUMN_PARTS:,} parts")
    total, shared = 0, []
    for at in range(metadata.num_columns):
        column = parquet.schema.column(at)
        top, _, below = column.path.partition(".")
        if top not in wanted:
            continue
        parts = [metadata.row_group(group).column(at) for group in range(metadata.num_row_groups)]
        values = sum(part.num_values for part in parts)
        stored = sum(part.total_uncompressed_size for part in parts)
        if min((part.num_values for part in parts), default=0) < 0 or stored < 0:
            raise _no_table(name, f"column {top} has a negative size")
        width = _WIDTHS.get(column.physical_type, column.length if column.length > 0 else 0)
        total += max(stored, values * max(width, 1))
        if column.physical_type == _TEXT and values * stored > most_bytes:
            if below:
                raise _no_table(name, f"the lists of text in column {top} may take more than {most_bytes:,} bytes")
            shared.append(top)
    if total > most_bytes:
        raise _no_table(name, f"what is read of it takes {total:,} bytes, allowed are {most_bytes:,}")
    return shared


def _written_out(name: str, table: pa.Table, shared: list[str], most_bytes: int) -> pa.Table:
    """Text columns with each value in its own place, if there is room for that."""
    total = 0
    for column in shared:
        for chunk in table[column].chunks:
            lengths = pc.binary_length(chunk.dictionary.cast(pa.large_binary()))
            total += pc.sum(lengths.take(chunk.indices.fill_null(0)), min_count=0).as_py() if len(lengths) else 0
        if total > most_bytes:
            raise _no_table(name, f"the text in column {column} takes {total:,} bytes, allowed are {most_bytes:,}")
        at = table.schema.get_field_index(column)
        field = table.schema.field(at)
        plain_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        table = table.set_column(at, field.with_type(plain_type), table[column].cast(plain_type))
    return table


def _check_depth(read: Any, name: str) -> None:
    level: list[Any] = [read]
    for _ in range(DEEPEST_JSON + 1):
        level = [inner for outer in level for inner in _inside_of(outer)]
        if not level:
            return
    raise _no_json(name, f"it is nested more than {DEEPEST_JSON} levels deep")


def _inside_of(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (inner for inner in value.values() if isinstance(inner, dict | list))
    elif isinstance(value, list):
        yield from (inner for inner in value if isinstance(inner, dict | list))


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text} is not finite")


def _nan_alone(text: str) -> float:
    return math.nan if text == "NaN" else _refuse_number(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse_number(text)
    return number


def _told(path: Path, inside: Path | None) -> str:
    """Name of a file for people: below its folder, or the last part of it."""
    return str(path.relative_to(inside)) if inside is not None and path.is_relative_to(inside) else path.name


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [repr(error)])[0]


def _cannot_be_read(name: str, error: BaseException) -> DamagedFileError:
    reason = _first_line(error)
    return _no_access(name, reason) if _is_of_the_system(error) else _no_table(name, reason)


def _no_json(name: str, reason: str) -> DamagedFileError:
    return DamagedFileError(f"{name} cannot be read: {reason}", "JSON as it was written", "restore the file")


def _no_table(name: str, reason: str) -> DamagedFileError:
    return DamagedFileError(f"{name} cannot be read: {reason}", "Parquet as it was written", "restore the file")
