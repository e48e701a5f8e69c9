"""Faults of tables that a run survives: text that spreadsheets misread, formulas of chemistry and of sheets, bombs."""

import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Composition

from matloop.data.errors import InputFileError
from matloop.data.readers import xlsx as spreadsheet
from matloop.data.sources.table import FormulaTable
from matloop.data.whole_files import write_csv

KINDS = ("csv", "xlsx", "parquet")


def table_of(folder: Path, kind: str, columns: dict[str, list[str]]) -> FormulaTable:
    """All cells as text."""
    path = folder / f"t.{kind}"
    rows = list(zip(*columns.values(), strict=True))
    if kind == "parquet":
        pq.write_table(pa.table(columns), path)
    elif kind == "csv":
        path.write_text("\n".join(",".join(row) for row in [tuple(columns), *rows]), "utf-8")
    else:
        book = openpyxl.Workbook()
        for row in [tuple(columns), *rows]:
            book.active.append(row)
        book.save(path)
    return FormulaTable(str(path), id_column="id" if "id" in columns else None)


@pytest.mark.parametrize("kind", KINDS)
def test_r9_formula_traps_are_normalised_or_refused(kind: str, tmp_path: Path) -> None:
    read = ["CuSO₄·5H₂O", "CuSO4·5H2O", "ＮａＣｌ", "K₂[PtCl₆]", "CuSO4•5H2O"]
    refused = dict.fromkeys(("D2O", "T2", "Xx2"), "ELEMENT") | {"Fe0": "AMOUNT", "Na+": "SYNTAX"}
    refused["CuSO4.5H2O"] = "AMBIGUOUS"
    (intake,) = table_of(tmp_path, kind, {"formula": [*read, *refused]}).intakes(100)
    assert intake.batch.table["origin"].to_pylist() == read
    hydrate, salt, complex_salt = [{"Cu": 1, "S": 1, "O": 9, "H": 10}, {"Na": 1, "Cl": 1}, {"K": 2, "Pt": 1, "Cl": 6}]
    found = [Composition(formula).get_el_amt_dict() for formula in intake.batch.formulas]
    assert found == [hydrate, hydrate, salt, complex_salt, hydrate]
    assert {row.formula: row.code for row in intake.refused} == {k: f"E-FORMULA-{v}" for k, v in refused.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_r10_text_that_looks_like_something_else_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    ids = ["NaN", "InF", "None", "0012345", "1e5", "TRUE", "NA", "null", "12345678901234567890", "1-2", "inf"]
    formulas = ["NaN", "InF", "No", "NaN", "InF", "No", "NaN", "InF", "No", "NaN", "InF"]
    (intake,) = table_of(tmp_path, kind, {"id": ids, "formula": formulas}).intakes(100)
    assert intake.batch.table["origin"].to_pylist() == ids
    assert intake.batch.formulas == formulas
    columns = {"formula": ["None", "0012345", "1E3", "nan"]}
    (intake,) = table_of(tmp_path, kind, columns).intakes(100)
    assert [row.formula for row in intake.refused] == columns["formula"]


def test_s8_the_apostrophe_that_guards_text_is_removed_again(tmp_path: Path) -> None:
    names = ["=1+1", "+cmd|' /C calc'!A0", "-1", "@SUM(A1)", "'quoted'", "plain"]
    write_csv(tmp_path / "t.csv", ["id", "formula"], [(name, "NaCl") for name in names])
    assert "'=1+1" in (tmp_path / "t.csv").read_text("utf-8-sig")
    (intake,) = FormulaTable(str(tmp_path / "t.csv"), id_column="id").intakes(100)
    assert intake.batch.table["origin"].to_pylist() == names


def test_s8_a_formula_of_the_spreadsheet_is_not_evaluated(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["formula", "x", "note"])
    book.active.append(['="Na"&"Cl"', "=1+1", "a salt"])
    book.active.append(["'MgO", 3, "an oxide"])
    book.save(tmp_path / "never calculated.xlsx")
    (intake,) = FormulaTable(str(tmp_path / "never calculated.xlsx")).intakes(10)
    assert [(row.row, row.code) for row in intake.refused] == [(0, "E-TABLE-CELL")]
    assert intake.batch.formulas == ["MgO"]
    # A spreadsheet program stores the value beside the formula.
    stored = {
        '<f>"Na"&amp;"Cl"</f><v></v>': '<f>"Na"&amp;"Cl"</f><v>NaCl</v>',
        "<f>1+1</f><v></v>": "<f>1+1</f><v>2</v>",
    }
    path = repacked(tmp_path / "never calculated.xlsx", tmp_path / "calculated.xlsx", stored)
    (intake,) = FormulaTable(str(path)).intakes(10)
    assert intake.batch.formulas == ["NaCl", "MgO"]
    assert intake.batch.table["table_x"].to_pylist() == [2.0, 3.0]


SHEET = "xl/worksheets/sheet1.xml"


def repacked(path: Path, to: Path, changes: dict[str, str], *, part: str = SHEET) -> Path:
    """A copy with text of one part replaced."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = old.read(member).decode("utf-8")
            if member.filename == part:
                for before, after in changes.items():
                    assert before in content or not before
                    content = content.replace(before, after) if before else after
                if 't="str"' not in content:
                    content = content.replace('<c r="A2"><f>', '<c r="A2" t="str"><f>')
            new.writestr(member.filename, content)
    return to


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    for row in (["formula", "x"], ["NaCl", 1], ["MgO", 2]):
        book.active.append(row)
    book.save(tmp_path / "plain.xlsx")
    return tmp_path / "plain.xlsx"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))


@pytest.mark.parametrize(
    ("changes", "part", "reason"),
    [
        ({"<worksheet": f"<!DOCTYPE x [{LAUGHS}]><worksheet", ">2<": ">&l9;<"}, SHEET, "declares a document type"),
        ({"": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'}, "xl/workbook.xml", "declares a document type"),
        ({"": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'}, "xl/styles.xml", "document type"),
        ({"": "<a>" * 5_000 + "</a>" * 5_000}, "xl/styles.xml", "nested more than 100 deep"),
        ({'<row r="3"': '<row r="999999999"'}, SHEET, "a row numbered '999999999'"),
        ({'<row r="3"': '<row r="1048577"'}, SHEET, "a row numbered '1048577'"),
        ({'<row r="3"': '<row r="1"'}, SHEET, "a row numbered '1'"),
        ({'<row r="3"': '<row r="3e0"'}, SHEET, "a row numbered '3e0'"),
        ({'r="B3"': 'r="ZZZ3"'}, SHEET, "a cell named 'ZZZ3'"),
        ({'r="B3"': 'r="B99999999999"'}, SHEET, "a cell named"),
        ({"</worksheet>": ""}, SHEET, "a broken XML part"),
        ({">2<": ">two<"}, SHEET, "could not convert|invalid literal"),
        ({"": "<x/>"}, "xl/workbook.xml", ""),
    ],
)
def test_s10_hostile_xml_in_a_spreadsheet_is_refused(
    changes: dict[str, str], part: str, reason: str, plain: Path, tmp_path: Path
) -> None:
    path = repacked(plain, tmp_path / "t.xlsx", changes, part=part)
    with pytest.raises(InputFileError, match=rf"E-INPUT-FILE: t\.xlsx.*({reason})"):
        FormulaTable(str(path)).count()


def with_shared_strings(plain: Path, strings: str) -> Path:
    """The sheet with its second formula among the shared strings, as spreadsheet programs write it."""
    path = repacked(plain, plain.with_name("1.xlsx"), {'t="inlineStr"><is><t>MgO</t></is>': 't="s"><v>0</v>'})
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    path = repacked(path, plain.with_name("t.xlsx"), {"</Types>": override}, part="[Content_Types].xml")
    with zipfile.ZipFile(path, "a") as package:
        package.writestr("xl/sharedStrings.xml", strings)
    return path


def test_s10_shared_strings_are_read_and_entities_in_them_refused(plain: Path) -> None:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    (intake,) = FormulaTable(str(with_shared_strings(plain, f"<sst {space}><si><t>KCl</t></si></sst>"))).intakes(9)
    assert intake.batch.formulas == ["NaCl", "KCl"]
    with pytest.raises(InputFileError, match=r"t\.xlsx: .*out of range"):
        FormulaTable(str(with_shared_strings(plain, f"<sst {space}/>"))).count()
    laughs = f"<!DOCTYPE x [{LAUGHS}]><sst {space}><si><t>&l9;</t></si></sst>"
    with pytest.raises(InputFileError, match="declares a document type"):
        FormulaTable(str(with_shared_strings(plain, laughs))).count()


def test_s10_a_wide_encoding_or_another_name_hides_no_document_type(plain: Path, tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    for name, content in (
        ("xl/media/image.bin", text.encode("utf-16")),
        ("xl/y.bin", b" " * 100_000 + b"<!DOCTYPE x><x/>"),
    ):
        path = tmp_path / "t.xlsx"
        path.write_bytes(plain.read_bytes())
        with zipfile.ZipFile(path, "a") as package:
            package.writestr(name, content)
        with pytest.raises(InputFileError, match="declares a document type"):
            FormulaTable(str(path)).count()


def bomb(members: int, size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for n in range(members):
            package.writestr(f"xl/{n}.xml", b" " * size)
    return packed.getvalue()


def lies(content: bytes) -> bytes:
    """A zip whose directory says that its members are small."""
    return content.replace((30_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: bomb(1, 30_000_000), r"30,000,000 bytes packed 1,024-fold\. Allowed: 200-fold"),
        (lambda: bomb(2_001, 1), "2,001 members"),
        (lambda: lies(bomb(1, 30_000_000)), "CRC|size|incorrect"),
        (lambda: b"PK\3\4" + bytes(100), "zip"),
        (lambda: bomb(1, 10)[:-30], "zip"),
        (lambda: b"\xd0\xcf\x11\xe0" + bytes(600), "zip"),
    ],
)
def test_s11_a_zip_bomb_is_refused_before_it_is_unpacked(
    make: Callable[[], bytes], reason: str, tmp_path: Path
) -> None:
    (tmp_path / "t.xlsx").write_bytes(make())
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(InputFileError, match=rf"E-INPUT-FILE: t\.xlsx.*({reason})"):
        FormulaTable(str(tmp_path / "t.xlsx")).count()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert time.monotonic() - start < 10


def test_s11_a_part_held_in_memory_is_bounded(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "MAX_PART_BYTES", 100)
    with pytest.raises(InputFileError, match="bytes in one part"):
        FormulaTable(str(plain)).count()


def test_random_damage_to_a_spreadsheet_gives_rows_or_one_coded_error(plain: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(plain) as package:
        sheet = package.read(SHEET).decode("utf-8")
    for place in range(60, len(sheet), 9):
        damaged = sheet[:place] + sheet[place + 3 :]
        path = repacked(plain, tmp_path / "t.xlsx", {"": damaged})
        try:
            source = FormulaTable(str(path))
            count = source.count()
        except InputFileError:
            continue
        assert sum(len(part.batch) + len(part.refused) for part in source.intakes(10)) == count
