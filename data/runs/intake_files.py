"""What a source handed over, kept as files: the candidates, and beside them the rows that are none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import Intake, Refused
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.errors import DamagedFileError
from matloop.data.properties.columns import Column
from matloop.data.whole_files import write_table

_REFUSED = pa.schema(
    [(Column.ROW, pa.int64())]
    + [(name, pa.string()) for name in (Column.CANDIDATE_ID, Column.FORMULA, Column.CODE, Column.DETAIL)]
)


def write_intake(path: Path, intake: Intake) -> list[Path]:
    """Write the candidates to ``path``, and the refused rows, if any, beside it.

    Returns:
        The files.
    """
    beside = refused_path(path)
    beside.unlink(missing_ok=True)
    if intake.refused:
        columns = zip(*intake.refused, strict=True)
        write_table(beside, pa.table(dict(zip(_REFUSED.names, map(list, columns), strict=True)), schema=_REFUSED))
    write_table(path, intake.batch.to_arrow())
    return [path, beside] if intake.refused else [path]


def read_intake(path: Path) -> Intake:
    """What :func:`write_intake` wrote.

    Raises:
        DamagedFileError: If a file is not what it wrote.
    """
    beside = refused_path(path)
    refused = []
    if beside.is_file():
        table = read_table(beside)
        if not table.schema.equals(_REFUSED):
            raise DamagedFileError(f"{beside.name} has other columns", ", ".join(_REFUSED.names), "restore the file")
        refused = [Refused(**row) for row in table.to_pylist()]
    return Intake(checked_batch(read_table(path), name=path.name), refused)


def refused_path(path: Path) -> Path:
    """Where the refused rows of a file of candidates are kept."""
    return path.with_name(f"refused-{path.name}")
