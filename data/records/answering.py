"""Questions about held rows, and how they are settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, insert, select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import using
from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict, SheetSource, Verdict
from matloop.data.records.cells import Doubt
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.known_samples import rows_with
from matloop.data.records.ledger import add_action, candidates_in, laboratory_in
from matloop.data.records.own_properties import catalogue_in
from matloop.data.records.questions import cells_in, held_questions
from matloop.data.records.recorded_samples import values_confirmed_empty
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
        accepting = Accepting(connection, action)
        with using(catalogue_in(connection)):
            judged = _judge_again(accepting, {str(row.row_id) for row in is_open if row.id in answers})
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


class _AnsweredRow(NamedTuple):
    """A row with what was answered to its questions.

    Attributes:
        found: The row as the records hold it, with its sheet.
        settled: All its questions with the answer to each, None where one is open, in the order of the answers.
    """

    found: Any
    settled: Sequence[Any]

    @property
    def is_refused(self) -> bool:
        """Whether an answer takes the row back."""
        return any(one.answer == "refuse" for one in self.settled)

    @property
    def has_open(self) -> bool:
        """Whether a question is open that no later answer made needless."""
        answered = {(one.code, one.column) for one in self.settled if one.answer is not None}
        return any(one.answer is None and (one.code, one.column) not in answered for one in self.settled)

    @property
    def waived(self) -> frozenset[tuple[str, str]]:
        """Codes and columns of the doubts that were answered with 'as written'."""
        return frozenset((one.code, one.column) for one in self.settled if one.answer == "as written")

    @property
    def emptied(self) -> tuple[str, ...]:
        """Ids of values that an answer confirms to be empty now."""
        confirmed = [one for one in self.settled if one.answer == "as written"]
        return tuple(value for one in confirmed for value in values_confirmed_empty(one.code, one.detail))

    @property
    def written(self) -> WrittenRow:
        """The row with the texts that stand in place of its cells."""
        instead = {one.column: str(one.instead) for one in self.settled if one.answer == "instead"}
        return WrittenRow(self.found.number, cells_in(self.found) | instead, self.found.fault)

    @property
    def source(self) -> SheetSource:
        """The sheet that it comes from."""
        of = f"action {self.found.action_number}"
        return SheetSource(laboratory_in(self.found.details_json, of=of), self.found.sheet_id)


def _answered_rows(connection: Connection, row_ids: Collection[str]) -> list[_AnsweredRow]:
    """Rows with all their questions, in the order of their ids."""
    rows = (
        select(
            SHEET_ROWS.c.id.label("row_id"), SHEET_ROWS.c.number, SHEET_ROWS.c.part, SHEET_ROWS.c.cells_json,
            SHEET_ROWS.c.fault, SHEET_ROWS.c.sheet_id, ACTIONS.c.details_json, ACTIONS.c.number.label("action_number"),
        )
        .join(SHEETS, SHEETS.c.id == SHEET_ROWS.c.sheet_id)
        .join(ACTIONS, ACTIONS.c.id == SHEETS.c.action_id)
    )  # fmt: skip
    questions = select(
        QUESTIONS.c.row_id,
        QUESTIONS.c.code,
        QUESTIONS.c.column,
        QUESTIONS.c.detail,
        ANSWERS.c.answer,
        ANSWERS.c.instead,
        ANSWERS.c.number,
    ).outerjoin(ANSWERS, ANSWERS.c.question_id == QUESTIONS.c.id)
    settled: dict[str, list[Any]] = defaultdict(list)
    for one in rows_with(connection, questions, QUESTIONS.c.row_id, row_ids):
        settled[one.row_id].append(one)
    found = sorted(rows_with(connection, rows, SHEET_ROWS.c.id, row_ids), key=lambda row: row.row_id)
    return [_AnsweredRow(row, sorted(settled[row.row_id], key=lambda one: one.number or 0)) for row in found]


def _judge_again(accepting: Accepting, row_ids: Collection[str]) -> list[RowVerdict]:
    """Judge rows anew with all answers to their questions, but none that has an open one."""
    formulas = {name: one.formula for name, one in candidates_in(accepting.connection).items()}
    rows = [row for row in _answered_rows(accepting.connection, row_ids) if row.is_refused or not row.has_open]
    accepting.samples.read({row.written.cells.get("sample_id", "") for row in rows})
    return [
        RowVerdict(row.found.part, row.found.number, *_judge(accepting, row, formulas)) for row in rows
    ]  # fmt: skip


def _judge(
    accepting: Accepting, row: _AnsweredRow, formulas: Mapping[str, str]
) -> tuple[Verdict, tuple[Doubt, ...]]:  # fmt: skip
    row_id = row.found.row_id
    if row.is_refused:
        doubt = Doubt(codes.ANSWER, "")
        return accepting.judge(row_id, [doubt]), (doubt,)
    if row.found.part == "steps":
        return accepting.take_step(row_id, check_step(row.written, waived=row.waived), row.source, waived=row.waived)
    checked = check_row(row.written, formulas, waived=row.waived)
    verdict = accepting.take_result(row_id, checked, row.source, waived=row.waived, emptied=row.emptied)
    return verdict, tuple(checked.doubts)
