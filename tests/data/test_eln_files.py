"""Packages of folders: what is in them, and that the reader of RO-Crates of another project agrees."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from matloop.data.eln_files import METADATA, PackagedFolder, PackageFacts, folder_files, write_eln, write_zip

FACTS = PackageFacts("Three candidates", "Dossiers.", "2026-11-29", "en", "CC BY 4.0")
FOLDERS = [PackagedFolder("01_Ga2S3_x1", "Ga2S3", ["Ga2S3"]), PackagedFolder("02_TiS2_x2", "TiS2", ["TiS2"])]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        (tmp_path / folder.name).mkdir()
        (tmp_path / folder.name / "dossier.html").write_text(f"<p>{folder.title}", "utf-8")
        (tmp_path / folder.name / "dossier.json").write_text("{}", "utf-8")
        (tmp_path / folder.name / ".draft.partial").write_text("half", "utf-8")
    (tmp_path / FOLDERS[0].name / "link.cif").symlink_to("/etc/hostname")
    return tmp_path


def test_zip_holds_the_folders_and_nothing_that_a_link_leads_to(top: Path) -> None:
    write_zip(top / "all.zip", top, FOLDERS)
    names = zipfile.ZipFile(top / "all.zip").namelist()
    assert names == [f"{folder.name}/{name}" for folder in FOLDERS for name in ("dossier.html", "dossier.json")]


def test_equal_folders_make_equal_packages(top: Path) -> None:
    for name in ("one.eln", "two.eln"):
        (top / name.removesuffix(".eln")).mkdir()
        write_eln(top / name.removesuffix(".eln") / "same.eln", dict(folder_files(top, FOLDERS)), FOLDERS, facts=FACTS)
    assert (top / "one" / "same.eln").read_bytes() == (top / "two" / "same.eln").read_bytes()


def test_eln_is_read_back_by_the_library_of_the_standard(top: Path) -> None:
    write_eln(top / "three.eln", dict(folder_files(top, FOLDERS)), FOLDERS, facts=FACTS)
    with zipfile.ZipFile(top / "three.eln") as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"three"}  # one folder of the archive's name
        archive.extractall(top / "read")
    crate = ROCrate(top / "read" / "three")
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    assert (crate.root_dataset["datePublished"], str(crate.name)) == ("2026-11-29", FACTS.name)
    sets = [part for part in crate.root_dataset["hasPart"] if part.type == "Dataset"]
    assert [one.id for one in sets] == [f"{folder.name}/" for folder in FOLDERS]
    files = [part for one in sets for part in one["hasPart"]]
    assert len(files) == 4
    for file in files:
        content = (top / "read" / "three" / file.id).read_bytes()
        assert file.type == "File"
        assert file["contentSize"] == str(len(content))
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert METADATA in {entity.id for entity in crate.get_entities()}
