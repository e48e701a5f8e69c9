"""Find the files of a folder or a pattern. Links to folders are followed, and no folder is entered twice."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from matloop.data.runs.directory import RUN_FOLDERS, is_run_folder


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, and the folders that cannot be opened. Hidden files and runs are skipped.

    Links to folders are followed after all other folders, in the order of their names. A link to a folder above
    ``root`` is not followed, since that folder holds more than was asked for; the link itself is yielded.
    """
    above = {_place(folder) for folder in root.resolve().parents}
    entered: set[tuple[int, int]] = set()
    starts = [root]
    while starts:
        links: list[Path] = []
        for start in starts:
            yield from _without_links(start, root, entered, links)
        links.sort(key=lambda link: link.as_posix())
        yield from (link for link in links if _place(link) in above)
        starts = [link for link in links if _place(link) not in above]


def _without_links(start: Path, root: Path, entered: set[tuple[int, int]], links: list[Path]) -> Iterator[Path]:
    """Yield the files below a folder that are reached without a link to a folder; such links are added to ``links``."""
    failed: list[OSError] = []
    for folder, folders, names in os.walk(start, onerror=failed.append):
        yield from (Path(error.filename) for error in failed)
        failed.clear()
        place = _place(folder)
        if place in entered or (set(folders).issuperset(RUN_FOLDERS) and Path(folder) != root):
            folders.clear()
            continue
        entered.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += [Path(folder, name) for name in folders if os.path.islink(Path(folder, name))]
        yield from (Path(folder, name) for name in names if not name.startswith("."))
    yield from (Path(error.filename) for error in failed)


def _place(folder: str | Path) -> tuple[int, int]:
    """What identifies a folder, whatever links lead to it."""
    about = os.stat(folder)
    return about.st_dev, about.st_ino


def files_matching(pattern: str) -> Iterator[Path]:
    """Yield the files that a pattern matches, without those of runs in folders that the pattern does not name.

    ``**`` stands for any number of folders.
    """
    parts = Path(pattern).parts
    wild = next((at for at, part in enumerate(parts) if glob.has_magic(part)), 0)
    if "**" in parts:
        root = Path(*parts[:wild])
        found = files_below(root) if root.is_dir() else iter(())
        matching = (path for path in found if _fits(path.parts[wild:], parts[wild:]))
    else:
        matching = (Path(name) for name in glob.iglob(pattern) if not os.path.isdir(name))
    in_run: dict[Path, bool] = {}
    for path in matching:
        folders = [parent for parent in path.parents if len(parent.parts) > wild]
        for folder in folders:
            if folder not in in_run:
                in_run[folder] = is_run_folder(folder)
        if not any(in_run[folder] for folder in folders):
            yield path


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
