"""Questions about held rows, and how they are settled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, insert, select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict, Verdict
from matloop.data.records.cells import Doubt
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import add_action, candidates_in
from matloop.data.records.questions import held_questions
from matloop.data.records.row_checks import check_row
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.records.step_checks import check_step
from matloop.data.records.tables import ACTIONS, ANSWERS, QUESTIONS, SHEET_ROWS, SHEETS
from matloop.data.records.waiting_steps import take_waiting_steps

AnswerKind = Literal["as written", "instead", "refuse"]
_LONGEST = 2_000


class Answer(NamedTuple):
    """How a question is settled.

    Attributes:
        kind: The cell is right as written, another text stands instead, or the row is taken back.
        instead: The other text.
    """

    kind: AnswerKind
    instead: str = ""


def answer_questions(
    database: RecordsDatabase, answers: Mapping[str, Answer], *, by: str = "", note: str = ""
) -> list[RowVerdict]:
    """Settle questions, and judge again each row that has none left.

    Args:
        database: The records.
        answers: By id of the question.
        by: Who answers; the user of the system if empty.
        note: Why.

    Returns:
        The new verdict on each row that was judged again.

    Raises:
        RecordsError: If a question does not exist, is settled, or is answered in a way that does not settle it;
            nothing is written then.
    """

    def work(connection: Connection) -> list[RowVerdict]:
        is_open = connection.execute(held_questions()).all()
        _check({str(row.id): row for row in is_open}, answers)
        action = add_action(connection, "answer", by=by, note=note)
        write_answers(connection, action, answers)
        rows = {str(row.row_id) for row in is_open if row.id in answers}
        formulas = {name: one.formula for name, one in candidates_in(connection).items()}
        judged = [_judge_again(connection, action, row, formulas) for row in sorted(rows)]
        return [*filter(None, judged), *take_waiting_steps(connection, action)]

    return database.write(work)


def refuse_sheet(database: RecordsDatabase, name: str, *, by: str = "", note: str = "") -> int:
    """Take back all held rows of the sheets of one name, and settle their questions by that.

    Args:
        database: The records.
        name: Of the file, as the questions tell it.
        by: Who answers; the user of the system if empty.
        note: Why.

    Returns:
        How many rows were taken back.

    Raises:
        RecordsError: If no question about such a sheet is open.
    """

    def work(connection: Connection) -> int:
        held = connection.execute(held_questions().where(SHEETS.c.name == name)).all()
        if not held:
            raise RecordsError(
                f"no open question about a sheet '{one_line(name)[:80]}'", "", "matloop questions lists them"
            )  # fmt: skip
        action = add_action(connection, "answer", by=by, note=note, details={"sheet": name})
        write_answers(connection, action, {str(row.id): Answer("refuse") for row in held})
        accepting = Accepting(connection, action, "")
        rows = dict.fromkeys(str(row.row_id) for row in held)
        for row_id in rows:
            accepting.judge(row_id, [Doubt(codes.ANSWER, "")])
        accepting.write_verdicts()
        return len(rows)

    return database.write(work)


def write_answers(connection: Connection, action: str, answers: Mapping[str, Answer]) -> None:
    """Add answers to questions, by id of the question."""
    rows = [
        {"question_id": question, "action_id": action, "answer": one.kind, "instead": one_line(one.instead)}
        for question, one in answers.items()
    ]
    connection.execute(insert(ANSWERS), rows)


def _check(is_open: Mapping[str, Any], answers: Mapping[str, Answer]) -> None:
    if not answers:
        raise RecordsError("no answer", "at least one question and its answer", "matloop questions lists them")
    for question, answer in answers.items():
        if question not in is_open:
            raise RecordsError(
                f"no open question '{one_line(question)[:50]}'", "", "matloop questions lists the open ones"
            )
        code, column = is_open[question].code, is_open[question].column
        if answer.kind == "as written" and code in codes.MUST_CHANGE:
            raise RecordsError(
                f"'as written' to {question}: {codes.RESULT_CODES[code].en}", "another text for the cell, or refuse",
                f"say what stands in column '{column}' instead",
            )  # fmt: skip
        if answer.kind == "instead" and (not column or not answer.instead.strip() or len(answer.instead) > _LONGEST):
            allowed = "a text for the cell" if column else "as written, or refuse"
            raise RecordsError(f"{question} is answered with another text '{answer.instead[:40]}'", allowed)


def _settled(connection: Connection, row_id: str) -> Sequence[Any]:
    """Code, column, answer and text of all questions of a row; no answer where it is open."""
    wanted = select(QUESTIONS.c.code, QUESTIONS.c.column, ANSWERS.c.answer, ANSWERS.c.instead, ANSWERS.c.number)
    joined = wanted.outerjoin(ANSWERS, ANSWERS.c.question_id == QUESTIONS.c.id).where(QUESTIONS.c.row_id == row_id)
    return connection.execute(joined.order_by(ANSWERS.c.number)).all()


def _judge_again(
    connection: Connection, action: str, row_id: str, formulas: Mapping[str, str]
) -> RowVerdict | None:  # fmt: skip
    """Judge a row anew with all answers to its questions; None while one is open."""
    row = connection.execute(
        select(
            SHEET_ROWS.c.number, SHEET_ROWS.c.part, SHEET_ROWS.c.cells_json, SHEET_ROWS.c.fault,
            SHEET_ROWS.c.sheet_id, ACTIONS.c.details_json,
        )
        .join(SHEETS, SHEETS.c.id == SHEET_ROWS.c.sheet_id)
        .join(ACTIONS, ACTIONS.c.id == SHEETS.c.action_id)
        .where(SHEET_ROWS.c.id == row_id)
    ).one()  # fmt: skip
    laboratory = str(json.loads(row.details_json).get("laboratory", ""))
    accepting = Accepting(connection, action, laboratory, sheet=row.sheet_id)
    settled = _settled(connection, row_id)
    is_refused = any(one.answer == "refuse" for one in settled)
    if not is_refused and _has_open(settled):
        return None
    verdict, doubts = _judge(accepting, row_id, row, settled, formulas)
    accepting.write_verdicts()
    return RowVerdict(row.part, row.number, verdict, doubts)


def _judge(
    accepting: Accepting, row_id: str, row: Any, settled: Sequence[Any], formulas: Mapping[str, str]
) -> tuple[Verdict, tuple[Doubt, ...]]:  # fmt: skip
    if any(one.answer == "refuse" for one in settled):
        doubt = Doubt(codes.ANSWER, "")
        return accepting.judge(row_id, [doubt]), (doubt,)
    cells: dict[str, str] = json.loads(row.cells_json)
    cells |= {one.column: str(one.instead) for one in settled if one.answer == "instead"}
    waived = frozenset((one.code, one.column) for one in settled if one.answer == "as written")
    written = WrittenRow(row.number, cells, row.fault)
    if row.part == "steps":
        return accepting.take_step(row_id, check_step(written, waived=waived))
    checked = check_row(written, formulas, waived=waived)
    verdict = accepting.take_result(row_id, checked, waived=waived)
    return verdict, tuple(checked.doubts)


def _has_open(settled: Sequence[Any]) -> bool:
    """Whether a question is open that no later answer made needless."""
    answered = {(one.code, one.column) for one in settled if one.answer is not None}
    return any(one.answer is None and (one.code, one.column) not in answered for one in settled)
