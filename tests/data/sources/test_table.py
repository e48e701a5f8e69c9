import csv
import datetime as dt
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.candidates.batch import Intake, Refused
from matloop.data.candidates.identity import text_id
from matloop.data.errors import InputFileError
from matloop.data.readers import table_files
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.contract import Source
from matloop.data.sources.table import FormulaTable

TRAPS = [
    ("0012345", "NaN"),
    ("None", "InF"),
    ("NaN", "None"),
    ("", "NaCl"),
    ("1e5", ""),
    ("null", "NA"),
    ("TRUE", "No"),
    ("=1+1", "YF3"),
    ("-1", "Ba(PO3)2"),
    ("007", "Xx2"),
    (" x ", " KCl "),
    ("1,5", "Fe0"),
    ("InF", "0012345"),
]
"""Ids and formulas that spreadsheets and data frames read as something else."""


def write_csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("id", "formula")) -> FormulaTable:
    save_csv(path, rows, header)
    return FormulaTable(str(path), id_column="id")


def write_xlsx(path: Path, rows: list[tuple[Any, ...]], header: tuple[str, ...] = ("id", "formula")) -> FormulaTable:
    save_xlsx(path, rows, header)
    return FormulaTable(str(path), id_column="id")


def save_csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def save_xlsx(path: Path, rows: list[tuple[Any, ...]], header: tuple[str, ...]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [header, *rows]:
        sheet.append(row)
    for cells in sheet.iter_rows():
        for cell in cells:
            if isinstance(cell.value, str):
                cell.data_type = "s"  # text, though it may begin with =
    book.save(path)


@pytest.fixture(params=["csv", "parquet", "xlsx"])
def traps(request: pytest.FixtureRequest, tmp_path: Path) -> FormulaTable:
    path = tmp_path / f"traps.{request.param}"
    if request.param == "csv":
        return write_csv(path, TRAPS)
    if request.param == "xlsx":
        return write_xlsx(path, TRAPS)
    ids, formulas = zip(*TRAPS, strict=True)
    pq.write_table(pa.table({"id": ids, "formula": formulas, "other": range(len(ids))}), path)
    return FormulaTable(str(path), id_column="id")


def all_rows(intakes: list[Intake]) -> tuple[list[tuple[str, str]], list[tuple[int, str, str]]]:
    """Formula and origin of the candidates; row in the file, text and code of the refused."""
    candidates, refused, start = [], [], 0
    for intake in intakes:
        table = intake.batch.table
        candidates += zip(*(table.column(k).to_pylist() for k in ("formula", "origin")), strict=True)
        refused += [(start + row.row, row.formula, row.code) for row in intake.refused]
        start += len(intake.batch) + len(intake.refused)
    return candidates, refused


def test_it_is_a_source_of_that_name(traps: FormulaTable) -> None:
    assert lookup("source", SOURCES, "table") is FormulaTable
    assert isinstance(traps, Source)


def test_ids_and_formulas_are_text(traps: FormulaTable) -> None:
    (intake,) = traps.intakes(100)
    candidates, refused = all_rows([intake])
    assert candidates == [
        ("NaN", "0012345"),
        ("InF", "None"),
        ("NaCl", ""),
        ("No", "TRUE"),
        ("YF3", "=1+1"),
        ("Ba(PO3)2", "-1"),
        ("KCl", " x "),
    ]
    assert refused == [
        (2, "None", "E-FORMULA-SYNTAX"),
        (4, "", "E-FORMULA-EMPTY"),
        (5, "NA", "E-FORMULA-ELEMENT"),
        (9, "Xx2", "E-FORMULA-ELEMENT"),
        (11, "Fe0", "E-FORMULA-AMOUNT"),
        (12, "0012345", "E-FORMULA-SYNTAX"),
    ]
    assert all(row.candidate_id == text_id(row.formula) for row in intake.refused)


@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13, 1000])
def test_batches_of_any_size_give_the_same_rows_and_counts_add_up(size: int, traps: FormulaTable) -> None:
    intakes = list(traps.intakes(size))
    lengths = [len(intake.batch) + len(intake.refused) for intake in intakes]
    assert lengths == [size] * (len(TRAPS) // size) + ([len(TRAPS) % size] if len(TRAPS) % size else [])
    assert sum(lengths) == traps.count() == len(TRAPS)
    assert all_rows(intakes) == all_rows(list(traps.intakes(100)))
    extra = ["table_other"] if traps.path.suffix == ".parquet" else []
    for intake in intakes:
        assert intake.batch.table.schema.names == ["candidate_id", "formula", "origin", *extra]


def test_origin_is_the_formula_as_written_where_there_is_no_id(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", TRAPS)
    (intake,) = FormulaTable(str(tmp_path / "t.csv")).intakes(100)
    assert intake.batch.table["origin"].to_pylist() == ["NaN", "InF", "NaCl", "No", "YF3", "Ba(PO3)2", " KCl "]


def test_one_column_may_be_both(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", TRAPS)
    pq.write_table(pa.table({"formula": ["NaCl", "?"]}), tmp_path / "t.parquet")
    for name, count in (("t.csv", 7), ("t.parquet", 1)):
        table = FormulaTable(str(tmp_path / name), id_column="formula")
        assert len(all_rows(list(table.intakes(100)))[0]) == count


def test_other_column_names_and_other_columns(tmp_path: Path) -> None:
    rows = [("1", "K2O", "3.5", "x"), ("2", "Rb2O", "n.d.", "y")]
    save_csv(tmp_path / "t.csv", rows, ("number", "成分", "value", "note"))
    table = FormulaTable(str(tmp_path / "t.csv"), formula_column="成分", id_column="note")
    assert all_rows(list(table.intakes(10)))[0] == [("K2O", "x"), ("Rb2O", "y")]


@given(st.lists(st.tuples(st.text(max_size=8), st.sampled_from(["NaCl", "", "NaN", "?", "MgO"])), max_size=12))
def test_any_id_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    rows = [("".join(c for c in name if c not in "\r\n\0" and c.isprintable()), formula) for name, formula in rows]
    table = write_csv(tmp_path_factory.mktemp("ids") / "t.csv", rows)
    assert table.count() == len(rows)
    candidates, refused = all_rows(list(table.intakes(5)))
    plain = [(re.sub(r"^'(?=[=+\-@])", "", name), formula) for name, formula in rows]
    assert [origin for _, origin in candidates] == [name for name, formula in plain if formula not in ("", "?")]
    assert [row for row, _, _ in refused] == [at for at, (_, formula) in enumerate(rows) if formula in ("", "?")]


def test_null_of_a_parquet_column_is_an_empty_formula(tmp_path: Path) -> None:
    pq.write_table(pa.table({"formula": ["NaCl", None], "id": [12, None]}), tmp_path / "t.parquet")
    (intake,) = FormulaTable(str(tmp_path / "t.parquet"), id_column="id").intakes(10)
    assert intake.batch.table["origin"].to_pylist() == ["12"]
    assert intake.refused == [Refused(1, text_id(""), "", "E-FORMULA-EMPTY", "row 2: ")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_byte_order_mark(ending: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "t.CSV").write_bytes(ending.join(["formula", "NaCl", "MgO", ""]).encode(encoding))
    assert all_rows(list(FormulaTable(str(tmp_path / "t.CSV")).intakes(9)))[0] == [
        ("NaCl", "NaCl"),
        ("MgO", "MgO"),
    ]


def test_header_alone_has_no_rows(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", [])
    assert table.count() == 0
    assert list(table.intakes(10)) == []


def test_missing_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"E-INPUT-FILE: no file .*gone.csv"):
        FormulaTable(str(tmp_path / "gone.csv"))
    with pytest.raises(InputFileError, match="E-INPUT-FILE: no file"):
        FormulaTable(str(tmp_path))


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_missing_column_is_refused_with_the_nearest_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        save_csv(path, [("1", "NaCl")], ("id", "Formulas"))
    elif kind == "xlsx":
        save_xlsx(path, [("1", "NaCl")], ("id", "Formulas"))
    else:
        pq.write_table(pa.table({"id": ["1"], "Formulas": ["NaCl"]}), path)
    with pytest.raises(InputFileError, match=r"no column 'formula'.*: 'id', 'Formulas'.*formula_column: 'Formulas'\?"):
        FormulaTable(str(path))
    with pytest.raises(InputFileError, match=r"no column 'sample'.*name the column with id_column"):
        FormulaTable(str(path), formula_column="Formulas", id_column="sample")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.csv", b"", "Empty CSV"),
        ("latin.csv", b"formula\nNaCl\xb7H2O\n", "not in UTF-8: .*Windows-1252.*CSV UTF-8"),
        ("gbk.csv", "id,formula\n食盐,食盐\n".encode("gbk"), "not in UTF-8: .*GB18030.*CSV UTF-8"),
        ("late.csv", b"formula\n" + b"NaCl\n" * 500_000 + b"\xff\n", "not in UTF-8"),
        ("utf16.csv", "formula\nNaCl\n".encode("utf-16"), "not in UTF-8: it begins like UTF-16"),
        ("semicolons.csv", b"id;formula\n1;NaCl\n", "no column 'formula'.*separate the columns by commas"),
        ("twins.csv", b"formula,x,x\nNaCl,1,2\n", "two columns 'x'"),
        ("quote.csv", b'formula,x\n"NaCl,1\nMgO,2\nKCl,3\n', "quotation mark in row 1 is never closed"),
        ("book.csv", b"PK\3\4", "is a spreadsheet"),
        ("wide.csv", b"formula\n" + b"x" * 9_000_000, "block"),
        ("text.parquet", b"formula\nNaCl\n", "Parquet"),
        ("torn.parquet", b"PAR1\x00\x00PAR1", "Parquet"),
        ("text.xlsx", b"formula\nNaCl\n", "no zip"),
    ],
)
def test_unreadable_file_is_refused_with_its_name(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputFileError, match=rf"E-INPUT-FILE: .*{name}.*{reason}"):
        FormulaTable(str(tmp_path / name)).count()


def test_what_is_no_table_by_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_bytes(b"")
    with pytest.raises(InputFileError, match=r"t.xls is no table.*\.csv, \.xlsx or \.parquet"):
        FormulaTable(str(tmp_path / "t.xls"))


@pytest.mark.parametrize("values", [[["Na", "Cl"]], [12], [1.5], [True]])
def test_a_parquet_column_that_is_no_text_holds_no_formulas(values: list[Any], tmp_path: Path) -> None:
    pq.write_table(pa.table({"formula": values}), tmp_path / "t.parquet")
    with pytest.raises(InputFileError, match=r"E-INPUT-FILE: .*the formulas in 'formula' are"):
        FormulaTable(str(tmp_path / "t.parquet")).count()


NUMBERS = {
    "formula": ["NaCl", "MgO", "?", "K2O"],
    "length": ["1", "-2.5", "7", "3e-2"],
    "gaps": ["", " 4 ", "", ""],
    "name": ["007", "008", "009", "010"],
    "note": ["1", "2", "n.d.", "3"],
    "hash": ["1", "2", "3", "12345678901234567890"],
    "missing": ["1", "NaN", "2", "3"],
    "nothing": ["", "", "", ""],
    "": ["1", "2", "3", "4"],
    "band_gap_exp": ["1.5", "", "2", "about 3"],
    "probability": ["1", "1", "1", "1"],
}


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("size", [2, 100])
def test_columns_of_numbers_travel_and_text_stays_behind(kind: str, size: int, tmp_path: Path) -> None:
    save = save_csv if kind == "csv" else save_xlsx
    save(tmp_path / f"t.{kind}", list(zip(*NUMBERS.values(), strict=True)), tuple(NUMBERS))
    parts = list(FormulaTable(str(tmp_path / f"t.{kind}")).intakes(size))
    table = pa.concat_tables([part.batch.table for part in parts])
    assert {name: table[name].to_pylist() for name in table.column_names[3:]} == {
        "table_length": [1.0, -2.5],
        "table_gaps": [None, 4.0],
        "band_gap_exp": [1.5, None],
        "table_probability": [1.0, 1.0],
    }
    assert all(table[name].type == pa.float64() for name in table.column_names[3:])
    refused = [(r.formula, r.code, r.detail) for part in parts for r in part.refused]
    place = "t.csv, row 5" if kind == "csv" else "t.xlsx, sheet 'Sheet', cell J5"
    no_number = f"{place}, column 'band_gap_exp' holds 'about 3'; write a number in eV, or leave it empty"
    assert refused == [("?", "E-FORMULA-SYNTAX", "row 3: ?"), ("K2O", "E-TABLE-NUMBER", f"row 4: K2O: {no_number}")]
    assert sum(len(part.batch) + len(part.refused) for part in parts) == 4


def test_numbers_of_a_parquet_file_travel(tmp_path: Path) -> None:
    columns = {
        "formula": pa.array(["NaCl", "MgO", "KCl"]).dictionary_encode(),
        "whole": pa.array([1, None, 3], pa.int8()),
        "single": pa.array([0.5, float("nan"), 1], pa.float32()),
        "flag": [True, False, True],
        "digits": ["1", "2", "3"],
        "lists": [[1], [2], [3]],
        "band_gap_dft": [1.0, 2.0, float("inf")],
        "shear_modulus_vrh_exp": pa.array(["90", "", "91"], pa.large_string()),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    (intake,) = FormulaTable(str(tmp_path / "t.parquet")).intakes(10)
    table = intake.batch.table
    assert {name: table[name].to_pylist() for name in table.column_names[3:]} == {
        "table_whole": [1.0, None],
        "table_single": [0.5, None],
        "table_flag": [1.0, 0.0],
        "band_gap_dft": [1.0, 2.0],
        "shear_modulus_vrh_exp": [90.0, None],
    }
    assert [(refused.row, refused.formula, refused.code) for refused in intake.refused] == [
        (2, "KCl", "E-TABLE-NUMBER")
    ]


@settings(max_examples=25)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_a_number_comes_back_to_the_last_digit(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    values = [value for value in values if abs(value) < 1e15] or [0.5]
    folder = tmp_path_factory.mktemp("numbers")
    rows = [("1", "NaCl", value) for value in values]
    write_csv(folder / "t.csv", rows, ("id", "formula", "x"))
    write_xlsx(folder / "t.xlsx", rows, ("id", "formula", "x"))
    for name, precision in (("t.csv", 0), ("t.xlsx", 1e-15)):  # openpyxl writes 16 digits
        (intake,) = FormulaTable(str(folder / name)).intakes(10)
        np.testing.assert_allclose(intake.batch.column("table_x"), values, rtol=precision, atol=0)


@pytest.mark.parametrize("block", [64, 4_000_000])
def test_ragged_rows_are_refused_where_they_stand(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "_BLOCK_BYTES", block)
    lines = [
        "id,formula,x",
        "short",
        "",
        *(f"{n},NaCl,{n}" for n in range(9)),
        "a,b,c,d",
        '"two\nlines",MgO,3',
        "",
        "u,v",
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines), "utf-8")
    source = FormulaTable(str(tmp_path / "t.csv"), id_column="id")
    assert source.count() == 13
    for size in (1, 4, 100):
        candidates, refused = all_rows(list(source.intakes(size)))
        assert [origin for _, origin in candidates] == [*map(str, range(9)), "two\nlines"]
        assert refused == [(0, "", "E-TABLE-RAGGED"), (10, "", "E-TABLE-RAGGED"), (12, "", "E-TABLE-RAGGED")]
    details = [row.detail for intake in source.intakes(5) for row in intake.refused]
    assert details[1] == "row 11: 4 cells, 3 columns: a,b,c,d"
    assert len({row.candidate_id for intake in source.intakes(5) for row in intake.refused}) == 3


def test_cells_of_a_sheet_that_are_no_text(tmp_path: Path) -> None:
    rows = [
        (7, "NaCl", 1), (7.5, 1000.0, 2), (True, dt.datetime(2024, 5, 1), 3), (None, True, 4),
        (dt.datetime(2024, 5, 1), "MgO", "5"), (1e20, None, None), ("x", "#N/A", 7), ("0012", "KCl", None),
    ]  # fmt: skip
    source = write_xlsx(tmp_path / "t.xlsx", rows, ("id", "formula", "x"))
    (intake,) = source.intakes(100)
    assert intake.batch.table["origin"].to_pylist() == ["7", "2024-05-01T00:00:00", "0012"]
    assert intake.batch.table["table_x"].to_pylist() == [1.0, 5.0, None]
    assert [(r.row, r.formula, r.code) for r in intake.refused] == [
        (1, "1000", "E-TABLE-CELL"),
        (2, "2024-05-01T00:00:00", "E-TABLE-CELL"),
        (3, "TRUE", "E-TABLE-CELL"),
        (5, "", "E-FORMULA-EMPTY"),
        (6, "#N/A", "E-FORMULA-SYNTAX"),
    ]


def test_only_the_first_sheet_its_header_and_no_empty_rows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["B3"], sheet["C3"], sheet["B5"], sheet["C9"], sheet["D9"] = "formula", "x", "NaCl", 4, "beyond"
    sheet["B10"] = "merged"
    sheet.merge_cells("B10:B11")
    sheet["C11"] = 1
    book.create_sheet("other")["A1"] = "formula"
    book.save(tmp_path / "t.xlsx")
    (intake,) = FormulaTable(str(tmp_path / "t.xlsx")).intakes(100)
    assert intake.batch.formulas == ["NaCl"]
    assert [(r.formula, r.code) for r in intake.refused] == [
        ("", "E-FORMULA-EMPTY"),
        ("merged", "E-FORMULA-SYNTAX"),
        ("", "E-FORMULA-EMPTY"),
    ]


def test_a_file_that_changes_under_the_run_is_noticed(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "t.csv", [("1", "NaCl")])
    assert source.count() == 1
    write_csv(tmp_path / "t.csv", [("1", "NaCl"), ("2", "MgO")])
    with pytest.raises(InputFileError, match=r"t\.csv changed while it was read"):
        list(source.intakes(10))


@pytest.mark.parametrize(
    ("delimiter", "line"), [(",", "sep=,"), (";", '"sep=;"'), ("\t", "SEP=\t"), (",", "\ufeffsep=,")]
)
def test_a_line_that_states_the_delimiter_is_no_header(delimiter: str, line: str, tmp_path: Path) -> None:
    rows = ["formula,band_gap_exp", "SiO2,8.9", "short", "TiO2,3.2", "MgO,wide"]
    text = "\r\n".join([line, *(row.replace(",", delimiter) for row in rows)])
    (tmp_path / "t.csv").write_text(text, "utf-8", newline="")
    (intake,) = FormulaTable(str(tmp_path / "t.csv")).intakes(10)
    assert intake.batch.formulas == ["SiO2", "TiO2"]
    assert intake.batch.table["band_gap_exp"].to_pylist() == [8.9, 3.2]
    assert [(refused.row, refused.code) for refused in intake.refused] == [(1, "E-TABLE-RAGGED"), (3, "E-TABLE-NUMBER")]
    assert "t.csv, row 6, column 'band_gap_exp'" in intake.refused[1].detail


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_row_of_units_is_named_and_spoils_no_column(kind: str, tmp_path: Path) -> None:
    rows = [("1", "", "eV", "g/cm3"), ("2", "SiO2", "8.9", "2.65"), ("3", "TiO2", "3.2", "4.23")]
    save = save_csv if kind == "csv" else save_xlsx
    save(tmp_path / f"t.{kind}", rows, ("id", "formula", "band_gap_exp", "density"))
    (intake,) = FormulaTable(str(tmp_path / f"t.{kind}")).intakes(10)
    assert intake.batch.table["table_density"].to_pylist() == [2.65, 4.23]
    (refused,) = intake.refused
    assert refused.code == "E-TABLE-NUMBER"
    assert ("t.csv, row 2" if kind == "csv" else "t.xlsx, sheet 'Sheet', cell C2") in refused.detail
    assert "holds 'eV'; write a number in eV" in refused.detail
    assert "if this row holds the units, remove it" in refused.detail


def test_cells_are_named_by_their_rows_in_the_sheet(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [("SiO2", 8.9), (None, None), (None, None), (1000.0, 1.0), ("TiO2", "n.d.")]
    save_xlsx(tmp_path / "t.xlsx", rows, ("formula", "band_gap_exp"))
    (intake,) = FormulaTable(str(tmp_path / "t.xlsx")).intakes(10)
    assert ["cell A5" in intake.refused[0].detail, "cell B6" in intake.refused[1].detail] == [True, True]


def test_a_strict_workbook_is_refused_with_the_mend(tmp_path: Path) -> None:
    save_xlsx(tmp_path / "plain.xlsx", [("SiO2",)], ("formula",))
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as strict:
        for name in plain.namelist():
            content = plain.read(name)
            for old, new in (("spreadsheetml/2006/", "spreadsheetml/"), ("officeDocument/2006/", "officeDocument/")):
                content = content.replace(
                    f"http://schemas.openxmlformats.org/{old}".encode(), f"http://purl.oclc.org/ooxml/{new}".encode()
                )
            strict.writestr(name, content)
    with pytest.raises(InputFileError, match=r"t\.xlsx is saved as 'Strict Open XML.*save it as 'Excel Workbook"):
        FormulaTable(str(tmp_path / "t.xlsx"))
