"""A list of known formulas is read whatever wrote it; every row that is no formula is told."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from matloop.data.candidates.compositions import composition_keys
from matloop.data.errors import InputFileError
from matloop.data.training import known_formulas
from matloop.data.training.known_formulas import read_known_formulas
from tests.strategies import batch_of


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bom.csv", b"\xef\xbb\xbfformula,name\nFe2O3,a\nNaCl,b\n"),
        ("crlf.txt", b"Fe2O3 \r\n\r\n NaCl\r\n"),
        ("returns.txt", b"Fe2O3\rNaCl"),
        ("utf16.txt", "Fe2O3\nNaCl\n".encode("utf-16")),
        ("semicolons.csv", b"sep=;\nname;Formula \na;Fe2O3\nb;NaCl\n"),
        ("without_header.csv", b"Fe2O3\nNaCl\n"),
        ("heading.txt", b"Formula\nFe2O3\nNaCl\n"),
        ("repeats.txt", b"Fe2O3\nO6Fe4\nNaCl\nFe2O3\n"),
        ("subscripts.txt", "Fe₂O₃\nNa1Cl1".encode()),
    ],
)
def test_lists_as_programs_write_them(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    known = read_known_formulas(tmp_path / name)
    assert known.compositions.formulas == ["Fe2O3", "NaCl"]
    assert not known.unread
    assert known.lines() == [f"{name}: {known.rows} rows with 2 compositions count as known"]


def test_spreadsheets_and_parquet(tmp_path: Path) -> None:
    book = Workbook()
    for row in (["formula", "note"], ["Fe2O3", 1], [20231105, 2]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    pq.write_table(pa.table({"compound": ["NaCl", None]}), tmp_path / "a.parquet")
    sheet, columns = read_known_formulas(tmp_path / "a.xlsx"), read_known_formulas(tmp_path / "a.parquet")
    assert (sheet.compositions.formulas, columns.compositions.formulas) == (["Fe2O3"], ["NaCl"])
    assert [row[::2] for row in (*sheet.unread, *columns.unread)] == [(3, "E-TABLE-CELL"), (3, "E-FORMULA-EMPTY")]


def test_rows_that_are_no_formulas_are_told_and_the_others_count(tmp_path: Path) -> None:
    path = tmp_path / "odd, list.csv"
    path.write_text("formula,note\nD2O,\nLi1+xMn2O4,\n'=cmd|' /C calc'!A0,\nLa0.7Sr0.3MnO3,\nNaCl\nMgO,1,2\n,\nZnO,\n")
    known = read_known_formulas(path)
    assert known.name == "odd  list.csv", "a comma separates the names of lists"
    assert known.rows == 8
    assert [(row.number, row.code) for row in known.unread] == [
        (2, "E-FORMULA-ELEMENT"), (3, "E-FORMULA-SYNTAX"), (4, "E-FORMULA-SYNTAX"), (6, "E-TABLE-RAGGED"),
        (7, "E-TABLE-RAGGED"), (8, "E-FORMULA-EMPTY"),
    ]  # fmt: skip
    assert "write H for deuterium" in known.lines()[1]
    assert known.lines()[-1] == "  and 1 more; known_unread.csv of a run lists all of them"
    whole = composition_keys(batch_of("La7Sr3Mn10O30", "ZnO").compositions)
    assert sorted(whole.tolist()) == known.keys.tolist(), "a fractional formula is that of the whole cell"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "has 0 bytes"),
        ("blank.txt", b"\n \n", "holds no formula"),
        ("header.csv", b"formula\n", "holds no formula"),
        ("separators.csv", b"formula;name\nFe2O3;x\n", "with commas between the columns"),
        ("names.csv", b"compound,mass\nFe2O3,1\n", "name the column with the formulas 'formula'"),
        ("utf16.csv", "formula\nFe2O3\n".encode("utf-16"), "save it as 'CSV UTF-8'"),
        ("binary.txt", bytes(range(256)), "save it as UTF-8"),
        ("gb18030.txt", "Fe2O3\nNaCl 氯化钠\n".encode("gb18030"), "perhaps it is GB18030"),
        ("list.doc", b"Fe2O3", "save it in one of these formats"),
        ("absent.csv", None, "starts at the folder of the campaign file"),
    ],
)
def test_files_that_are_no_lists_are_refused_with_a_way_out(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputFileError, match="E-INPUT-FILE") as refused:
        read_known_formulas(tmp_path / name)
    assert words in str(refused.value)


def test_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_formulas, "MOST_ROWS", 20)
    for name in ("a.csv", "a.txt"):
        (tmp_path / name).write_text("formula\n" + "NaCl\n" * 20)
        assert read_known_formulas(tmp_path / name).rows == 20
        (tmp_path / name).write_text("formula\n" + "NaCl\n" * 21)
        with pytest.raises(InputFileError, match="more than 20 rows"):
            read_known_formulas(tmp_path / name)
    monkeypatch.setattr(known_formulas, "LARGEST_LIST", 30)
    with pytest.raises(InputFileError, match="1 to 30 bytes"):
        read_known_formulas(tmp_path / "a.txt")


def test_a_row_is_shown_without_what_commands_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("NaCl\n" + chr(27) + "[31mX" + chr(0x202E) + "\n")
    (row,) = read_known_formulas(tmp_path / "a.txt").unread
    assert str(row).isprintable()
