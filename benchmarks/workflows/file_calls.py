"""Calls that change files below a folder: counted in all processes together, recorded, and one of them the last.

What Python does through ``os``, ``open`` and :mod:`pyarrow.parquet` is seen: making, opening for writing, writing,
flushing to disk, renaming, linking, changing of modes and removing. Processes forked afterwards share the count.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import mmap
import os
import signal
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

MOMENTS = ("before", "half", "after")
DRIVER, WORKER = "driver", "worker"
_WRITES = ("write", "native write")
_NUMBER = struct.Struct("q")


class Point(NamedTuple):
    """A moment at which a run ends.

    Attributes:
        number: Of the call, from 1.
        moment: Before the call, after it, or when half of what it writes is written.
        whole: Whether all processes of the run end, or the one that makes the call alone.
    """

    number: int
    moment: str
    whole: bool = True


class Call(NamedTuple):
    """A call that was recorded.

    Attributes:
        role: ``driver`` or ``worker``.
        kind: Such as ``replace``.
        path: Below the folder.
    """

    role: str
    kind: str
    path: str

    @property
    def moments(self) -> tuple[str, ...]:
        """When a run may end at it."""
        return MOMENTS if self.kind in _WRITES else ("before", "after")


@dataclass
class FileCalls:
    """What is known of the calls of a run.

    Attributes:
        folders: Below which calls count.
        log: File in which each call is recorded, outside of the folders.
        point: Where the run ends; None for a run that is only recorded.
        role: Of this process.
    """

    folders: Sequence[Path]
    log: Path
    point: Point | None = None
    role: str = DRIVER

    def __post_init__(self) -> None:
        self._count = mmap.mmap(-1, _NUMBER.size)  # is shared with forked processes
        self._roots = tuple(f"{os.path.realpath(folder)}/" for folder in self.folders)

    def path_of(self, target: Any, folder: int | None = None) -> str | None:
        """The path that counts, below its folder; None for any other file.

        Args:
            target: A path, or the number of an open file.
            folder: Number of the open folder that the path begins at.
        """
        if isinstance(target, int):
            path = _opened(target)
        else:
            start = os.getcwd() if folder is None else _opened(folder)
            path = os.path.abspath(os.path.join(start, os.fsdecode(target)))
        found = [path for root in self._roots if f"{path}/".startswith(root)]
        return path if found else None

    def around(self, kind: str, path: str, call: Callable[[], Any], *, half: Callable[[], Any] | None = None) -> Any:
        """Make a call that counts.

        Args:
            kind: Of the call.
            path: Which file it changes.
            call: Makes it.
            half: Makes half of it.
        """
        (earlier,) = _NUMBER.unpack(self._count[:])
        number = earlier + 1
        self._count[:] = _NUMBER.pack(number)
        shown = next((path[len(root) :] for root in self._roots if path.startswith(root)), ".")
        with contextlib.closing(_Descriptor(self.log)) as log:
            log.write(f"{self.role}\t{kind}\t{shown}\n".encode())
        here = self.point if self.point is not None and self.point.number == number else None
        if here is not None and here.moment == "before":
            self._end(here)
        if here is not None and here.moment == "half" and half is not None:
            half()
            self._end(here)
        try:
            return call()
        finally:  # a call that is refused is over too
            if here is not None:
                self._end(here)

    def _end(self, point: Point) -> None:
        if point.whole:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def calls(self) -> list[Call]:
        """All calls so far."""
        return [Call(*line.split("\t")) for line in self.log.read_text("utf-8").splitlines()]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Count the calls of this process from now on, and of the processes it forks."""
        with replaced([*_path_calls(self), *_descriptor_calls(self), *_opening(self), *_native(self)]):
            yield


@contextlib.contextmanager
def replaced(attributes: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Give attributes of things other values within a block: owner, name and value of each."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in attributes]
    try:
        for owner, name, value in attributes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


_Replaced = Iterator[tuple[Any, str, Any]]
_OPEN, _CLOSE, _WRITE, _TRUNCATE, _FILE_IO = os.open, os.close, os.write, os.ftruncate, io.FileIO


class _Descriptor:
    """A file to append to, by calls that do not count themselves."""

    def __init__(self, path: Path) -> None:
        self._handle = _OPEN(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, content: bytes) -> None:
        _WRITE(self._handle, content)

    def close(self) -> None:
        _CLOSE(self._handle)


def _cut(path: str) -> None:
    """Leave the first half of a file."""
    handle = _OPEN(path, os.O_WRONLY)
    _TRUNCATE(handle, os.stat(path).st_size // 2)
    _CLOSE(handle)


def _opened(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}")


def _path_calls(calls: FileCalls) -> _Replaced:
    """Calls that take a path; of two paths the second one is where the change is seen."""

    def by_path(kind: str, original: Any) -> Any:
        def made(target: Any, *arguments: Any, **options: Any) -> Any:
            path = calls.path_of(target, options.get("dir_fd"))
            removes = kind in ("unlink", "remove", "rmdir")
            if path is None or (removes and not os.path.lexists(path)):
                return original(target, *arguments, **options)
            return calls.around(kind, path, lambda: original(target, *arguments, **options))

        return made

    def by_second_path(kind: str, original: Any) -> Any:
        def made(source: Any, target: Any, **options: Any) -> Any:
            path = calls.path_of(target, options.get("dst_dir_fd"))
            if path is None:
                return original(source, target, **options)
            return calls.around(kind, path, lambda: original(source, target, **options))

        return made

    for kind in ("mkdir", "rmdir", "unlink", "remove", "chmod", "truncate", "utime"):
        yield os, kind, by_path(kind, getattr(os, kind))
    for kind in ("rename", "replace", "link", "symlink"):
        yield os, kind, by_second_path(kind, getattr(os, kind))


def _descriptor_calls(calls: FileCalls) -> _Replaced:
    """Calls that take the number of an open file, and the one that gives it."""

    def by_number(kind: str, original: Any) -> Any:
        def made(handle: Any, *arguments: Any) -> Any:
            path = calls.path_of(handle if isinstance(handle, int) else handle.fileno())
            if path is None:
                return original(handle, *arguments)

            def half() -> Any:
                content, *rest = arguments
                return original(handle, memoryview(content)[: len(content) // 2], *rest)

            shown = "write" if kind == "pwrite" else kind
            return calls.around(shown, path, lambda: original(handle, *arguments), half=half)

        return made

    original_open = os.open

    def opened(target: Any, flags: int, *arguments: Any, **options: Any) -> int:
        path = calls.path_of(target, options.get("dir_fd")) if flags & (os.O_WRONLY | os.O_RDWR) else None
        if path is None:
            return original_open(target, flags, *arguments, **options)
        return int(calls.around("open", path, lambda: original_open(target, flags, *arguments, **options)))

    yield os, "open", opened
    for kind in ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "fchmod"):
        yield os, kind, by_number(kind, getattr(os, kind))


def _opening(calls: FileCalls) -> _Replaced:
    """``open`` for writing: the raw file under the buffers counts what reaches the system."""

    class Watched(_FILE_IO):
        def write(self, content: Any) -> int:
            view = memoryview(content).cast("B")
            whole, part = super().write, view[: len(view) // 2]
            return int(calls.around("write", str(self.name), lambda: whole(view), half=lambda: whole(part)))

        def truncate(self, size: int | None = None) -> int:
            cut = super().truncate
            return int(calls.around("truncate", str(self.name), lambda: cut(size)))

    original = io.open

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
        closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        changes = bool(set(mode) & set("wax+")) and not isinstance(file, int)
        path = calls.path_of(file) if changes else None
        if path is None:
            return original(file, mode, buffering, encoding, errors, newline, closefd, opener)
        plain = mode.replace("b", "").replace("t", "")
        raw = calls.around("open", path, lambda: Watched(path, plain, opener=opener))
        if buffering == 0:
            return raw
        buffered: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    yield io, "open", opened
    yield builtins, "open", opened


def _native(calls: FileCalls) -> _Replaced:
    """Parquet files, which compiled code writes."""
    original = pq.write_table

    def written(table: Any, where: Any, *arguments: Any, **options: Any) -> Any:
        path = calls.path_of(where) if isinstance(where, str | Path) else None
        if path is None:
            return original(table, where, *arguments, **options)

        def half() -> None:
            original(table, where, *arguments, **options)
            _cut(path)

        return calls.around("native write", path, lambda: original(table, where, *arguments, **options), half=half)

    yield pq, "write_table", written
