"""A sample belongs to its laboratory, and a sheet that is filled in further counts once."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from matloop.data.records import result_codes as codes
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import samples_table, steps_table, values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import ImportReport, import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.questions import open_questions
from matloop.data.records.result_sheet import STEPS
from tests.data.records.result_sheets import result, write_sheet

KNOWN = {"cand-tio2": KnownCandidate("TiO2"), "cand-gan": KnownCandidate("GaN"), "cand-zno": KnownCandidate("ZnO")}
ROW = result("cand-tio2", "TiO2", "cand-tio2-1", "3.1")


@pytest.fixture
def database(tmp_path: Path) -> RecordsDatabase:
    return open_records(tmp_path / "records.sqlite")


def take(
    database: RecordsDatabase, folder: Path, *rows: Mapping[str, str], laboratory: str = "lab-a", steps: bool = False
) -> ImportReport:
    sheet = write_sheet(folder / "sheet.csv", rows, columns=STEPS) if steps else write_sheet(folder / "sheet.csv", rows)
    return import_sheet(database, sheet, candidates=KNOWN, laboratory=laboratory)


def counted(database: RecordsDatabase) -> list[tuple[object, ...]]:
    table = values_table(database)
    return [tuple(row) for row in zip(*(table[key].to_pylist() for key in ("laboratory", "value")), strict=True)]


@pytest.mark.parametrize("change", [
    {"note": "ours"}, {"value": "2.9"}, {"method": "ellipsometry"},
    {"property": "refractive index", "value": "2.4", "unit": ""},
])  # fmt: skip
def test_same_name_in_another_laboratory_is_another_sample(
    database: RecordsDatabase, tmp_path: Path, change: dict[str, str]
) -> None:
    """Two laboratories that got one dossier both write the name that it prints."""
    take(database, tmp_path, ROW)
    row = {**ROW, **change}
    assert take(database, tmp_path, row, laboratory="lab-b").count("accepted") == 1
    assert counted(database) == [("lab-a", 3.1), ("lab-b", float(row["value"]))]
    assert samples_table(database)["laboratory"].to_pylist() == ["lab-a", "lab-b"]
    assert take(database, tmp_path, row, laboratory="lab-b").known == 1
    take(database, tmp_path, {"sample_id": "cand-tio2-1", "step": "1", "operation": "heat"}, steps=True)
    assert steps_table(database)["sample_id"].to_pylist() == samples_table(database)["sample_id"].to_pylist()[:1]


def test_name_of_a_laboratory_in_other_capitals_and_its_file_under_another_name(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    take(database, tmp_path, ROW)
    assert take(database, tmp_path, {**ROW, "note": "again"}, laboratory="Lab-A").count("accepted") == 1
    assert take(database, tmp_path, ROW, laboratory="ＬＡＢ-A ").known == 1
    assert counted(database) == [("lab-a", 3.1)]
    [row] = take(database, tmp_path, ROW, laboratory="lab-b").rows
    assert [(doubt.code, doubt.remark.label.en) for doubt in row.doubts] == [
        (codes.LABORATORY, "the very same file came from lab-a before")
    ]
    [question] = open_questions(database)
    answer_questions(database, {question.id: Answer("as written")})
    assert counted(database) == [("lab-a", 3.1), ("lab-b", 3.1)]


def test_value_of_a_sample_under_another_candidate_is_asked_about(database: RecordsDatabase, tmp_path: Path) -> None:
    """Its candidate may have been mended, which would count it twice; names of samples are free otherwise."""
    take(database, tmp_path, ROW)
    other = {**ROW, "candidate_id": "cand-gan", "formula": "GaN"}
    assert take(database, tmp_path, ROW, {**other, "note": "1"}).count("accepted") == 1  # both stand in the sheet
    [row] = take(
        database, tmp_path, {**other, "sample_id": "cand-tio2-1 ", "candidate_id": "cand-zno", "formula": ""}
    ).rows
    assert [(doubt.code, doubt.column) for doubt in row.doubts] == [(codes.SAME, "candidate_id")]
    assert "msr-" in row.doubts[0].remark.label.en
    assert take(database, tmp_path, {**ROW, "candidate_id": "cand-zno", "formula": "", "value": "2"}).count("accepted")


@pytest.mark.parametrize("laboratories", [("", "lab-a"), ("lab-a", "")])
def test_sample_whose_laboratory_was_named_only_once_is_asked_about(
    database: RecordsDatabase, tmp_path: Path, laboratories: tuple[str, str]
) -> None:
    take(database, tmp_path, ROW, laboratory=laboratories[0])
    [row] = take(database, tmp_path, {**ROW, "value": "2.9"}, laboratory=laboratories[1]).rows
    assert [doubt.code for doubt in row.doubts] == [codes.LABORATORY]
    [question] = open_questions(database)
    answer_questions(database, {question.id: Answer("as written")})
    assert counted(database) == [(laboratories[0], 3.1), (laboratories[1], 2.9)]


@pytest.mark.parametrize("filled", [
    {"method": "ellipsometry"}, {"conditions": "wavelength 589 nm"}, {"measured_at": "25"}, {"uncertainty": "0.1"},
    {"repeats": "3"}, {"note": "see above"}, {"batch_mass": "2"}, {"method": "XPS", "uncertainty": "0.2"},
    {"value": "3100", "unit": "meV", "method": "XPS"},
])  # fmt: skip
def test_empty_cell_that_is_filled_in_later_counts_once(
    database: RecordsDatabase, tmp_path: Path, filled: dict[str, str]
) -> None:
    other = result("cand-gan", "GaN", "B1", "3.4")
    take(database, tmp_path, ROW, other)
    row = {**ROW, **filled}
    report = take(database, tmp_path, row, other)
    assert (report.count("accepted"), report.known) == (1, 1), report.rows
    assert sorted(counted(database)) == [("lab-a", 3.1), ("lab-a", 3.4)]
    assert take(database, tmp_path, row, other).known == 2
    [value] = [row for row in values_table(database).to_pylist() if row["value"] == 3.1]
    [sample] = [row for row in samples_table(database).to_pylist() if row["sample"] == "cand-tio2-1"]
    assert value["method"] == filled.get("method", "")
    assert value["repeats"] == int(filled.get("repeats", "1"))
    assert value["uncertainty"] == (float(filled["uncertainty"]) if "uncertainty" in filled else None)
    assert (sample["note"], sample["batch_mass_g"]) == (filled.get("note", ""), 2.0 if "batch_mass" in filled else None)


@pytest.mark.parametrize(("before", "after", "code", "column", "values"), [
    ({"method": "XPS"}, {"method": "ellipsometry"}, codes.SAME, "method", 2),
    ({}, {"value": "3.2", "method": "XPS"}, codes.CONFLICT, "value", 1),
    ({"uncertainty": "0.1"}, {"uncertainty": "0.2"}, codes.CONFLICT, "uncertainty", 1),
    ({"repeats": "3"}, {"repeats": "4"}, codes.CONFLICT, "repeats", 1),
    ({"made_on": "2026-03-04"}, {"made_on": "2026-04-03"}, codes.CONFLICT, "made_on", 1),
    ({"outcome": "partly made", "reason": "melted"}, {"outcome": "partly made", "reason": "amorphous"},
     codes.CONFLICT, "reason", 1),
])  # fmt: skip
def test_filled_cell_that_says_something_else_is_asked_about(
    database: RecordsDatabase, tmp_path: Path, before: dict[str, str], after: dict[str, str], code: str, column: str,
    values: int,
) -> None:  # fmt: skip
    take(database, tmp_path, {**ROW, **before})
    report = take(database, tmp_path, {**ROW, **after})
    assert [(doubt.code, doubt.column) for row in report.rows for doubt in row.doubts] == [(code, column)]
    [question] = open_questions(database)
    answer_questions(database, {question.id: Answer("as written")})
    assert len(counted(database)) == values
    if column == "made_on":
        assert samples_table(database)["made_on"].to_pylist() == ["2026-04-03"]


def test_second_measurement_beside_a_row_that_still_stands_is_another_value(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    take(database, tmp_path, ROW)
    assert take(database, tmp_path, ROW, {**ROW, "method": "XPS"}).count("accepted") == 1
    assert len(counted(database)) == 2


def test_steps_stay_with_a_sample_that_is_corrected(database: RecordsDatabase, tmp_path: Path) -> None:
    take(database, tmp_path, ROW)
    take(database, tmp_path, {"sample_id": "cand-tio2-1", "step": "1", "operation": "heat"}, steps=True)
    take(database, tmp_path, {**ROW, "note": "fired twice"})
    assert steps_table(database)["sample_id"].to_pylist() == samples_table(database)["sample_id"].to_pylist()


HEATED = {"sample_id": "cand-tio2-1", "step": "2", "operation": "heat", "temperature": "900"}


def parameters(database: RecordsDatabase) -> dict[str, str]:
    table = steps_table(database)
    found = dict(zip(table["parameter"].to_pylist(), table["as_written"].to_pylist(), strict=True))
    assert len(found) == table.num_rows
    return found


@pytest.mark.parametrize("steps_first", [False, True])
def test_step_that_is_filled_in_further_counts_once(
    database: RecordsDatabase, tmp_path: Path, *, steps_first: bool
) -> None:
    """Also where both rows wait for their sample, and a second row of the step in the same sheet is another one."""
    if not steps_first:
        take(database, tmp_path, ROW)
    take(database, tmp_path, HEATED, steps=True)
    fuller = {**HEATED, "temperature": "900.0", "duration": "2", "atmosphere": "air"}
    take(database, tmp_path, fuller, steps=True)
    if steps_first:
        assert take(database, tmp_path, ROW).waited == 2
    assert parameters(database) == {"temperature": "900.0", "duration": "2", "atmosphere": "air"}
    assert take(database, tmp_path, fuller, {**HEATED, "step": "1"}, steps=True).count("accepted") == 1
    assert steps_table(database).num_rows == 4
    weighed = [{"sample_id": "cand-tio2-1", "step": "3", "operation": "weigh", "material": name} for name in "AB"]
    take(database, tmp_path, *weighed, steps=True)
    assert take(database, tmp_path, *weighed, steps=True).known == 2
    assert steps_table(database).num_rows == 6


@pytest.mark.parametrize(("after", "columns"), [
    ({"temperature": "950"}, ["temperature"]), ({"operation": "press", "temperature": "900"}, ["operation"]),
    ({"temperature": "", "duration": "3"}, ["temperature"]),
])  # fmt: skip
@pytest.mark.parametrize("answer", [Answer("as written"), Answer("refuse")])
def test_step_that_says_something_else_is_asked_about(
    database: RecordsDatabase, tmp_path: Path, after: dict[str, str], columns: list[str], answer: Answer
) -> None:
    take(database, tmp_path, ROW)
    take(database, tmp_path, HEATED, steps=True)
    take(database, tmp_path, {**HEATED, **after}, steps=True)
    questions = open_questions(database)
    assert [one.doubt.column for one in questions] == columns
    answer_questions(database, {one.id: answer for one in questions})
    stated = {key: cell for key, cell in after.items() if cell and key != "operation"}
    assert parameters(database) == (stated if answer.kind == "as written" else {"temperature": "900"})
    assert open_questions(database) == []


def test_changed_step_that_waited_for_its_sample_is_asked_about_itself(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    take(database, tmp_path, HEATED, steps=True)
    take(database, tmp_path, {**HEATED, "temperature": "950"}, steps=True)
    assert take(database, tmp_path, ROW).waited == 1
    [question] = open_questions(database)
    assert question.doubt.column == "temperature"
    answer_questions(database, {question.id: Answer("as written")})
    assert parameters(database) == {"temperature": "950"}
