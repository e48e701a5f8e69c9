"""Rows that the records hold already, and that say something else than the records do by now.

A sheet that comes again adds nothing. But a row may have been corrected by a later sheet, or its value retracted, since
it came first. Then the same words are news: somebody corrects the correction, or an older copy of the sheet was sent.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from matloop.data.records.accepting import SheetSource
from matloop.data.records.known_samples import KnownSamples, RecordedStep, RecordedValue, SampleKey
from matloop.data.records.recorded_samples import doubts_about_sample, is_same_value, may_be_same_measurement
from matloop.data.records.recorded_steps import contradicts
from matloop.data.records.row_checks import CheckedRow, MeasuredValue
from matloop.data.records.step_checks import CheckedStep


def records_in_place_of(
    samples: KnownSamples, checked: CheckedRow | CheckedStep, source: SheetSource
) -> list[str]:  # fmt: skip
    """Ids of the records that stand where a row of earlier sheets stood, and say something else; none if it stands.

    What another row of the sheet brought is meant so, and a cell that the row leaves empty says nothing.

    Args:
        samples: What the records hold.
        checked: The row, with the answers to its questions.
        source: The sheet that it stands in again; its ``unchanged`` rows are those that came with earlier sheets.
    """
    here = source.unchanged or ()
    if isinstance(checked, CheckedStep):
        return [one.row_id for one in _other_steps(samples, checked, source.laboratory, here)]
    if checked.sample is None:
        return []
    key = source.sample(checked.sample)
    newest = samples.newest(key)
    if newest is None:
        return []
    differs = newest.row_id not in here and bool(doubts_about_sample(samples, key, checked.sample))
    values = [] if checked.measured is None else _other_values(samples, key, checked.measured, here)
    return [*([newest.id] if differs else []), *(one.id for one in values)]


def _other_values(
    samples: KnownSamples, key: SampleKey, stated: MeasuredValue, here: Collection[str]
) -> list[RecordedValue]:  # fmt: skip
    alike = [one for one in samples.values(key, stated.property) if may_be_same_measurement(one, stated)]
    standing = [one for one in alike if not one.retracted]
    if any(_says(one, stated) or one.row_id in here for one in standing):
        return []
    return standing or [one for one in alike if is_same_value(one, stated)]


def _says(found: RecordedValue, stated: MeasuredValue) -> bool:
    """Whether the records say what a row does, and perhaps more."""
    is_as_sure = found.uncertainty is None or math.isclose(
        found.uncertainty, found.uncertainty if math.isnan(stated.uncertainty) else stated.uncertainty, rel_tol=1e-9
    )
    return is_same_value(found, stated) and is_as_sure


def _other_steps(
    samples: KnownSamples, stated: CheckedStep, laboratory: str, here: Collection[str]
) -> Sequence[RecordedStep]:  # fmt: skip
    named = [one for one in samples.named(stated.sample) if one.laboratory == laboratory]
    found = [step for one in named for step in samples.steps(one.key, stated.step)]
    stands = any(one.row_id in here or not contradicts(one, stated) for one in found)
    return () if len(named) != 1 or stands else found
