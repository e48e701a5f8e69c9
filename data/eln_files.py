"""Folders as one file to send: a ZIP archive, and ``.eln`` files that electronic laboratory notebooks read.

An ``.eln`` file is a zipped RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) below one folder of the archive, after the
specification of the ELN Consortium (https://github.com/TheELNConsortium/TheELNFileFormat): one data set for each
candidate or sample with what was measured of it, and size and sha256 of each file. The library ``rocrate`` reads it
back in the tests. It does not write it: what it writes holds the time of writing and random ids, so equal contents
would have unequal packages.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matloop.data.whole_files import json_file, write_whole

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
METADATA = "ro-crate-metadata.json"
_MEDIA_TYPES = {
    ".html": "text/html", ".json": "application/json", ".cif": "chemical/x-cif", ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a ZIP archive; the time of writing would make equal packages unequal


class MeasuredProperty(NamedTuple):
    """A measured value as a notebook lists it.

    Attributes:
        id: Permanent identifier of the value.
        name: What people read.
        property: Name in the catalogue.
        value: With the sign of a limit, such as ``<0.1``, where it is one.
        unit: Of the value.
    """

    id: str
    name: str
    property: str
    value: str
    unit: str


class PackagedFolder(NamedTuple):
    """A folder of a package.

    Attributes:
        name: Of the folder.
        title: What it holds.
        keywords: Words to find it by.
        measured: Values of what it is about.
    """

    name: str
    title: str
    keywords: Sequence[str]
    measured: Sequence[MeasuredProperty] = ()


class PackageFacts(NamedTuple):
    """What a package says of itself.

    Attributes:
        name: Title.
        description: What it holds, in a sentence.
        date: Day on which it was made, such as ``2026-11-29``.
        language: Of its texts, ``en`` or ``zh``.
        licence: Of what it holds.
    """

    name: str
    description: str
    date: str
    language: str
    licence: str


def write_zip(path: Path, top: Path, folders: Sequence[PackagedFolder]) -> None:
    """Write folders into one ZIP archive.

    Args:
        path: The archive.
        top: Where the folders lie.
        folders: Which of them.
    """

    def fill(draft: Path) -> None:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in folder_files(top, folders):
                _add(archive, name, content)

    write_whole(path, fill)


def write_eln(
    path: Path, files: Mapping[str, bytes], folders: Sequence[PackagedFolder], *, facts: PackageFacts
) -> None:  # fmt: skip
    """Write folders into one ``.eln`` file.

    Args:
        path: The file.
        files: Content of each file by its path in the package.
        folders: The data sets.
        facts: What it says of itself.
    """
    metadata = json_file(crate(files, folders, facts=facts))

    def fill(draft: Path) -> None:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {METADATA: metadata.encode(), **files}.items():
                _add(archive, f"{path.stem}/{name}", content)

    write_whole(path, fill)


def crate(files: Mapping[str, bytes], folders: Sequence[PackagedFolder], *, facts: PackageFacts) -> dict[str, Any]:
    """Metadata of an RO-Crate 1.1: a flat list of what describes it, its root, its data sets and its files.

    Args:
        files: Content of each file by its path in the crate.
        folders: The data sets.
        facts: What it says of itself.

    >>> facts = PackageFacts("three", "Three dossiers.", "2026-11-29", "en", "CC BY 4.0")
    >>> graph = crate({"01/a.cif": b"data_a"}, [PackagedFolder("01", "Ga2S3", ["Ga2S3"])], facts=facts)["@graph"]
    >>> [node["@id"] for node in graph]
    ['ro-crate-metadata.json', './', '#matloop', './01/', './01/a.cif']
    """
    within = {folder.name: [name for name in files if name.startswith(f"{folder.name}/")] for folder in folders}
    loose = [name for name in files if "/" not in name]
    descriptor = {
        "@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": PROFILE},
        "dateCreated": facts.date, "sdPublisher": {"@id": "#matloop"}, "version": "1.0",
    }  # fmt: skip
    root = {
        "@id": "./", "@type": "Dataset", "name": facts.name, "description": facts.description,
        "datePublished": facts.date, "license": facts.licence,
        "inLanguage": "zh-CN" if facts.language == "zh" else "en",
        "hasPart": [{"@id": f"./{name}{'/' if name in within else ''}"} for name in (*within, *loose)],
    }  # fmt: skip
    publisher = {"@id": "#matloop", "@type": "Organization", "name": "matloop"}
    sets = [
        {
            "@id": f"./{folder.name}/", "@type": "Dataset", "name": folder.title, "dateCreated": facts.date,
            "keywords": ", ".join(folder.keywords), "hasPart": [{"@id": f"./{name}"} for name in within[folder.name]],
            **({"variableMeasured": [{"@id": f"#{one.id}"} for one in folder.measured]} if folder.measured else {}),
        }
        for folder in folders
    ]  # fmt: skip
    measured = [
        {
            "@id": f"#{one.id}", "@type": "PropertyValue", "name": one.name, "propertyID": one.property,
            "value": one.value, "unitText": one.unit,
        }
        for folder in folders for one in folder.measured
    ]  # fmt: skip
    described = [
        {
            "@id": f"./{name}", "@type": "File", "name": name.rpartition("/")[2],
            "encodingFormat": _MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
            "contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest(),
        }
        for name, content in files.items()
    ]  # fmt: skip
    return {"@context": CONTEXT, "@graph": [descriptor, root, publisher, *sets, *measured, *described]}


def folder_files(top: Path, folders: Sequence[PackagedFolder]) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file in some folders, in the order of names."""
    for folder in folders:
        for path in sorted((top / folder.name).iterdir()):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                yield f"{folder.name}/{path.name}", path.read_bytes()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    about = zipfile.ZipInfo(name, _EARLIEST)
    about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    archive.writestr(about, content)
