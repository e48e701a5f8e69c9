"""Files that no answer could mend are refused whole, and the questions of one sheet are settled at once."""

import math
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from matloop.data.errors import InputFileError
from matloop.data.readers.xlsx import NEVER_CALCULATED, Spreadsheet
from matloop.data.records import result_codes as codes
from matloop.data.records import sheet_files
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import contents_of, newest_action
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate, candidates_in
from matloop.data.records.questions import open_questions
from matloop.data.records.result_sheet import RESULTS
from matloop.data.records.sheet_files import read_sheet_file
from matloop.workflows.cli import app
from tests.data.records.result_sheets import result, write_sheet

KNOWN = {"cand-gan": KnownCandidate("GaN", predictions={"band_gap": 3.0})}


@pytest.fixture
def database(tmp_path: Path) -> RecordsDatabase:
    return open_records(tmp_path / "records.sqlite")


def test_sheet_none_of_whose_candidates_is_known_is_refused_and_may_come_again(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    sheet = write_sheet(tmp_path / "s.csv", [result("cand-gan", "GaN", "A1", "3.1")])
    with pytest.raises(InputFileError, match="--run"):
        import_sheet(database, sheet)
    assert import_sheet(database, sheet, candidates=KNOWN).count("accepted") == 1
    rows = [result(f"other-{at}", "GaN", "A1", "3.1") for at in range(3)]
    with pytest.raises(InputFileError, match="3 candidates"):
        import_sheet(database, write_sheet(tmp_path / "s.csv", rows), candidates=KNOWN)


def test_rows_beyond_the_most_are_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_files, "MOST_ROWS", 3)
    rows = [result("cand-gan", "GaN", f"A{at}", "3.1") for at in range(4)]
    with pytest.raises(InputFileError, match="more than 3 rows"):
        read_sheet_file(write_sheet(tmp_path / "s.csv", rows))


def test_all_questions_of_a_sheet_are_settled_at_once(database: RecordsDatabase, tmp_path: Path) -> None:
    rows = [result("cand-gan", "GaN", f"A{at}", "three", outcome="perhaps") for at in range(5)]
    import_sheet(database, write_sheet(tmp_path / "wrong.csv", rows), candidates=KNOWN)
    import_sheet(database, write_sheet(tmp_path / "other.csv", rows[:1]), candidates=KNOWN)
    assert contents_of(database).open_questions == 10
    place = str(tmp_path / "records.sqlite")
    told = CliRunner().invoke(app, ["questions", "--refuse-sheet", "wrong.csv", "--records", place])
    assert "5 rows taken back" in told.output
    assert (contents_of(database).open_questions, contents_of(database).rows) == (0, {"refused": 5})
    assert CliRunner().invoke(app, ["questions", "--refuse-sheet", "wrong.csv", "--records", place]).exit_code


def test_candidate_of_a_run_that_is_named_later_settles_its_rows(database: RecordsDatabase, tmp_path: Path) -> None:
    """Its promise counts as long as no result of it was accepted, which the run may have learned from."""
    other = KnownCandidate("ZnO", "b", {"band_gap": 3.2}, promise=0.4, campaign="films")
    rows = [result("cand-gan", "GaN", "A1", "3.1"), result("cand-zno", "ZnO", "B1", "3.3")]
    late = result("cand-aln", "AlN", "C1", "6")
    sheet = write_sheet(tmp_path / "s.csv", [*rows, late])
    assert import_sheet(database, sheet, candidates=KNOWN).count("held") == 2
    [question] = [one for one in open_questions(database) if one.cells == late]
    answer_questions(database, {question.id: Answer("as written")})
    found = {"cand-zno": other, "cand-aln": other._replace(formula="AlN")}
    report = import_sheet(database, sheet, candidates={**KNOWN, **found})
    assert (report.known, report.judged_again, contents_of(database).open_questions) == (3, 1, 0)
    assert contents_of(database).values == {"band_gap": 3}
    before = newest_action(database)
    import_sheet(database, sheet, candidates={**KNOWN, **found})
    assert newest_action(database) == before
    with database.reading() as connection:
        promises = {name: one.promise for name, one in candidates_in(connection).items()}
    assert promises["cand-zno"] == 0.4
    assert math.isnan(promises["cand-aln"])


def test_unit_above_the_values_that_contradicts_the_column_of_units_is_asked_about(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    rows = [
        result("cand-gan", "GaN", "A1", "3100"), result("cand-gan", "GaN", "A2", "3100", unit=""),
        result("cand-gan", "GaN", "A3", "2.3", property="refractive index", unit="1"),
    ]  # fmt: skip
    sheet = write_sheet(tmp_path / "s.csv", rows)
    sheet.write_text(sheet.read_text().replace(",value,", ",value (meV),"))
    report = import_sheet(database, sheet, candidates=KNOWN)
    assert [row.verdict for row in report.rows] == ["held", "accepted", "accepted"]
    [question] = open_questions(database)
    assert (question.doubt.code, question.doubt.as_written) == (codes.UNIT, "3100 meV")


def test_number_shown_in_percent_is_read_as_it_is_shown(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append([column.heading("en") for column in RESULTS])
    book.worksheets[0].append([result("cand-gan", "GaN", "Ａ１", "x").get(column.key) for column in RESULTS])
    book.worksheets[0]["L2"] = 0.855
    book.worksheets[0]["L2"].number_format = "0.0%"
    book.save(tmp_path / "s.xlsx")
    [row] = read_sheet_file(tmp_path / "s.xlsx").results
    assert (row.cells["value"], row.cells["sample_id"]) == ("85.5%", "A1")


def test_formula_that_was_never_calculated_is_no_empty_cell(database: RecordsDatabase, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    row = result("cand-gan", "GaN", "A1", "=3+0.1")
    sheet.append([column.heading("en") for column in RESULTS])
    sheet.append([row.get(column.key, "") for column in RESULTS])
    book.save(tmp_path / "sheet.xlsx")
    [held] = import_sheet(database, tmp_path / "sheet.xlsx", candidates=KNOWN).rows
    assert [(doubt.code, doubt.column) for doubt in held.doubts] == [(codes.CELL, "value")]

    table = openpyxl.Workbook()
    for cells in (["formula", "gap"], ["GaN", "=1+2"], ['="Zn"&"O"', 3.3], ["ZnS", 3.5]):
        table.worksheets[0].append(cells)
    table.save(tmp_path / "table.xlsx")
    [rows] = Spreadsheet(tmp_path / "table.xlsx").rows(["formula", "gap"])
    assert rows.table["gap"].to_pylist() == [NEVER_CALCULATED, "3.3", "3.5"]
    assert rows.codes.to_pylist() == [None, "E-TABLE-CELL", None]


def test_one_zero_byte_makes_no_other_encoding(tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "s.csv", [result("cand-gan", "GaN", "A1", "3.1", note="煅烧")])
    content = sheet.read_bytes()
    for cut in (3, 4):
        sheet.write_bytes(content[:cut] + b"\0" + content[cut:])
        assert read_sheet_file(sheet).encoding == "UTF-8"


def test_property_that_nothing_learns_from_is_named(database: RecordsDatabase, tmp_path: Path) -> None:
    row = result("cand-gan", "GaN", "A1", "200", property="bulk modulus", unit="GPa")
    report = import_sheet(database, write_sheet(tmp_path / "s.csv", [row]), candidates=KNOWN)
    assert (report.count("accepted"), report.untaught) == (1, ("bulk_modulus_vrh",))
