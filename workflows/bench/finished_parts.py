"""What a benchmark had finished when it was stopped: one file for each part, kept until the whole is done."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from matloop.data.bounded_files import read_json
from matloop.data.errors import RunError
from matloop.data.whole_files import write_json
from matloop.workflows.running.progress import Progress, SilentProgress

UNFINISHED = "unfinished"
_KEY = "key.json"

Key = Mapping[str, Any]


class FinishedParts(NamedTuple):
    """Parts of a benchmark that are finished, in a folder that the same command goes on from.

    Attributes:
        folder: Folder of the parts; None where nothing is kept.
    """

    folder: Path | None = None

    def read(self, name: str) -> dict[str, Any] | None:
        """What a finished part left; None if it is not finished.

        Raises:
            DamagedFileError: If its file is damaged.
        """
        path = self.folder / f"{name}.json" if self.folder else None
        return read_json(path) if path is not None and path.exists() else None

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a finished part."""
        if self.folder:
            write_json(self.folder / f"{name}.json", content)

    def remove(self) -> None:
        """Remove all parts, because the whole is written."""
        if self.folder and self.folder.is_dir():
            shutil.rmtree(self.folder)


def results_folder(output: Path | None, name: str) -> Path:
    """Make the folder for the files of a benchmark, by default ``runs/NAME-DATE-TIME``.

    Raises:
        RunError: If the folder holds something other than an unfinished benchmark, or cannot be made.
    """
    folder = output or Path("runs") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / UNFINISHED).is_dir():
            raise RunError(f"{folder} is not empty", "a new or empty folder", "choose another --output")
    except OSError as error:
        raise RunError(f"cannot create {folder}: {error.strerror}", "a folder you may write to") from error
    return folder


def parts_in(folder: Path, key: Key) -> FinishedParts:
    """Begin a benchmark in a folder, or go on with the one that was stopped there.

    Args:
        folder: From :func:`results_folder`.
        key: Data, settings and versions on which a part depends, as plain JSON values.

    Raises:
        RunError: If the benchmark that was stopped there had other data, settings or versions.
    """
    parts = folder / UNFINISHED
    parts.mkdir(exist_ok=True)
    before = FinishedParts(parts).read(Path(_KEY).stem)
    if before is None:
        write_json(parts / _KEY, key)
    elif differing := sorted(name for name in {*before, *key} if before.get(name) != key.get(name)):
        first = differing[0]
        raise RunError(
            f"{folder} holds an unfinished benchmark with {first} {str(before.get(first))[:80]}, not "
            f"{str(key.get(first))[:80]}",
            "the same data, settings and versions, to go on from there",
            f"choose another --output, or remove {parts}",
        )
    return FinishedParts(parts)


def each_part(
    parts: FinishedParts,
    names: Sequence[str],
    compute: Callable[[Sequence[int]], Iterator[Mapping[str, Any]]],
    *,
    progress: Progress | None = None,
    step: str,
    note: Callable[[Mapping[str, Any]], str],
) -> list[dict[str, Any]]:
    """Take up the parts that are finished, compute and keep the others, and return all as plain JSON values.

    Args:
        parts: Where finished parts are kept.
        names: Name of each part.
        compute: Computes parts by their numbers, in that order.
        progress: Told of each part.
        step: What the parts are, for people.
        note: A few words about a part, for people.
    """
    watch = progress or SilentProgress()
    found = {number: part for number, name in enumerate(names) if (part := parts.read(name)) is not None}
    missing = [number for number in range(len(names)) if number not in found]
    watch.start(step, len(names))
    if found:
        watch.advance(len(found), "taken up again", earlier=True)
    for number, computed in zip(missing, compute(missing) if missing else (), strict=True):
        parts.write(names[number], computed)
        found[number] = dict(computed)
        watch.advance(1, note(computed))
    return [found[number] for number in range(len(names))]


@contextlib.contextmanager
def kept_when_interrupted(folder: Path) -> Iterator[None]:
    """Say how to go on where a benchmark is interrupted."""
    import sys

    try:
        yield
    except KeyboardInterrupt:
        print(
            f"matloop: interrupted; what was finished is kept, and the same command with --output {folder} goes on",
            file=sys.stderr,
        )
        raise
