"""Files of Matbench tasks, read as plain data: no name in a file is ever imported.

Two layouts are read: the published ``json.gz`` (a table as pandas writes it with ``orient="split"``, crystals as
dictionaries of pymatgen), and Parquet with the columns ``mbid``, the target, and ``structure`` (the same dictionaries
as JSON text) or ``composition`` (formulas). A task of structures may be given as formulas alone; its scores are then
not those of models that saw the structures.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.deep_parsing import parsing_deeply
from matloop.data.errors import InputFileError
from matloop.data.readers.structure_json import read_json
from matloop.data.readers.structure_split import Unreadable
from matloop.workflows.bench.matbench_tasks import MatbenchTask

MAX_PACKED_BYTES = 2_000_000_000
MAX_UNPACKED_BYTES = 4_000_000_000  # the largest published task has about 1.2 GB
MAX_RATIO = 200  # unpacked to packed; the published files shrink by a factor of about 10
_CHUNK = 1 << 20
_LAYOUT = "a Matbench json.gz (columns, index and data) or a Parquet file with mbid, the input and the target"


class MatbenchData(NamedTuple):
    """Content of a file, rows in the order of the mbid.

    Attributes:
        batch: The candidates that could be read, in order.
        rows: Row of each candidate, shape (len(batch),).
        target: Target of every row, 0 or 1 in a classification, shape (n,).
        kind: ``structure`` or ``composition``: what the file gives.
        refused: Row codes of the rows that gave no candidate, by row.
        sha256: Of the file.
    """

    batch: CandidateBatch
    rows: NDArray[np.int64]
    target: NDArray[np.float64]
    kind: Literal["structure", "composition"]
    refused: dict[int, str]
    sha256: str


class _Cell(NamedTuple):
    """A crystal as arrays of numbers; without a code all three arrays are there."""

    lattice: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]
    code: str = ""


def read_matbench(path: str | Path, task: MatbenchTask) -> MatbenchData:
    """Read the rows of a task.

    Args:
        path: The published ``.json.gz``, the same unpacked, or ``.parquet``.
        task: The task they belong to.

    Raises:
        InputFileError: If the file is too large, damaged, of another layout, or a target is no number.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_PACKED_BYTES:
            raise InputFileError(f"{path.name} is larger than {MAX_PACKED_BYTES:,} bytes", _LAYOUT)
        raw = path.read_bytes()
        columns = _parquet_columns(raw, task) if path.suffix == ".parquet" else _json_columns(path.name, raw, task)
    except (OSError, EOFError, zlib.error, pa.ArrowException, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        raise InputFileError(f"{path.name}: {reason}", _LAYOUT) from error
    kind, ids, inputs, targets = columns
    order = _order(ids)
    target = np.array([_target(targets[row], ids[row], task) for row in order], np.float64)
    ordered = [inputs[row] for row in order]
    batch, rows, refused = (crystals_of if kind == "structure" else _formulas)(ordered)
    return MatbenchData(batch, rows, target, kind, refused, hashlib.sha256(raw).hexdigest())


_Kind = Literal["structure", "composition"]
_Columns = tuple[_Kind, list[Any], list[Any], list[Any]]


def _kind_in(columns: Sequence[str], task: MatbenchTask) -> _Kind:
    """What a file gives: what the task is about, or formulas where it has no structures."""
    return "composition" if task.kind not in columns and "composition" in columns else task.kind


def _parquet_columns(raw: bytes, task: MatbenchTask) -> _Columns:
    file = pq.ParquetFile(pa.BufferReader(raw))
    kind = _kind_in(file.schema_arrow.names, task)
    names = ["mbid", kind, task.column]
    missing = [name for name in names if name not in file.schema_arrow.names]
    if missing:
        raise InputFileError(f"a Parquet file without {', '.join(missing)}", f"the columns {', '.join(names)}")
    if sum(file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups)) > MAX_UNPACKED_BYTES:
        raise InputFileError(f"a Parquet file of more than {MAX_UNPACKED_BYTES:,} bytes unpacked", _LAYOUT)
    ids, inputs, targets = (column.to_pylist() for column in file.read(names).select(names).columns)
    if kind == "structure":
        inputs = [structure_of_text(text) for text in inputs]
    return kind, ids, inputs, targets


def structure_of_text(text: Any) -> Any:
    """Return one crystal as JSON text; invalid JSON becomes a row without structure."""
    try:
        return _plain_json(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _json_columns(name: str, raw: bytes, task: MatbenchTask) -> _Columns:
    content = _plain_json((_unpacked(name, raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8"))
    if not isinstance(content, dict) or set(content) != {"columns", "index", "data"}:
        raise InputFileError(f"{name} is no table of columns, index and data", _LAYOUT)
    columns, ids, data = content["columns"], content["index"], content["data"]
    if not all(isinstance(part, list) for part in (columns, ids, data)) or len(ids) != len(data):
        raise InputFileError(f"{name} has an index and data of different length", _LAYOUT)
    kind = _kind_in([column for column in columns if isinstance(column, str)], task)
    missing = [column for column in (kind, task.column) if column not in columns]
    if missing:
        raise InputFileError(
            f"{name} without the column {missing[0]!r}", f"{task.kind!r} and {task.column!r}", "is it another task?"
        )
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        raise InputFileError(f"{name} has rows of another length than {len(columns)}", _LAYOUT)
    source, target = columns.index(kind), columns.index(task.column)
    return kind, ids, [row[source] for row in data], [row[target] for row in data]


def _unpacked(name: str, raw: bytes) -> bytes:
    """Unpack a gzip file in memory; stop as soon as it turns out to be a bomb."""
    limit = min(MAX_UNPACKED_BYTES, max(MAX_RATIO * len(raw), 10_000_000))
    parts, total = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        while part := stream.read(_CHUNK):
            parts.append(part)
            total += len(part)
            if total > limit:
                raise InputFileError(f"{name} unpacks to more than {limit:,} bytes", _LAYOUT)
    return b"".join(parts)


def _plain_json(text: str) -> Any:
    """JSON without the constants nan and infinity, which it does not have.

    Dictionaries of crystals become arrays as soon as they are complete: as dictionaries those of the largest task would
    fill the memory.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    with parsing_deeply():
        return json.loads(text, parse_constant=refuse, object_hook=_compact)


def _compact(data: dict[str, Any]) -> dict[str, Any] | _Cell:
    if "sites" not in data or "lattice" not in data:
        return data
    try:
        cell = read_json(data)
    except Unreadable as error:
        return _no_cell(error.code)
    return _Cell(cell.lattice, cell.numbers(), cell.frac_coords) if cell.is_ordered else _no_cell("E-STRUCT-DISORDER")


def _no_cell(code: str) -> _Cell:
    return _Cell(np.empty((0, 3)), np.empty(0, np.uint8), np.empty((0, 3)), code)


def _order(ids: list[Any]) -> list[int]:
    """Rows in the order of their mbid; ids must be all text or all whole numbers, each once.

    >>> _order(["mb-steels-003", "mb-steels-001", "mb-steels-002"])
    [1, 2, 0]
    """
    kinds = {type(mbid) for mbid in ids}
    if kinds not in ({str}, {int}) or len(set(ids)) != len(ids):
        raise InputFileError("row ids that are missing or repeat", "text or whole numbers, each once")
    return sorted(range(len(ids)), key=ids.__getitem__)


def _target(value: Any, mbid: Any, task: MatbenchTask) -> float:
    number = float(value) if isinstance(value, bool | int | float) and abs(value) < 1e300 else math.nan
    allowed = number in (0.0, 1.0) if task.is_classification else math.isfinite(number)
    if not allowed:
        raise InputFileError(
            f"{task.column!r} of row {str(mbid)[:40]!r} is {str(value)[:40]!r}",
            "true or false" if task.is_classification else "a finite number",
        )
    return number


def _formulas(inputs: list[Any]) -> tuple[CandidateBatch, NDArray[np.int64], dict[int, str]]:
    intake = CandidateBatch.from_formulas([text if isinstance(text, str) else None for text in inputs], exact=True)
    refused = {row.row: row.code for row in intake.refused}
    return intake.batch, np.setdiff1d(np.arange(len(inputs)), list(refused)).astype(np.int64), refused


def crystals_of(inputs: list[Any]) -> tuple[CandidateBatch, NDArray[np.int64], dict[int, str]]:
    """Return the crystals that could be read, the row of each, and the row codes of the others by row."""
    cells = [item if isinstance(item, _Cell) else _no_cell("E-FILE-FORMAT") for item in inputs]
    refused = {row: cell.code for row, cell in enumerate(cells) if cell.code}
    read = [cell for cell in cells if not cell.code]
    rows = np.flatnonzero([not cell.code for cell in cells])
    crystals = Crystals(
        np.array([cell.lattice for cell in read], np.float64).reshape(-1, 3, 3),
        np.cumsum([0, *(len(cell.numbers) for cell in read)]).astype(np.int64),
        np.concatenate([*(cell.numbers for cell in read), np.empty(0, np.uint8)]),
        np.concatenate([*(cell.frac_coords for cell in read), np.empty((0, 3))]),
    )
    codes = crystals.row_codes()
    refused.update(zip(rows[codes != ""].tolist(), codes[codes != ""].tolist(), strict=True))
    sound = np.flatnonzero(codes == "")
    return CandidateBatch.from_crystals(crystals.take(sound)), rows[sound], refused
