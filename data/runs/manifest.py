"""The manifest of a run: one line for each thing that is finished, so that a run that was cut off can go on.

A line is appended, and flushed to the disk, only after the files it names have their final names. So a file that no
line names is made again; a line is never wrong about a file, unless the file was damaged since, which its sha256 tells.
A kill in the middle of a line leaves it without its end: it is ignored and cut off.

Each file has one writer: ``manifest.jsonl`` the run itself, ``manifest-003.jsonl`` the third task of a job array.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matloop.data.errors import RunError

Line = Mapping[str, Any]


class Manifest:
    """What is finished of one run.

    Args:
        folder: The run directory.
        name: The file this process appends to; all manifests of the run are read.

    Raises:
        RunError: If a line is no JSON object, the last one of a file aside.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Manifest(folder).append("partition", stage="surrogates", index=0, key="a", rows=3, files={})
    >>> Manifest(folder).partition("surrogates", 0)["rows"]
    3
    """

    def __init__(self, folder: Path, *, name: str = "manifest.jsonl") -> None:
        self.folder, self.path = folder, folder / name
        self.lines: list[dict[str, Any]] = []
        self._partitions: dict[tuple[str, int], dict[str, Any]] = {}
        self._by_key: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("manifest*.jsonl")):
            for line in _whole_lines(path):
                self._take(line)

    def append(self, kind: str, **fields: Any) -> None:
        """Add a line and wait until it is on the disk."""
        line = {"kind": kind, **fields}
        with self.path.open("ab+") as file:
            _cut_torn_end(file)
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(line)

    def partition(self, stage: str, index: int) -> dict[str, Any] | None:
        """The line of a finished partition."""
        return self._partitions.get((stage, index))

    def partitions(self, stage: str) -> dict[int, dict[str, Any]]:
        """The lines of all finished partitions of a stage, by number."""
        return {index: line for (name, index), line in sorted(self._partitions.items()) if name == stage}

    def with_key(self, key: str) -> dict[str, Any] | None:
        """The line of whatever was made from the inputs of that key."""
        return self._by_key.get(key)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """All lines of a kind, in the order they were written."""
        return [line for line in self.lines if line["kind"] == kind]

    def is_sound(self, line: Line) -> bool:
        """Whether all files of a line are there and what they were."""
        for name, digest in line["files"].items():
            path = self.folder / name
            if not path.is_file() or sha256_of(path) != digest:
                return False
        return True

    def _take(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        if line["kind"] == "partition":
            self._partitions[line["stage"], line["index"]] = line
        if "key" in line:
            self._by_key[line["key"]] = line


def key_of(**inputs: Any) -> str:
    """One hash of all that decides a result; values must be plain JSON.

    >>> key_of(a=1, b=[2]) == key_of(b=[2], a=1)
    True
    """
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, allow_nan=False).encode("utf-8")).hexdigest()


def sha256_of(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    *whole, _ = path.read_bytes().split(b"\n")
    for number, text in enumerate(whole, start=1):
        try:
            line = json.loads(text)
            if not isinstance(line["kind"], str):
                raise TypeError("the kind is no text")
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(
                f"line {number} of {path.name} cannot be read: {error}", "lines as a run writes them",
                "restore the file, or delete it from that line on: what it told of is made again",
            ) from error  # fmt: skip
        yield line


def _cut_torn_end(file: Any) -> None:
    """Cut off what a kill left of a line, so that the next one stands by itself."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
