"""Samples of a sheet are read and written together, however many they are."""

from pathlib import Path

from sqlalchemy import event

from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.questions import open_questions
from tests.data.records.result_sheets import result, write_sheet

KNOWN = {"cand-gan": KnownCandidate("GaN")}


def statements_of_sheets(database: RecordsDatabase, folder: Path, rows: int) -> list[int]:
    """Statements of two sheets and of the answers: the second has another value of each sample and its raw data."""
    (folder / "scan.xy").write_text("1 2")
    sent: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    counts = []
    for value in ("3.1", "3.2"):
        sheet = write_sheet(
            folder / "sheet.csv",
            [result("cand-gan", "GaN", f"{rows}-{at}", value, data_file="scan.xy") for at in range(rows)],
        )
        import_sheet(database, sheet, candidates=KNOWN)
        counts.append(len(sent))
    answers = {question.id: Answer("as written") for question in open_questions(database)}
    assert len(answers) == rows
    sent.clear()
    answer_questions(database, answers)
    return [*counts, len(sent)]


def test_statements_do_not_grow_with_the_rows(place: str, tmp_path: Path) -> None:
    database = open_records(place)
    _, few, many = [statements_of_sheets(database, tmp_path, rows) for rows in (1, 2, 20)]
    assert few == many
