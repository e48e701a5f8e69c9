import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data.errors import MatloopError, RunError
from matloop.workflows.commands.feature_table import write_features

LABELS = "id,compound,gap,note\n007,NaCl,-1.5,=1+1\n008,Fe0,2.50,-3\n009,Og2,,x\n010,BaTiO3,1e-3,\n"


def test_rows_and_columns_of_the_input_stay(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LABELS)
    written = write_features(
        ["magpie"], tmp_path / "t.csv", tmp_path / "f.parquet", formula_column="compound", id_column="id"
    )
    table = pq.read_table(tmp_path / "f.parquet")
    assert table.column_names[:6] == ["id", "compound", "gap", "note", "candidate_id", "code"]
    assert table["id"].to_pylist() == ["007", "008", "009", "010"]
    assert table["compound"].to_pylist() == ["NaCl", "Fe0", "Og2", "BaTiO3"]
    assert table["gap"].to_pylist() == [-1.5, 2.5, None, 0.001]
    assert table["code"].to_pylist() == ["", "E-FORMULA-AMOUNT", "E-FEATURE-NODATA", ""]
    assert written.lines()[0] == f"{tmp_path / 'f.parquet'}: 4 rows, 132 features, 2 refused"
    assert not written.all_refused
    for row in table.to_pylist():
        values = list(row.values())[6:]
        assert len(values) == 132
        assert all(value is not None and np.isfinite(value) for value in values) == (row["code"] == "")


def test_the_suffix_says_the_format(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LABELS)
    write_features(["stoichiometry"], str(tmp_path / "t.csv"), str(tmp_path / "f.CSV"), formula_column="compound")
    with (tmp_path / "f.CSV").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["compound"], row["gap"]) for row in rows] == [
        ("007", "NaCl", "-1.5"), ("008", "Fe0", "2.5"), ("009", "Og2", ""), ("010", "BaTiO3", "0.001"),
    ]  # fmt: skip
    assert [row["note"] for row in rows] == ["'=1+1", "-3", "x", ""]  # a number needs no apostrophe
    assert rows[0]["0-norm"] == "2.0"
    assert rows[1]["0-norm"] == ""
    for name in ("f.xlsx", "f", "f.csv.gz"):
        with pytest.raises(RunError, match=r"names no format .* Allowed: \.csv or \.parquet"):
            write_features(["stoichiometry"], tmp_path / "t.csv", tmp_path / name, formula_column="compound")
        assert not (tmp_path / name).exists()


def test_columns_of_a_parquet_file_keep_their_types(tmp_path: Path) -> None:
    given = pa.table(
        {"formula": ["NaCl", "?", "ZnS"], "label": pa.array([1, 2, 3], pa.int16()), "tag": ["a", None, "c"]}
    )
    pq.write_table(given, tmp_path / "t.parquet")
    write_features(["stoichiometry"], tmp_path / "t.parquet", tmp_path / "f.parquet")
    assert pq.read_table(tmp_path / "f.parquet").select(given.column_names).equals(given)


def test_a_row_of_units_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("formula,gap\n,eV\nNaCl,8.5\n")
    write_features(["stoichiometry"], tmp_path / "t.csv", tmp_path / "f.csv")
    with (tmp_path / "f.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["gap"] for row in csv.DictReader(file)] == ["eV", "8.5"]


def test_a_broken_row_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("formula,a\nNaCl,1\nZnS\nMgO,3\n")
    write_features(["stoichiometry"], tmp_path / "t.csv", tmp_path / "f.parquet")
    table = pq.read_table(tmp_path / "f.parquet")
    assert table["formula"].to_pylist() == ["NaCl", "row 2: 1 cells, 2 columns: ZnS", "MgO"]
    assert table["code"].to_pylist() == ["", "E-TABLE-RAGGED", ""]


def test_features_of_structure_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.vasp").write_text(
        "NaCl\n5.64\n0 .5 .5\n.5 0 .5\n.5 .5 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    )
    (tmp_path / "in" / "a.cif").write_text("nothing\n")
    written = write_features(["density"], tmp_path / "in", tmp_path / "f.parquet")
    first, second = pq.read_table(tmp_path / "f.parquet").to_pylist()
    assert first["origin"] == "a.cif"
    assert first["code"].startswith("E-")
    assert (second["origin"], second["formula"], second["code"]) == ("b.vasp", "NaCl", "")
    assert second["density"] == pytest.approx(2.16, abs=0.01)
    assert written.refused.total() == 1


@pytest.mark.parametrize(
    ("names", "text", "message"),
    [
        (["magpi"], "formula\nNaCl\n", "did you mean 'magpie'"),
        (["magpie"], "formel\nNaCl\n", "did you mean formula_column: 'formel'.*--formula-column 'formel'"),
        (["magpie"], "formula,code\nNaCl,1\n", "has a column 'code', which the output is to hold"),
        (["magpie", "density"], "formula\nNaCl\n", "holds formulas, and the features need crystals"),
    ],
)
def test_features_that_cannot_be_made_leave_no_file(names: list[str], text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(MatloopError, match=message):
        write_features(names, tmp_path / "t.csv", tmp_path / "f.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
