"""Write files whole or not at all: nobody ever finds half a file under its final name."""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# A spreadsheet takes text that starts so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, flush it to disk and only then give it its name."""
    handle, draft_name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    draft = Path(draft_name)
    try:
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(path)
        _flush_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make the new name survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_drafts(folder: Path) -> None:
    """Remove what writers that were killed left unfinished anywhere below ``folder``."""
    for draft in folder.rglob(".*.partial"):
        draft.unlink(missing_ok=True)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Parquet file, whole or not at all."""
    write_whole(path, lambda draft: pq.write_table(table, draft, compression="zstd"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write one file, whole or not at all."""

    def fill(draft: Path) -> None:
        draft.write_bytes(content)

    write_whole(path, fill)


def write_text(path: Path, text: str) -> None:
    """Write one text file, whole or not at all."""

    def fill(draft: Path) -> None:
        draft.write_text(text, encoding="utf-8")

    write_whole(path, fill)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON file, whole or not at all; nan becomes null, as JSON has no nan.

    Raises:
        ValueError: For an infinite number, which JSON does not have either.
    """
    write_text(path, json.dumps(_without_nan(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _without_nan(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _without_nan(inner) for name, inner in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(inner) for inner in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one CSV file that spreadsheets open as data: text that looks like a formula gets an apostrophe."""

    def fill(draft: Path) -> None:
        # The byte-order mark makes spreadsheets read Å and Chinese labels as UTF-8.
        with draft.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows([_plain_cell(cell) for cell in row] for row in rows)

    write_whole(path, fill)


def _plain_cell(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
