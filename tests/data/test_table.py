import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.batch import Intake, Refused
from matloop.data.errors import InputFileError
from matloop.data.identity import text_id
from matloop.data.registry import SOURCES, lookup
from matloop.data.source import Source
from matloop.data.table import FormulaTable

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
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return FormulaTable(str(path), id_column="id")


@pytest.fixture(params=["csv", "parquet"])
def traps(request: pytest.FixtureRequest, tmp_path: Path) -> FormulaTable:
    path = tmp_path / f"traps.{request.param}"
    if request.param == "csv":
        return write_csv(path, TRAPS)
    ids, formulas = zip(*TRAPS, strict=True)
    pq.write_table(pa.table({"id": ids, "formula": formulas, "other": range(len(ids))}), path)
    return FormulaTable(str(path), id_column="id")


def all_rows(intakes: list[Intake]) -> tuple[list[tuple[str, str, bool]], list[tuple[int, str, str]]]:
    """Formula, origin and known of the candidates; row in the file, text and code of the refused."""
    candidates, refused, start = [], [], 0
    for intake in intakes:
        table = intake.batch.table
        candidates += zip(*(table.column(k).to_pylist() for k in ("formula", "origin", "known")), strict=True)
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
        ("NaN", "0012345", False),
        ("InF", "None", False),
        ("NaCl", "", True),
        ("No", "TRUE", False),
        ("YF3", "=1+1", True),
        ("Ba(PO3)2", "-1", True),
        ("KCl", " x ", True),
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
    for intake in intakes:
        assert intake.batch.table.schema.names == ["candidate_id", "formula", "origin", "known"]


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
    write_csv(tmp_path / "t.csv", rows, ("number", "成分", "value", "note"))
    table = FormulaTable(str(tmp_path / "t.csv"), formula_column="成分", id_column="note")
    assert all_rows(list(table.intakes(10)))[0] == [("K2O", "x", True), ("Rb2O", "y", True)]


@given(st.lists(st.tuples(st.text(max_size=8), st.sampled_from(["NaCl", "", "NaN", "?", "MgO"])), max_size=12))
def test_any_id_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    rows = [("".join(c for c in name if c not in "\r\n\0" and c.isprintable()), formula) for name, formula in rows]
    table = write_csv(tmp_path_factory.mktemp("ids") / "t.csv", rows)
    assert table.count() == len(rows)
    candidates, refused = all_rows(list(table.intakes(5)))
    assert [origin for _, origin, _ in candidates] == [name for name, formula in rows if formula not in ("", "?")]
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
        ("NaCl", "NaCl", True),
        ("MgO", "MgO", True),
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


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_missing_column_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        write_csv(path, [("1", "NaCl")])
    else:
        pq.write_table(pa.table({"id": ["1"], "formula": ["NaCl"]}), path)
    for options in ({"formula_column": "composition"}, {"id_column": "composition"}):
        with pytest.raises(InputFileError, match=r"composition.*a UTF-8 .csv or a .parquet file with the columns"):
            FormulaTable(str(path), **options).count()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("latin.csv", b"formula\nNaCl\xb7H2O\n"),
        ("gbk.csv", "id,formula\n食盐,食盐\n".encode("gbk")),
        ("utf16.csv", "formula\nNaCl\n".encode("utf-16")),
        ("ragged.csv", b"id,formula\n1,NaCl\n2\n"),
        ("semicolons.csv", b"id;formula\n1;NaCl\n"),
        ("text.parquet", b"formula\nNaCl\n"),
        ("torn.parquet", b"PAR1\x00\x00PAR1"),
    ],
)
def test_unreadable_file_is_refused_with_its_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputFileError, match=f"E-INPUT-FILE: {name}: .+Allowed: a UTF-8 .csv or a .parquet"):
        FormulaTable(str(tmp_path / name)).count()


def test_lists_are_no_formulas(tmp_path: Path) -> None:
    pq.write_table(pa.table({"formula": [["Na", "Cl"]]}), tmp_path / "t.parquet")
    with pytest.raises(InputFileError, match="E-INPUT-FILE"):
        FormulaTable(str(tmp_path / "t.parquet")).count()
