"""What the records say of a process step, beside which a row of a later sheet is judged.

A row about a step that an earlier sheet has already fills it in further and takes its place, so that no parameter
stands twice. A parameter that says something else now, or was emptied, is a question.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from matloop.data.records import result_codes as codes
from matloop.data.records.cells import Doubt
from matloop.data.records.known_samples import RecordedStep
from matloop.data.records.result_sheet import OPERATIONS
from matloop.data.records.step_checks import CheckedStep, StepParameter
from matloop.data.remarks import Remark


class StepBeside(NamedTuple):
    """A stated step beside those of its sample that the records hold.

    Attributes:
        doubts: What is to be asked.
        replaces: Id of the row whose place it takes; None where it is another step.
        adds: Whether it says anything that the records do not hold.
    """

    doubts: tuple[Doubt, ...] = ()
    replaces: str | None = None
    adds: bool = True


def step_beside(
    recorded: Sequence[RecordedStep], stated: CheckedStep, *, sheet: str, unchanged: Collection[str] | None
) -> StepBeside:  # fmt: skip
    """Compare a step with those of the same number of its sample.

    Args:
        recorded: Steps of the sample with that number whose place no other took.
        stated: The step.
        sheet: Id of the sheet of the row.
        unchanged: Ids of rows of earlier sheets that stand in this one too, so that the row is none of them continued;
            None where that is not known.
    """
    earlier = [one for one in recorded if one.sheet_id != sheet and one.row_id not in (unchanged or ())]
    if not earlier:
        return StepBeside()
    doubts, found = min(((_differences(one, stated), one) for one in earlier), key=lambda pair: len(pair[0]))
    adds = bool(doubts) or len(stated.parameters) > len(found.parameters)
    return StepBeside(tuple(doubts), found.row_id, adds)


def contradicts(found: RecordedStep, stated: CheckedStep) -> bool:
    """Whether a step says something else than the records do; a cell that it leaves empty says nothing."""
    cells = {one.name for one in stated.parameters} | {"operation"}
    return any(doubt.column in cells for doubt in _differences(found, stated))


def _differences(found: RecordedStep, stated: CheckedStep) -> list[Doubt]:
    """A question about each thing that the records say of a step and the row does not."""
    doubts = []
    if found.operation != stated.operation:
        said = Remark("records_say", (OPERATIONS[found.operation],))
        doubts.append(Doubt(codes.CONFLICT, "operation", stated.operation, said))
    cells = {one.name: one for one in stated.parameters}
    for known in found.parameters:
        cell = cells.get(known.name)
        if cell is None or not _is_same(known, cell):
            said = Remark("records_say", (f"{known.as_written} {known.unit}".strip(),))
            doubts.append(Doubt(codes.CONFLICT, known.name, cell.as_written if cell else "", said))
    return doubts


def _is_same(known: StepParameter, cell: StepParameter) -> bool:
    if math.isfinite(known.value) and math.isfinite(cell.value):
        return math.isclose(known.value, cell.value, rel_tol=1e-9)
    return known.as_written == cell.as_written
