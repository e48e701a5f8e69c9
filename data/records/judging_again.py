"""Judge held rows anew: once their questions are answered, or their candidate is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict, Verdict
from matloop.data.records.answered_rows import AnsweredRow, answered_rows
from matloop.data.records.cells import Doubt
from matloop.data.records.ledger import candidates_in
from matloop.data.records.questions import held_questions
from matloop.data.records.row_checks import CheckedRow, check_row
from matloop.data.records.step_checks import check_step
from matloop.data.records.value_checks import doubts_about_values


def judge_again(accepting: Accepting, row_ids: Collection[str]) -> list[RowVerdict]:
    """Judge rows anew with all answers to their questions, but none that has an open one."""
    rows = [row for row in answered_rows(accepting.connection, row_ids) if row.is_refused or not row.has_open]
    accepting.samples.read({row.written.cells.get("sample_id", "") for row in rows})
    results = _checked_results(accepting.connection, [row for row in rows if row.found.part == "results"])
    return [
        RowVerdict(row.found.part, row.found.number, *_judge(accepting, row, results.get(row.found.row_id)))
        for row in rows
    ]


def judge_rows_of(accepting: Accepting, candidates: Collection[str]) -> list[RowVerdict]:
    """Judge the held rows whose candidate was not known when they came, and is now.

    Args:
        accepting: With the candidates written.
        candidates: Ids of the candidates that are known from now on.
    """
    open_ones = accepting.connection.execute(held_questions()).all()
    asked = {row.row_id: row.id for row in open_ones if row.code == codes.CANDIDATE}
    rows = [
        row for row in answered_rows(accepting.connection, asked)
        if row.written.cells.get("candidate_id") in candidates
    ]  # fmt: skip
    if not rows:
        return []
    for row in rows:
        accepting.settle(asked[row.found.row_id])
    accepting.write()
    return judge_again(accepting, [row.found.row_id for row in rows])


def _checked_results(connection: Connection, rows: Sequence[AnsweredRow]) -> dict[str, CheckedRow]:
    """Rows of the table of results, by id, with what is doubtful about their answered cells."""
    candidates = candidates_in(connection)
    formulas = {name: one.formula for name, one in candidates.items()}
    checked = [check_row(row.written, formulas, waived=row.waived) for row in rows]
    for at, doubts in doubts_about_values(checked, candidates).items():
        checked[at].doubts += [doubt for doubt in doubts if doubt.key not in rows[at].waived]
    return {row.found.row_id: one for row, one in zip(rows, checked, strict=True)}


def _judge(
    accepting: Accepting, row: AnsweredRow, result: CheckedRow | None
) -> tuple[Verdict, tuple[Doubt, ...]]:  # fmt: skip
    row_id = row.found.row_id
    if row.is_refused:
        doubt = Doubt(codes.ANSWER, "")
        return accepting.judge(row_id, [doubt]), (doubt,)
    if result is None:
        return accepting.take_step(row_id, check_step(row.written, waived=row.waived), row.source, waived=row.waived)
    verdict = accepting.take_result(row_id, result, row.source, waived=row.waived, emptied=row.emptied)
    return verdict, tuple(result.doubts)
