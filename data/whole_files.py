"""Write files whole or not at all: nobody ever finds half a file under its final name.

A process that works on a run writes under a permission, the lock of the run. It is asked before any file gets its final
name, in the driver and in workers: a process that was suspended for long may have lost its run meanwhile.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import math
import os
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.plain_text import plain

# A spreadsheet takes text that starts so for a formula; a Chinese or Japanese one the full-width signs too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_LONGEST_CELL = 32_767  # characters in a cell of an XLSX file


class Permission(Protocol):
    """The right to write somewhere; travels to workers."""

    @property
    def token(self) -> str:
        """Unique to this permission; drafts carry it in their names."""
        ...

    def check(self) -> None:
        """Raise an error if the right is lost."""
        ...


_permission: ContextVar[Permission | None] = ContextVar("permission", default=None)


@contextlib.contextmanager
def writing_under(permission: Permission | None) -> Iterator[None]:
    """Ask a permission before each file that is written in the ``with`` block gets its final name."""
    before = _permission.set(permission)
    try:
        yield
    finally:
        _permission.reset(before)


def present_permission() -> Permission | None:
    """The permission that is asked here and now, if any."""
    return _permission.get()


def check_may_write() -> None:
    """Make sure that the permission in use still holds."""
    permission = _permission.get()
    if permission is not None:
        permission.check()


@dataclass(frozen=True)
class UnderPermission:
    """A function that writes under a permission wherever it is called; travels to workers.

    Attributes:
        permission: The permission.
        function: The function that writes.
    """

    permission: Permission
    function: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return self.function.__name__

    def __call__(self, *arguments: Any) -> Any:
        """Call the function under the permission, and return its result."""
        with writing_under(self.permission):
            return self.function(*arguments)


def _draft_prefix(path: Path) -> str:
    permission = _permission.get()
    return f".{path.name}.{permission.token}-" if permission is not None else f".{path.name}."


@contextlib.contextmanager
def draft_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder for what is needed only within the ``with`` block; it goes like any draft."""
    draft = parent / f"{_draft_prefix(parent / name)}{uuid.uuid4().hex[:8]}.partial"
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a temporary folder and fill it, flush it to disk and only then give it its name.

    A folder of that name is replaced.
    """
    with _filled_draft(path, write) as draft:
        check_may_write()
        shutil.rmtree(path, ignore_errors=True)
        draft.rename(path)
        _flush(path.parent)


def write_new_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Write a folder like :func:`write_folder`; one of that name which another process wrote first stays as it is."""
    with _filled_draft(path, write) as draft:
        try:
            draft.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # the other one may be gone again by now
                raise
        _flush(path.parent)


@contextlib.contextmanager
def _filled_draft(path: Path, write: Callable[[Path], None]) -> Iterator[Path]:
    """A temporary folder that ``write`` has filled, flushed to disk; it is removed unless it gets another name."""
    draft = path.with_name(f"{_draft_prefix(path)}{uuid.uuid4().hex[:8]}.partial")
    try:
        write(draft)
        for inner in draft.rglob("*"):
            _flush(inner)
        _flush(draft)
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, flush it to disk and only then give it its name."""
    draft = path.with_name(f"{_draft_prefix(path)}{secrets.token_hex(6)}.partial")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the umask of the user takes away
    try:
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        check_may_write()
        draft.replace(path)
        _flush(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_drafts(folder: Path, *, of: Permission | None = None) -> None:
    """Remove what writers that were killed left unfinished anywhere below a folder.

    Args:
        folder: Where drafts are looked for.
        of: Only the drafts that were made under this permission; without it the present permission must hold.
    """
    if of is None:
        check_may_write()
    for draft in list(folder.rglob(".*.partial" if of is None else f".*.{of.token}-*.partial")):
        if draft.is_dir() and not draft.is_symlink():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Parquet file, whole or not at all."""
    write_whole(path, lambda draft: pq.write_table(table, draft, compression="zstd"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write one file, whole or not at all."""

    def fill(draft: Path) -> None:
        draft.write_bytes(content)

    write_whole(path, fill)


def write_text(path: Path, text: str) -> None:
    """Write one text file, whole or not at all."""

    def fill(draft: Path) -> None:
        draft.write_text(text, encoding="utf-8")

    write_whole(path, fill)


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write one JSON file, whole or not at all; see :func:`json_file`."""
    write_text(path, json_file(content))


def json_file(content: Mapping[str, Any] | Sequence[Any], *, sort: bool = False) -> str:
    """Content of a JSON file; nan becomes null, as JSON has no nan.

    Args:
        content: Plain values.
        sort: Whether names are sorted, so that equal content has equal bytes.

    Raises:
        ValueError: For an infinite number, which JSON does not have either.
    """
    return json.dumps(_without_nan(content), indent=1, ensure_ascii=False, allow_nan=False, sort_keys=sort) + "\n"


def _without_nan(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _without_nan(inner) for name, inner in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(inner) for inner in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one CSV file that spreadsheets open as data.

    Text loses what commands a terminal or cannot be seen; if it looks like a formula, it gets an apostrophe.
    """

    def fill(draft: Path) -> None:
        # The byte-order mark makes spreadsheets read Å and Chinese labels as UTF-8.
        with draft.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows([plain_cell(cell) for cell in row] for row in rows)

    write_whole(path, fill)


def write_xlsx(path: Path, sheets: Mapping[str, Iterable[Sequence[Any]]]) -> None:
    """Write one XLSX file whose cells are numbers, truth values and text, never formulas.

    Args:
        path: Where to.
        sheets: Rows of each sheet by its name, with the headings first; None is an empty cell.
    """
    from openpyxl import Workbook

    def fill(draft: Path) -> None:
        book = Workbook(write_only=True)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append([_short(plain_cell(cell)) for cell in row])
        book.save(draft)

    write_whole(path, fill)


def _short(cell: Any) -> Any:
    """A cell that a spreadsheet can hold."""
    return f"{cell[: _LONGEST_CELL - 1]}…" if isinstance(cell, str) and len(cell) > _LONGEST_CELL else cell


def plain_cell(cell: Any) -> Any:
    """A cell for a spreadsheet: text loses what cannot be seen, and does not become a formula.

    >>> plain_cell("=1+1"), plain_cell(-1.5)
    ("'=1+1", -1.5)
    """
    if not isinstance(cell, str):
        return cell
    text = plain(cell)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
