"""Files of raw data that rows of a sheet name: they lie beside the sheet, and are known by their hash."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matloop.data.records.known_samples import KnownSamples, SampleKey
from matloop.data.records.row_checks import CheckedRow
from matloop.data.runs.manifest import sha256_of

_MOST_BYTES = 2_000_000_000


def file_beside(folder: Path | None, name: str) -> Path | None:
    """The file of raw data of that name in the folder of a sheet; None where there is none that may be taken."""
    path = (folder or Path()) / name
    try:
        is_file = Path(name).name == name and not path.is_symlink() and path.is_file() and os.access(path, os.R_OK)
        return path if folder is not None and is_file and path.stat().st_size <= _MOST_BYTES else None
    except (OSError, ValueError):  # no name of a file, such as one of 300 characters
        return None


def missing_files(rows: Sequence[CheckedRow], folder: Path) -> list[str]:
    """Names of files of raw data that do not lie beside the sheet, as files that may be read."""
    named = {row.sample.data_file for row in rows if row.sample is not None} - {""}
    return sorted(name for name in named if file_beside(folder, name) is None)


def rows_with_late_files(
    samples: KnownSamples, rows: Sequence[CheckedRow], laboratory: str, folder: Path
) -> list[CheckedRow]:  # fmt: skip
    """Rows of earlier sheets whose sample is accepted and whose file was not there when they came, or not looked for.

    Rows that were held at first are judged by answers, when nobody looks for files.

    Args:
        samples: What the records hold.
        rows: The rows.
        laboratory: Who sends the sheet in which they stand again.
        folder: Where it lies.
    """
    return [row for row in rows if _has_late_file(samples, row, laboratory, folder)]


def _has_late_file(samples: KnownSamples, row: CheckedRow, laboratory: str, folder: Path) -> bool:
    if row.sample is None or not row.sample.data_file:
        return False
    key = SampleKey(laboratory, row.sample.candidate_id, row.sample.name)
    if samples.newest(key) is None or samples.has_file_named(key, row.sample.data_file):
        return False
    path = file_beside(folder, row.sample.data_file)
    return path is not None and not samples.has_file(key, sha256_of(path))
