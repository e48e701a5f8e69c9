"""The result sheet as files: what is prepared in it, what a spreadsheet checks, and that nothing in it is a formula."""

import csv
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from matloop.data.properties.units import convert
from matloop.data.records.result_sheet import RESULTS, STEPS, Language, keys_of_headings, plain_heading
from matloop.screening.dossier.result_sheet_files import SheetFor, units_of, write_result_sheet

HOSTILE = "=cmd|'/C calc'!A0"
BOTH = pytest.mark.parametrize("language", ["en", "zh"])


def written(folder: Path, language: Language, *, formula: str = "Ga2S3", name: str = "x4f534caa7f0ac7662d79") -> Path:
    write_result_sheet(folder, [SheetFor(name, formula, ["band_gap", "refractive_index"])], language=language)
    return folder


def rows_of(sheet: Worksheet) -> list[dict[str, object]]:
    """Rows of a table by key of the column."""
    keys = keys_of_headings(RESULTS if sheet.max_column == len(RESULTS) else STEPS)
    headings = [keys[plain_heading(str(cell.value))] for cell in sheet[1]]
    rows = ([cell.value for cell in row] for row in sheet.iter_rows(min_row=2))
    return [dict(zip(headings, row, strict=True)) for row in rows if any(cell is not None for cell in row)]


@BOTH
def test_each_wanted_property_has_a_row_with_its_unit(tmp_path: Path, language: Language) -> None:
    book = load_workbook(written(tmp_path, language) / "result_sheet.xlsx")
    rows = rows_of(book.worksheets[0])
    assert [row["unit"] for row in rows] == ["eV", "1"]
    assert [row["property"] for row in rows] == (
        ["band gap", "refractive index"] if language == "en" else ["带隙", "折射率"]
    )
    assert {row["candidate_id"] for row in rows} == {"x4f534caa7f0ac7662d79"}
    assert [row["step"] for row in rows_of(book.worksheets[1])] == [1, 2, 3]


@BOTH
def test_csv_has_the_same_rows_as_the_workbook(tmp_path: Path, language: Language) -> None:
    book = load_workbook(written(tmp_path, language) / "result_sheet.xlsx")
    for number, (name, columns) in enumerate({"result_sheet.csv": RESULTS, "process_steps.csv": STEPS}.items()):
        with (tmp_path / name).open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
        assert lines[0] == [column.heading(language) for column in columns]
        texts = [
            ["" if value is None else str(value) for value in row.values()] for row in rows_of(book.worksheets[number])
        ]
        assert lines[1:] == texts


@BOTH
def test_drop_down_lists_hold_exactly_the_choices(tmp_path: Path, language: Language) -> None:
    book = load_workbook(written(tmp_path, language) / "result_sheet.xlsx")
    for sheet, columns in zip(book.worksheets, (RESULTS, STEPS), strict=False):
        lists = {
            str(check.sqref).split("2:")[0]: check.formula1
            for check in sheet.data_validations.dataValidation
            if check.type == "list"
        }
        for at, column in enumerate(columns, start=1):
            if column.kind != "choice":
                continue
            title, _, cells = lists[sheet.cell(1, at).column_letter].rpartition("!")
            found = [row[0].value for row in book[title.strip("'")][cells.replace("$", "")]]
            assert found == column.words(language)


@BOTH
def test_the_check_of_units_knows_every_unit_of_a_property_and_no_other(tmp_path: Path, language: Language) -> None:
    book = load_workbook(written(tmp_path, language) / "result_sheet.xlsx")
    (check,) = (one for one in book.worksheets[0].data_validations.dataValidation if one.type == "custom")
    assert check.formula1.startswith("COUNTIFS(")
    assert (check.showErrorMessage, check.errorStyle) == (True, "stop")
    lists = [(row[0].value, row[1].value) for row in book.worksheets[3].iter_rows(min_row=2) if row[0].value]
    gap = "band gap" if language == "en" else "带隙"
    assert {unit for label, unit in lists if label == gap} == set(units_of("band_gap")) == {"eV", "meV"}
    assert convert(1000, "meV", "eV") == pytest.approx(1)


def test_numbers_beyond_their_limits_are_stopped(tmp_path: Path) -> None:
    sheet = load_workbook(written(tmp_path, "en") / "result_sheet.xlsx").worksheets[1]
    at = next(number for number, column in enumerate(STEPS, start=1) if column.key == "temperature")
    letter = sheet.cell(1, at).column_letter
    (check,) = (one for one in sheet.data_validations.dataValidation if str(one.sqref).startswith(f"{letter}2"))
    assert (check.type, float(check.formula1), float(check.formula2)) == ("decimal", -273.15, 4000)


@BOTH
def test_hostile_names_stay_text_in_every_file(tmp_path: Path, language: Language) -> None:
    folder = written(tmp_path, language, formula=f"{HOSTILE}\u202e", name=f"＝1+1{HOSTILE}")
    book = load_workbook(folder / "result_sheet.xlsx")
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell.coordinate for cell in cells if cell.data_type == "f"]
    texts = [str(cell.value) for cell in cells] + [
        cell
        for name in ("result_sheet.csv", "process_steps.csv")
        for line in csv.reader((folder / name).read_text("utf-8-sig").splitlines())
        for cell in line
    ]
    assert [text for text in texts if "cmd" in text]
    assert not [text for text in texts if text.startswith(("=", "+", "@", "＝", "\t")) or "\u202e" in text]


def test_cells_for_text_are_formatted_as_text(tmp_path: Path) -> None:
    """What begins with an equals sign stays text there, whoever types it."""
    sheet = load_workbook(written(tmp_path, "en") / "result_sheet.xlsx").worksheets[0]
    for at, column in enumerate(RESULTS, start=1):
        if column.kind in ("text", "choice", "property", "unit"):
            assert {sheet.cell(row, at).number_format for row in (2, 50, 201)} == {"@"}
