"""The result sheet as files: XLSX with drop-down lists and checks of units, and CSV for whoever prefers it.

The workbook has the results and the process steps on two sheets, what to write in each column on a third, and the lists
behind the drop-downs on a fourth. No cell holds a formula. Cells for text are formatted as text, so that a spreadsheet
also leaves alone what a laboratory types there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from matloop.data.properties.catalogue import catalogue, property_named
from matloop.data.properties.units import UNITS, measure_alike
from matloop.data.records.result_sheet import QUALIFIERS, RESULTS, STEPS, Language, SheetColumn
from matloop.data.whole_files import plain_cell, write_csv, write_whole
from matloop.screening.language.text import Words

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

XLSX, CSV, STEPS_CSV = "result_sheet.xlsx", "result_sheet.csv", "process_steps.csv"
"""Names of the files in a dossier."""
ROWS = 200
"""Rows of each table that are checked."""
_STEPS_PREPARED = 3
_FORMATS: Mapping[str, str] = {"date": "yyyy-mm-dd", "number": "General", "whole number": "0"}
_SHEETS: Mapping[str, Words] = {
    "results": Words("results", "结果"),
    "steps": Words("process steps", "工艺步骤"),
    "help": Words("how to fill it in", "填写说明"),
    "lists": Words("lists", "选项"),
}
_REFUSED: Mapping[str, Words] = {
    "choice": Words("Choose one of the list.", "请从列表中选择。"),
    "property": Words("Choose a property of the list, or write its name.", "请从列表中选择性质，或填写其名称。"),
    "unit": Words("This unit does not fit the property; see the sheet of lists.", "该单位与性质不符；请查看选项表。"),
    "number": Words("Write a number within the limits, without its unit.", "请填写范围内的数字，不带单位。"),
    "whole number": Words("Write a whole number within the limits.", "请填写范围内的整数。"),
    "date": Words("Write a day, such as 2026-11-29.", "请填写日期，如 2026-11-29。"),
}
_HELP_HEADINGS = (
    Words("sheet", "工作表"), Words("column", "列"), Words("unit", "单位"), Words("needed", "必填"),
    Words("what to write", "填写内容"), Words("choices", "选项"),
)  # fmt: skip
_LIST_HEADINGS = (Words("property", "性质"), Words("unit that fits it", "适用单位"))
_YES = Words("yes", "是")


class SheetFor(NamedTuple):
    """What a sheet is prepared for.

    Attributes:
        candidate_id: The candidate.
        formula: Its formula.
        properties: Names of the properties that are wanted back, each prepared in a row of its own.
    """

    candidate_id: str
    formula: str
    properties: Sequence[str]

    @property
    def sample(self) -> str:
        """Name of the first sample of the candidate."""
        return f"{self.candidate_id[:10]}-1"


def write_result_sheet(folder: Path, wanted: Sequence[SheetFor], *, language: Language) -> list[Path]:
    """Write the result sheet of some candidates.

    Args:
        folder: Where to.
        wanted: What it is prepared for, a candidate each.
        language: Of headings, choices and hints.

    Returns:
        The files.
    """
    results = [row for one in wanted for row in _result_rows(one, language)]
    steps = [row for one in wanted for row in _step_rows(one)]
    write_xlsx_sheet(folder / XLSX, results, steps, language=language)
    for name, columns, rows in ((CSV, RESULTS, results), (STEPS_CSV, STEPS, steps)):
        headings = [column.heading(language) for column in columns]
        write_csv(folder / name, headings, [[row.get(column.key, "") for column in columns] for row in rows])
    return [folder / XLSX, folder / CSV, folder / STEPS_CSV]


def _result_rows(wanted: SheetFor, language: Language) -> list[dict[str, Any]]:
    """One prepared row for each property that is wanted."""
    sample = {"candidate_id": wanted.candidate_id, "formula": wanted.formula, "sample_id": wanted.sample}
    qualifier = getattr(QUALIFIERS["is"], language)
    rows = [
        {**sample, "property": label_of(name, language), "qualifier": qualifier, "unit": property_named(name).unit}
        for name in wanted.properties
    ]
    return rows or [sample]


def _step_rows(wanted: SheetFor) -> list[dict[str, Any]]:
    return [{"sample_id": wanted.sample, "step": step} for step in range(1, _STEPS_PREPARED + 1)]


def label_of(name: str, language: Language) -> str:
    """Label of a property as the sheet writes it."""
    known = property_named(name)
    return known.label_zh if language == "zh" else known.label_en


def units_of(name: str) -> list[str]:
    """Units in which values of a property may be written, its own first.

    >>> units_of("band_gap")
    ['eV', 'meV']
    """
    own = property_named(name).unit
    return [own, *(unit for unit in UNITS if unit != own and measure_alike(unit, own))]


def write_xlsx_sheet(
    path: Path, results: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]], *, language: Language
) -> None:
    """Write the workbook.

    Args:
        path: Where to.
        results: Prepared rows of the table of results, by key of the column.
        steps: The same of the table of process steps.
        language: Of headings, choices and hints.
    """
    from openpyxl import Workbook

    book = Workbook()
    sheets = {name: book.create_sheet(getattr(words, language)) for name, words in _SHEETS.items()}
    book.remove(book.worksheets[0])
    lists = _Lists(sheets["lists"], language)
    for name, columns, rows in (("results", RESULTS, results), ("steps", STEPS, steps)):
        _fill_table(sheets[name], columns, rows, language=language)
        for at, column in enumerate(columns, start=1):
            _check_column(sheets[name], column, at, lists=lists, language=language)
    _fill_help(sheets["help"], language)
    write_whole(path, lambda draft: book.save(draft))


class _Lists:
    """The sheet behind the drop-downs: properties with the units that fit them, and the choices of other columns."""

    def __init__(self, sheet: Worksheet, language: Language) -> None:
        self._title, self._columns = sheet.title, dict[str, str]()
        names = sorted(catalogue(), key=lambda name: label_of(name, language))
        pairs = [(label_of(name, language), unit) for name in names for unit in units_of(name)]
        self._pairs = len(pairs)
        _put(sheet, 1, [getattr(words, language) for words in _LIST_HEADINGS], bold=True)
        for row, pair in enumerate(pairs, start=2):
            _put(sheet, row, pair)
        self._fill(sheet, 3, "property", [label_of(name, language) for name in names])
        chosen = [column for column in (*RESULTS, *STEPS) if column.kind == "choice"]
        for at, column in enumerate(chosen, start=4):
            self._fill(sheet, at, column.key, column.words(language), heading=getattr(column.label, language))
        _fit(sheet)

    def _fill(self, sheet: Worksheet, at: int, key: str, words: Sequence[str], *, heading: str = "") -> None:
        for row, word in enumerate([heading, *words], start=1):
            if word:
                _write(sheet.cell(row, at), word, bold=row == 1)
        letter = sheet.cell(1, at).column_letter
        self._columns[key] = f"'{self._title}'!${letter}$2:${letter}${1 + len(words)}"

    def range_of(self, key: str) -> str:
        """Where the choices of a column stand."""
        return self._columns[key]

    def unit_fits(self, label_cell: str, unit_cell: str) -> str:
        """A condition that holds where a unit fits the property beside it."""
        last, title = 1 + self._pairs, f"'{self._title}'"
        pairs = f"{title}!$A$2:$A${last},{label_cell},{title}!$B$2:$B${last},{unit_cell}"
        return f"COUNTIFS({pairs})>0"


def _fill_table(
    sheet: Worksheet, columns: Sequence[SheetColumn], rows: Sequence[Mapping[str, Any]], *, language: Language
) -> None:
    from openpyxl.comments import Comment

    _put(sheet, 1, [column.heading(language) for column in columns], bold=True)
    for at, column in enumerate(columns, start=1):
        heading = sheet.cell(1, at)
        heading.comment = Comment(getattr(column.hint, language), "matloop", height=60, width=240)
        for row in range(2, ROWS + 2):
            sheet.cell(row, at).number_format = _FORMATS.get(column.kind, "@")
        for number, prepared in enumerate(rows, start=2):
            if column.key in prepared:
                _write(sheet.cell(number, at), prepared[column.key])
    sheet.freeze_panes = "A2"
    _fit(sheet)


def _check_column(
    sheet: Worksheet, column: SheetColumn, at: int, *, lists: _Lists, language: Language
) -> None:  # fmt: skip
    """Let a spreadsheet check what is typed into a column."""
    from openpyxl.worksheet.datavalidation import DataValidation

    letter = sheet.cell(1, at).column_letter
    if column.kind in ("choice", "property"):
        check = DataValidation(type="list", formula1=lists.range_of(column.key))
    elif column.kind == "unit":
        places = [place for place, other in enumerate(RESULTS, start=1) if other.kind == "property"]
        check = DataValidation(
            type="custom", formula1=lists.unit_fits(f"${sheet.cell(1, places[0]).column_letter}2", f"${letter}2")
        )
    elif column.kind in ("number", "whole number"):
        least, most = (
            (-1e300 if column.least is None else column.least),
            (1e300 if column.most is None else column.most),
        )
        check = DataValidation(
            type="whole" if column.kind == "whole number" else "decimal", operator="between", formula1=f"{least:.15g}",
            formula2=f"{most:.15g}",
        )  # fmt: skip
    elif column.kind == "date":
        check = DataValidation(type="date", operator="greaterThan", formula1="36526")  # 2000-01-01
    else:
        return
    check.allow_blank = True
    check.showErrorMessage = True
    check.errorStyle = "warning" if column.kind == "property" else "stop"
    check.errorTitle, check.error = getattr(column.label, language)[:32], getattr(_REFUSED[column.kind], language)
    check.add(f"{letter}2:{letter}{ROWS + 1}")
    sheet.add_data_validation(check)


def _fill_help(sheet: Worksheet, language: Language) -> None:
    """Write what to write in each column."""
    _put(sheet, 1, [getattr(words, language) for words in _HELP_HEADINGS], bold=True)
    mark, row = ("；" if language == "zh" else "; "), 2
    for name, columns in (("results", RESULTS), ("steps", STEPS)):
        for column in columns:
            _put(
                sheet,
                row,
                [
                    getattr(_SHEETS[name], language),
                    getattr(column.label, language),
                    column.unit,
                    getattr(_YES, language) if column.needed else "",
                    getattr(column.hint, language),
                    mark.join(column.words(language)),
                ],
            )
            row += 1
    _fit(sheet)


def _put(sheet: Worksheet, row: int, cells: Sequence[Any], *, bold: bool = False) -> None:
    for at, cell in enumerate(cells, start=1):
        _write(sheet.cell(row, at), cell, bold=bold)


def _write(cell: Any, value: Any, *, bold: bool = False) -> None:
    """Write a value that never becomes a formula."""
    from openpyxl.styles import Alignment, Font, PatternFill

    cell.value = plain_cell(value)
    if isinstance(value, str):
        cell.data_type, cell.number_format = "s", "@"
    if bold:
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="E3EEF6")
        cell.alignment = Alignment(wrap_text=True, vertical="top")


_WIDEST, _NARROWEST = 48, 9


def _fit(sheet: Worksheet) -> None:
    """Make columns as wide as their texts; a Chinese character is as wide as two letters."""
    for cells in sheet.columns:
        texts = [str(cell.value) for cell in cells if cell.value is not None]
        width = max((len(text) + sum(ord(character) > 0x2E7F for character in text) for text in texts), default=0)
        sheet.column_dimensions[cells[0].column_letter].width = min(max(width + 3, _NARROWEST), _WIDEST)
