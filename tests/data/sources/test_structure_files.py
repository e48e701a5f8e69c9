import bz2
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ROW_CODES, InputFileError, UnknownNameError
from matloop.data.properties.columns import ENTRY_COLUMNS
from matloop.data.readers import archives
from matloop.data.runs.directory import RunDirectory
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.training.training_set import TrainingSet
from tests.data.readers.structure_texts import CIF, POSCAR, cif_of

XYZ = '2\nLattice="4.1 0 0 0 4.1 0 0 0 4.1"\nCs 0 0 0\nCl 2.05 2.05 2.05\n'
MIXED = cif_of("Fe1 0 0 0 0.5\nO1 .5 .5 .5 1\n")
FILES = {
    "b/two.cif": CIF + cif_of("Cs1 0 0 0 1\nI1 .5 .5 .5 1\n", name="second"),
    "a.vasp": POSCAR,
    "b/broken.cif": CIF[:-6],
    "c/run.extxyz": XYZ * 2,
    "c/mixed.cif": MIXED,
    "notes.txt": "nothing to see",
    ".hidden.cif": CIF,
    ".git/x.cif": CIF,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "files"
    for name, text in FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return top


def outcomes(path: Path | str, **settings: Any) -> dict[str, str]:
    """Formula or code by origin; every row counted is there once."""
    source = StructureFiles(str(path), **settings)
    found: dict[str, str] = {}
    for intake in source.intakes(3):
        assert len(intake.batch) + len(intake.refused) <= 3
        found |= dict(zip(intake.batch.table["origin"].to_pylist(), intake.batch.formulas, strict=True))
        found |= {refused.detail.split(": ")[0]: refused.code for refused in intake.refused}
        assert {refused.code for refused in intake.refused} <= set(ROW_CODES)
    assert len(found) == source.count()
    return found


EXPECTED = {
    "a.vasp": "CsCl",
    "b/broken.cif": "E-FILE-SYNTAX",
    "b/two.cif (salt)": "NaCl",
    "b/two.cif (second)": "CsI",
    "c/mixed.cif": "E-STRUCT-DISORDER",
    "c/run.extxyz (1)": "CsCl",
    "c/run.extxyz (2)": "CsCl",
    "notes.txt": "E-FILE-FORMAT",
}


def test_every_structure_of_a_folder_ends_in_a_batch_or_a_code(folder: Path) -> None:
    assert outcomes(folder) == EXPECTED


def test_the_stream_is_the_same_every_time(folder: Path) -> None:
    def stream(source: StructureFiles, size: int) -> list[str]:
        return [
            row
            for intake in source.intakes(size)
            for row in [*intake.batch.ids, *(refused.candidate_id for refused in intake.refused)]
        ]

    source = StructureFiles(str(folder))
    assert stream(source, 4) == stream(source, 4) == stream(StructureFiles(str(folder)), 4)
    assert sorted(stream(source, 3)) == sorted(stream(source, 100))


def test_origins_are_text(folder: Path) -> None:
    (intake,) = StructureFiles(str(folder / "b" / "two.cif")).intakes(10)
    assert intake.batch.table["origin"].type == pa.string()


def test_patterns_and_single_files(folder: Path) -> None:
    assert outcomes(f"{folder}/*/*.cif") == {name: EXPECTED[name] for name in EXPECTED if ".cif" in name}
    assert outcomes(f"{folder}/**/run*") == {"run.extxyz (1)": "CsCl", "run.extxyz (2)": "CsCl"}
    assert outcomes(folder / "a.vasp") == {"a.vasp": "CsCl"}


def test_disorder_policies(folder: Path) -> None:
    intakes = list(StructureFiles(str(folder), disorder="composition_only").intakes(100))
    assert [intake.batch.crystals is None for intake in intakes] == [False, True]
    assert intakes[1].batch.formulas == ["FeO2"]
    assert intakes[1].batch.table["origin"].to_pylist() == ["c/mixed.cif"]
    assert outcomes(folder, disorder="composition_only") == {**EXPECTED, "c/mixed.cif": "FeO2"}
    with pytest.raises(UnknownNameError, match="did you mean 'order'"):
        StructureFiles(str(folder), disorder="ordered")


def test_no_file_stops_at_once(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.cif", tmp_path / "*.cif"):
        with pytest.raises(InputFileError, match="no file at"):
            StructureFiles(str(path))


def test_batches_go_to_arrow_and_back(folder: Path) -> None:
    for intake in StructureFiles(str(folder), disorder="composition_only").intakes(100):
        assert CandidateBatch.from_arrow(intake.batch.to_arrow()).ids == intake.batch.ids


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".gz", None)]
)
def test_packed_files(tmp_path: Path, ending: str, pack: Any) -> None:
    content = CIF.encode()
    # The last one is in two parts, as parallel compressors write them.
    packed = pack(content) if pack else gzip.compress(content[:100]) + gzip.compress(content[100:])
    path = tmp_path / f"salt.cif{ending}"
    path.write_bytes(packed)
    assert outcomes(path) == {"salt.cif": "NaCl"}
    path.write_bytes(packed[:-20])
    assert set(outcomes(path).values()) == {"E-FILE-UNREADABLE"}


def make_tar(path: Path, mode: str, members: dict[str, bytes]) -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def make_zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.tar.bz2"])
def test_archives_give_what_the_folder_gives(tmp_path: Path, name: str) -> None:
    members = {file: text.encode() for file, text in sorted(FILES.items())}
    path = tmp_path / name
    if name == "x.zip":
        make_zip(path, members)
    else:
        make_tar(path, "w:" + {"gz": "gz", "tgz": "gz", "xz": "xz", "bz2": "bz2"}.get(name.split(".")[-1], ""), members)
    before = sorted(tmp_path.rglob("*"))
    assert outcomes(path) == EXPECTED
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked to disk


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_tar_archives(tmp_path: Path, kind: int) -> None:
    name = "folder/" * 30 + "Größe.cif"
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=kind) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(CIF)
        archive.addfile(info, io.BytesIO(CIF.encode()))
    (origin,) = outcomes(path)
    assert origin.endswith("folder/Größe.cif")
    assert len(origin) <= 200


def test_broken_archives_stop_with_a_reason(tmp_path: Path) -> None:
    make_tar(tmp_path / "x.tar.gz", "w:gz", {"a.cif": CIF.encode()})
    content = (tmp_path / "x.tar.gz").read_bytes()
    for name, damaged in {"cut.tar.gz": content[:-40], "no.zip": b"PK", "no.tar": b"x" * 600, "e.tar": b""}.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputFileError, match=name):
            StructureFiles(str(tmp_path / name)).count()


def test_an_archive_among_files_is_a_refused_row(folder: Path) -> None:
    make_zip(folder / "more.zip", {"a.cif": CIF.encode()})
    assert outcomes(folder) == {**EXPECTED, "more.zip": "E-FILE-FORMAT"}


def test_files_that_change_lose_no_row(folder: Path) -> None:
    source = StructureFiles(str(folder))
    assert source.count() == len(EXPECTED)
    (folder / "b" / "two.cif").write_text(CIF, "utf-8")
    (folder / "a.vasp").unlink()
    (folder / "0.cif").write_text(CIF, "utf-8")
    rows = Counter(refused.code for intake in source.intakes(100) for refused in intake.refused)
    assert rows["E-FILE-CHANGED"] == 3
    assert sum(len(i.batch) + len(i.refused) for i in source.intakes(5)) == source.count()


def test_names_are_shown_without_control_characters(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\u202e\n.cif").write_text(CIF, "utf-8")
    (tmp_path / os.fsdecode(b"b\xff.cif")).write_text("?", "utf-8")
    for origin in outcomes(tmp_path):
        assert origin.isprintable()
        assert origin.encode("utf-8")


def test_ids_hold_nothing_of_the_names(folder: Path) -> None:
    make_zip(folder / "x.zip", {"../../etc/passwd": b"x", "a'b;c.cif": CIF.encode(), "d/e.cif": b"?"})
    (intake,) = StructureFiles(str(folder / "x.zip")).intakes(10)
    ids = [*intake.batch.ids, *(refused.candidate_id for refused in intake.refused)]
    assert len(ids) == 3
    assert all(re.fullmatch(r"[rcx][0-9a-f]{20}", name) for name in ids)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.cif")
    assert outcomes(tmp_path) == {"pipe.cif": "E-FILE-UNREADABLE"}


def test_limits_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tar(tmp_path / "x.tar", "w", {f"{n}.cif": CIF.encode() for n in range(5)})
    monkeypatch.setattr(archives, "MAX_MEMBERS", 4)
    with pytest.raises(InputFileError, match="more than 4 files"):
        StructureFiles(str(tmp_path / "x.tar")).count()
    make_zip(tmp_path / "x.zip", {f"{n}.cif": CIF.encode() for n in range(5)})
    monkeypatch.setattr(archives, "_MAX_ZIP_DIRECTORY", 200)
    with pytest.raises(InputFileError, match="more files than"):
        StructureFiles(str(tmp_path / "x.zip")).count()


@pytest.mark.parametrize("pattern", ["", "**/*.cif"])
def test_r31_runs_below_their_own_source_are_left_out(pattern: str, folder: Path) -> None:
    before = StructureFiles(str(folder / pattern)).files()
    run = RunDirectory.create(folder / "runs" / "one", "unused")
    (run.cif / "01_CsCl.cif").write_text(CIF)
    (run.folder / "campaign.yaml").write_text("name: x")
    (folder / "runs" / "more.cif").write_text(CIF)
    now = StructureFiles(str(folder / pattern)).files()
    assert set(now) - set(before) == {folder / "runs" / "more.cif"}
    # Whoever names the crystals of a run gets them.
    for named in (run.cif, run.cif / "*.cif", f"{folder}/runs/one/cif/*.cif"):
        assert StructureFiles(str(named)).files() == [run.cif / "01_CsCl.cif"]


def test_links_to_folders_are_followed_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    top, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    for place in (top / "a", elsewhere / "deeper"):
        place.mkdir(parents=True)
        (place / "one.vasp").write_text(POSCAR)
    (top / "batch").symlink_to(elsewhere)
    (top / "again").symlink_to(elsewhere)
    (top / "a" / "loop").symlink_to(top)
    (elsewhere / "round").symlink_to(elsewhere / "deeper")
    (elsewhere / "back").symlink_to(top / "a")
    (top / "gone.vasp").symlink_to(tmp_path / "nothing")
    expected = {"a/one.vasp": "CsCl", "again/deeper/one.vasp": "CsCl", "gone.vasp": "E-FILE-UNREADABLE"}
    assert outcomes(top) == expected
    assert outcomes(f"{top}/**/*.vasp") == expected


def test_a_link_to_a_folder_above_is_a_row(tmp_path: Path) -> None:
    top = tmp_path / "in"
    top.mkdir()
    (top / "a.vasp").write_text(POSCAR)
    (tmp_path / "other.vasp").write_text(POSCAR)
    (top / "up").symlink_to(tmp_path)
    assert outcomes(top) == {"a.vasp": "CsCl", "up": "E-FILE-UNREADABLE"}


def test_file_names_need_not_be_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xc2\xc8\xbb\xaf.vasp"
    with open(name, "w") as file:
        file.write(POSCAR)
    source = StructureFiles(str(tmp_path))
    (intake,) = source.intakes(5)
    (origin,) = intake.batch.table["origin"].to_pylist()
    assert origin.endswith(".vasp")
    assert origin.isprintable()
    assert len(source.files()) == source.count() == 1


def test_energies_of_entries_are_columns(tmp_path: Path) -> None:
    structure = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0] * 3, [0.5] * 3])
    entries = [ComputedStructureEntry(structure, energy, correction=-0.5) for energy in (-6.5, -7.0)]
    (tmp_path / "a.vasp").write_text(POSCAR)
    assert not set(ENTRY_COLUMNS) & set(next(StructureFiles(str(tmp_path)).intakes(5)).batch.table.column_names)
    (tmp_path / "b.json").write_text(json.dumps([entry.as_dict() for entry in entries]))
    intakes = list(StructureFiles(str(tmp_path)).intakes(2))
    found = [value for intake in intakes for value in intake.batch.table["entry_energy_per_atom"].to_pylist()]
    assert found == [None, -3.25, -3.5]
    assert intakes[1].batch.table["entry_correction_per_atom"].to_pylist() == [-0.25]


def test_energies_of_entries_teach_as_labels(tmp_path: Path) -> None:
    cells = [Structure(Lattice.cubic(4 + n / 10), ["Cs", "Cl"], [[0] * 3, [0.5] * 3]) for n in range(3)]
    entries = [ComputedStructureEntry(cell, -6.0 - n).as_dict() for n, cell in enumerate(cells)]
    (tmp_path / "entries.json").write_text(json.dumps({"entries": entries}))
    (intake,) = StructureFiles(str(tmp_path / "entries.json")).intakes(10)
    taught = TrainingSet.of_rows(
        intake.batch, intake.batch.column("entry_energy_per_atom"), property_name="formation_energy_per_atom",
        name="our runs", provenance="dft:pbe", licence="CC0-1.0", citation="us",
    )  # fmt: skip
    assert taught.values.tolist() == [-3.0, -3.5, -4.0]
