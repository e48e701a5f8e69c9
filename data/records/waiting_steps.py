"""Process steps that came before the result of their sample was accepted."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict, SheetSource
from matloop.data.records.ledger import laboratory_in
from matloop.data.records.questions import cells_in, held_questions
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.records.step_checks import check_step


def take_waiting_steps(accepting: Accepting) -> list[RowVerdict]:
    """Take in held steps whose sample has been accepted meanwhile."""
    asked: dict[str, list[Any]] = defaultdict(list)
    for row in accepting.connection.execute(held_questions()):
        if row.part == "steps":
            asked[row.row_id].append(row)
    waiting = {row_id: rows[0] for row_id, rows in asked.items() if [row.code for row in rows] == [codes.SAMPLE]}
    checked = {
        row_id: check_step(WrittenRow(row.number, cells_in(row))) for row_id, row in waiting.items()
    }  # fmt: skip
    accepting.samples.read({step.sample for step in checked.values()})
    found: list[RowVerdict] = []
    for row_id, step in checked.items():
        row = waiting[row_id]
        source = SheetSource(laboratory_in(row.details_json, of=f"action {row.action_number}"), row.sheet_id)
        if not step.doubts and accepting.has_sample(step.sample, source.laboratory):
            verdict, doubts = accepting.take_step(row_id, step, source)
            if verdict == "held":  # what it says of the step is asked about now, and not its sample
                accepting.settle(row.id)
            found.append(RowVerdict("steps", row.number, verdict, doubts))
    return found
