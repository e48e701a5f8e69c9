"""Read a Parquet file of unknown origin on trial, in a process with little memory, before anything else reads it.

Parquet packs a value that repeats a million times into a few bytes, and what a file says of its sizes need not be true.
So only reading tells how much memory it takes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matloop.data.bounded_files import MOST_ROWS
from matloop.data.errors import DamagedFileError
from matloop.data.guard.guarded import Failure
from matloop.data.guard.shared_workers import shared_worker

LARGEST_CELL = 1_000_000
"""Bytes of one cell: a text, or a list such as the coordinates of a crystal."""
LARGEST_PART = 100_000_000
"""Bytes of the rows that are read at a time."""
BUFFER = 1 << 20
"""Bytes of a column that are read from the file at a time."""
_MEMORY = 350_000_000
_SECONDS = 600.0
_TRIAL = f"{__name__}:tried"


def check_parquet(path: Path, columns: Sequence[str] | None = None, *, rows: int) -> None:
    """Make sure that a Parquet file can be read in parts without taking much memory.

    What is wrong with it in another way is left to whoever reads it.

    Args:
        path: The file.
        columns: Which are read; all without.
        rows: Rows that are read at a time.

    Raises:
        DamagedFileError: If a cell or a part is larger than allowed, or the file ends or occupies the reader.
    """
    worker = shared_worker(_TRIAL, memory_limit=_MEMORY, timeout=_SECONDS)
    request = {"path": str(path.absolute()), "columns": None if columns is None else list(columns), "rows": rows}
    (answer,) = worker.map([json.dumps(request).encode()])
    if isinstance(answer, Failure):
        ends = {"E-GUARD-MEMORY": f"it opens to more than {LARGEST_PART:,} bytes at a time"}
        problem = ends.get(answer.code, f"reading it failed: {answer.detail}")
    else:
        problem = answer.decode("utf-8", "replace")
    if problem:
        raise DamagedFileError(
            f"{path.name} is refused: {problem}",
            f"{LARGEST_CELL:,} bytes in a cell, {LARGEST_PART:,} bytes in {rows:,} rows",
            "write the table again, in text columns of usual length and row groups of some thousand rows",
        )


def tried(request: bytes) -> bytes:
    """Read a file as its reader will; returns what is too large about it. This runs in a guarded process."""
    asked = json.loads(request)
    pa.set_memory_pool(pa.system_memory_pool())  # others reserve address space that they never use
    try:
        with pq.ParquetFile(asked["path"], buffer_size=BUFFER) as file:
            if file.metadata.num_rows > MOST_ROWS:
                return f"it has {file.metadata.num_rows:,} rows, allowed are {MOST_ROWS:,}".encode()
            for batch in file.iter_batches(asked["rows"], columns=asked["columns"], use_threads=False):
                if problem := _too_large(batch):
                    return problem.encode()
    except MemoryError:
        raise
    except (OSError, pa.ArrowException, ValueError, LookupError):
        return b""
    return b""


def _too_large(batch: pa.RecordBatch) -> str:
    total = sum(map(_written_out, batch.columns))
    if total > LARGEST_PART:
        return f"{batch.num_rows:,} rows of it take {total:,} bytes"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        largest = _largest_cell(column)
        if largest > LARGEST_CELL:
            return f"a cell of column '{name[:80]}' has {largest:,} bytes"
    return ""


def _written_out(column: pa.Array) -> int:
    """Bytes of a column with each text in its own place, also where it stands once and is told for many rows."""
    if not pa.types.is_dictionary(column.type) or not len(column.dictionary):
        return int(column.nbytes)
    if not _is_text(column.type.value_type):
        return 8 * len(column)
    lengths = pc.binary_length(column.dictionary)
    return pc.sum(lengths.take(column.indices).cast(pa.int64())).as_py() or 0


def _largest_cell(column: pa.Array) -> int:
    """Bytes of the largest text or list in a column; 0 for numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _largest_cell(column.dictionary)
    if _is_text(kind):
        return pc.max(pc.binary_length(column)).as_py() or 0
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        values = column.flatten()
        each = 8 if pa.types.is_primitive(kind.value_type) else max(_largest_cell(values), 8)
        return each * (pc.max(pc.list_value_length(column)).as_py() or 0)
    return 0


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))
