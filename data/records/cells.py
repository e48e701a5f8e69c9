"""Cells of a result sheet: texts, choices and numbers, and the doubts about them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from matloop.data.label import Label
from matloop.data.own_labels.label_cells import is_missing, read_label
from matloop.data.readers.xlsx import NEVER_CALCULATED
from matloop.data.records import result_codes as codes
from matloop.data.records.result_sheet import ALSO_WRITTEN, SheetColumn, plain_heading
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.remarks import Remark

_THOUSANDS = re.compile(r"([<>≤≥~≈]?=?\s*[+-]?\d{1,3}(?:,\d{3})+)(?=\.\d)")


DoubtKey = tuple[str, str, str, str]
"""Code, column and text of the cell of a doubt, and what the records say where it is about that."""


class Doubt(NamedTuple):
    """A question about a row, or the reason why it is refused.

    Attributes:
        code: Of :data:`matloop.data.records.result_codes.RESULT_CODES`.
        column: Key of the column.
        as_written: Content of the cell.
        remark: What would mend it, such as the nearest name.
    """

    code: str
    column: str
    as_written: str = ""
    remark: Remark = Remark()

    @property
    def key(self) -> DoubtKey:
        """What is doubted: an answer of 'as written' holds for that, and not for another text or another record."""
        return doubt_key(self.code, self.column, self.as_written, self.remark.stored())


def doubt_key(code: str, column: str, as_written: str, detail: str) -> DoubtKey:
    """The key of a doubt as questions keep it.

    Args:
        code: Its code.
        column: Key of the column.
        as_written: Content of the cell.
        detail: The remark as it is stored.

    >>> doubt_key("E-RESULT-RANGE", "value", "2000", '["above", "2000"]')
    ('E-RESULT-RANGE', 'value', '2000', '')
    """
    return code, column, as_written, detail if code in codes.BESIDE_RECORDS else ""


def uncalculated_cells(row: WrittenRow) -> list[Doubt]:
    """A question about each cell whose spreadsheet formula has no value."""
    return [Doubt(codes.CELL, column, text) for column, text in row.cells.items() if text == NEVER_CALCULATED]


class CellReader:
    """Reads the cells of one row and notes its doubts, but not those that were waived.

    Args:
        row: The row.
        columns: Of its table.
        waived: Keys of the doubts that were answered with 'as written'.
    """

    def __init__(self, row: WrittenRow, columns: Sequence[SheetColumn], waived: Collection[DoubtKey]) -> None:
        self.cells, self._waived, self.doubts = row.cells, waived, list[Doubt]()
        self._columns = {column.key: column for column in columns}

    def doubt(self, code: str, column: str, key: str = "", *values: str | Label) -> None:
        """Note a doubt about a cell, with a remark by its key (:mod:`matloop.data.remarks`)."""
        self.note(code, column, Remark(key, values))

    def note(self, code: str, column: str, remark: Remark) -> None:
        """Note a doubt about a cell."""
        doubt = Doubt(code, column, self.cells.get(column, ""), remark)
        if doubt.key not in self._waived or code in codes.MUST_CHANGE or code in codes.FINAL:
            self.doubts.append(doubt)

    def text(self, column: str) -> str:
        """Content of a cell; empty where there is none."""
        return self.cells.get(column, "")

    def choice(self, column: str) -> str:
        """Key of the choice in a cell, written in either language; empty where there is none."""
        written = plain_heading(self.text(column))
        if not written or is_missing(written):
            return ""
        known = self._columns[column].choices
        for key, label in known.items():
            if written in (plain_heading(key), plain_heading(label.en), plain_heading(label.zh)):
                return key
        also = {plain_heading(word): key for word, key in ALSO_WRITTEN.items() if key in known}
        if written in also:
            return also[written]
        listed = Label(", ".join(label.en for label in known.values()), "、".join(label.zh for label in known.values()))
        self.doubt(codes.CHOICE, column, "choices", listed)
        return ""

    def number(self, column: str) -> float:
        """Number in a cell with the unit of its column; nan where there is none."""
        known = self._columns[column]
        text = without_thousands(self.text(column))
        if not text or is_missing(text):
            return math.nan
        read = read_label(text, known.unit or "1", known.unit or "1")
        if read.code:
            self.note(codes.NUMBER, column, read.remark)
            return math.nan
        if outside := _outside(read.value, known):
            self.note(codes.NUMBER, column, outside)
            return math.nan
        return read.value

    def parameter(self, column: SheetColumn) -> tuple[float, str] | None:
        """Value and text of the cell of a process parameter, nan for words; None where nothing can be taken."""
        written = self.text(column.key)
        if not written or is_missing(written):
            return None
        before = len(self.doubts)
        value = self.number(column.key) if column.kind == "number" else math.nan
        if column.kind == "choice":
            written = self.choice(column.key)
        return None if len(self.doubts) > before else (value, written)


def _outside(value: float, column: SheetColumn) -> Remark | None:
    """Which limits of its column a number does not keep; None where it keeps them."""
    low, high = column.least, column.most
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    if low is not None and high is not None:
        return Remark("between", (f"{low:g}", f"{high:g}", column.unit))
    return Remark("at_least" if high is None else "at_most", (f"{low if high is None else high:g}", column.unit))


def without_thousands(text: str) -> str:
    """A number whose commas can only separate thousands, without them.

    >>> without_thousands("1,234.5"), without_thousands("1,234")
    ('1234.5', '1,234')
    """
    return _THOUSANDS.sub(lambda match: match[1].replace(",", ""), text)
