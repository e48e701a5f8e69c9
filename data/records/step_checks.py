"""What a row of the table of process steps says: one parameter for each cell that is filled in."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from matloop.data.own_labels.label_cells import is_missing
from matloop.data.records import result_codes as codes
from matloop.data.records.cells import CellReader, Doubt, DoubtKey, uncalculated_cells
from matloop.data.records.result_sheet import STEPS
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.remarks import Remark

_PREPARED = frozenset(("sample_id", "step"))


class StepParameter(NamedTuple):
    """A parameter of a step; the value is nan where it is a word."""

    name: str
    value: float
    unit: str
    as_written: str


class CheckedStep(NamedTuple):
    """A step with what it says and what is to be asked about it.

    Attributes:
        is_blank: Whether the laboratory left it empty.
        sample: Name of the sample.
        step: Its number.
        operation: Key of the operation.
        parameters: Its other cells.
        doubts: Questions and reasons against it.
    """

    is_blank: bool
    sample: str
    step: int
    operation: str
    parameters: tuple[StepParameter, ...]
    doubts: list[Doubt]


def check_step(row: WrittenRow, *, waived: Collection[DoubtKey] = ()) -> CheckedStep:
    """Read a row of the table of process steps and note what is doubtful about it by itself."""
    if row.fault:
        return CheckedStep(False, "", 0, "", (), [Doubt(codes.ROW, "", "", Remark.read(row.fault))])
    if doubts := uncalculated_cells(row):
        return CheckedStep(False, "", 0, "", (), doubts)
    if not set(row.cells) - _PREPARED:
        return CheckedStep(True, "", 0, "", (), [])
    reader = CellReader(row, STEPS, waived)
    sample = reader.text("sample_id")
    if not sample or is_missing(sample):
        reader.doubt(codes.SAMPLE, "sample_id")
    step = reader.number("step")
    if math.isnan(step) or step != int(step):
        reader.doubt(codes.NUMBER, "step", "step_number")
        step = 0
    operation = reader.choice("operation")
    if not operation and not any(doubt.column == "operation" for doubt in reader.doubts):
        reader.doubt(codes.CHOICE, "operation", "choose")
    parameters = [
        StepParameter(column.key, value, column.unit if math.isfinite(value) else "", written)
        for column in STEPS[3:]
        if (read := reader.parameter(column)) is not None
        for value, written in [read]
    ]
    return CheckedStep(False, sample, int(step), operation, tuple(parameters), reader.doubts)
