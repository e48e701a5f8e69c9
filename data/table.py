"""Candidates from a table of formulas (CSV or Parquet)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from matloop.data.batch import CandidateBatch, Intake
from matloop.data.composition import composition_keys
from matloop.data.errors import InputFileError
from matloop.data.known import known_composition_keys

_SIZE_LIMIT = 2_000_000_000  # bytes


class FormulaTable:
    """Formulas from one column of a file; cells are read as text, so ``NaN``, ``InF`` and ``007`` stay what they are.

    Args:
        path: A ``.csv`` or ``.parquet`` file.
        formula_column: Column with the formulas.
        id_column: Column with the user's own ids, shown as the candidates' origin.

    Raises:
        InputFileError: If the file cannot be read or lacks a column.
    """

    name = "table"

    def __init__(self, path: str, *, formula_column: str = "formula", id_column: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputFileError(f"no file {path}", "a .csv or .parquet file, its path relative to the working folder")
        self.formula_column, self.id_column = formula_column, id_column

    @cached_property
    def _table(self) -> pa.Table:
        columns = [self.formula_column]
        if self.id_column and self.id_column != self.formula_column:
            columns.append(self.id_column)
        try:
            if self.path.stat().st_size > _SIZE_LIMIT:
                raise InputFileError(f"{self.path.name} is larger than 2 GB", "smaller files", "split the file")
            table = self._read(columns)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputFileError(
                f"{self.path.name}: {reason}", f"a UTF-8 .csv or a .parquet file with the columns {columns}"
            ) from error
        return table

    def _read(self, columns: list[str]) -> pa.Table:
        if self.path.suffix.lower() == ".parquet":
            table = pq.read_table(self.path, columns=columns)
            return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))
        options = pyarrow.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
        )
        return pyarrow.csv.read_csv(self.path, convert_options=options)

    def count(self) -> int:
        """Number of rows of the file."""
        return int(self._table.num_rows)

    def intakes(self, size: int) -> Iterator[Intake]:
        """Batches of at most ``size`` rows; what is no formula is refused under its row code."""
        known = known_composition_keys()
        for start in range(0, self.count(), size):
            part = self._table.slice(start, size)
            formulas = part.column(self.formula_column).to_pylist()
            intake = CandidateBatch.from_formulas(formulas)
            kept = np.setdiff1d(np.arange(len(formulas)), [refused.row for refused in intake.refused])
            origin = part.column(self.id_column or self.formula_column).take(kept)
            is_known = np.isin(composition_keys(intake.batch.compositions), known)
            names = part.column(self.id_column or self.formula_column).to_pylist()
            refused = [
                row._replace(detail=f"row {start + row.row + 1}: {names[row.row] or ''}") for row in intake.refused
            ]
            yield Intake(intake.batch.with_columns(origin=origin, known=is_known), refused)
