"""Store what a source yields: one file with the candidates, and one file beside it with the refused rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import Intake, Refused
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.errors import DamagedFileError
from matloop.data.properties.columns import Column
from matloop.data.whole_files import check_may_write, write_table

_REFUSED = pa.schema(
    [(Column.ROW, pa.int64())]
    + [(name, pa.string()) for name in (Column.CANDIDATE_ID, Column.FORMULA, Column.CODE, Column.DETAIL)]
)


def write_intake(path: Path, intake: Intake) -> list[Path]:
    """Write the candidates to ``path``, and any refused rows to a file beside it.

    Returns:
        The files that were written.
    """
    beside = refused_path(path)
    check_may_write()
    beside.unlink(missing_ok=True)
    if intake.refused:
        columns = zip(*intake.refused, strict=True)
        write_table(beside, pa.table(dict(zip(_REFUSED.names, map(list, columns), strict=True)), schema=_REFUSED))
    write_table(path, intake.batch.to_arrow())
    return [path, beside] if intake.refused else [path]


def read_intake(path: Path) -> Intake:
    """Read what :func:`write_intake` wrote.

    Raises:
        DamagedFileError: If a file does not have the expected columns.
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
    """Path of the refused rows that belong to a file of candidates."""
    return path.with_name(f"refused-{path.name}")
