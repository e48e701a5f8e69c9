"""Process steps that came before the result of their sample was accepted."""

from __future__ import annotations

import json
from collections import defaultdict

from sqlalchemy import Connection, select

from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict
from matloop.data.records.questions import held_questions
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.records.step_checks import check_step
from matloop.data.records.tables import SHEET_ROWS


def take_waiting_steps(connection: Connection, action: str) -> list[RowVerdict]:
    """Take in held steps whose sample has been accepted meanwhile."""
    waiting: dict[str, list[str]] = defaultdict(list)
    laboratories: dict[str, str] = {}
    for row in connection.execute(held_questions()):
        if row.part == "steps":
            waiting[row.row_id].append(row.code)
            laboratories[row.row_id] = str(json.loads(row.details_json).get("laboratory", ""))
    found: list[RowVerdict] = []
    for row_id, asked in waiting.items():
        row = connection.execute(select(SHEET_ROWS).where(SHEET_ROWS.c.id == row_id)).one()
        checked = check_step(WrittenRow(row.number, json.loads(row.cells_json), row.fault))
        accepting = Accepting(connection, action, laboratories[row_id])
        if asked == [codes.SAMPLE] and not checked.doubts and accepting.has_sample(checked.sample):
            verdict, doubts = accepting.take_step(row_id, checked)
            accepting.write_verdicts()
            found.append(RowVerdict("steps", row.number, verdict, doubts))
    return found
