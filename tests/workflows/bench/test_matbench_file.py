"""Files in both layouts, and files that should do harm."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matminer.utils.io import load_dataframe_from_json, store_dataframe_as_json

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import InputFileError, UnknownNameError
from matloop.data.packaged.materials import load_materials
from matloop.workflows.bench import matbench_file
from matloop.workflows.bench.matbench_file import read_matbench
from matloop.workflows.bench.matbench_tasks import TASKS, task_named
from tests.workflows.bench.matbench_files import crystals_with, structure_dicts, write_json_gz, write_parquet

KVRH, STEELS, METAL = (TASKS[f"matbench_{name}"] for name in ("log_kvrh", "steels", "expt_is_metal"))


@pytest.fixture(scope="module")
def crystals() -> CandidateBatch:
    return crystals_with(load_materials(), "bulk_modulus_vrh_dft", 12)


def kvrh_rows(crystals: CandidateBatch) -> list[list[Any]]:
    targets = np.log10(crystals.column("bulk_modulus_vrh_dft"))
    return [[cell, float(value)] for cell, value in zip(structure_dicts(crystals), targets, strict=True)]


def test_what_matminer_writes_is_read_as_matminer_reads_it(crystals: CandidateBatch, tmp_path: Path) -> None:
    import pandas as pd

    rows = kvrh_rows(crystals)
    structures = [crystals.structure(row) for row in range(len(crystals))]
    frame = pd.DataFrame({"structure": structures, "log10(K_VRH)": [target for _, target in rows]})
    path = tmp_path / "matbench_log_kvrh.json.gz"
    store_dataframe_as_json(frame, str(path), compression="gz", pbar=False)
    reference = load_dataframe_from_json(str(path), pbar=False)

    data = read_matbench(path, KVRH)
    np.testing.assert_allclose(data.target, reference["log10(K_VRH)"])
    assert data.refused == {}
    assert data.rows.tolist() == list(range(12))
    for row, structure in enumerate(reference["structure"]):
        ours = data.batch.structure(row)
        np.testing.assert_allclose(ours.lattice.matrix, structure.lattice.matrix)
        np.testing.assert_allclose(ours.frac_coords, structure.frac_coords)
        assert [site.specie.symbol for site in ours] == [site.specie.symbol for site in structure]


def test_parquet_rows_stand_in_the_order_of_their_mbid(crystals: CandidateBatch, tmp_path: Path) -> None:
    rows = kvrh_rows(crystals)
    published = read_matbench(write_json_gz(tmp_path / "a.json.gz", ["structure", "log10(K_VRH)"], rows), KVRH)
    mixed = [5, 0, 11, 3, 7, 1, 10, 2, 9, 4, 8, 6]
    ids = [f"mb-log-kvrh-{row + 1:05d}" for row in mixed]
    structures, targets = [rows[row][0] for row in mixed], [rows[row][1] for row in mixed]
    path = write_parquet(tmp_path / "a.parquet", ids, "structure", structures, "log10(K_VRH)", targets)
    data = read_matbench(path, KVRH)
    assert data.batch.to_arrow().equals(published.batch.to_arrow())
    np.testing.assert_array_equal(data.target, published.target)


def test_formulas_and_yes_or_no(tmp_path: Path) -> None:
    steel = "Fe0.620C0.000953Mn0.000521Si0.00102Cr0.000110Ni0.192Mo0.0176V0.000112Nb0.0000616Co0.146Al0.00318Ti0.0185"
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "yield strength"], [[steel, 2411.5], ["Fe0", 1000]])
    data = read_matbench(path, STEELS)
    assert data.batch.compositions.lengths.tolist() == [12]
    assert data.target.tolist() == [2411.5, 1000.0]
    assert data.refused == {1: "E-FORMULA-AMOUNT"}
    path = write_json_gz(tmp_path / "b.json.gz", ["composition", "is_metal"], [["Fe", True], ["NaCl", False]])
    assert read_matbench(path, METAL).target.tolist() == [1.0, 0.0]


def test_crystals_that_cannot_be_used_are_counted_and_their_neighbours_kept(
    crystals: CandidateBatch, tmp_path: Path
) -> None:
    rows = kvrh_rows(crystals)
    half = json.loads(json.dumps(rows[1][0]))
    half["sites"][0]["species"][0]["occu"] = 0.5
    rows[1][0], rows[3][0], rows[4][0] = half, None, {**rows[4][0], "sites": "none"}
    close = json.loads(json.dumps(rows[5][0]))
    close["sites"].append(close["sites"][0])
    rows[5][0] = close
    data = read_matbench(write_json_gz(tmp_path / "a.json.gz", ["structure", "log10(K_VRH)"], rows), KVRH)
    assert data.refused == {
        1: "E-STRUCT-DISORDER", 3: "E-FILE-FORMAT", 4: "E-FILE-SYNTAX", 5: "E-STRUCT-DISTANCE"
    }  # fmt: skip
    assert data.rows.tolist() == [0, 2, 6, 7, 8, 9, 10, 11]
    assert len(data.target) == 12


def test_no_name_in_a_file_is_imported(crystals: CandidateBatch, tmp_path: Path) -> None:
    # monty's decoder would import the module; here it prints, so that its import would be seen.
    (tmp_path / "trap.py").write_text("print('imported')\nclass Structure:\n    pass\n")
    rows = kvrh_rows(crystals)
    for cell, _ in rows:
        cell.update({"@module": "trap", "@class": "Structure"})
    write_json_gz(tmp_path / "a.json.gz", ["structure", "log10(K_VRH)"], rows)
    code = """
from pathlib import Path
from matloop.workflows.bench.matbench_file import read_matbench
from matloop.workflows.bench.matbench_tasks import task_named
print(len(read_matbench(Path("a.json.gz"), task_named("log_kvrh")).batch))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "JSONDecodeError"),
        (b"\x1f\x8b\x08broken", "EOFError|BadGzipFile|error"),
        (gzip.compress(b'{"columns": []', mtime=0)[:-9], "EOFError"),
        (b"\xff\xfe{}", "UnicodeDecodeError"),
        (b"[" * 200_000, "RecursionError"),
        (b"[1, 2]", "no table of columns, index and data"),
        (b'{"columns": [], "index": [], "data": [], "more": 1}', "no table of columns"),
        (b'{"columns": ["composition", "yield strength"], "index": [0], "data": []}', "different length"),
        (b'{"columns": ["composition", "yield"], "index": [0], "data": [["Fe", 1]]}', "without the column 'yield str"),
        (b'{"columns": ["composition", "yield strength"], "index": [0], "data": [["Fe"]]}', "another length than 2"),
        (b'{"columns": ["composition", "yield strength"], "index": [0], "data": [["Fe", NaN]]}', "NaN is no number"),
        (b'{"columns": ["composition", "yield strength"], "index": [0], "data": [["Fe", 1e999]]}', "'yield strength'"),
        (b'{"columns": ["composition", "yield strength"], "index": [0], "data": [["Fe", "9"]]}', "of row '0' is '9'"),
        (b'{"columns": ["composition", "yield strength"], "index": [0, 0], "data": [["Fe", 1], ["Fe", 2]]}', "repeat"),
        (b'{"columns": ["composition", "yield strength"], "index": [[]], "data": [["Fe", 1]]}', "unhashable|repeat"),
    ],
)  # fmt: skip
def test_other_content_is_refused_with_a_reason(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(content)
    with pytest.raises(InputFileError, match=message):
        read_matbench(path, STEELS)


def test_bombs_and_missing_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputFileError, match="FileNotFoundError"):
        read_matbench(tmp_path / "none.json.gz", STEELS)
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(b" " * 30_000_000))
    with pytest.raises(InputFileError, match="unpacks to more than 10,000,000 bytes"):
        read_matbench(bomb, STEELS)
    monkeypatch.setattr(matbench_file, "MAX_PACKED_BYTES", 100)
    with pytest.raises(InputFileError, match="larger than 100 bytes"):
        read_matbench(bomb, STEELS)


def test_parquet_without_a_column_and_targets_of_a_classification(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", ["1"], "composition", ["Fe"], "gap expt", [1.0])
    with pytest.raises(InputFileError, match="without yield strength"):
        read_matbench(path, STEELS)
    path = write_json_gz(tmp_path / "b.json.gz", ["composition", "is_metal"], [["Fe", 2]])
    with pytest.raises(InputFileError, match="true or false"):
        read_matbench(path, METAL)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sites", "lattice", "matrix", "species", "abc", "data"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cell=JSON, target=JSON, index=JSON)
def test_any_json_gives_rows_or_a_coded_error(cell: Any, target: Any, index: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"columns": ["structure", "log10(K_VRH)"], "index": [index], "data": [[cell, target]]}))
    try:
        data = read_matbench(path, KVRH)
    except InputFileError:
        return
    assert len(data.batch) + len(data.refused) == 1


def test_tasks_are_complete_and_an_unknown_one_names_the_nearest() -> None:
    assert len(TASKS) == 13
    assert sum(task.is_classification for task in TASKS.values()) == 3
    for task in TASKS.values():
        assert len(task.sha256) == 64
        best, *others = (line.score for line in task.published)
        assert len(others) == 4
        assert best == (max if task.is_classification else min)(best, *others)
    with pytest.raises(UnknownNameError, match="did you mean 'matbench_glass'"):
        task_named("glas")


def test_rows_and_hashes_are_those_matminer_lists() -> None:
    import matminer

    listed = json.loads((Path(matminer.__file__).parent / "datasets" / "dataset_metadata.json").read_text("utf-8"))
    for name, task in TASKS.items():
        assert (task.rows, task.sha256) == (listed[name]["num_entries"], listed[name]["hash"])
        assert {task.kind, task.column} == set(listed[name]["columns"])
