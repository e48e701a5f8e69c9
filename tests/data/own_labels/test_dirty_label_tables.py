"""Label tables as they come from laboratories: each is read, or refused with its cell and the way to mend it."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data.errors import MatloopError
from matloop.data.own_labels.label_account import LabelAccount
from matloop.data.own_labels.labelled_formulas import LabelledFormulas
from matloop.data.properties.catalogue import Catalogue, using
from matloop.data.properties.definition import Property
from matloop.data.training.training_set import TrainingSet

STRENGTH = Property(
    name="flexural_strength", symbol="σf", unit="MPa", label_en="flexural strength", label_zh="抗弯强度", lower=0,
    upper=5000,
)  # fmt: skip
OXIDES = [f"{metal}O" for metal in ("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Ni", "Co", "Mn", "Fe", "Cu")]
OXIDES += [f"{metal}2O3" for metal in ("Al", "Ga", "In", "Sc", "Y", "La", "Cr", "Fe", "V", "Ti", "B", "Bi")]
VALUES = [100.5 + 10 * number for number in range(len(OXIDES))]
HEADER = ["formula", "strength"]
Rows = list[list[Any]]
PLAIN: Rows = [HEADER, *([oxide, value] for oxide, value in zip(OXIDES, VALUES, strict=True))]


@pytest.fixture(autouse=True)
def own_property() -> Iterator[None]:
    with using(Catalogue((STRENGTH,))):
        yield


def text_of(rows: Rows, *, delimiter: str = ",") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


def with_cell(row: int, value: Any, column: int = 1) -> Rows:
    return [[value if (at, place) == (row, column) else cell for place, cell in enumerate(line)]
            for at, line in enumerate(PLAIN)]  # fmt: skip


def read(
    folder: Path, content: str | bytes, *, name: str = "a.csv", **options: Any
) -> tuple[TrainingSet, LabelAccount]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return LabelledFormulas(
        path, property="flexural_strength", source="exp", **{"column": "strength", **options}
    ).read()


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (text_of(PLAIN), {}),
        ("\ufeff" + text_of(PLAIN), {}),  # a byte order mark
        (text_of(PLAIN).replace("\r\n", "\n"), {}),
        (text_of(PLAIN).replace("\r\n", "\n\n"), {}),  # blank lines
        ("sep=;\n" + text_of(PLAIN, delimiter=";"), {}),
        ("sep=;\n" + text_of(PLAIN, delimiter=";").replace(".5", ",5"), {}),  # decimal commas
        (text_of([[f" {cell} " for cell in row] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([[f"'{cell}" for cell in row] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([[row[0], f"{row[1]} MPa"] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([[row[0], f"{row[1] / 1000} GPa"] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([[row[0], row[1] / 1000] if at else row for at, row in enumerate(PLAIN)]), {"unit": "GPa"}),
        (text_of([["formula", "σ (GPa)"], *([row[0], row[1] / 1000] for row in PLAIN[1:])]), {"column": "σ (GPa)"}),
        (text_of([HEADER, ["", "GPa"], *([row[0], row[1] / 1000] for row in PLAIN[1:])]), {"unit": "GPa"}),
        (text_of([[row[0], f"{row[1]}±3"] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([[row[0], f"{row[1]}(4)"] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([[row[0], f"{row[1] / 100}×10²"] if at else row for at, row in enumerate(PLAIN)]), {}),
        (text_of([["材料", "强度 (MPa)"], *PLAIN[1:]]), {"formula": "材料", "column": "强度 (MPa)"}),
        (text_of([[*row, "", ""] for row in PLAIN]), {}),  # columns without a name
    ],
)
def test_a_table_is_read_as_it_is_meant(content: str, options: dict[str, Any], tmp_path: Path) -> None:
    training, account = read(tmp_path, content, **options)
    np.testing.assert_allclose(training.values, VALUES)
    assert set(account.refused) <= {"E-LABEL-EMPTY"}  # the row of units


@pytest.mark.parametrize(
    ("row", "column", "cell", "code", "words"),
    [
        (5, 1, "", "E-LABEL-EMPTY", ""),
        (5, 1, "n.d.", "E-LABEL-EMPTY", ""),
        (5, 1, "<50", "E-LABEL-LIMIT", "is a limit"),
        (5, 1, "> 500 MPa", "E-LABEL-LIMIT", "is a limit"),
        (5, 1, "ca. 130", "E-LABEL-NUMBER", "write one number"),
        (5, 1, "120-140", "E-LABEL-NUMBER", "write one number"),
        (5, 1, "1,234", "E-LABEL-NUMBER", "decimal comma or one of thousands"),
        (5, 1, "2026-11-28", "E-LABEL-NUMBER", "write one number"),
        (5, 1, "#REF!", "E-LABEL-NUMBER", "write one number"),
        (5, 1, "130 eV", "E-LABEL-UNIT", "write it in MPa"),
        (5, 1, "-130", "E-LABEL-BOUNDS", "0 to 5000 MPa"),
        (5, 1, "130000", "E-LABEL-BOUNDS", "look at the unit"),
        (5, 1, "\u200b", "E-LABEL-NUMBER", "write one number"),
        (5, 0, "", "E-FORMULA-EMPTY", "write the formula in every row"),
        (5, 0, "alumina", "E-FORMULA-SYNTAX", ""),
        (5, 0, "Xx2O3", "E-FORMULA-ELEMENT", ""),
        (5, 0, "CuSO4.5H2O", "E-FORMULA-AMBIGUOUS", "may mean"),
        (5, 0, "sample 7", "E-FORMULA-SYNTAX", ""),
    ],
)  # fmt: skip
def test_one_dirty_cell_costs_its_row_and_is_named(
    row: int, column: int, cell: str, code: str, words: str, tmp_path: Path
) -> None:
    training, account = read(tmp_path, text_of(with_cell(row, cell, column)))
    assert len(training) == len(OXIDES) - 1
    (refused,) = [row for row in account.rows if row.code]
    assert (refused.code, refused.place) == (code, "a.csv, row 6, column 'strength'")
    assert words in refused.detail


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (text_of(PLAIN).encode("utf-16"), {}, "not in UTF-8"),
        (text_of([["公式", "strength"], *PLAIN[1:]]).encode("gb18030"), {"formula": "公式"}, "perhaps it is GB18030"),
        (text_of(PLAIN, delimiter=";"), {}, "separate the columns by commas"),
        (
            text_of([["formula", "strength", "strength"], *([*row, 1] for row in PLAIN[1:])]),
            {},
            "two columns 'strength'",
        ),
        (text_of(PLAIN[:10]), {}, "at least 20"),
        (text_of([HEADER]), {}, "0 materials with a label"),
        ("", {}, "a.csv"),
        (text_of(PLAIN), {"column": "Strength"}, "did you mean 'strength'"),
        (text_of(PLAIN), {"formula": "Formula"}, "did you mean 'formula'"),
        (text_of(PLAIN), {"unit": "eV"}, "measures energy per electron, not pressure"),
        (text_of(PLAIN), {"unit": "furlong"}, "unknown unit 'furlong'"),
        (text_of([HEADER, ["", "GPa"], *PLAIN[1:]]), {}, "the row of units in a.csv says GPa"),
        (text_of(PLAIN).replace("MgO", '"MgO'), {}, "a quotation mark in row"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_as_a_whole(
    content: str | bytes, options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(MatloopError) as error:
        read(tmp_path, content, **options)
    assert words in str(error.value)


def test_a_row_of_another_length_is_named(tmp_path: Path) -> None:
    training, account = read(tmp_path, text_of([*PLAIN[:5], ["MnO", 3, 4], *PLAIN[5:]]))
    assert len(training) == len(OXIDES)
    (refused,) = [row for row in account.rows if row.code]
    assert refused.code == "E-TABLE-RAGGED"
    assert "3 cells, 2 columns" in refused.detail


def spreadsheet(folder: Path, change: Callable[[Any], None]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in PLAIN:
        sheet.append(row)
    change(sheet)
    path = folder / "a.xlsx"
    book.save(path)
    return path


def test_a_spreadsheet_keeps_numbers_and_names_cells(tmp_path: Path) -> None:
    def change(sheet: Any) -> None:
        sheet["B5"] = "≥ 100"
        sheet["B6"] = True
        sheet["A7"] = 12
        sheet.insert_rows(3)

    path = spreadsheet(tmp_path, change)
    training, account = LabelledFormulas(path, property="flexural_strength", column="strength", source="exp").read()
    assert len(training) == len(OXIDES) - 3
    found = {row.place.split(", ")[2]: row.code for row in account.rows if row.code}
    assert found == {"cell B6": "E-LABEL-LIMIT", "cell B7": "E-LABEL-NUMBER", "cell B8": "E-TABLE-CELL"}


def test_a_parquet_file_gives_its_numbers_as_they_are(tmp_path: Path) -> None:
    values = [*VALUES[:-2], float("nan"), None]
    pq.write_table(pa.table({"formula": OXIDES, "strength": values}), tmp_path / "a.parquet")
    source = LabelledFormulas(tmp_path / "a.parquet", property="flexural_strength", column="strength", source="exp")
    training, account = source.read()
    np.testing.assert_array_equal(training.values, VALUES[:-2])
    assert dict(account.refused) == {"E-LABEL-EMPTY": 2}
