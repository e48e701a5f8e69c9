"""Faults of structure files that a run survives: each culprit is lost under its code, its neighbours are served."""

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from matloop.data.errors import InputFileError
from matloop.data.sources import structure_files
from matloop.data.sources.structure_files import StructureFiles
from tests.data.readers.structure_texts import CIF, POSCAR, cif_of

# A reader with a fault for every name it finds in a file, in place of what a native library might do.
HOSTILE_READER = """
import os, time
from matloop.data.readers.structure_text import read_row as real
def read_row(message):
    if b"please-exit" in message: os._exit(7)
    if b"please-hang" in message:
        while True: pass
    if b"please-sleep" in message: time.sleep(1000)
    if b"please-eat" in message: return bytes(10**13)
    if b"please-crash" in message: os.abort()
    if b"please-lie" in message: return b"\\x80\\x04cos\\nsystem\\n"
    return real(message)
"""


def codes(path: Path, *, timeout: float = 60.0, memory_limit: int = 1_000_000_000) -> dict[str, str]:
    """Code, or nothing for a candidate, by file; the counts add up."""
    source = StructureFiles(str(path), timeout=timeout, memory_limit=memory_limit)
    found: dict[str, str] = {}
    for intake in source.intakes(50):
        found |= dict.fromkeys(intake.batch.table["origin"].to_pylist(), "")
        found |= {refused.detail.split(": ")[0]: refused.code for refused in intake.refused}
    assert len(found) == source.count()
    return found


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {"0.vasp": POSCAR, **files, "zz.cif": CIF}.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def hostile_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hostile_reader.py").write_text(HOSTILE_READER, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(structure_files, "READER", "hostile_reader:read_row")


def test_r1_what_is_not_finite_or_singular(tmp_path: Path) -> None:
    files = {
        "nan cell.vasp": POSCAR.replace("0 4.1 0", "0 nan 0"),
        "inf cell.vasp": POSCAR.replace("0 4.1 0", "0 inf 0"),
        "overflow.vasp": POSCAR.replace("0 4.1 0", "0 1e400 0"),
        "nan place.vasp": POSCAR.replace(".5 .5 .5", ".5 nan .5"),
        "far place.vasp": POSCAR.replace(".5 .5 .5", ".5 1e30 .5"),
        "flat.vasp": POSCAR.replace("0 4.1 0", "4.1 0 0"),
        "wide.vasp": POSCAR.replace("4.1", "1000"),
        "tight.vasp": POSCAR.replace("4.1", "0.3"),
        "skewed.vasp": POSCAR.replace("0 4.1 0", "900000 4.1 0"),
    }
    assert codes(write(tmp_path / "x", files)) == {
        "0.vasp": "",
        "nan cell.vasp": "E-STRUCT-NONFINITE",
        "inf cell.vasp": "E-STRUCT-NONFINITE",
        "overflow.vasp": "E-STRUCT-NONFINITE",
        "nan place.vasp": "E-STRUCT-NONFINITE",
        "far place.vasp": "E-STRUCT-NONFINITE",
        "flat.vasp": "E-STRUCT-VOLUME",
        "wide.vasp": "E-STRUCT-VOLUME",
        "tight.vasp": "E-STRUCT-VOLUME",
        "skewed.vasp": "E-STRUCT-CELL",
        "zz.cif": "",
    }


@pytest.mark.usefixtures("hostile_reader")
def test_r2_a_structure_that_kills_its_process(tmp_path: Path) -> None:
    files = {
        "a.vasp": POSCAR.replace("salt", "please-exit"),
        "b.vasp": POSCAR,
        "c.vasp": POSCAR.replace("salt", "please-crash"),
        "d.vasp": POSCAR.replace("salt", "please-lie"),
    }
    crash = "E-GUARD-CRASH"
    assert codes(write(tmp_path / "x", files)) == {
        "0.vasp": "", "a.vasp": crash, "b.vasp": "", "c.vasp": crash, "d.vasp": crash, "zz.cif": "",
    }  # fmt: skip


@pytest.mark.usefixtures("hostile_reader")
def test_r3_a_structure_that_hangs(tmp_path: Path) -> None:
    files = {"a.vasp": POSCAR.replace("salt", "please-hang"), "b.vasp": POSCAR.replace("salt", "please-sleep")}
    start = time.monotonic()
    found = codes(write(tmp_path / "x", files), timeout=1.0)
    assert found == {"0.vasp": "", "a.vasp": "E-GUARD-TIMEOUT", "b.vasp": "E-GUARD-TIMEOUT", "zz.cif": ""}
    assert time.monotonic() - start < 30


@pytest.mark.usefixtures("hostile_reader")
def test_r4_a_structure_that_eats_memory(tmp_path: Path) -> None:
    files = {"a.vasp": POSCAR.replace("salt", "please-eat")}
    assert codes(write(tmp_path / "x", files)) == {"0.vasp": "", "a.vasp": "E-GUARD-MEMORY", "zz.cif": ""}


@pytest.mark.usefixtures("hostile_reader")
def test_r1_r2_r4_four_culprits_among_good_files(tmp_path: Path) -> None:
    good = {f"{n:03}.vasp": POSCAR.replace("4.1", f"{4 + n / 100:.2f}") for n in range(100)}
    culprits = {
        "020 nan.vasp": (POSCAR.replace("0 4.1 0", "0 nan 0"), "E-STRUCT-NONFINITE"),
        "040 billion.vasp": (POSCAR.replace("1 1\n", "1000000000 1\n"), "E-STRUCT-SIZE"),
        "060 wide.vasp": (POSCAR.replace("4.1", "1000"), "E-STRUCT-VOLUME"),
        "080 killer.vasp": (POSCAR.replace("salt", "please-exit"), "E-GUARD-CRASH"),
    }
    clean = StructureFiles(str(write(tmp_path / "clean", good)))
    mixed = StructureFiles(str(write(tmp_path / "mixed", good | {name: text for name, (text, _) in culprits.items()})))
    (expected,), (found,) = clean.intakes(1000), mixed.intakes(1000)
    assert not expected.refused
    assert {refused.detail.split(": ")[0]: refused.code for refused in found.refused} == {
        name: code for name, (_, code) in culprits.items()
    }
    assert found.batch.to_arrow().equals(expected.batch.to_arrow())
    assert len(found.batch) + len(found.refused) == mixed.count() == clean.count() + 4


MEASURE = """
import json, resource, sys
from matloop.data.sources.structure_files import StructureFiles
list(StructureFiles(sys.argv[1]).intakes(10))  # what is loaded once is not the file's fault
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = StructureFiles(sys.argv[2])
(intake,) = source.intakes(100)
assert len(intake.batch) + len(intake.refused) == source.count()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([grown, {refused.detail.split(": ")[0]: refused.code for refused in intake.refused}]))
"""


def test_r4_declared_counts_and_bombs_leave_the_memory_alone(tmp_path: Path) -> None:
    lattice = 'Lattice="4 0 0 0 4 0 0 0 4"'
    files = {
        "billion.vasp": POSCAR.replace("1 1\n", "1000000000 1\n"),
        "billion.xyz": f"1000000000\n{lattice}\nH 0 0 0\n",
        "billion.xsf": "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n1000000000 1\n1 0 0 0\n",
        "blocks.cif": "data_\n" * 700_000,
        "images.xyz": f"0\n{lattice}\n" * 300_000,
        "commas.json": "[" + "," * 1_000_000,
        "deep.json": "[" * 1_000_000,
        "lines.cif": "\n" * 1_000_000 + "x",
    }
    folders = [str(write(tmp_path / "y", {})), str(write(tmp_path / "x", files))]
    done = subprocess.run([sys.executable, "-c", MEASURE, *folders], capture_output=True, text=True, check=True)
    kilobytes, found = json.loads(done.stdout)
    assert kilobytes < 200_000
    assert found.keys() == files.keys()
    assert {found[name] for name in ("billion.vasp", "billion.xyz", "billion.xsf")} == {"E-STRUCT-SIZE"}
    assert {found[name] for name in ("blocks.cif", "images.xyz", "commas.json")} == {"E-FILE-TOO-LARGE"}


def test_r7_disorder_is_refused_unless_a_policy_says_otherwise(tmp_path: Path) -> None:
    mixed = cif_of("Na1 0 0 0 .5\nK1 0 0 0 .5\nCl1 .5 .5 .5 1\n", name="mixed")
    assert codes(write(tmp_path / "x", {"m.cif": mixed}))["m.cif"] == "E-STRUCT-DISORDER"
    (crystals, compositions) = StructureFiles(str(tmp_path / "x"), disorder="composition_only").intakes(10)
    assert (len(crystals.batch), compositions.batch.formulas) == (2, ["KNaCl2"])
    assert compositions.batch.crystals is None


def test_r8_malformed_files(tmp_path: Path) -> None:
    files = {
        "cut.cif": CIF[:-6],
        "cut.vasp": POSCAR[:-10],
        "no symbols.vasp": POSCAR.replace("Cs Cl\n", ""),
        "dummy.cif": CIF.replace("Na1 Na1+", "X1 X"),
        "overlap.cif": cif_of("Na1 0 0 0 1\nCl1 0 0 0 1\n"),
        "ligand.cif": "data_HEM\nloop_\n_chem_comp_atom.atom_id\n_chem_comp_atom.x\nFE 1.0\n",
        "return.cif": CIF.replace("\n", "\r"),
        "empty.cif": "",
    }
    assert codes(write(tmp_path / "x", files)) == {
        "0.vasp": "",
        "cut.cif": "E-FILE-SYNTAX",
        "cut.vasp": "E-FILE-SYNTAX",
        "no symbols.vasp": "E-STRUCT-SYMBOLS",
        "dummy.cif": "E-STRUCT-ELEMENT",
        "overlap.cif": "E-STRUCT-DISTANCE",
        "ligand.cif": "E-STRUCT-NOCELL",
        "return.cif": "",
        "empty.cif": "E-FILE-EMPTY",
        "zz.cif": "",
    }


def test_s1_s4_files_cannot_run_code(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    # CVE-2024-23346: the transformation string of a magnetic CIF was evaluated.
    subclasses = '().__class__.__mro__[1].__getattribute__(*[().__class__.__mro__[1]]+["__sub" + "classes__"])()'
    call = f'[d for d in {subclasses}], open("{mark}", "w")'
    magnetic = f"_space_group_magn.transform_BNS_Pp_abc 'a,b,{call};0,0,0'\n_space_group_magn.number_BNS 62.448\n"
    (tmp_path / "trap.py").write_text(f"class Trap:\n    from_dict = print\nopen({str(mark)!r}, 'w')\n", "utf-8")
    named = {
        "@module": "trap",
        "@class": "Trap",
        "lattice": {"@module": "trap", "matrix": [[4, 0, 0]] * 3},
        "sites": [],
    }
    files = {
        "code.cif": CIF.replace("loop_", f"{magnetic}loop_", 1),
        "operation.cif": CIF.replace("'x, y+1/2, z+1/2'", f"'x,y,{call}'"),
        "named.json": json.dumps(named),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        found = codes(write(tmp_path / "x", files))
    assert not mark.exists()
    assert found["code.cif"] == ""  # the transformation is not looked at
    assert found["operation.cif"] == "E-STRUCT-SYMMETRY"
    assert found["named.json"] == "E-STRUCT-NOATOMS"


def _tar(path: Path, change: Callable[[tarfile.TarFile], None]) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("a.cif", "z.cif"):
            info = tarfile.TarInfo(name)
            info.size = len(CIF)
            archive.addfile(info, io.BytesIO(CIF.encode()))
            if name == "a.cif":
                change(archive)


def _hostile_members(archive: tarfile.TarFile) -> None:
    for name, kind, target in (
        ("link.cif", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard.cif", tarfile.LNKTYPE, "a.cif"),
        ("device.cif", tarfile.CHRTYPE, ""),
        ("pipe.cif", tarfile.FIFOTYPE, ""),
        ("../out.cif", tarfile.REGTYPE, ""),
        ("/etc/absolute.cif", tarfile.REGTYPE, ""),
        ("C:\\drive.cif", tarfile.REGTYPE, ""),
    ):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)


def test_s10_archives_with_links_and_names_that_lead_out(tmp_path: Path) -> None:
    _tar(tmp_path / "x.tar", _hostile_members)
    found = codes(tmp_path / "x.tar")
    assert (found.pop("a.cif"), found.pop("z.cif")) == ("", "")
    assert len(found) == 7
    assert set(found.values()) == {"E-FILE-MEMBER"}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        link = zipfile.ZipInfo("link.cif")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../out.cif", CIF)
        archive.writestr("in.cif", CIF)
    assert codes(tmp_path / "x.zip") == {"link.cif": "E-FILE-MEMBER", "../../out.cif": "E-FILE-MEMBER", "in.cif": ""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar", "x.zip"]


def test_s11_bombs(tmp_path: Path) -> None:
    zeros = bytes(30_000_000)
    (tmp_path / "bomb.cif.gz").write_bytes(gzip.compress(zeros))
    assert codes(tmp_path / "bomb.cif.gz") == {"bomb.cif.gz": "E-FILE-TOO-LARGE"}
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.cif", zeros)
        archive.writestr("ratio.cif", zeros[:10_000_000])
        archive.writestr("good.cif", CIF)
    assert codes(tmp_path / "x.zip") == {
        "large.cif": "E-FILE-TOO-LARGE",
        "ratio.cif": "E-FILE-TOO-LARGE",
        "good.cif": "",
    }

    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("large.cif")
        info.size = len(zeros)
        archive.addfile(info, io.BytesIO(zeros))

    _tar(tmp_path / "x.tar", add)
    assert codes(tmp_path / "x.tar") == {"a.cif": "", "large.cif": "E-FILE-TOO-LARGE", "z.cif": ""}
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress((tmp_path / "x.tar").read_bytes()))
    with pytest.raises(InputFileError, match="unpacked"):
        StructureFiles(str(tmp_path / "x.tar.gz")).count()


def test_s11_many_members_of_a_zip_that_say_less_than_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", bytes(10_000_000))
    content = path.read_bytes().replace((10_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(InputFileError, match="CRC"):
        StructureFiles(str(path)).count()


def test_s12_names_become_neither_ids_nor_paths(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", {"a b;$(rm).cif": CIF, "x\\..\\c.cif": "no structure"})
    (intake,) = StructureFiles(str(folder)).intakes(10)
    ids = [*intake.batch.ids, *(refused.candidate_id for refused in intake.refused)]
    assert len(ids) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,80}", name) for name in ids)
