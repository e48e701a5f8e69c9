"""Columns of the ranked candidates that a run may lack."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import DamagedFileError


def numbers(batch: CandidateBatch, name: str) -> NDArray[np.float64]:
    """A column of numbers or of truth values (1 and 0), nan throughout where the batch has no such column.

    Raises:
        DamagedFileError: If the column holds something else.
    """
    if name not in batch.table.column_names:
        return np.full(len(batch), np.nan)
    column = batch.table.column(name)
    kind = column.type
    kinds = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    if not any(matches(kind) for matches in kinds):
        raise DamagedFileError(f"column {name} of the ranked candidates holds {kind}", "numbers", "restore the file")
    return np.asarray(column.to_numpy(), np.float64)


def texts(batch: CandidateBatch, name: str) -> list[str | None]:
    """A text column, None throughout where the batch has no such column."""
    if name not in batch.table.column_names:
        return [None] * len(batch)
    return [None if value is None else str(value) for value in batch.table.column(name).to_pylist()]
