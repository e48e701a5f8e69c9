import itertools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import InputFileError
from matloop.data.readers import ase_files
from matloop.data.registry import SOURCES, lookup
from matloop.data.sources.ase_database import AseDatabase
from matloop.data.sources.contract import Source


def salts() -> list[tuple[Atoms, dict[str, Any]]]:
    """Crystals, a slab and a molecule, with what a user might write beside them."""
    rows = [
        (
            bulk(first + second, "rocksalt", a=edge),
            {"edge": edge, "note": f"no {k}", "mixed": edge if k % 2 else "n.d."},
        )
        for k, (first, second, edge) in enumerate(
            (a, b, 4.2 + 0.3 * n) for n, (a, b) in enumerate(itertools.product(("Na", "K", "Mg"), ("Cl", "O")))
        )
    ]
    rows[1][1].update(band_gap_dft=2.5, stable=True)
    rows[2][1].update(band_gap_dft=1.5, count=7)
    return [*rows, (graphene(vacuum=5), {"edge": 1.0}), (molecule("H2O"), {}), (bulk("Cu", a=0.5), {})]


@pytest.fixture(params=["db", "json"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"salts.{request.param}"
    with ase.db.connect(path) as database:
        for atoms, pairs in salts():
            atoms.calc = SinglePointCalculator(atoms, energy=-float(len(atoms)), forces=np.ones((len(atoms), 3)))
            atoms.set_constraint(FixAtoms([0]))
            database.write(atoms, key_value_pairs=pairs, data={"blob": np.arange(5)})
    return path


def whole(path: Path, **options: Any) -> Intake:
    (intake,) = AseDatabase(str(path), **options).intakes(1000)
    return intake


def test_it_is_a_source_of_that_name(path: Path) -> None:
    assert lookup("source", SOURCES, "ase_database") is AseDatabase
    assert isinstance(AseDatabase(str(path)), Source)


def test_crystals_are_those_that_ase_reads(path: Path) -> None:
    batch = whole(path).batch
    rows = list(ase.db.connect(path).select("id<7"))
    assert batch.table["origin"].to_pylist() == [f"{path.name} row {row.id}" for row in rows]
    assert batch.ids == CandidateBatch.from_atoms([row.toatoms() for row in rows]).batch.ids


def test_numbers_travel_and_text_stays_behind(path: Path) -> None:
    table = whole(path).batch.table
    energies = ["entry_energy", "entry_energy_per_atom"]
    assert table.column_names[3:] == ["band_gap_dft", "ase_count", "ase_edge", "ase_stable", *energies]
    assert [table[name].to_pylist() for name in energies] == [[-2.0] * 6, [-1.0] * 6]
    assert all(table[name].type == "double" for name in table.column_names[3:])
    assert table["ase_edge"].to_pylist() == pytest.approx([4.2, 4.5, 4.8, 5.1, 5.4, 5.7])
    assert table["band_gap_dft"].to_pylist() == [None, 2.5, 1.5, None, None, None]
    assert table["ase_stable"].to_pylist() == [None, 1.0, None, None, None, None]


def test_what_is_no_sound_crystal_is_refused(path: Path) -> None:
    found = [(refused.row, refused.code, refused.detail) for refused in whole(path).refused]
    assert found == [
        (6, "E-STRUCT-NOCELL", f"{path.name} row 7: periodic: TTF"),
        (7, "E-STRUCT-NOCELL", f"{path.name} row 8: periodic: FFF"),
        (8, "E-STRUCT-VOLUME", f"{path.name} row 9: 0.0312 Å3 per atom"),
    ]


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_batches_of_any_size_give_the_same_rows(size: int, path: Path) -> None:
    source = AseDatabase(str(path))
    parts = list(source.intakes(size))
    assert source.count() == 9 == sum(len(part.batch) + len(part.refused) for part in parts)
    assert [name for part in parts for name in part.batch.ids] == whole(path).batch.ids
    assert all(part.batch.table.schema == whole(path).batch.table.schema for part in parts)


SELECTIONS = [
    "O", "Na,Cl", "O<1", "edge>4.4,edge<=5.1", "4.4<edge<5.2", "band_gap_dft", "note=no 1", "stable=True", "natoms=1",
    "id>3", "id=2", "formula=NaCl", "volume>30", "energy<-1.5", "Xe", "edge!=4.5", "nothing>1", "Mg=1,O=1",
]  # fmt: skip


@pytest.mark.parametrize("select", SELECTIONS)
def test_a_selection_means_what_it_means_to_ase(select: str, path: Path) -> None:
    source = AseDatabase(str(path), select=select)
    assert source._file.ids == sorted(row.id for row in ase.db.connect(path).select(select))


def test_a_selection_may_ask_for_periodic_directions(path: Path) -> None:
    assert AseDatabase(str(path), select="pbc=TTF")._file.ids == [7]
    assert AseDatabase(str(path), select="pbc!=TTT")._file.ids == [7, 8]


@pytest.mark.parametrize("select", ["edge>>3", "H>x", "natoms<many", "age<3d", "1<age<2", "formula>H2", "edge=1=2"])
def test_a_selection_that_cannot_be_read_is_refused_at_once(select: str, path: Path) -> None:
    with pytest.raises(InputFileError, match=r"E-INPUT-FILE: select: .*Allowed: a selection of ASE"):
        AseDatabase(str(path), select=select)


def test_reading_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    path.chmod(0o444)
    assert len(whole(path).batch) == 6
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir() if file.suffix != ".lock"] == [path.name]


def test_a_row_deleted_meanwhile_is_a_refused_row(path: Path) -> None:
    source = AseDatabase(str(path))
    assert source.count() == 9
    database = ase.db.connect(path)
    database.delete([2])
    intakes = list(source.intakes(4))
    assert sum(len(part.batch) + len(part.refused) for part in intakes) == 9
    if path.suffix == ".db":  # a JSON file is in memory
        assert intakes[0].refused[0].code == "E-FILE-CHANGED"


def altered(path: Path, change: Callable[[Any], Any]) -> Path:
    """The database with one change: of the connection to SQLite, or of the JSON value."""
    if path.suffix == ".db":
        with sqlite3.connect(path) as connection:
            change(connection)
        connection.close()
    else:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return path


SQL_DAMAGE = [
    ("UPDATE systems SET numbers = x'0b' WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET numbers = 'text' WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET numbers = zeroblob(20000000) WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET numbers = zeroblob(20000000), natoms = 5000000 WHERE id = 1", "E-STRUCT-SIZE"),
    ("UPDATE systems SET numbers = x'', positions = x'' WHERE id = 1", "E-STRUCT-SIZE"),
    ("UPDATE systems SET numbers = x'0b000000ffffffff' WHERE id = 1", "E-STRUCT-ELEMENT"),
    ("UPDATE systems SET positions = x'00' WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET positions = NULL WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET cell = zeroblob(72) WHERE id = 1", "E-STRUCT-NONFINITE"),
    ("UPDATE systems SET cell = NULL WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET pbc = 'TTT' WHERE id = 1", "E-STRUCT-NOCELL"),
    ("UPDATE systems SET key_value_pairs = '{' WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET key_value_pairs = '[1]' WHERE id = 1", "E-FILE-SYNTAX"),
    ("UPDATE systems SET key_value_pairs = replace(hex(zeroblob(60000)), '0', '[') WHERE id = 1", "E-FILE-SYNTAX"),
]


@pytest.mark.parametrize(("statement", "code"), SQL_DAMAGE)
@pytest.mark.parametrize("path", ["db"], indirect=True)
def test_a_damaged_row_is_refused_alone(path: Path, statement: str, code: str) -> None:
    intake = whole(altered(path, lambda connection: connection.execute(statement)))
    assert (intake.refused[0].row, intake.refused[0].code) == (0, code)
    assert len(intake.batch) == 5
    assert len(intake.refused) == 4


def changed(**values: Any) -> Callable[[Any], Any]:
    return lambda content: content["1"].update(values)


JSON_DAMAGE = [
    (changed(numbers=None), "E-FILE-SYNTAX"),
    (changed(numbers=["x"]), "E-FILE-SYNTAX"),
    (changed(numbers={"__ndarray__": [[10**12], "int64", [11, 17]]}), ""),
    (changed(numbers=[11, 10**40]), "E-FILE-SYNTAX"),
    (changed(numbers=[1] * 501), "E-STRUCT-SIZE"),
    (changed(numbers=[], positions=[]), "E-STRUCT-SIZE"),
    (changed(numbers=[11, 300]), "E-STRUCT-ELEMENT"),
    (changed(positions=[[0, 0, 0]]), "E-FILE-SYNTAX"),
    (changed(cell=[[float("nan")] * 3] * 3), "E-STRUCT-NONFINITE"),
    (changed(cell={"array": {"__ndarray__": [[3, 3], "float64", [0, 3, 3, 3, 0, 3, 3, 3, 0]]}}), ""),
    (changed(pbc=[True]), "E-STRUCT-NOCELL"),
    (changed(key_value_pairs=7), "E-FILE-SYNTAX"),
    (changed(key_value_pairs={"edge": 10**400, "get": 3}), ""),
    (changed(constraints=[{"name": "os.system", "kwargs": {}}], data={"__ase_objtype__": "atoms"}), ""),
]


@pytest.mark.parametrize(("change", "code"), JSON_DAMAGE)
@pytest.mark.parametrize("select", [None, "id>0"])
@pytest.mark.parametrize("path", ["json"], indirect=True)
def test_a_damaged_json_row_is_refused_alone(path: Path, change: Any, code: str, select: str | None) -> None:
    intake = whole(altered(path, change), select=select)
    assert [refused.code for refused in intake.refused if refused.row == 0] == ([code] if code else [])
    assert len(intake.batch) + len(intake.refused) == 9


def test_missing_files_and_other_endings_are_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "t.sqlite").write_bytes(b"")
    for name, reason in (("gone.db", "no file"), ("t.sqlite", "no ASE database")):
        with pytest.raises(InputFileError, match=f"E-INPUT-FILE: .*{reason}"):
            AseDatabase(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.db", b"this is no database, but it is long enough to be one of some sort"),
        ("empty.db", b""),
        ("torn.db", b"SQLite format 3\0" + bytes(84)),
        ("empty.json", b""),
        ("list.json", b"[1, 2]"),
        ("other.json", b'{"structures": []}'),
        ("absent.json", b'{"ids": [1, 2], "1": {}, "nextid": 3}'),
        ("twice.json", b'{"ids": [1, 1], "1": {}, "nextid": 3}'),
        ("ids.json", b'{"ids": "all", "nextid": 3}'),
        ("deep.json", b"[" * 1_000_000),
        ("latin.json", b'{"ids": [], "\xe9": 1}'),
    ],
)
def test_a_file_that_is_no_database_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    if name == "ids.json":
        assert AseDatabase(str(tmp_path / name)).count() == 0
        return
    with pytest.raises(InputFileError, match=f"E-INPUT-FILE: {name}.*Allowed: an ASE database|a sound ASE database"):
        AseDatabase(str(tmp_path / name)).count()
    assert (tmp_path / name).read_bytes() == content


def test_a_json_file_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ase_files, "MAX_JSON_BYTES", 10)
    (tmp_path / "t.json").write_bytes(b'{"ids": [], "nextid": 1}')
    with pytest.raises(InputFileError, match=r"larger than 10 bytes.*ase db file.json --insert-into file.db"):
        AseDatabase(str(tmp_path / "t.json")).count()


@pytest.mark.parametrize("path", ["db"], indirect=True)
def test_a_locked_database_is_refused_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ase_files, "LOCK_SECONDS", 0.1)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputFileError, match=r"database is locked.*let the program that writes to it finish"):
        AseDatabase(str(path)).count()
    writer.close()
    assert AseDatabase(str(path)).count() == 9


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n"


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["DROP TABLE keys", f"CREATE VIEW keys AS {ENDLESS}"], "no table 'keys'"),
        (["DROP TABLE systems", f"CREATE VIEW systems AS {ENDLESS}"], "no table 'systems'"),
        (
            ["DROP TABLE keys", "CREATE TABLE keys (key TEXT, id INTEGER AS (hex(zeroblob(1000000000))))"],
            "no table 'keys'",
        ),
        (["UPDATE information SET value = '99' WHERE name = 'version'"], "version 99.*Allowed: 6 to 9"),
        (["UPDATE information SET value = '4' WHERE name = 'version'"], "version 4.*--insert-into new.db"),
        (["DELETE FROM information"], "version None"),
        (["DROP TABLE species"], "no table 'species'"),
    ],
)
@pytest.mark.parametrize("path", ["db"], indirect=True)
def test_tables_that_are_not_those_of_ase_are_refused(path: Path, statements: list[str], reason: str) -> None:
    altered(path, lambda connection: [connection.execute(statement) for statement in statements])
    with pytest.raises(InputFileError, match=f"E-INPUT-FILE: salts.db has .*{reason}"):
        AseDatabase(str(path)).count()


@pytest.mark.parametrize("path", ["db"], indirect=True)
def test_a_query_that_takes_too_long_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO number_key_values VALUES (?, 1.0, 1)", [(f"k{n}",) for n in range(50_000)])
    connection.close()
    monkeypatch.setattr(ase_files, "QUERY_SECONDS", -1.0)
    with pytest.raises(InputFileError, match="interrupted"):
        AseDatabase(str(path)).count()
    monkeypatch.setattr(ase_files, "QUERY_SECONDS", 60.0)
    with pytest.raises(InputFileError, match="more than 1,000 keys"):
        AseDatabase(str(path)).count()


@pytest.mark.parametrize("path", ["db"], indirect=True)
def test_random_damage_gives_rows_or_one_coded_error(path: Path) -> None:
    content, random = path.read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(40):
        torn = bytearray(content)
        for place in random.integers(0, len(torn), 40):
            torn[place] = random.integers(256)
        path.write_bytes(torn)
        try:
            intake = whole(path) if AseDatabase(str(path)).count() else None
            outcomes.add("rows" if intake else "none")
        except InputFileError:
            outcomes.add("refused")
    assert {"rows", "refused"} <= outcomes
