"""Result sheets dirtied by rule: what people, spreadsheets and editors do to them, and what must come of each row.

A rule changes the cells of one row. ``right`` rules leave one meaning: the row must be accepted with its true value.
``asked`` rules leave none or several: the row must be held or refused. Sheets are dirtied as well, by encoding,
delimiter, format, language, order of columns, titles and empty lines, none of which may change a meaning.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import openpyxl

from matloop.data.records.result_sheet import RESULTS, Language

CANDIDATES: Mapping[str, str] = {"cand-tio2": "TiO2", "cand-gan": "GaN", "cand-zno": "ZnO", "cand-batio3": "BaTiO3"}
REORDERED: Mapping[str, str] = {"TiO2": "O2Ti", "GaN": "NGa", "ZnO": "OZn", "BaTiO3": "TiBaO3"}
PROPERTIES = (("band_gap", "band gap", "带隙", "eV"), ("bulk_modulus_vrh", "", "", "GPa"))
Expected = Literal["right", "asked"]


@dataclasses.dataclass
class Row:
    """A row with what it means.

    Attributes:
        cells: By key of the column.
        property: Name of the property.
        value: In the unit of the catalogue; nan where the row states none.
        relation: Of the value.
        uncertainty: nan where none is stated.
        expected: What must come of it.
        rule: What was done to it.
        copies: How often it stands in the sheet.
        extra: Cells beyond the last heading.
        merged: Whether its candidate stands only in the merged cell above.
    """

    cells: dict[str, str]
    property: str
    value: float
    relation: str = "="
    uncertainty: float = math.nan
    expected: Expected = "right"
    rule: str = "as it is"
    copies: int = 1
    extra: tuple[str, ...] = ()
    merged: bool = False


class DirtySheet(NamedTuple):
    """A sheet on disk with what its rows mean; ``form`` says how it was written."""

    path: Path
    rows: list[Row]
    form: str


Rule = Callable[[Row, random.Random], None]


def _cell(column: str, *texts: str) -> Rule:
    def dirty(row: Row, choose: random.Random) -> None:
        row.cells[column] = choose.choice(texts)

    return dirty


def _value(write: Callable[[str], str]) -> Rule:
    def dirty(row: Row, choose: random.Random) -> None:
        row.cells["value"] = write(row.cells["value"])

    return dirty


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _unit_behind(row: Row, choose: random.Random) -> None:
    row.cells["value"], row.cells["unit"] = f"{row.cells['value']} {row.cells['unit']}", ""


def _other_unit(row: Row, choose: random.Random) -> None:
    factor, unit = {"eV": (1000, "meV"), "GPa": (1000, "MPa")}[row.cells["unit"]]
    row.cells["value"], row.cells["unit"] = f"{row.value * factor:.10g}", unit


def _with_error(row: Row, choose: random.Random) -> None:
    row.cells["value"] += choose.choice((" ± 0.1", "±0.1", " +/- 0.1"))
    row.uncertainty = 0.1


def _error_beside(row: Row, choose: random.Random) -> None:
    row.cells["uncertainty"], row.uncertainty = choose.choice(("0.1", "±0.1")), 0.1


def _limit(row: Row, choose: random.Random) -> None:
    sign, row.relation = choose.choice((("<", "<"), (">", ">"), ("≤", "<"), ("≥", ">"), ("~", "~"), ("≈", "~")))
    row.cells["value"], row.cells["qualifier"] = f"{sign}{row.cells['value']}", ""


def _limit_in_words(row: Row, choose: random.Random) -> None:
    word, row.relation = choose.choice((("below", "<"), ("大于", ">"), ("about", "~"), ("小于", "<")))
    row.cells["qualifier"] = word


def _no_value(row: Row, choose: random.Random) -> None:
    row.cells["value"], row.value = choose.choice(("n.d.", "-", "/", "无", "NaN", "None", "未测")), math.nan


def _formula_reordered(row: Row, choose: random.Random) -> None:
    row.cells["formula"] = REORDERED[row.cells["formula"]]


def _formula_of_another(row: Row, choose: random.Random) -> None:
    row.cells["formula"] = choose.choice([one for one in CANDIDATES.values() if one != row.cells["formula"]])


def _decimal_comma(row: Row, choose: random.Random) -> None:
    row.cells["value"] = f"{row.value:.3f}".replace(".", ",")  # 3,125 may be 3125


def _thousands(row: Row, choose: random.Random) -> None:
    row.cells["value"] = f"{row.value:.0f},250"


def _failed_with_value(row: Row, choose: random.Random) -> None:
    row.cells["outcome"] = "failed"


def _qualifier_against_sign(row: Row, choose: random.Random) -> None:
    row.cells["qualifier"], row.cells["value"] = "below", f">{row.cells['value']}"


def _two_units(row: Row, choose: random.Random) -> None:
    row.cells["value"] += {"eV": " meV", "GPa": " MPa"}[row.cells["unit"]]


def _value_and_unit_swapped(row: Row, choose: random.Random) -> None:
    row.cells["value"], row.cells["unit"] = row.cells["unit"], row.cells["value"]


def _value_and_uncertainty_swapped(row: Row, choose: random.Random) -> None:
    row.cells["value"], row.cells["uncertainty"] = "0.1", row.cells["value"]


def _shifted(row: Row, choose: random.Random) -> None:
    keys = [column.key for column in RESULTS]
    at, step = keys.index("property"), choose.choice((1, -1))
    moved = {keys[keys.index(key) + step]: text for key, text in row.cells.items() if keys.index(key) >= at}
    row.cells = {key: text for key, text in row.cells.items() if keys.index(key) < at} | moved


def _slip_of_unit(row: Row, choose: random.Random) -> None:
    row.cells["value"] = f"{row.value * 1000:.10g}"  # written in meV or MPa under eV or GPa


def _twice(row: Row, choose: random.Random) -> None:
    row.copies = 2  # the first is right, the second is asked about


def _cells_beyond(row: Row, choose: random.Random) -> None:
    row.extra = ("", "see note")


def _merged(row: Row, choose: random.Random) -> None:
    row.cells["candidate_id"], row.merged = "", True


RIGHT: Mapping[str, Rule] = {
    "as it is": lambda row, choose: None,
    "full-width digits": _value(_wide),
    "full-width unit": lambda row, choose: row.cells.update(unit=_wide(row.cells["unit"])),
    "blanks around": lambda row, choose: row.cells.update({key: f" {text}\t" for key, text in row.cells.items()}),
    "unit behind the number": _unit_behind,
    "another unit": _other_unit,
    "error behind the number": _with_error,
    "error beside": _error_beside,
    "limit by a sign": _limit,
    "limit in words": _limit_in_words,
    "not measured": _no_value,
    "power of ten": _value(lambda text: f"{float(text) / 10:.10g}e1"),
    "plus sign": _value(lambda text: f"+{text}"),
    "apostrophe of a spreadsheet": _value(lambda text: f"'{text}"),
    "outcome in Chinese": _cell("outcome", "已制得"),
    "partly made": _cell("outcome", "partly made", "部分制得"),
    "elements in another order": _formula_reordered,
    "no formula": _cell("formula", ""),
    "hidden characters": _value(lambda text: f"\u200b{text}\u202c"),
    "formula in a note": _cell("note", "=cmd|' /C calc'!A0", "@SUM(1+1)", "+1", "<script>alert(1)</script>"),
}
ASKED: Mapping[str, Rule] = {
    "decimal comma or thousands": _decimal_comma,
    "thousands": _thousands,
    "no number": _cell("value", "high", "#REF!", "#DIV/0!", "=1+2", "=cmd|' /C calc'!A0", "yes", "O2", "1/3", "3.1.2"),
    "a range": _value(lambda text: f"{text}-{float(text) + 1:.10g}"),
    "a footnote": _value(lambda text: f"{text}²"),
    "a day in place of a number": _cell("value", "2026-03-01", "3-Jan", "2026/3/1", "3月1日", "2026-03-01 00:00:00"),
    "a day as a number": _cell("value", "46082", "43101"),
    "too large for a number": _cell("value", "1e400", "inf"),
    "no unit": _cell("unit", ""),
    "unit of something else": _cell("unit", "kg", "°C", "S/m"),
    "unknown unit": _cell("unit", "bananas", "at%", "9**9**9"),
    "two units": _two_units,
    "slip of a unit": _slip_of_unit,
    "unknown candidate": _cell("candidate_id", "cand-xyz", "cand-tio", "../../etc/passwd", "", "0012345"),
    "formula of another": _formula_of_another,
    "unknown property": _cell("property", "sparkle", "bandgap energy at noon", ""),
    "no sample": _cell("sample_id", "", "-", "n/a"),
    "no outcome": _cell("outcome", ""),
    "unknown outcome": _cell("outcome", "maybe", "yes", "made?"),
    "failed with a value": _failed_with_value,
    "negative": _value(lambda text: f"-{text}"),
    "minus of a word processor": _value(lambda text: f"\u2212{text}"),
    "qualifier against the sign": _qualifier_against_sign,
    "uncertainty is no number": _cell("uncertainty", "small", "-0.1", "0"),
    "value and unit swapped": _value_and_unit_swapped,
    "value and uncertainty swapped": _value_and_uncertainty_swapped,
    "cells moved by one column": _shifted,
    "cells beyond the headings": _cells_beyond,
    "merged with the row above": _merged,
    "day to come": _cell("made_on", "2999-01-01", "31.31.2026", "yesterday"),
    "batch mass is no number": _cell("batch_mass", "a spoonful", "-5"),
    "unknown condition": _cell("conditions", "moonlight 3", "wavelength 589 bananas"),
}
ENCODINGS: Mapping[Language, tuple[str, ...]] = {
    "en": ("utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252"),
    "zh": ("utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"),
}


def dirty_sheet(folder: Path, seed: int, *, rows: int = 12) -> DirtySheet:
    """Write a dirty sheet; equal seeds give equal sheets.

    Args:
        folder: Where it is written.
        seed: Of what is done to it.
        rows: How many rows are thought up.
    """
    choose = random.Random(seed)
    made = [_row(seed, place, choose) for place in range(rows)]
    language: Language = choose.choice(("en", "zh"))
    columns = list(RESULTS)
    choose.shuffle(columns)
    header = [column.heading(language) for column in columns]
    body: list[list[str]] = []
    for row in made:
        cells = [row.cells.get(column.key, "") for column in columns]
        body += [[*cells, *row.extra] for _ in range(row.copies)]
    title = [["Results", ""]] if choose.random() < 0.3 else []
    blank = [[""] * len(columns)] if choose.random() < 0.3 else []
    lines = [*title, header, *blank, *body, *blank]
    if choose.random() < 0.25:
        path, form = folder / f"{seed}.xlsx", "xlsx"
        _write_workbook(path, lines, made, len(title) + len(blank) + 2, columns)
    else:
        encoding, delimiter = choose.choice(ENCODINGS[language]), choose.choice(",;\t")
        text = _as_text(lines, delimiter, choose.choice(("\n", "\r\n")))
        if not _can_be_written(text, encoding):
            encoding = "utf-16"
        path, form = folder / f"{seed}.csv", f"{encoding} {delimiter!r}"
        path.write_bytes(text.encode(encoding))
    return DirtySheet(path, made, f"{form} {language}")


def _row(seed: int, place: int, choose: random.Random) -> Row:
    """A row that is right, dirtied by one rule."""
    candidate = choose.choice(list(CANDIDATES))
    name, english, chinese, unit = choose.choice(PROPERTIES)
    value = round(choose.uniform(1.2, 4.0), 3) if unit == "eV" else round(choose.uniform(60, 240), 1)
    cells = {
        "candidate_id": candidate, "formula": CANDIDATES[candidate], "sample_id": f"S{seed}-{place}", "outcome": "made",
        "property": choose.choice([english, chinese, name]) or name, "qualifier": "is", "value": f"{value:.10g}",
        "unit": unit,
    }  # fmt: skip
    row = Row(cells, name, value)
    expected, rules = choose.choice((("right", RIGHT), ("asked", ASKED)))
    row.rule = choose.choice(list(rules))
    rules[row.rule](row, choose)
    row.expected = "right" if expected == "right" else "asked"
    if choose.random() < 0.05 and row.expected == "right":
        _twice(row, choose)
    return row


def _can_be_written(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _as_text(lines: list[list[str]], delimiter: str, end: str) -> str:
    text = io.StringIO(newline="")
    if delimiter == ";":
        text.write(f"sep=;{end}")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(lines)
    return text.getvalue()


def _write_workbook(path: Path, lines: list[list[str]], rows: list[Row], first: int, columns: list) -> None:  # type: ignore[type-arg]
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for number, cells in enumerate(lines, start=1):
        for at, text in enumerate(cells, start=1):
            if text:
                cell = sheet.cell(number, at, text)
                cell.data_type = "s"  # no formula, whatever it begins with
    column = [one.key for one in columns].index("candidate_id") + 1
    number = first
    for row in rows:
        if row.merged and number > first:
            sheet.merge_cells(start_row=number - 1, end_row=number, start_column=column, end_column=column)
        number += row.copies
    book.save(path)
