"""Open questions about rows that are held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Select, func, select

from matloop.data.records.cells import Doubt
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import read_json
from matloop.data.records.tables import ACTIONS, ANSWERS, QUESTIONS, SHEET_ROWS, SHEETS, VERDICTS
from matloop.data.remarks import Remark

Part = Literal["results", "steps"]


class Question(NamedTuple):
    """An open question.

    Attributes:
        id: Its permanent identifier.
        sheet: Name of the file.
        part: Table of the sheet.
        number: Number of the row in the file.
        doubt: What is asked.
        cells: The row as it was written.
    """

    id: str
    sheet: str
    part: Part
    number: int
    doubt: Doubt
    cells: Mapping[str, str]


def open_questions(database: RecordsDatabase) -> list[Question]:
    """Questions about rows that are held, in the order of import."""
    with database.reading() as connection:
        return [
            Question(
                row.id, row.name, row.part, row.number,
                Doubt(row.code, row.column, row.as_written, Remark.read(row.detail)), cells_in(row),
            )
            for row in connection.execute(held_questions())
        ]  # fmt: skip


def cells_in(row: Any) -> dict[str, str]:
    """Cells of a row of a sheet as they were written.

    Args:
        row: With ``row_id`` and ``cells_json``.

    Raises:
        DamagedFileError: If they cannot be read.
    """
    return {key: str(cell) for key, cell in read_json(row.cells_json, of=f"row {row.row_id}").items()}


def newest_verdicts() -> Select[tuple[str, int]]:
    """Number of the newest verdict on each row."""
    return select(VERDICTS.c.row_id, func.max(VERDICTS.c.number).label("newest")).group_by(VERDICTS.c.row_id)


def held_questions() -> Select[Any]:
    """Open questions with their rows and sheets, in the order of import."""
    newest = newest_verdicts().subquery()
    return (
        select(
            QUESTIONS.c.id, QUESTIONS.c.row_id, QUESTIONS.c.code, QUESTIONS.c.column, QUESTIONS.c.as_written,
            QUESTIONS.c.detail, SHEET_ROWS.c.number, SHEET_ROWS.c.part, SHEET_ROWS.c.cells_json, SHEETS.c.name,
            SHEET_ROWS.c.sheet_id, ACTIONS.c.details_json, ACTIONS.c.number.label("action_number"),
        )
        .join(SHEET_ROWS, SHEET_ROWS.c.id == QUESTIONS.c.row_id)
        .join(SHEETS, SHEETS.c.id == SHEET_ROWS.c.sheet_id)
        .join(ACTIONS, ACTIONS.c.id == SHEETS.c.action_id)
        .join(newest, newest.c.row_id == QUESTIONS.c.row_id)
        .join(VERDICTS, VERDICTS.c.number == newest.c.newest)
        .outerjoin(ANSWERS, ANSWERS.c.question_id == QUESTIONS.c.id)
        .where(VERDICTS.c.verdict == "held", ANSWERS.c.question_id.is_(None))
        .order_by(ACTIONS.c.number, SHEET_ROWS.c.part, SHEET_ROWS.c.number, QUESTIONS.c.code, QUESTIONS.c.column)
    )  # fmt: skip
