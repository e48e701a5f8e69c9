"""Corrections in any order: what is corrected back, answered late or said less is never taken for something else."""

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

KNOWN = {"cand-gan": KnownCandidate("GaN", predictions={"band_gap": 3.0}, intervals={"band_gap": (2.5, 3.5)})}
ROW = result("cand-gan", "GaN", "B1", "3.1")
HEATED = {"sample_id": "B1", "step": "1", "operation": "heat", "temperature": "900"}


@pytest.fixture
def database(tmp_path: Path) -> RecordsDatabase:
    return open_records(tmp_path / "records.sqlite")


def take(database: RecordsDatabase, folder: Path, *rows: Mapping[str, str], steps: bool = False) -> ImportReport:
    sheet = write_sheet(folder / "sheet.csv", rows, columns=STEPS) if steps else write_sheet(folder / "sheet.csv", rows)
    return import_sheet(database, sheet, candidates=KNOWN)


def settle(database: RecordsDatabase, answer: Answer) -> None:
    answer_questions(database, {question.id: answer for question in open_questions(database)})


def asked(database: RecordsDatabase) -> list[tuple[str, str]]:
    return [(one.doubt.code, one.doubt.column) for one in open_questions(database)]


@pytest.mark.parametrize(("change", "column"), [
    ({"value": "3.3"}, "value"), ({"value": "<3.1"}, "value"), ({"value": ""}, "value"),
    ({"value": "", "property": "", "unit": "", "qualifier": "", "outcome": "failed"}, "outcome"),
    ({"batch_mass": "2"}, "batch_mass"),
])  # fmt: skip
@pytest.mark.parametrize("answer", ["as written", "refuse"])
def test_row_that_was_corrected_and_comes_again_is_asked_about_once(
    database: RecordsDatabase, tmp_path: Path, change: dict[str, str], column: str, answer: str
) -> None:
    """Whether the correction is corrected, or an older copy of the sheet was sent."""
    row, changed = {**ROW, "batch_mass": "1"}, {**ROW, "batch_mass": "1", **change}
    take(database, tmp_path, row)
    take(database, tmp_path, changed)
    settle(database, Answer("as written"))
    values, samples = (read(database).num_rows and read(database).to_pylist() for read in (values_table, samples_table))
    assert take(database, tmp_path, row).count("held") == 1
    assert asked(database) == [(codes.CONFLICT, column)]
    settle(database, Answer("as written" if answer == "as written" else "refuse"))
    for _ in range(2):
        assert (take(database, tmp_path, row).rows, asked(database)) == ([], [])
    if answer == "refuse":
        assert (values_table(database).to_pylist() or 0, samples_table(database).to_pylist()) == (values, samples)
        return
    [value], [sample] = values_table(database).to_pylist(), samples_table(database).to_pylist()
    assert (value["value"], value["relation"]) == (3.1, "=")
    assert (sample["outcome"], sample["batch_mass_g"]) == ("made", 1.0)
    assert take(database, tmp_path, changed).count("held") == (0 if change == {"value": ""} else 1)


def test_older_copy_that_says_less_and_rows_beside_each_other_are_known(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    """Also where the copy has no value yet, which is told, and where one row of a sheet took the place of another."""
    take(database, tmp_path, {**ROW, "value": ""})
    take(database, tmp_path, ROW)
    take(database, tmp_path, {**ROW, "method": "XPS", "uncertainty": "0.1", "measured_at": "25"})
    report = take(database, tmp_path, {**ROW, "value": ""}, ROW)
    assert (report.rows, report.known, report.still_counting) == ([], 2, 0)
    assert take(database, tmp_path, {**ROW, "value": ""}).still_counting == 1
    films = [result("cand-gan", "GaN", "B2", value) for value in ("3.1", "3.2")]
    take(database, tmp_path, *films)
    settle(database, Answer("as written"))
    assert take(database, tmp_path, *films).known == 2
    assert sorted(values_table(database)["value"].to_pylist()) == [3.1, 3.2]


def test_step_that_was_corrected_and_comes_again_is_asked_about_once(database: RecordsDatabase, tmp_path: Path) -> None:
    take(database, tmp_path, ROW)
    take(database, tmp_path, HEATED, steps=True)
    take(database, tmp_path, {**HEATED, "duration": "2"}, steps=True)
    assert take(database, tmp_path, HEATED, steps=True).known == 1
    take(database, tmp_path, {**HEATED, "temperature": "950", "duration": "2"}, steps=True)
    settle(database, Answer("as written"))
    assert take(database, tmp_path, HEATED, steps=True).count("held") == 1
    assert ("E-RESULT-CONFLICT", "temperature") in asked(database)
    settle(database, Answer("as written"))
    assert take(database, tmp_path, HEATED, steps=True).rows == []
    assert steps_table(database)["as_written"].to_pylist() == ["900"]


def test_answer_holds_for_what_was_asked(database: RecordsDatabase, tmp_path: Path) -> None:
    """Not for what the records say by the time it is given, nor for another text of the cell."""
    for value in ("3.1", "3.2", "3.3"):
        take(database, tmp_path, {**ROW, "value": value})
    settle(database, Answer("as written"))
    [question] = open_questions(database)
    assert "3.2 eV" in question.doubt.remark.label.en
    settle(database, Answer("as written"))
    assert values_table(database)["value"].to_pylist() == [3.3]

    take(database, tmp_path, result("cand-gan", "GaN", "B2", "40"))
    [question] = open_questions(database)
    take(database, tmp_path, result("cand-gan", "GaN", "B2", "3"))
    settle(database, Answer("as written"))
    [question] = open_questions(database)
    assert question.doubt.code == codes.CONFLICT
    answer_questions(database, {question.id: Answer("instead", "90")})
    assert asked(database) == [(codes.RANGE, "value")]


@pytest.mark.parametrize(("value", "unit", "code"), [("3.1", "meV", codes.JUMP), ("0", "eV", codes.ZERO)])
def test_value_is_judged_by_its_prediction_also_when_an_answer_settles_its_unit(
    database: RecordsDatabase, tmp_path: Path, value: str, unit: str, code: str
) -> None:
    take(database, tmp_path, {**ROW, "value": value, "unit": ""})
    settle(database, Answer("instead", unit))
    assert asked(database) == [(code, "value")]
    settle(database, Answer("as written"))
    assert values_table(database).num_rows == 1


@pytest.mark.parametrize(("before", "after", "column"), [
    ({"method": "UV-vis"}, {"method": "ＵＶ- Vis"}, "value"),
    ({"measured_at": "77 K"}, {"measured_at": "-196.15"}, "value"),
    ({"method": "XPS"}, {}, "method"), ({"measured_at": "25"}, {}, "conditions"),
    ({"measured_at": "25"}, {"method": "XPS"}, "conditions"),
])  # fmt: skip
def test_other_value_of_what_may_be_the_same_measurement_is_asked_about(
    database: RecordsDatabase, tmp_path: Path, before: dict[str, str], after: dict[str, str], column: str
) -> None:
    take(database, tmp_path, {**ROW, **before})
    take(database, tmp_path, {**ROW, "value": "3.3", **after})
    assert asked(database) == [(codes.CONFLICT, column)]
    settle(database, Answer("as written"))
    assert values_table(database)["value"].to_pylist() == [3.3]
    for at in ("25", "400"):
        take(database, tmp_path, {**ROW, "sample_id": "series", "value": f"3.{at}", "measured_at": at})
    assert asked(database) == []


def test_cells_of_a_sample_in_other_units_are_equal_and_no_note_is_lost(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    take(database, tmp_path, {**ROW, "batch_mass": "0.7", "note": "white"})
    take(database, tmp_path, {**ROW, "batch_mass": "700 mg", "note": "cracked in air"})
    take(database, tmp_path, {**ROW, "note": "white", "made_by": "me"})
    assert samples_table(database)["note"].to_pylist() == ["white | cracked in air"]
