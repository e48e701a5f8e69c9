"""A value that is wrong can be taken back, and a sample that failed after all keeps none that counts."""

from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from matloop.data.errors import RecordsError
from matloop.data.records import result_codes as codes
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import contents_of, newest_action, values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import ImportReport, import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.questions import open_questions
from matloop.data.records.record_labels import FAILED, RecordLabels
from matloop.data.records.retracting import retract_values
from matloop.data.records.tables import ACTIONS, MEASUREMENTS, RETRACTIONS
from matloop.workflows.cli import app
from matloop.workflows.proposing.promises import tried_candidates
from tests.data.records.result_sheets import result, write_sheet

KNOWN = {
    "cand-gan": KnownCandidate("GaN", promise=0.4, campaign="films"),
    "cand-zno": KnownCandidate("ZnO", promise=0.4, campaign="films"),
}


def take(database: RecordsDatabase, folder: Path, **cells: str) -> ImportReport:
    row = {**result("cand-gan", "GaN", "B1", "3.4"), **cells}
    sheet = write_sheet(folder / "sheet.csv", [row, result("cand-zno", "ZnO", "C1", "3.3")])
    return import_sheet(database, sheet, candidates=KNOWN)


def hits(database: RecordsDatabase) -> list[bool]:
    return list(map(bool, tried_candidates(database, {"band_gap": (3.0, 3.6)}, campaign="films").found))


def as_written(database: RecordsDatabase) -> None:
    answer_questions(database, {question.id: Answer("as written") for question in open_questions(database)})


def test_retracted_value_counts_no_more_and_nothing_is_overwritten(place: str, tmp_path: Path) -> None:
    database = open_records(place)
    take(database, tmp_path)
    before = newest_action(database)
    wrong = next(row["measurement_id"] for row in values_table(database).to_pylist() if row["value"] == 3.4)
    told = CliRunner().invoke(app, ["retract", wrong[:20], "--reason", "wrong film", "--records", place])
    assert told.exit_code == 0, told.output
    assert f"retracted: {wrong}" in told.output.replace("\n", "")
    assert values_table(database)["value"].to_pylist() == [3.3]
    assert len(values_table(database, until=before)) == 2
    assert (contents_of(database).values, contents_of(database).retracted) == ({"band_gap": 1}, 1)
    with database.reading() as connection:
        joined = select(ACTIONS.c.kind, ACTIONS.c.note).join(RETRACTIONS, RETRACTIONS.c.action_id == ACTIONS.c.id)
        assert connection.execute(joined).all() == [("retract", "wrong film")]
        assert len(connection.execute(select(MEASUREMENTS.c.id)).all()) == 2
    for names, reason in (([wrong], "again"), (["msr-"], "short"), (["msr-0123456789"], "none"), ([], "nothing")):
        with pytest.raises(RecordsError):
            retract_values(database, names, reason=reason)

    assert [doubt.code for row in take(database, tmp_path, note="again").rows for doubt in row.doubts] == [
        codes.CONFLICT
    ]
    as_written(database)
    assert len(values_table(database)) == 2


def test_value_of_a_sample_that_failed_after_all_teaches_nothing_and_is_no_hit(tmp_path: Path) -> None:
    database = open_records(tmp_path / "records.sqlite")
    take(database, tmp_path)
    assert hits(database) == [True, True]
    take(database, tmp_path, outcome="failed", reason="other phases formed", value="", property="", unit="")
    as_written(database)
    assert values_table(database)["value"].to_pylist() == [3.3]
    assert sorted(hits(database)) == [False, True]
    assert contents_of(database).of_failed == 1
    read = RecordLabels(str(tmp_path / "records.sqlite"), property="band_gap").read_rows()
    assert sorted(row.code for row in read.rows) == ["", FAILED]
    take(database, tmp_path, note="it was made")
    as_written(database)
    assert len(values_table(database)) == 2


@pytest.mark.parametrize("emptied", [
    {"value": ""}, {"value": "n.d.", "note": "not measured after all"}, {"value": "", "property": "", "unit": "",
                                                                         "qualifier": ""},
])  # fmt: skip
@pytest.mark.parametrize(("answer", "counted"), [
    ("as written", [3.3]), ("refuse", [3.3, 3.4]), ("instead: 3.4", [3.3, 3.4]), ("无误", [3.3])
])  # fmt: skip
def test_value_that_is_empty_when_its_row_comes_again_is_retracted_or_kept_by_an_answer(
    tmp_path: Path, emptied: dict[str, str], answer: str, counted: list[float]
) -> None:
    place = str(tmp_path / "records.sqlite")
    database = open_records(place)
    take(database, tmp_path)
    [row] = take(database, tmp_path, **emptied).rows
    assert [(doubt.code, doubt.column) for doubt in row.doubts] == [(codes.EMPTIED, "value")]
    assert "3.4 eV" in row.doubts[0].remark.label.zh
    [question] = open_questions(database)
    assert take(database, tmp_path, **emptied).known == 2
    if answer.startswith("instead") and "property" in emptied:
        return  # a value alone names no property
    told = CliRunner().invoke(app, ["questions", "--answer", f"{question.id}={answer}", "--records", place])
    assert told.exit_code == 0, told.output
    assert sorted(values_table(database)["value"].to_pylist()) == counted
    assert contents_of(database).retracted == 2 - len(counted)
    assert open_questions(database) == []


def test_row_without_a_value_beside_one_that_still_has_it_is_no_emptied_one(tmp_path: Path) -> None:
    """Whether the other row stands as it was, was filled in further, or says another value, which alone is asked."""
    row = result("cand-gan", "GaN", "B1", "3.4")
    beside = {**row, "value": "", "note": "second film, not measured yet"}
    for at, change in enumerate([{}, {"method": "XPS"}, {"note": "on sapphire"}, {"value": "3.5"}]):
        database = open_records(tmp_path / f"{at}.sqlite")
        import_sheet(database, write_sheet(tmp_path / "sheet.csv", [row]), candidates=KNOWN)
        sheet = write_sheet(tmp_path / "sheet.csv", [beside, {**row, **change}])
        doubts = [doubt.code for one in import_sheet(database, sheet, candidates=KNOWN).rows for doubt in one.doubts]
        assert doubts == ([codes.CONFLICT] if "value" in change else [])


def test_value_whose_row_is_left_empty_counts_as_before_and_is_told(tmp_path: Path) -> None:
    """A copy of the sheet that a colleague fills in, or a row that was emptied altogether."""
    place = str(tmp_path / "records.sqlite")
    database = open_records(place)
    take(database, tmp_path)
    assert take(database, tmp_path, value="", outcome="").still_counting == 1
    assert len(values_table(database)) == 2
    told = CliRunner().invoke(app, ["import", str(tmp_path / "sheet.csv"), "--records", place])
    assert "1 value of rows left empty in the records" in told.output.replace("\n", " ")
    row = result("cand-gan", "GaN", "B1", "3.4")
    sheet = write_sheet(tmp_path / "sheet.csv", [row, {**row, "value": "", "outcome": ""}])
    assert import_sheet(database, sheet, candidates=KNOWN).still_counting == 0
