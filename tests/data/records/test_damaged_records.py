"""A row or an action that cannot be read any more is told by its code, whatever is asked of the records."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from matloop.data.errors import DamagedFileError
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.questions import open_questions
from matloop.data.records.withdrawing import withdraw_proposals
from tests.data.records.result_sheets import result, write_sheet

KNOWN = {"cand-gan": KnownCandidate("GaN")}
HELD, ACCEPTED = result("cand-gan", "GaN", "B1", "3.4", unit="GPa"), result("cand-gan", "GaN", "B2", "3.4")


@pytest.fixture
def records(tmp_path: Path) -> RecordsDatabase:
    database = open_records(tmp_path / "records.sqlite")
    import_sheet(database, write_sheet(tmp_path / "sheet.csv", [HELD, ACCEPTED]), candidates=KNOWN)
    return database


def damage(folder: Path, table: str, column: str, content: str) -> None:
    with closing(sqlite3.connect(folder / "records.sqlite")) as connection:
        connection.execute(f"DROP TRIGGER {table}_no_update")
        connection.execute(f"UPDATE {table} SET {column} = ?", (content,))
        connection.commit()


@pytest.mark.parametrize(("table", "column", "content"), [
    ("sheet_rows", "cells_json", '{"candidate_id": "cand-'), ("sheet_rows", "cells_json", "[1]"),
    ("actions", "details_json", ""), ("measurements", "conditions_json", "{,}"),
    ("candidates", "predictions_json", '{"wanted ranges of the run": {"band_gap": 3}}'),
    ("candidates", "predictions_json", '{"band_gap": "wide"}'),
])  # fmt: skip
def test_damaged_record_is_told_by_its_code(
    records: RecordsDatabase, tmp_path: Path, table: str, column: str, content: str
) -> None:
    questions = {question.id: Answer("instead", "eV") for question in open_questions(records)}
    sheet = write_sheet(tmp_path / "sheet.csv", [HELD, {**ACCEPTED, "method": "XPS"}])
    commands: dict[str, list[Callable[[], object]]] = {
        "sheet_rows": [
            lambda: open_questions(records), lambda: answer_questions(records, questions),
            lambda: withdraw_proposals(records, ["cand-gan"], reason="none"),
        ],
        "actions": [lambda: answer_questions(records, questions), lambda: import_sheet(records, sheet)],
        "candidates": [lambda: import_sheet(records, sheet), lambda: answer_questions(records, questions)],
        "measurements": [lambda: values_table(records), lambda: import_sheet(records, sheet)],
    }  # fmt: skip
    damage(tmp_path, table, column, content)
    for command in commands[table]:
        with pytest.raises(DamagedFileError, match="restore the database"):
            command()
