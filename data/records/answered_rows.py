"""Rows of sheets with the questions about them and what was answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from matloop.data.records.accepting import SheetSource
from matloop.data.records.cells import DoubtKey, doubt_key
from matloop.data.records.known_samples import rows_with
from matloop.data.records.ledger import laboratory_in
from matloop.data.records.questions import cells_in, newest_verdicts
from matloop.data.records.recorded_samples import values_confirmed_empty
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.records.tables import ACTIONS, ANSWERS, QUESTIONS, SHEET_ROWS, SHEETS, VERDICTS


class AnsweredRow(NamedTuple):
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
        """Whether a question is open beside which no other about its cell, asked at the same time, is answered."""
        asked = [(one.action_id, one.code, one.column) for one in self.settled]
        answered = {place for place, one in zip(asked, self.settled, strict=True) if one.answer is not None}
        return not answered.issuperset(asked)

    @property
    def waived(self) -> frozenset[DoubtKey]:
        """Keys of the doubts that were answered with 'as written'."""
        return frozenset(
            doubt_key(one.code, one.column, one.as_written, one.detail)
            for one in self.settled
            if one.answer == "as written"
        )

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


def answered_rows(connection: Connection, row_ids: Collection[str]) -> list[AnsweredRow]:
    """Rows with all their questions, in the order of import, and of each sheet results before process steps."""
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
        QUESTIONS.c.as_written,
        QUESTIONS.c.detail,
        QUESTIONS.c.action_id,
        ANSWERS.c.answer,
        ANSWERS.c.instead,
        ANSWERS.c.number,
    ).outerjoin(ANSWERS, ANSWERS.c.question_id == QUESTIONS.c.id)
    settled: dict[str, list[Any]] = defaultdict(list)
    for one in rows_with(connection, questions, QUESTIONS.c.row_id, row_ids):
        settled[one.row_id].append(one)
    found = sorted(rows_with(connection, rows, SHEET_ROWS.c.id, row_ids), key=_place_of_import)
    return [AnsweredRow(row, sorted(settled[row.row_id], key=lambda one: one.number or 0)) for row in found]


def accepted_rows(connection: Connection, row_ids: Collection[str]) -> dict[str, AnsweredRow]:
    """Those of some rows that are accepted, by id, with all their questions."""
    names = [name for (name,) in rows_with(connection, _rows_that_are("accepted"), VERDICTS.c.row_id, row_ids)]
    return {row.found.row_id: row for row in answered_rows(connection, names)}


def held_rows(connection: Connection) -> list[dict[str, str]]:
    """Candidate, as answers have it by now, and laboratory of each row that is held; empty where it names none."""
    names = [name for (name,) in connection.execute(_rows_that_are("held"))]
    return [
        {"candidate_id": row.written.cells.get("candidate_id", ""), "laboratory": row.source.laboratory}
        for row in answered_rows(connection, names)
    ]


def _rows_that_are(verdict: str) -> Select[Any]:
    newest = newest_verdicts().subquery()
    standing = select(newest.c.row_id).join(VERDICTS, VERDICTS.c.number == newest.c.newest)
    return standing.where(VERDICTS.c.verdict == verdict)


def _place_of_import(row: Any) -> tuple[Any, ...]:
    return row.action_number, row.part, row.number, row.row_id
