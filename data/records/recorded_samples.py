"""What the records say of a sample, beside which a row of a later sheet is judged.

A sample belongs to the laboratory that sends it: a dossier prints names of samples, and every laboratory that gets it
uses them. A row that fills in cells which an earlier one left empty continues it and takes its place; a row that says
something else is a question.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.conditions import CONDITIONS
from matloop.data.records import result_codes as codes
from matloop.data.records.cells import Doubt
from matloop.data.records.known_samples import KnownSamples, RecordedSample, RecordedValue, SampleKey
from matloop.data.records.result_sheet import OUTCOMES, plain_heading
from matloop.data.records.row_checks import CheckedRow, MeasuredValue, SampleStated
from matloop.data.remarks import Remark

_ASKED = ("batch_mass", "made_on", "made_by", "phases_found")
"""Cells of a sample, beside outcome and reason, of which two that differ are asked about."""


def cells_of_sample(found: RecordedSample | None, stated: SampleStated) -> dict[str, Any]:
    """Cells of a sample as they are to be recorded: what a row leaves empty stays as the records have it.

    Args:
        found: The newest record of the sample; None if it is new.
        stated: What the row says.
    """
    cells: dict[str, Any] = {key: getattr(stated, key) for key in ("outcome", "reason", *_ASKED, "note")}
    cells["batch_mass"] = stated.batch_mass if math.isfinite(stated.batch_mass) else None
    if found is None:
        return cells
    kept = [*_ASKED, *(["reason"] if found.outcome == stated.outcome else [])]  # a reason belongs to its outcome
    for key in kept:
        if cells[key] in ("", None):
            cells[key] = getattr(found, key)
    is_known = not stated.note or stated.note in found.note
    return cells | {"note": found.note if is_known else " | ".join(filter(None, (found.note, stated.note)))}


def doubts_about_sample(samples: KnownSamples, key: SampleKey, stated: SampleStated) -> list[Doubt]:
    """What a row and the records say differently about the sample itself."""
    found = samples.newest(key)
    if found is None:
        return _unnamed_laboratory(samples, key)
    if stated.outcome and found.outcome != stated.outcome:
        return [Doubt(codes.CONFLICT, "outcome", stated.outcome, Remark("records_say", (OUTCOMES[found.outcome],)))]
    return [
        Doubt(codes.CONFLICT, key, str(cell), Remark("records_say", (str(getattr(found, key)),)))
        for key, cell in cells_of_sample(found, stated).items()
        if key != "note" and getattr(found, key) not in ("", None) and not is_same_cell(getattr(found, key), cell)
    ]


def is_same_cell(found: Any, stated: Any) -> bool:
    """Whether two cells of a sample say the same; a mass may be written in another unit.

    >>> is_same_cell(0.7, 700 * 1e-3), is_same_cell("", "me")
    (True, False)
    """
    if isinstance(found, float) and isinstance(stated, float):
        return math.isclose(found, stated, rel_tol=1e-9)
    return bool(found == stated)


def _unnamed_laboratory(samples: KnownSamples, key: SampleKey) -> list[Doubt]:
    """A question where the same sample may have been sent with the name of the laboratory once, and once without."""
    others = sorted(one.laboratory for one in samples.named(key.name) if one.candidate_id == key.candidate_id)
    if not others or (key.laboratory and "" not in others):
        return []
    remark = Remark("sample_of_unnamed") if key.laboratory else Remark("sample_of", (others[0],))
    return [Doubt(codes.LABORATORY, "sample_id", key.name, remark)]


class ValueBeside(NamedTuple):
    """A stated value beside those of its sample that the records hold.

    Attributes:
        doubt: What is to be asked; None where nothing is.
        earlier: Id of the record whose place it takes; None where it is another value.
        adds: Whether it says anything that the records do not hold.
    """

    doubt: Doubt | None = None
    earlier: str | None = None
    adds: bool = True


def value_beside(
    samples: KnownSamples,
    key: SampleKey,
    stated: MeasuredValue,
    *,
    sheet: str,
    unchanged: Collection[str] | None,
) -> ValueBeside:
    """Compare a value with those of the same property and sample.

    Args:
        samples: What the records hold.
        key: The sample.
        stated: Its value.
        sheet: Id of the sheet of the row.
        unchanged: Ids of rows of earlier sheets that stand in this one too, so that the row is none of them continued;
            None where that is not known.
    """
    values = samples.values(key, stated.property)
    exact = [one for one in values if is_same_measurement(one, stated)]
    here = {one.id for one in values if one.sheet_id == sheet or one.row_id in (unchanged or ())}
    if exact:
        nearest = min(exact, key=lambda one: (one.retracted, not is_same_value(one, stated)))
        return _beside_exact(nearest, stated, stands_here=nearest.id in here)
    others = [one for one in values if not one.retracted and one.id not in here]
    alike = [one for one in values if one.id not in here and may_be_same_measurement(one, stated)]
    if again := next((one for one in alike if one.retracted and is_same_value(one, stated)), None):
        return ValueBeside(_doubt_about_retracted(again, stated), again.id)
    continued = [one for one in others if _continues(stated, one)]
    same = [one for one in others if is_same_value(one, stated)]
    if found := next((one for one in continued if one in same), None):
        if unchanged is None:
            return ValueBeside(_doubt(codes.SAME, "method", stated, found))
        differs = _differing_cell(found, stated)
        return ValueBeside(_doubt(codes.CONFLICT, differs, stated, found) if differs else None, found.id)
    if continued:
        return ValueBeside(_doubt(codes.CONFLICT, "value", stated, continued[0]), continued[0].id)
    if same:
        return ValueBeside(_doubt(codes.SAME, "method", stated, same[0]))
    if said_more := next((one for one in alike if not one.retracted), None):
        column = "method" if said_more.method and not stated.method else "conditions"
        return ValueBeside(_doubt(codes.CONFLICT, column, stated, said_more), said_more.id)
    return ValueBeside()


def is_same_measurement(found: RecordedValue, stated: MeasuredValue) -> bool:
    """Whether two values come from the same method under the same conditions."""
    is_as_full = found.conditions.keys() == stated.conditions.keys() and bool(found.method) == bool(stated.method)
    return is_as_full and may_be_same_measurement(found, stated)


def may_be_same_measurement(found: RecordedValue, stated: MeasuredValue) -> bool:
    """Whether neither method nor conditions of two values contradict each other; each may leave some of them out."""
    return (not found.method or not stated.method or _is_same_method(found.method, stated.method)) and all(
        math.isclose(value, stated.conditions.get(name, value), rel_tol=1e-6)
        for name, value in found.conditions.items()
    )


def _is_same_method(found: str, stated: str) -> bool:
    """Whether two methods are written alike, but for capitals, spaces and full-width characters."""
    return plain_heading(found) == plain_heading(stated)


def doubt_about_candidate(
    samples: KnownSamples, key: SampleKey, stated: MeasuredValue, *, sheet: str, unchanged: Collection[str] | None
) -> list[Doubt]:
    """A question where an earlier sheet had the value of a new sample under the same name, but of another candidate.

    Args:
        samples: What the records hold.
        key: The sample.
        stated: Its value.
        sheet: Id of the sheet of the row.
        unchanged: As for :func:`value_beside`.
    """
    if samples.newest(key) is not None:
        return []
    others = [one.key for one in samples.named(key.name) if one.laboratory == key.laboratory]
    found = [
        (other, one) for other in others for one in samples.values(other, stated.property)
        if not one.retracted and one.sheet_id != sheet and one.row_id not in (unchanged or ())
        and is_same_value(one, stated) and may_be_same_measurement(one, stated)
    ]  # fmt: skip
    return [
        Doubt(codes.SAME, "candidate_id", key.candidate_id, Remark("value_of_candidate", (other.candidate_id, one.id)))
        for other, one in found[:1]
    ]


def emptied_values(
    samples: KnownSamples, key: SampleKey, checked: CheckedRow, *, sheet: str, told: Collection[str]
) -> list[RecordedValue]:  # fmt: skip
    """Values that an earlier sheet had where a row has none now.

    A row that names a property leaves out its values. One that names none says less than the earlier row; where it says
    something else, it is about the sample alone. The value of a failed synthesis is not asked for.

    Args:
        samples: What the records hold.
        key: The sample.
        checked: The row.
        sheet: Id of its sheet.
        told: Ids of values that other rows of the sheet tell.
    """
    if checked.measured is not None or checked.sample is None or checked.sample.outcome == "failed":
        return []
    cells = checked.written.cells
    found = [
        one for one in samples.values(key, checked.without_value)
        if not one.retracted and one.sheet_id != sheet and one.id not in told
        and (checked.without_value or cells.items() <= one.cells.items())
    ]  # fmt: skip
    by_method = [one for one in found if _is_same_method(one.method, cells.get("method", ""))]
    return by_method or found


def doubt_about_emptied(values: Sequence[RecordedValue]) -> list[Doubt]:
    """A question whether values are retracted, which holds their ids; none where there are none."""
    if not values:
        return []
    shown = ", ".join(f"{one.value:.6g} {property_named(one.property).unit}".removesuffix(" 1") for one in values)
    return [Doubt(codes.EMPTIED, "value", "", Remark("emptied", (shown, *(one.id for one in values))))]


def values_confirmed_empty(code: str, detail: str) -> tuple[str, ...]:
    """Ids of the values that such a question is about, from its code and the remark that the records keep.

    >>> values_confirmed_empty("E-RESULT-EMPTIED", Remark("emptied", ("3.1 eV", "msr-1")).stored())
    ('msr-1',)
    """
    return tuple(map(str, Remark.read(detail).values[1:])) if code == codes.EMPTIED else ()


def _beside_exact(found: RecordedValue, stated: MeasuredValue, *, stands_here: bool) -> ValueBeside:
    """Beside a value by the same method under the same conditions."""
    if found.retracted:
        return ValueBeside(_doubt_about_retracted(found, stated) if is_same_value(found, stated) else None, found.id)
    if not is_same_value(found, stated):
        return ValueBeside(_doubt(codes.CONFLICT, "value", stated, found), found.id)
    if stands_here:
        return ValueBeside(_doubt(codes.REPEAT, "value", stated, found), found.id)
    if differs := _differing_cell(found, stated):
        return ValueBeside(_doubt(codes.CONFLICT, differs, stated, found), found.id)
    adds = stated.repeats != found.repeats or (found.uncertainty is None and math.isfinite(stated.uncertainty))
    return ValueBeside(None, found.id, adds)


def _continues(stated: MeasuredValue, found: RecordedValue) -> bool:
    """Whether a value may be an earlier one whose method and conditions were filled in."""
    is_fuller = found.conditions.keys() <= stated.conditions.keys() and bool(found.method) <= bool(stated.method)
    return is_fuller and may_be_same_measurement(found, stated)


def is_same_value(found: RecordedValue, stated: MeasuredValue) -> bool:
    """Whether two values are equal, or equal limits."""
    return found.relation == stated.relation and math.isclose(found.value, stated.value, rel_tol=1e-9)


def _differing_cell(found: RecordedValue, stated: MeasuredValue) -> str:
    """Column of a cell that was filled and says something else now; empty where there is none."""
    if found.uncertainty is not None and not math.isclose(found.uncertainty, stated.uncertainty, rel_tol=1e-9):
        return "uncertainty"
    return "repeats" if found.repeats > 1 and found.repeats != stated.repeats else ""


def _doubt(code: str, column: str, stated: MeasuredValue, found: RecordedValue) -> Doubt:
    error = f" ± {found.uncertainty:.6g}" if column == "uncertainty" else ""
    said = f"{found.value:.6g}{error} {property_named(stated.property).unit}"
    if column == "repeats":
        said = f"{found.repeats}"
    elif column == "method":
        said = f"{said}, {found.method or '?'}"
    elif column == "conditions":
        shown = (f"{name} {CONDITIONS[name].write(value)}" for name, value in sorted(found.conditions.items()))
        said = ", ".join((said, *shown))
    return Doubt(code, column, stated.as_written, Remark("records_say", (said,)))


def _doubt_about_retracted(found: RecordedValue, stated: MeasuredValue) -> Doubt:
    remark = Remark("retracted", (f"{found.value:.6g} {property_named(stated.property).unit}",))
    return Doubt(codes.CONFLICT, "value", stated.as_written, remark)
