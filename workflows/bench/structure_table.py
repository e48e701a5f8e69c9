"""A table with a column of crystals beside that of formulas: each row is the crystal, not the formula alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import Intake, Refused
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.identity import text_id
from matloop.data.sources.table import FormulaTable
from matloop.workflows.bench.matbench_file import crystals_of, structure_of_text

STRUCTURE_COLUMN = "structure"
"""Column of crystals, each as the JSON text that pymatgen writes."""


def has_structures(table: FormulaTable) -> bool:
    """Whether a table has a column of crystals."""
    return STRUCTURE_COLUMN in table.columns


def crystal_intakes(table: FormulaTable, size: int) -> Iterator[Intake]:
    """Yield the rows of a table as crystals, in parts, with its columns of numbers.

    Args:
        table: A table with a column of crystals.
        size: Rows of a part.

    Returns:
        A row whose crystal cannot be read, or has another composition than its formula, is refused with its row code.
    """
    first = 0
    for intake, window in zip(table.intakes(size), table.windows(size), strict=True):
        yield _of_crystals(intake, window.column(STRUCTURE_COLUMN), first)
        first += window.num_rows


def _of_crystals(intake: Intake, texts: pa.ChunkedArray, first: int) -> Intake:
    """The rows of a part that have a readable crystal of their formula, and the others as refused ones."""
    refused = [row.row for row in intake.refused]
    rows = np.setdiff1d(np.arange(len(texts)), refused)
    written = texts.take(pa.array(rows)).to_pylist()
    crystals, at, codes = crystals_of([structure_of_text(text) for text in written])
    found, stated = (composition_keys(part.compositions) for part in (crystals, intake.batch.take(at)))
    same = found == stated
    codes |= dict.fromkeys(at[~same].tolist(), "E-STRUCT-FORMULA")
    kept = intake.batch.take(at[same])
    batch = crystals.take(np.flatnonzero(same))
    further = [name for name in kept.table.column_names if name not in batch.table.column_names]
    batch = batch.with_columns({name: kept.table.column(name) for name in further})
    formulas = intake.batch.formulas
    lost = [
        Refused(int(rows[row]), text_id(str(written[row] or "")), formulas[row], code, f"row {first + rows[row] + 1}")
        for row, code in sorted(codes.items())
    ]
    return Intake(batch, [*intake.refused, *lost])
