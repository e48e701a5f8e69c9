"""What a row of a result sheet says, and what must be asked before it can be believed.

A row is never guessed into another meaning: what has two readings, contradicts itself or what is known of the candidate
is a question. Questions are settled one by one: the cell is right as written, or another text stands in its place.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.errors import UnitError, UnknownNameError
from matloop.data.label import Label
from matloop.data.own_labels.label_cells import WRONG_UNIT, has_raised_digit, is_missing, read_error, read_label
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.conditions import CONDITIONS
from matloop.data.properties.definition import Property
from matloop.data.properties.units import canonical_unit, measure_alike
from matloop.data.records import result_codes as codes
from matloop.data.records.cells import CellReader, Doubt, DoubtKey, uncalculated_cells, without_thousands
from matloop.data.records.result_sheet import RESULTS, plain_heading
from matloop.data.records.sheet_files import WrittenRow
from matloop.data.remarks import Remark

_PREPARED = frozenset(("candidate_id", "formula", "sample_id", "property", "qualifier", "unit"))
"""Cells that a dossier fills in; a row with no other cell was left empty by the laboratory."""
_NUMBER_AND_UNIT = re.compile(r"(.*[\d.)])\s*([^\d.,+\-±()\s][^±]{0,40})")
_RELATIONS = {"is": "=", "below": "<", "above": ">", "about": "~"}
_SIGNS = {"<": "<", "≤": "<", "≲": "<", ">": ">", "≥": ">", "≳": ">", "~": "~", "≈": "~"}


class MeasuredValue(NamedTuple):
    """A value of a property as a row states it.

    Attributes:
        property: Its name.
        value: In the unit of the catalogue.
        relation: ``=``, ``~`` for an estimate, ``<`` or ``>`` where the value is a limit.
        uncertainty: One standard deviation in the same unit; nan if it is not stated.
        repeats: Measurements behind the value.
        method: How it was measured.
        conditions: Value by name, in the unit in which each is stored.
        as_written: Value and unit as they were written.
    """

    property: str
    value: float
    relation: str
    uncertainty: float
    repeats: int
    method: str
    conditions: Mapping[str, float]
    as_written: str


class SampleStated(NamedTuple):
    """A sample as a row states it; ``batch_mass`` is in grams, nan where it is not stated."""

    candidate_id: str
    formula: str
    name: str
    outcome: str
    reason: str
    batch_mass: float
    made_on: str
    made_by: str
    phases_found: str
    data_file: str
    note: str


@dataclass
class CheckedRow:
    """A row with what it says and what is to be asked about it.

    Attributes:
        written: The row.
        is_blank: Whether the laboratory left it empty.
        doubts: Questions and reasons against it.
        sample: The sample; None while questions about it are open.
        measured: The value; None if the row states none, or while questions about it are open.
        without_value: Name of the property whose value the row leaves empty; empty where it names none.
    """

    written: WrittenRow
    is_blank: bool = False
    doubts: list[Doubt] = field(default_factory=list)
    sample: SampleStated | None = None
    measured: MeasuredValue | None = None
    without_value: str = ""

    @property
    def refusal(self) -> Doubt | None:
        """The first reason against the row that no answer can mend."""
        return next((doubt for doubt in self.doubts if doubt.code in codes.FINAL), None)


def check_row(
    row: WrittenRow,
    candidates: Mapping[str, str],
    *,
    waived: Collection[DoubtKey] = (),
    today: dt.date | None = None,
    nearest: Callable[[str], str] | None = None,
) -> CheckedRow:
    """Read a row and note what is doubtful about it by itself.

    Args:
        row: The row, with what answers have put in place of cells.
        candidates: Formula of each candidate that was proposed or screened, by id; empty where it is not known.
        waived: Keys of the doubts that were answered with 'as written'.
        today: Day of the import; today if None.
        nearest: Gives the candidate whose id is most like an unknown one, or nothing.
    """
    checked = CheckedRow(row)
    if row.fault:
        checked.doubts.append(Doubt(codes.ROW, "", "", Remark.read(row.fault)))
        return checked
    if doubts := uncalculated_cells(row):
        checked.doubts += doubts
        return checked
    if not set(row.cells) - _PREPARED:
        checked.is_blank = True
        known = _property(CellReader(row, RESULTS, waived)) if "property" in row.cells else None
        checked.without_value = known.name if known else ""
        return checked
    reader = CellReader(row, RESULTS, waived)
    _check_candidate(reader, candidates, nearest or NearestIds(candidates))
    checked.sample = _sample(reader, candidates, today or dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1))
    value_is_stated = bool(reader.text("value")) and not is_missing(reader.text("value"))
    if value_is_stated:
        checked.measured = _measured(reader)
        if checked.sample.outcome == "failed":
            reader.doubt(codes.OUTCOME, "outcome", "failed_with_value")
    else:
        checked.without_value = _check_without_value(reader)
    checked.doubts = reader.doubts
    return checked


def _check_without_value(reader: CellReader) -> str:
    """Check cells about a value that is not there, which may be prepared, and return the name of its property."""
    if reader.text("uncertainty") and not is_missing(reader.text("uncertainty")):
        reader.doubt(codes.NUMBER, "value", "uncertainty_alone")
    known = _property(reader) if reader.text("property") else None
    reader.choice("qualifier")
    reader.number("repeats")
    return known.name if known else ""


def _sample(reader: CellReader, candidates: Mapping[str, str], today: dt.date) -> SampleStated:
    candidate = reader.text("candidate_id")
    if not reader.text("sample_id") or is_missing(reader.text("sample_id")):
        reader.doubt(codes.SAMPLE, "sample_id")
    outcome = reader.choice("outcome")
    if not outcome and not any(doubt.column == "outcome" for doubt in reader.doubts):
        reader.doubt(codes.OUTCOME, "outcome", "outcomes")
    reason = reader.choice("reason")
    if reason and outcome == "made":
        reader.doubt(codes.OUTCOME, "reason", "made_with_reason")
    return SampleStated(
        candidate, reader.text("formula") or candidates.get(candidate, ""), reader.text("sample_id"), outcome,
        reason, reader.number("batch_mass"), _day(reader, today), reader.text("made_by"),
        reader.text("phases_found"), reader.text("data_file"), reader.text("note"),
    )  # fmt: skip


class NearestIds:
    """Which known id is most like an unknown one, for the first few that are asked about.

    A search through 100,000 ids takes a second, and a sheet of another project may ask for as many.
    """

    def __init__(self, known: Collection[str], *, searches: int = 20) -> None:
        self._known, self._left, self._found = known, searches, dict[str, str]()

    def __call__(self, written: str) -> str:
        """Return the id that is most like one; nothing where none is, or no search is left."""
        if written not in self._found and self._left:
            self._left -= 1
            near = difflib.get_close_matches(written[:200], self._known, n=1, cutoff=0.8)
            self._found[written] = near[0] if near else ""
        return self._found.get(written, "")


def _check_candidate(reader: CellReader, candidates: Mapping[str, str], nearest: Callable[[str], str]) -> None:
    candidate = reader.text("candidate_id")
    if candidate not in candidates:
        near = nearest(candidate)
        reader.note(codes.CANDIDATE, "candidate_id", Remark("nearest", (near,)) if near else Remark())
        return
    written, known = reader.text("formula"), candidates[candidate]
    if written and known and written != known and reduced_formula(written) != reduced_formula(known):
        reader.doubt(codes.FORMULA, "formula", "candidate_formula", candidates[candidate])


def reduced_formula(formula: str) -> str:
    """Reduced formula, or the text itself where it cannot be read.

    >>> reduced_formula("O4Ti2"), reduced_formula("?")
    ('TiO2', '?')
    """
    compositions, refused = parse_formulas([formula])
    return formula if refused[0] else write_formulas(compositions.reduced()[0])[0]


def _day(reader: CellReader, today: dt.date) -> str:
    written = unicodedata.normalize("NFKC", reader.text("made_on")).strip()
    if not written or is_missing(written):
        return ""
    match = re.fullmatch(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?(?:[T ]00:00:00)?", written)
    try:
        day = dt.date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        day = None
    if day is None or day > today or day.year < 1900:
        reader.doubt(codes.DATE, "made_on", "day")
        return ""
    return day.isoformat()


def _measured(reader: CellReader) -> MeasuredValue | None:
    known = _property(reader)
    conditions = _conditions(reader)
    repeats = reader.number("repeats")
    if not math.isnan(repeats) and repeats != int(repeats):
        reader.doubt(codes.NUMBER, "repeats", "whole_number")
        repeats = math.nan
    if known is None:
        return None
    value_text, unit = _unit(reader, known)
    if not unit:
        return None
    relation, value_text = _relation(reader, value_text)
    read = read_label(value_text, unit, known.unit)
    if read.code:
        reader.note(codes.UNIT if read.code == WRONG_UNIT else codes.NUMBER, "value", read.remark)
        return None
    _check_range(reader, known, read.value, relation)
    uncertainty = _uncertainty(reader, unit, known, read.uncertainty)
    if read.value and uncertainty > abs(read.value):
        reader.doubt(codes.RANGE, "uncertainty", "above", f"{uncertainty:.6g}", known.unit, f"{abs(read.value):.6g}")
    return MeasuredValue(
        known.name, read.value, relation, uncertainty, 1 if math.isnan(repeats) else int(repeats),
        reader.text("method"), conditions, f"{reader.text('value')} {reader.text('unit')}".strip(),
    )  # fmt: skip


_OTHER_NAMES = {"band_gap": ("禁带宽度", "能隙"), "refractive_index": ("折射指数",)}
"""What Chinese textbooks also call a property."""


def _property(reader: CellReader) -> Property | None:
    written = plain_heading(reader.text("property"))
    known = catalogue()
    # A campaign may name a property 'bandgap' beside the 'band gap' of the package: whole words go first.
    for read in (_in_words, plain_heading):
        said = read(reader.text("property"))
        found = [
            one for name, one in known.items()
            if said in map(read, (name, one.label_en, one.label_zh, *_OTHER_NAMES.get(name, ())))
        ]  # fmt: skip
        if len(found) == 1:
            return found[0]
    labels = {plain_heading(one.label_en): Label(one.label_en, one.label_zh) for one in known.values()}
    near = difflib.get_close_matches(written, labels, n=1, cutoff=0.5) if written else []
    nearest = Remark("nearest", (labels[near[0]],)) if near else Remark("property_of_lists")
    reader.note(codes.PROPERTY, "property", nearest)
    return None


def _in_words(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _unit(reader: CellReader, known: Property) -> tuple[str, str]:
    """Text of the value without its unit, and the unit: of its column, or behind the number where no column has one."""
    if has_raised_digit(reader.text("value")):
        reader.doubt(codes.NUMBER, "value", "no_number", reader.text("value")[:40])
        return "", ""
    text = without_thousands(unicodedata.normalize("NFKC", reader.text("value")).strip())
    behind = _NUMBER_AND_UNIT.fullmatch(text)
    beside = _canonical(reader.text("unit"))
    if reader.text("unit") and not beside:
        reader.doubt(codes.UNIT, "unit", "unit_such_as", known.unit)
        return text, ""
    inside = _canonical(behind[2]) if behind else ""
    if behind and not inside:
        return text, beside or known.unit  # the reader of numbers says what is wrong with it
    if inside and beside and inside != beside:
        reader.doubt(codes.UNIT, "value", "two_units", inside, beside)
        return text, ""
    unit = inside or beside or ("1" if known.unit == "1" else "")
    if not unit:
        reader.doubt(codes.UNIT, "unit", "unit_such_as", known.unit)
    elif not measure_alike(unit, known.unit):
        reader.doubt(
            codes.UNIT,
            "value" if inside else "unit",
            "wrong_unit",
            unit,
            Label(known.label_en, known.label_zh),
            known.unit,
        )
        return text, ""
    return (behind[1] if behind and inside else text), unit


def _canonical(written: str) -> str:
    try:
        return canonical_unit(written) if written.strip() else ""
    except (UnknownNameError, UnitError):
        return ""


def _relation(reader: CellReader, text: str) -> tuple[str, str]:
    """Relation of the value, and its text without a sign before it."""
    qualifier = _RELATIONS.get(reader.choice("qualifier"), "=")
    sign = _SIGNS.get(text[:1], "=")
    if sign != "=":
        text = text[1:].lstrip("= ")
    if "=" not in (qualifier, sign) and qualifier != sign:
        reader.doubt(codes.QUALIFIER, "qualifier", "sign_before", sign)
    return (sign if qualifier == "=" else qualifier), text


def _check_range(reader: CellReader, known: Property, value: float, relation: str) -> None:
    if value < known.lower or (value == known.lower and relation == "<"):
        label = Label(known.label_en, known.label_zh)
        code = codes.IMPOSSIBLE if value < known.lower else codes.QUALIFIER
        reader.doubt(code, "value", "lowest", label, f"{known.lower:g}", known.unit)
    elif not value and known.transform == "log10":  # of what is positive
        reader.doubt(codes.RANGE, "value", "zero", Label(known.label_en, known.label_zh))
    elif value > known.upper:
        reader.doubt(codes.RANGE, "value", "above", f"{value:.6g}", known.unit, f"{known.upper:g}")


def _uncertainty(reader: CellReader, unit: str, known: Property, inside: float) -> float:
    """Standard deviation in the unit of the property: from its own cell, or behind the value."""
    text = without_thousands(reader.text("uncertainty"))
    if not text or is_missing(text):
        return inside
    read = read_error(text, unit, known.unit)
    if read.code or not read.uncertainty > 0:
        reader.doubt(codes.UNCERTAINTY, "uncertainty", "positive_in", unit)
        return math.nan
    if not math.isnan(inside) and not math.isclose(inside, read.uncertainty, rel_tol=1e-6):
        reader.doubt(codes.UNCERTAINTY, "uncertainty", "other_uncertainty")
    return read.uncertainty


def _conditions(reader: CellReader) -> dict[str, float]:
    """Conditions of the measurement, each in the unit in which it is stored."""
    found: dict[str, float] = {}
    if not math.isnan(reader.number("measured_at")):
        found["temperature"] = read_label(without_thousands(reader.text("measured_at")), "°C", "K").value
    names = {
        plain_heading(text): name for name, one in CONDITIONS.items() for text in (name, one.label.en, one.label.zh)
    }
    for part in filter(None, (part.strip() for part in re.split(r"[;；]", reader.text("conditions")))):
        name = next(
            (names[word] for word in sorted(names, key=len, reverse=True) if plain_heading(part).startswith(word)), ""
        )
        try:
            value = CONDITIONS[name].read(re.sub(r"^[^\d+\-−]*", "", part))
        except (KeyError, UnitError, UnknownNameError):
            reader.doubt(codes.CONDITION, "conditions", "condition_such_as")
            continue
        if not math.isclose(found.setdefault(name, value), value, rel_tol=1e-6):
            reader.doubt(codes.CONDITION, "conditions", "two_conditions", CONDITIONS[name].label)
    return found
