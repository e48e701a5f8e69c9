"""Questions about held rows, and how they are settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, insert, select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import using
from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict
from matloop.data.records.cells import Doubt
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.judging_again import judge_again
from matloop.data.records.known_samples import rows_with
from matloop.data.records.ledger import add_action
from matloop.data.records.own_properties import catalogue_in
from matloop.data.records.questions import held_questions
from matloop.data.records.tables import ANSWERS, SHEETS
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

    A file of answers may be sent again, also after it was continued: an answer that was given already adds nothing.

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
        new = _without_known(connection, answers)
        if answers and not new:
            return []
        _check({str(row.id): row for row in is_open}, new)
        action = add_action(connection, "answer", by=by, note=note)
        write_answers(connection, action, new)
        accepting = Accepting(connection, action)
        with using(catalogue_in(connection)):
            judged = judge_again(accepting, {str(row.row_id) for row in is_open if row.id in new})
        accepting.write()
        waited = take_waiting_steps(accepting)
        accepting.write()
        return [*judged, *waited]

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
        accepting = Accepting(connection, action)
        rows = dict.fromkeys(str(row.row_id) for row in held)
        for row_id in rows:
            accepting.judge(row_id, [Doubt(codes.ANSWER, "")])
        accepting.write()
        return len(rows)

    return database.write(work)


def write_answers(connection: Connection, action: str, answers: Mapping[str, Answer]) -> None:
    """Add answers to questions, by id of the question."""
    rows = [
        {"question_id": question, "action_id": action, "answer": one.kind, "instead": one_line(one.instead)}
        for question, one in answers.items()
    ]
    connection.execute(insert(ANSWERS), rows)


def _without_known(connection: Connection, answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """The answers without those that the records hold as they are."""
    query = select(ANSWERS.c.question_id, ANSWERS.c.answer, ANSWERS.c.instead)
    given = {
        name: (kind, instead)
        for name, kind, instead in rows_with(connection, query, ANSWERS.c.question_id, list(answers))
    }
    return {name: one for name, one in answers.items() if given.get(name) != (one.kind, one_line(one.instead))}


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
