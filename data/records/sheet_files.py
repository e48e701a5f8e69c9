"""Read a filled-in result sheet: XLSX, or CSV in any of the encodings that laboratories save.

Rows come as text by the key of their column. Nothing is interpreted here: what a cell means is decided in
:mod:`matloop.data.records.row_checks`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from matloop.data.errors import InputFileError, UnitError, UnknownNameError
from matloop.data.own_labels.label_cells import unit_in_header
from matloop.data.plain_text import one_line, plain
from matloop.data.properties.units import canonical_unit, measure_alike
from matloop.data.readers.xlsx import read_small_sheets
from matloop.data.records.encodings import Decoded, decode
from matloop.data.records.result_sheet import RESULTS, STEPS, SheetColumn, keys_of_headings, plain_heading
from matloop.data.remarks import Remark

MOST_BYTES = 50_000_000
MOST_ROWS = 100_000
_LONGEST_CELL = 2_000
_HEADER_WITHIN = 20  # lines; above it may stand a title
_DELIMITERS = (",", ";", "\t")
_IDENTIFYING = {"candidate_id", "sample_id"}
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

Lines = Sequence[tuple[int, Sequence[str]]]


class WrittenRow(NamedTuple):
    """A row as it was written.

    Attributes:
        number: In the file, counted from 1.
        cells: Text by key of the column; empty cells are left out.
        fault: What is wrong with the row as a whole, as a stored remark; empty where nothing is.
    """

    number: int
    cells: dict[str, str]
    fault: str = ""


class SheetFile(NamedTuple):
    """A result sheet as it was written.

    Attributes:
        name: Of the file.
        sha256: Of its content.
        encoding: In which its text was read, ``xlsx`` for a workbook.
        results: Rows of the table of results that are not empty.
        steps: Rows of the table of process steps.
        not_read: Headings of columns that are none of the sheet.
    """

    name: str
    sha256: str
    encoding: str
    results: list[WrittenRow]
    steps: list[WrittenRow]
    not_read: tuple[str, ...] = ()


def read_sheet_file(path: Path) -> SheetFile:
    """Read a result sheet, or a CSV file with one of its two tables.

    Raises:
        InputFileError: If it cannot be read as one; the message names the encoding and the columns that it lacks.
    """
    content = _content(path)
    name, sha256 = one_line(path.name)[:200], hashlib.sha256(content).hexdigest()
    if path.suffix.lower() == ".xlsx":
        tables, encoding = _tables_of_workbook(path), "xlsx"
    elif path.suffix.lower() in (".csv", ".txt", ".tsv"):
        lines, encoding = _lines_of_text(path, content)
        tables = [lines]
    else:
        raise InputFileError(
            f"{path.name} is no result sheet", "an .xlsx or .csv file", "save it in one of these formats"
        )
    results: list[WrittenRow] = []
    steps: list[WrittenRow] = []
    not_read: list[str] = []
    for lines in tables:
        if (table := _table_in(lines, RESULTS, path)) is not None:
            results += table.rows
            not_read += table.not_read
        elif (table := _table_in(lines, STEPS, path)) is not None:
            steps += table.rows
            not_read += table.not_read
    if not results and not steps:
        _refuse_without_table(path, tables, encoding)
    return SheetFile(name, sha256, encoding, results, steps, tuple(not_read))


def read_answer_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read a file of questions with answers: number and cells by heading of each row.

    Raises:
        InputFileError: If it cannot be read, or has no columns ``question`` and ``answer``.
    """
    content = _content(path)
    tables = _tables_of_workbook(path) if path.suffix.lower() == ".xlsx" else [
        _split(decoded.text, delimiter) for decoded in decode(content) for delimiter in _DELIMITERS
    ]  # fmt: skip
    for lines in tables:
        header = [cell.strip().lower() for cell in lines[0][1]] if lines else []
        if {"question", "answer"} <= set(header):
            rows = [(number, [_cell(cell) for cell in cells]) for number, cells in lines[1:]]
            return [(number, dict(zip(header, cells, strict=False))) for number, cells in rows]
    raise InputFileError(
        f"{path.name} holds no answers",
        "columns question, answer and instead",
        "write it with matloop questions --output",
    )


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InputFileError(f"no file {path}", "a result sheet that was filled in", "look at the path")
        if path.stat().st_size > MOST_BYTES:
            raise InputFileError(f"{path.name} has {path.stat().st_size:,} bytes", f"{MOST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputFileError(f"{path.name} cannot be read: {error.strerror}", "a file that may be read") from error


def _tables_of_workbook(path: Path) -> list[Lines]:
    try:
        return list(read_small_sheets(path, most_rows=MOST_ROWS).values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, SyntaxError) as error:
        reason = one_line(str(error))[:200]
        raise InputFileError(f"{path.name}: {reason}", "an .xlsx file that is whole", "save it again") from error


def _lines_of_text(path: Path, content: bytes) -> tuple[Lines, str]:
    """The reading of the text, among those its bytes allow, in which most headings of the sheet are found."""
    best: tuple[int, Lines, Decoded] | None = None
    for decoded in decode(content):
        for delimiter in _DELIMITERS:
            lines = _split(decoded.text, delimiter)
            found = max(_recognised(lines, RESULTS), _recognised(lines, STEPS))
            if best is None or found > best[0]:
                best = found, lines, decoded
    if best is None:
        raise InputFileError(
            f"{path.name} is no text in an encoding that is known",
            "UTF-8, UTF-16, GB18030 (with GBK and GB2312) or Windows-1252", "save it as 'CSV UTF-8', or as .xlsx",
        )  # fmt: skip
    if len(best[1]) > MOST_ROWS:
        raise InputFileError(
            f"{path.name} has more than {MOST_ROWS:,} rows", f"{MOST_ROWS:,} rows", "import it in parts"
        )
    return best[1], best[2].encoding


def _split(text: str, delimiter: str) -> Lines:
    # Excel begins a file with the delimiter it used, as sep=;
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not (not lines and cells[0].startswith("sep=")):
                lines.append((reader.line_num, cells))
            if len(lines) > MOST_ROWS:
                break
    except csv.Error:
        return []
    return lines


def _recognised(lines: Lines, columns: Sequence[SheetColumn]) -> int:
    keys = keys_of_headings(columns)
    return max(
        (sum(_key_of(cell, keys) is not None for cell in cells) for _, cells in lines[:_HEADER_WITHIN]), default=0
    )


class _Table(NamedTuple):
    rows: list[WrittenRow]
    not_read: list[str]


def _table_in(lines: Lines, columns: Sequence[SheetColumn], path: Path) -> _Table | None:
    """Read a table with these columns; None if there is none."""
    keys = keys_of_headings(columns)
    needed = {column.key for column in columns if column.needed} - {"outcome"}
    headers = (
        (at, header, [_key_of(cell, keys) for cell in header]) for at, (_, header) in enumerate(lines[:_HEADER_WITHIN])
    )
    at, header, found = next((one for one in headers if needed <= set(one[2])), (0, (), []))
    if not found:
        return None
    width = max(place for place, cell in enumerate(header, start=1) if cell.strip())
    header, found = header[:width], found[:width]  # a workbook has empty headings above whatever stands farther right
    named = [key for key in found if key]
    if doubled := {key for key in named if named.count(key) > 1}:
        raise InputFileError(
            f"{path.name} has column '{min(doubled)}' twice", "each column once", "leave out the one that is not meant"
        )
    defaults = _unit_above(header, found)
    rows = [_row(number, cells, found, defaults) for number, cells in lines[at + 1 :]]
    strange = [one_line(cell)[:60] for cell, key in zip(header, found, strict=True) if key is None and cell.strip()]
    return _Table(rows, strange)


def _key_of(heading: str, keys: dict[str, str]) -> str | None:
    written = plain_heading(plain(heading[:200]).lstrip("'"))
    if written in keys:
        return keys[written]
    return "value" if any(written.startswith(f"{word}(") for word in ("value", "数值")) else None


def _unit_above(header: Sequence[str], keys: Sequence[str | None]) -> dict[str, str]:
    """The unit in the heading of the values, for rows that state none."""
    unit = next((unit_in_header(cell) for cell, key in zip(header, keys, strict=True) if key == "value"), "")
    return {"unit": unit} if unit else {}


def _row(number: int, cells: Sequence[str], keys: Sequence[str | None], defaults: dict[str, str]) -> WrittenRow:
    beyond = [cell for cell in cells[len(keys) :] if cell.strip()]
    texts = [(key, _text_of(key, cell)) for key, cell in zip(keys, cells, strict=False) if key and cell]
    fault = Remark("ragged", (f"{len(cells)}", f"{len(keys)}")).stored() if beyond else ""
    if any(len(text) > _LONGEST_CELL for _, text in texts):
        fault = Remark("long_cell", (f"{_LONGEST_CELL:,}",)).stored()
    written = {key: text[:_LONGEST_CELL] for key, text in texts if text}
    if "value" in written and defaults:
        if "unit" not in written:
            written |= defaults
        elif written["value"][-1].isdigit() and _contradict(defaults["unit"], written["unit"]):
            written["value"] += f" {defaults['unit']}"  # as the heading says, beside what the column of units says
    return WrittenRow(number, written, fault)


def _contradict(above: str, beside: str) -> bool:
    """Whether the unit in the heading of the values and that of a row measure the same and differ."""
    try:
        unit = canonical_unit(beside)
    except (UnitError, UnknownNameError):
        return False
    return unit != above and measure_alike(unit, above)


def _text_of(key: str, cell: str) -> str:
    """Text of a cell; names are the same in full-width characters."""
    return _cell(cell).translate(_HALF_WIDTH) if key in _IDENTIFYING else _cell(cell)


def _cell(text: str) -> str:
    """Text of a cell without what a spreadsheet puts before a text, and without characters that hide."""
    return one_line(plain(text)).removeprefix("'").strip()


def _refuse_without_table(path: Path, tables: Iterable[Lines], encoding: str) -> None:
    shown = next((one_line(", ".join(cells))[:120] for lines in tables for _, cells in lines[:1]), "nothing")
    wanted = ", ".join(column.key for column in RESULTS if column.key in _IDENTIFYING)
    raise InputFileError(
        f"{path.name} (read as {encoding}) has no row under the headings of a result sheet; it begins with: {shown}",
        f"at least the columns {wanted}", "fill in the result sheet of a dossier",
    )  # fmt: skip
