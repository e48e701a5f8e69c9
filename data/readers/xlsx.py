"""Read XLSX files as rows of text. The file is checked before openpyxl opens it.

An XLSX file is a zip archive of XML files. The check limits the number, size and packing of the members. No XML part
may declare a document type (entities that expand to gigabytes need one), nest deeply, or number rows and columns beyond
those of a sheet. No more is read of a member than the size it states.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import pyarrow as pa

from matloop.data.errors import InputFileError
from matloop.data.readers.archives import MAX_RATIO, check_zip_directory
from matloop.data.readers.table_files import Rows, named_columns

MAX_MEMBERS = 2_000
MAX_UNPACKED_BYTES = 1_000_000_000  # a full sheet of 20 columns
MAX_PART_BYTES = 200_000_000  # members other than sheets, such as the shared strings, are held in memory
_FREE_BYTES = 5_000_000  # the ratio is only checked above this size
_MOST_ROWS, _MOST_COLUMNS, _DEEPEST = 1_048_576, 16_384, 100
_BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # byte order marks, half of a wide character, blanks
_STRICT = "http://purl.oclc.org/ooxml/"  # begins the namespaces of ISO/IEC 29500 Strict
_CHUNK = 1 << 16
_MOST_COLUMNS_OF_SMALL = 500
_CELL_NAME = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")
_ROWS_AT_ONCE = 4_096
_CELLS_AT_ONCE = 500_000
_CHARACTERS_AT_ONCE = 10_000_000
_PERCENT = (9, 10)  # formats 0% and 0.00% of ISO/IEC 29500-1, 18.8.30
_LONGEST_TEXT = 32_767  # characters of a cell, by Excel's own limits


NEVER_CALCULATED = "= (never calculated)"
"""Text of a cell whose formula was never calculated, as programs write that do not calculate."""

Uncalculated = Mapping[str, Mapping[int, Collection[int]]]
"""Cells whose formula has no value: columns, counted from 1, by member of the package and row."""


class Formula:
    """Stands in a cell whose formula has no value."""

    def __str__(self) -> str:
        return NEVER_CALCULATED


_MARK = Formula()
_MOST_UNCALCULATED = 100_000


class Spreadsheet:
    """The first sheet of an XLSX file. Its first row that is not empty holds the column names.

    Spreadsheet formulas are never evaluated. A cell with one has the value that was last saved, and the text
    :data:`NEVER_CALCULATED` if there is none, which is no number and no formula of a compound. Empty rows are skipped.
    The first of several merged cells holds the value. Cells beyond the last column name are ignored.

    Args:
        path: The file.

    Raises:
        InputFileError: If the file is no XLSX file, exceeds its limits or has no sheet with column names.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._uncalculated = check_package(path)
        self.place = path.name
        _, header = next(self._sheet_rows(None), (0, ()))
        self._header = [_cell_text(value) for value in header]
        self.types = dict.fromkeys(named_columns(self._header, path.name), pa.string())

    def rows(self, names: Sequence[str], *, as_shown: bool = False) -> Iterator[Rows]:
        """Yield the columns ``names`` of all rows as text. A row whose formula is not stored as text gets a code.

        Args:
            names: Column names; the first is the column with the formulas.
            as_shown: Whether a number that is shown in percent is the text that people see.
        """
        places = [self._header.index(name) for name in names]
        rows = self._sheet_rows(len(self._header), as_shown=as_shown)
        next(rows, None)
        block: list[tuple[Any, ...]] = []
        numbers: list[int] = []
        characters = 0
        for number, row in rows:
            block.append(tuple(row[place] for place in places))
            numbers.append(number)
            characters += sum(len(value) for value in block[-1] if isinstance(value, str))
            enough = len(block) == _ROWS_AT_ONCE or len(block) * len(names) >= _CELLS_AT_ONCE
            if enough or characters > _CHARACTERS_AT_ONCE:
                yield _as_rows(names, block, numbers)
                block, numbers, characters = [], [], 0
        yield _as_rows(names, block, numbers)

    def cell(self, name: str, number: int) -> str:
        """Name of the cell of a column in the row of that number."""
        from openpyxl.utils import get_column_letter

        return f"cell {get_column_letter(self._header.index(name) + 1)}{number}, column '{name}'"

    def _sheet_rows(self, width: int | None, *, as_shown: bool = False) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield number and cell values of each row that is not empty: the first ``width`` cells, or all of them."""
        import openpyxl

        with _quietly():
            book = openpyxl.load_workbook(self.path, read_only=True, data_only=True, keep_links=False)
        try:
            if not book.worksheets:
                raise InputFileError(f"{self.path.name} has no sheet", "a sheet with a table")
            sheet = book.worksheets[0]
            self.place = f"{self.path.name}, sheet '{sheet.title}'"
            sheet.reset_dimensions()  # the size that the file states need not be true
            raw = sheet.iter_rows(max_col=width, values_only=True)
            rows = _numbered(_values_as_shown(sheet, width) if as_shown else raw, sheet, self._uncalculated)
            at_once = max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // width)) if width else 1
            while True:
                with _quietly():
                    some = list(itertools.islice(rows, at_once))
                if not some:
                    return
                for number, row in some:
                    if any(isinstance(value, str) and len(value) > _LONGEST_TEXT for value in row):
                        allowed = f"{_LONGEST_TEXT:,} characters in a cell"
                        raise _refused(self.path, "a cell with a longer text", allowed)
                    if any(value is not None for value in row):
                        yield number, row
        finally:
            book.close()


def read_small_sheets(path: Path, *, most_rows: int) -> dict[str, list[tuple[int, list[str]]]]:
    """Read all sheets of a small workbook as text: number and cells of each row that is not empty, by title.

    Args:
        path: The workbook.
        most_rows: Of one sheet.

    Raises:
        InputFileError: If the file is no XLSX file, exceeds its limits, or a sheet has more rows.
    """
    import openpyxl

    uncalculated = check_package(path)
    with _quietly():
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            return {sheet.title: _rows_of_sheet(path, sheet, most_rows, uncalculated) for sheet in book.worksheets}
        finally:
            book.close()


def _rows_of_sheet(path: Path, sheet: Any, most: int, uncalculated: Uncalculated) -> list[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # the size that the file states need not be true
    found: list[tuple[int, list[str]]] = []
    for number, row in _numbered(_values_as_shown(sheet, _MOST_COLUMNS_OF_SMALL), sheet, uncalculated):
        if any(value is not None for value in row):
            if len(found) == most:
                raise _refused(path, f"more than {most:,} rows in sheet '{sheet.title}'", f"{most:,} rows")
            cells = [_cell_text(value)[: _LONGEST_TEXT + 1] for value in row]
            found.append((number, cells))
    return found


def _numbered(
    rows: Iterable[tuple[Any, ...]], sheet: Any, uncalculated: Uncalculated
) -> Iterator[tuple[int, tuple[Any, ...]]]:  # fmt: skip
    """Number and cell values of each row of a sheet, with a mark where a formula has no value."""
    marked = uncalculated.get(sheet._worksheet_path.lstrip("/"), {})
    for number, row in enumerate(rows, 1):
        if places := marked.get(number):
            row = tuple(_MARK if at in places and value is None else value for at, value in enumerate(row, 1))
        yield number, row


def _values_as_shown(sheet: Any, width: int | None) -> Iterator[tuple[Any, ...]]:
    """Values of the cells of each row; a number that is shown in percent is the text that people see and typed."""
    if not any("%" in written for written in sheet.parent._number_formats) and not _has_builtin_percent(sheet.parent):
        yield from sheet.iter_rows(max_col=width, values_only=True)
        return
    for row in sheet.iter_rows(max_col=width):
        yield tuple(_as_shown(cell) for cell in row)


def _has_builtin_percent(book: Any) -> bool:
    return any(style.numFmtId in _PERCENT for style in book._cell_styles)


def _as_shown(cell: Any) -> Any:
    if type(cell.value) in (int, float) and "%" in cell.number_format:
        return f"{round(cell.value * 100, 12):.15g}%"
    return cell.value


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the warnings of openpyxl about styles and extensions, which do not concern values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _as_rows(names: Sequence[str], block: list[tuple[Any, ...]], numbers: list[int]) -> Rows:
    columns = list(zip(*block, strict=True)) or [()] * len(names)
    texts = [pa.array([_cell_text(value) for value in column], pa.string()) for column in columns]
    is_text = [value is None or isinstance(value, str) for value in columns[0]]
    codes = [None if sound else "E-TABLE-CELL" for sound in is_text]
    details = [None if sound else f"{type(v).__name__} {v}" for sound, v in zip(is_text, columns[0], strict=True)]
    table = pa.table(texts, list(names))
    return Rows(table, pa.array(codes, pa.string()), pa.array(details, pa.string()), pa.array(numbers, pa.int64()))


def _cell_text(value: Any) -> str:
    """Content of a cell as text; numbers keep all their digits.

    >>> [_cell_text(value) for value in (None, "007", 7, 7.0, 0.1, True)]
    ['', '007', '7', '7', '0.1', 'TRUE']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value).encode("utf-8", "replace").decode("utf-8")


def check_package(path: Path) -> Uncalculated:
    """Refuse an XLSX file that could harm whoever unpacks or parses it.

    Args:
        path: The file.

    Returns:
        The cells whose formula was never calculated.

    Raises:
        InputFileError: If the file is harmful; the message says why.
        zipfile.BadZipFile: If it is not a zip file.
    """
    check_zip_directory(path)
    with zipfile.ZipFile(path) as package:
        members = package.infolist()
        total = sum(member.file_size for member in members)
        if len(members) > MAX_MEMBERS or len({member.filename for member in members}) != len(members):
            raise _refused(path, f"{len(members):,} members, or two of one name", f"{MAX_MEMBERS:,} different ones")
        if total > MAX_UNPACKED_BYTES:
            raise _refused(path, f"{total:,} bytes unpacked", f"{MAX_UNPACKED_BYTES:,} bytes")
        if total > max(_FREE_BYTES, MAX_RATIO * path.stat().st_size):
            ratio = total / path.stat().st_size
            raise _refused(path, f"{total:,} bytes packed {ratio:,.0f}-fold", f"{MAX_RATIO:g}-fold packing")
        found: dict[str, Mapping[int, Collection[int]]] = {}
        for member in members:
            is_sheet = "worksheets/" in member.filename
            if not is_sheet and member.file_size > MAX_PART_BYTES:
                raise _refused(path, f"{member.file_size:,} bytes in one part", f"{MAX_PART_BYTES:,} bytes")
            with package.open(member) as stream:
                found[member.filename] = _check_part(path, stream)
    return found


def _check_part(path: Path, stream: IO[bytes]) -> Mapping[int, Collection[int]]:
    """Check a member if a parser could take it for XML, and return its cells whose formula has no value.

    Its name does not matter, since a sheet may have any name.
    """
    check: _XmlCheck | None = None
    while chunk := stream.read(_CHUNK):
        if check is None and (begin := chunk.lstrip(_BEFORE_XML)):
            if not begin.startswith(b"<"):
                return {}
            check = _XmlCheck(path)
        if check is not None:
            check.feed(chunk)
    if check is not None:
        check.feed(b"", is_last=True)
    return {} if check is None else check.uncalculated


def _refused(path: Path, got: str, allowed: str) -> InputFileError:
    return InputFileError(f"{path.name} has {got}", allowed, "save the table as CSV UTF-8")


class _XmlCheck:
    """One pass over an XML part, which is not held in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._depth = self._row = self._column = 0
        self._has_formula = self._has_value = False
        self.uncalculated: dict[int, list[int]] = defaultdict(list)
        self._many = 0
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, chunk: bytes, *, is_last: bool = False) -> None:
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            raise _refused(self._path, f"a broken XML part: {error}", "an XLSX file that is whole") from error

    def _doctype(self, *_: Any) -> None:
        raise _refused(self._path, "a part that declares a document type", "XML without DOCTYPE and entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _refused(self._path, f"elements nested more than {_DEEPEST} deep", "the parts of a spreadsheet")
        kind = name.rpartition(":")[2]
        if kind == "workbook" and any(_STRICT in value for value in attributes.values()):
            raise InputFileError(
                f"{self._path.name} is saved as 'Strict Open XML Spreadsheet'", "a workbook that openpyxl can read",
                "open it and save it as 'Excel Workbook (*.xlsx)', or as CSV UTF-8",
            )  # fmt: skip
        place = attributes.get("r", "")
        if kind == "row":
            # The reader would leave out rows that are out of order, and fill gaps in the numbers with empty rows.
            number = int(place) if place.isascii() and place.isdecimal() and len(place) < 9 else 0
            number = number if place else self._row + 1
            if not self._row < number <= _MOST_ROWS:
                raise _refused(self._path, f"a row numbered '{place[:20]}'", f"ascending numbers to {_MOST_ROWS:,}")
            self._row, self._column = number, 0
        elif kind == "c":
            self._column = self._column_of(place) if place else self._column + 1
            self._has_formula, self._has_value = False, attributes.get("t") == "str"  # which may be an empty text
        elif kind == "f":
            self._has_formula = True
        elif kind == "v" and self._has_formula:
            self._parser.CharacterDataHandler = self._value

    def _column_of(self, place: str) -> int:
        match = _CELL_NAME.fullmatch(place)
        if match is None or _column_number(match[1]) > _MOST_COLUMNS:
            raise _refused(self._path, f"a cell named '{place[:20]}'", "cells A1 to XFD1048576")
        return _column_number(match[1])

    def _value(self, _: str) -> None:
        self._has_value = True

    def _end(self, name: str) -> None:
        self._depth -= 1
        kind = name.rpartition(":")[2]
        if kind == "v":
            self._parser.CharacterDataHandler = None
        elif kind == "c" and self._has_formula and not self._has_value:
            self.uncalculated[self._row].append(self._column)
            self._many += 1
            if self._many > _MOST_UNCALCULATED:
                got = f"more than {_MOST_UNCALCULATED:,} cells whose formula was never calculated"
                raise _refused(self._path, got, "a workbook that a spreadsheet program has saved")


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number
