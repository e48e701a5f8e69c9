"""A table with a column of crystals, beside one of formulas or alone: each row is the crystal, not its formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from matloop.data.candidates.batch import Intake, Refused
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.identity import text_id
from matloop.data.properties.carried import carried_name, is_property_column
from matloop.data.sources.table import FormulaTable
from matloop.workflows.bench.matbench_file import crystals_of, structure_of_text

STRUCTURE_COLUMN = "structure"
"""Column of crystals, each as the JSON text that pymatgen writes."""
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"


def has_structures(table: FormulaTable) -> bool:
    """Whether a table has a column of crystals."""
    return STRUCTURE_COLUMN in table.columns


def crystal_intakes(table: FormulaTable, size: int) -> Iterator[Intake]:
    """Yield the rows of a table as crystals, in parts, with its columns of numbers.

    Args:
        table: A table with a column of crystals, which may be its column of formulas too.
        size: Rows of a part.

    Returns:
        A row whose crystal cannot be read, or has another composition than its formula, is refused with its row code.
    """
    first = 0
    if table.formula_column == STRUCTURE_COLUMN:
        for window in table.windows(size):
            yield _crystals_alone(window, first)
            first += window.num_rows
        return
    for intake, window in zip(table.intakes(size), table.windows(size), strict=True):
        yield _of_crystals(intake, window.column(STRUCTURE_COLUMN), first)
        first += window.num_rows


def _crystals_alone(window: pa.Table, first: int) -> Intake:
    """The rows that have a readable crystal, with their columns of numbers, and the others as refused ones."""
    written = window.column(STRUCTURE_COLUMN).to_pylist()
    crystals, at, codes = crystals_of([structure_of_text(text) for text in written])
    rows = pa.array(at)
    columns = {
        carried_name("table", name): numbers.take(rows)
        for name in window.column_names
        if (numbers := _numbers(name, window.column(name))) is not None
    }
    lost = [
        Refused(row, text_id(str(written[row] or "")), "", code, f"row {first + row + 1}")
        for row, code in sorted(codes.items())
    ]
    return Intake(crystals.with_columns(columns), lost)


def _numbers(name: str, column: pa.ChunkedArray) -> pa.Array | None:
    """A column as numbers, null where a cell of a property is none; None if it is no column of numbers."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column.cast(pa.float64(), safe=False).combine_chunks()
    if not (is_property_column(name) and pa.types.is_string(column.type)):
        return None
    text = pc.utf8_trim_whitespace(column.combine_chunks())
    return pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None).cast(pa.float64())


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
