"""What every source in the registry must hold; a new source is one more line in SETTINGS."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import pytest
from ase.build import bulk
from distributed.protocol.pickle import dumps, loads

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import ROW_CODES
from matloop.data.packaged.materials import load_materials
from matloop.data.providers.snapshot_writer import Database, Page, SnapshotDraft, entry_row, refused_row
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.contract import GeneratingSource, Source


def formula_file(folder: Path) -> str:
    path = folder / "formulas.csv"
    path.write_text("formula\nNaCl\nXx\nNaN\nFe2O3\nCuSO4.5H2O\nInF\n", "utf-8")
    return str(path)


def structure_folder(folder: Path) -> str:
    poscar = "salt\n{}\n1 0 0\n0 1 0\n0 0 1\n{}\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    for name, edge, symbols in (("a", 4.1, "Cs Cl"), ("b", 4.6, "Cs I"), ("c", 3.0, "Xx O"), ("d", 4.2, "Cs Br")):
        (folder / f"{name}.vasp").write_text(poscar.format(edge, symbols), "utf-8")
    return str(folder)


def atoms_database(folder: Path) -> str:
    path = folder / "crystals.db"
    with ase.db.connect(path) as database:
        for name, edge in (("NaCl", 5.6), ("KCl", 6.3), ("LiF", 4.0), ("MgO", 4.2), ("CaO", 0.4)):
            database.write(bulk(name, "rocksalt", a=edge), edge=edge)
    return str(path)


def small_snapshot(folder: Path) -> str:
    rows: list[dict[str, Any]] = []
    for row in range(8):
        structure = load_materials().structure(row).as_dict()
        rows.append(entry_row(f"id-{row}", structure, formula="", disorder="reject", properties={}))
    rows.insert(3, refused_row("id-x", "E-STRUCT-NOCELL", "a molecule", formula="H2O"))
    draft = SnapshotDraft(folder / "snapshot.parquet", {}, properties={})
    draft.add(Page(rows, None, "1"))
    draft.finish(Database("A provider", "https://example.org", "1"))
    return str(draft.target)


SETTINGS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "alloy_grid": lambda folder: {"elements": ["Cr", "Fe", "Ni"], "step": 0.1},
    "composition_enumeration": lambda folder: {"elements": ["Ba", "Fe", "O"], "most_elements": 3, "metallic": True},
    "ase_database": lambda folder: {"path": atoms_database(folder), "select": "edge>0"},
    "embedded": lambda folder: {},
    "ionic_substitution": lambda folder: {"limit": 150, "min_probability": 0.02, "max_sites": 6},
    "prototype_decoration": lambda folder: {"elements": ["H", "Li", "Mg", "Ti", "O"], "max_sites": 10},
    "snapshot": lambda folder: {"path": small_snapshot(folder)},
    "structure_files": lambda folder: {"path": structure_folder(folder)},
    "table": lambda folder: {"path": formula_file(folder)},
}


@pytest.fixture(scope="module", params=sorted(SOURCES))
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    settings = SETTINGS[request.param](tmp_path_factory.mktemp("source"))
    return lookup("source", SOURCES, request.param)(**settings)


@pytest.fixture(scope="module")
def whole(source: Source) -> Intake:
    (intake,) = source.intakes(source.count())
    return intake


def rows_of(batch: CandidateBatch) -> list[tuple[Any, ...]]:
    columns = ("candidate_id", "formula", "origin")
    return list(zip(*(batch.table.column(name).to_pylist() for name in columns), strict=True))


def test_count_is_that_of_the_stream(source: Source, whole: Intake) -> None:
    assert isinstance(source, Source)
    assert source.count() == len(whole.batch) + len(whole.refused) > 0


def test_stream_is_the_same_for_any_batch_size(source: Source, whole: Intake) -> None:
    size = max(source.count() // 4, 2)
    parts = list(source.intakes(size))
    assert len(parts) > 1
    assert all(len(part.batch) + len(part.refused) <= size for part in parts)
    assert [row for part in parts for row in rows_of(part.batch)] == rows_of(whole.batch)
    assert [r.code for part in parts for r in part.refused] == [r.code for r in whole.refused]


def test_recipes_make_the_same_stream_in_any_process(source: Source, whole: Intake) -> None:
    assert isinstance(source, GeneratingSource) == (".generators." in type(source).__module__)
    if not isinstance(source, GeneratingSource):
        return
    size = max(source.count() // 4, 2)
    sent = [dumps(recipe) for recipe in source.recipes(size)]
    parts = [loads(recipe)() for recipe in sent[::-1]][::-1]
    assert [row for part in parts for row in rows_of(part.batch)] == rows_of(whole.batch)
    assert [r.code for part in parts for r in part.refused] == [r.code for r in whole.refused]
    assert sum(map(len, sent)) < 1000 * source.count() + 20_000 * len(sent)  # a recipe is not the candidates


def test_candidates_are_sound_and_say_where_they_come_from(whole: Intake) -> None:
    assert all(origin for _, _, origin in rows_of(whole.batch))
    assert CandidateBatch.from_formulas(whole.batch.formulas).batch.formulas == whole.batch.formulas
    if whole.batch.crystals is not None:
        assert set(whole.batch.crystals.row_codes()) == {""}
        assert CandidateBatch.from_crystals(whole.batch.crystals).ids == whole.batch.ids


def test_refused_rows_have_a_known_code_and_an_id(whole: Intake) -> None:
    for refused in whole.refused:
        assert refused.code in ROW_CODES
        assert refused.candidate_id.startswith("r")
        assert 0 <= refused.row < len(whole.batch) + len(whole.refused)
