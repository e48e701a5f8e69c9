"""The manifest of a run: one line for each finished part, so that an interrupted run can continue.

The first line tells how the run began, the last ones name its results. Lines with files have the sha256 and the size
of each.

A line is appended, and flushed to the disk, only after the files it names have their final names. A file that no line
names is made again. A line is always right about its files, unless a file was damaged later, which its sha256 shows.
If a kill leaves a line incomplete, the line is ignored and cut off.

Each file has one writer: ``manifest.jsonl`` the run itself, ``manifest-003.jsonl`` the third task of a job array.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matloop.data.bounded_files import parse_json, read_bounded, regular_file
from matloop.data.errors import DamagedFileError, RunError
from matloop.data.whole_files import check_may_write

Line = Mapping[str, Any]
MANIFEST_NAME = "manifest.jsonl"

_CHECK = "check"
_LARGEST, _LARGEST_COUNT = 1_000_000_000, 10**15
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}"
_FILE = re.compile(
    rf"(?:(?:second_)?references|competitors)\.parquet|(?:candidates|models|partitions|best|fates)(?:/{_NAME}){{1,5}}"
)
"""Files that lines name: of partitions, models and reference phases, by their places in the run."""
_FILE_OF_KIND = {
    "began": re.compile(
        r"identity\.json|training_sets\.json|training_rows\.csv|training(?:_from)?-[a-z0-9_]{1,100}\.parquet"
        r"|known_formulas\.json|known_rows\.parquet|known_unread\.csv"
    ),
    "results": re.compile(
        rf"ranked\.parquet|shortlist\.csv|novelty\.json|run\.json|explanations\.json|report\.html|cif/{_NAME}"
    ),
}
"""The same for lines of the beginning and the end of a run."""
_PART = re.compile(_NAME)
_NEEDED = {
    "began": ("partition_rows", "files"),
    "results": ("part", "files"),
    "partition": ("stage", "index", "rows", "key", "files"),
    "candidates": ("index", "rows", "files"),
    "candidates_end": ("partitions", "rows"),
    "composition_model": ("property", "key", "files"),
    "model": ("stage", "property", "key", "files"),
    "fates": ("stage", "merge", "files", "counts", "least"),
    "references": ("key", "files"),
    "second_references": ("key", "files"),
    "competitors": ("key", "files"),
    "event": ("what", "detail", "time"),
}
_TYPES: dict[str, Any] = {
    "part": str, "record": str, "partition_rows": int, "sizes": dict,
    "stage": str, "property": str, "key": str, "content": str, "inputs": str, "what": str, "detail": str,
    "merge": str, "least": (int, float, type(None)),
    "index": int, "rows": int, "partitions": int, "announced": int, "time": (int, float), "files": dict,
    "counts": list,
}  # fmt: skip


class Manifest:
    """Finished parts of one run.

    Args:
        folder: The run directory.
        name: File to which this process appends. All manifests of the run are read.

    Raises:
        RunError: If a line is not one that a run writes, the last one of a file aside.
        DamagedFileError: If a manifest is no regular file of the run, or larger than any.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Manifest(folder).append("partition", stage="surrogates", index=0, key="a", rows=3, files={})
    >>> Manifest(folder).partition("surrogates", 0)["rows"]
    3
    """

    def __init__(self, folder: Path, *, name: str = MANIFEST_NAME) -> None:
        self.folder, self.path = folder, folder / name
        self.lines: list[dict[str, Any]] = []
        self._partitions: dict[tuple[str, int], dict[str, Any]] = {}
        self._by_key: dict[str, dict[str, Any]] = {}
        self._by_thing: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._by_file: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("manifest*.jsonl")):
            for line in _whole_lines(path):
                self._take(line)

    def append(self, kind: str, **fields: Any) -> None:
        """Add a line and wait until it is on the disk.

        Raises:
            DamagedFileError: If the file stands under another name too, where the line would appear as well.
        """
        line = {"kind": kind, **fields}
        if sizes := {**self._sizes(fields.get("files", {})), **fields.get("sizes", {})}:
            line["sizes"] = sizes
        check_may_write()
        with self.path.open("ab+") as file:
            if os.fstat(file.fileno()).st_nlink > 1:  # a stranger's run may share it with a file of ours
                raise DamagedFileError(
                    f"{self.path.name} is a file that stands under another name too", "a file of the run alone",
                    f"replace it by a copy: cp {self.path.name} copy && mv copy {self.path.name}",
                )  # fmt: skip
            _cut_torn_end(file)
            file.write(written_line(line))
            file.flush()
            os.fsync(file.fileno())
        self._take(line)

    def partition(self, stage: str, index: int) -> dict[str, Any] | None:
        """Return the line of a finished partition."""
        return self._partitions.get((stage, index))

    def partitions(self, stage: str) -> dict[int, dict[str, Any]]:
        """Return the lines of all finished partitions of a stage, by number."""
        return {index: line for (name, index), line in sorted(self._partitions.items()) if name == stage}

    def with_key(self, key: str) -> dict[str, Any] | None:
        """Return the line of the part that was made from the inputs with this key."""
        return self._by_key.get(key)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Return all lines of a kind, in the order in which they were written."""
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def beginning(self) -> dict[str, Any] | None:
        """The line of how the run began; None where the manifest was lost, or cut before its first line."""
        return next(reversed(self.of_kind("began")), None)

    @property
    def lost_beginning(self) -> str:
        """What is wrong where the manifest of a run lacks its first line; empty where it has it."""
        lost = f"{self.path.name} does not tell how the run began: it is missing, or was emptied or cut"
        return "" if self.beginning is not None else lost

    def results(self, part: str) -> dict[str, Any] | None:
        """Return the last line of one part of the results, such as ``report``."""
        return self._by_thing.get(("results", None, None, None, None, part))

    def is_sound(self, line: Line) -> bool:
        """Whether all files of a line exist and are unchanged.

        Raises:
            DamagedFileError: If a link leads out of the run.
        """
        return not self.damage_of(line)

    def damage_of(self, line: Line, *, content: bool = True) -> dict[str, str]:
        """What is wrong with the files of a line, by name.

        Args:
            line: A line of this manifest.
            content: Whether the content is looked at too, and not only the size.

        Raises:
            DamagedFileError: If a link leads out of the run.
        """
        found = {name: self._damage(name, line, content=content) for name in line["files"]}
        return {name: what for name, what in found.items() if what}

    def damage(self, *, content: bool = True) -> dict[str, str]:
        """What is wrong with any file that the manifest names, by name; of what was made again the last line counts."""
        found: dict[str, str] = {}
        if self.lost_beginning:
            found[self.path.name] = self.lost_beginning.partition(" ")[2]
        for line in self._by_thing.values():
            found |= self.damage_of(line, content=content)
        return found

    def line_of(self, name: str) -> dict[str, Any] | None:
        """Return the line that holds for a file, by its path in the run directory."""
        return self._by_file.get(name)

    def _damage(self, name: str, line: Line, *, content: bool) -> str:
        path = self.folder / name
        if not path.is_file():
            return "is no regular file" if os.path.lexists(path) else "is missing"
        real, expected = regular_file(path, inside=self.folder), line.get("sizes", {}).get(name)
        if expected is not None and (size := real.stat().st_size) != expected:
            return f"has {size:,} bytes where it had {expected:,}"
        return "has another content than it had" if content and sha256_of(real) != line["files"][name] else ""

    def _sizes(self, files: Mapping[str, str]) -> dict[str, int]:
        paths = {name: self.folder / name for name in files}
        return {name: path.stat().st_size for name, path in paths.items() if path.is_file()}

    def _take(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        if line["kind"] == "partition":
            self._partitions[line["stage"], line["index"]] = line
        if "key" in line:
            self._by_key[line["key"]] = line
        if "files" in line:
            thing = tuple(line.get(name) for name in ("kind", "stage", "index", "property", "merge", "part"))
            for name in self._by_thing.get(thing, {"files": ()})["files"]:
                self._by_file.pop(name, None)
            self._by_thing[thing] = line
            self._by_file |= dict.fromkeys(line["files"], line)


def written_line(line: Line) -> bytes:
    """A line as it stands in the file: with a check of its own content, so that one that was changed is noticed."""
    return json.dumps({**line, _CHECK: _check_of(line)}, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"


def _check_of(line: Line) -> str:
    return key_of(line=line)[:16]


def key_of(**inputs: Any) -> str:
    """Hash everything that decides a result. Values must be plain JSON.

    >>> key_of(a=1, b=[2]) == key_of(b=[2], a=1)
    True
    """
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, allow_nan=False).encode("utf-8")).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    *whole, _ = read_bounded(path, inside=path.parent, most_bytes=_LARGEST).split(b"\n")
    for number, text in enumerate(whole, start=1):
        try:
            line = parse_json(text, name=f"line {number}")
            _check_line(line)
            if line.pop(_CHECK, "") != _check_of(line):
                raise ValueError("it was changed, or cut, since it was written")
        except (DamagedFileError, ValueError) as error:
            reason = error.got if isinstance(error, DamagedFileError) else str(error)
            raise RunError(
                f"line {number} of {path.name} cannot be read: {reason}", "lines as a run writes them",
                "restore the file, or delete it from that line on: what it told of is made again",
            ) from error  # fmt: skip
        yield line


def _check_line(line: Any) -> None:
    """Refuse a line that a run would not write.

    Raises:
        ValueError: If the line is not valid; the message says why.
    """
    if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
        raise ValueError("it is no JSON object with a kind")
    for name in _NEEDED.get(line["kind"], ()):
        if name not in line:
            raise ValueError(f"it lacks {name}")
    for name, kinds in _TYPES.items():
        value = line.get(name, 0 if kinds is int else None)
        if name in line and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ValueError(f"its {name} is {str(value)[:40]!r}")
        if isinstance(value, int) and not 0 <= value <= _LARGEST_COUNT:
            raise ValueError(f"its {name} is {value}")
    allowed = _FILE_OF_KIND.get(line["kind"], _FILE)
    for name, digest in line.get("files", {}).items():
        if not allowed.fullmatch(name) or not isinstance(digest, str):
            raise ValueError(f"it names a file {name[:80]!r}, which is none of a run")
    for name, size in line.get("sizes", {}).items():
        if name not in line.get("files", {}) or not isinstance(size, int) or not 0 <= size <= _LARGEST_COUNT:
            raise ValueError(f"its size of {name[:80]!r} is {str(size)[:40]!r}")
    for name in ("stage", "merge", "property", "part"):
        if name in line and not _PART.fullmatch(line[name]):
            raise ValueError(f"its {name} is {line[name][:40]!r}, which cannot be that of a file")
    for count in line.get("counts", ()):
        texts = count[:-1] if isinstance(count, list) and len(count) == 6 else [None]
        if not all(isinstance(text, str) for text in texts) or not isinstance(count[-1], int):
            raise ValueError("its counts are not stage, outcome, code, value, limit and number of rows")


def _cut_torn_end(file: Any) -> None:
    """Cut off an incomplete last line, so that the next line begins on its own."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
