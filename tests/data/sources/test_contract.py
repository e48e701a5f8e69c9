"""What every source in the registry must hold; a new source is one more line in SETTINGS."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import pytest
from ase.build import bulk
from distributed.protocol.pickle import dumps

from matloop.data.packaged.materials import load_materials
from matloop.data.providers.snapshot_writer import Database, Page, SnapshotDraft, entry_row, refused_row
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.contract import GeneratingSource
from matloop.data.sources.validation import validate_source


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
    "element_substitution": lambda folder: {"limit": 150, "min_probability": 0.02, "max_sites": 6},
    "embedded": lambda folder: {},
    "ionic_substitution": lambda folder: {"limit": 150, "min_probability": 0.02, "max_sites": 6},
    "prototype_decoration": lambda folder: {"elements": ["H", "Li", "Mg", "Ti", "O"], "max_sites": 10},
    "snapshot": lambda folder: {"path": small_snapshot(folder)},
    "structure_files": lambda folder: {"path": structure_folder(folder)},
    "table": lambda folder: {"path": formula_file(folder)},
}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_holds_its_contract(name: str, tmp_path: Path) -> None:
    settings = SETTINGS[name](tmp_path)
    kind = lookup("source", SOURCES, name)
    validate_source(lambda: kind(**settings))
    source = kind(**settings)
    assert source.name == name
    assert isinstance(source, GeneratingSource) == (".generators." in kind.__module__)
    if isinstance(source, GeneratingSource):
        sent = [dumps(recipe) for recipe in source.recipes(max(source.count() // 4, 2))]
        assert sum(map(len, sent)) < 1000 * source.count() + 20_000 * len(sent)  # a recipe is not the candidates
