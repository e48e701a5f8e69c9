"""Values of 0 where the prediction excludes it: probably measurements that were not made and were entered as 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matloop.data.properties.catalogue import property_named
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.row_checks import CheckedRow
from matloop.data.remarks import Remark

_FARTHEST = 3.0  # standard deviations from the prediction up to which 0 is taken as a result
_HALF_WIDTH = 1.645  # standard deviations in half of a 90 % interval


def forgotten_zeros(
    rows: Sequence[CheckedRow], candidates: Mapping[str, KnownCandidate]
) -> dict[int, Remark]:  # fmt: skip
    """Rows whose value is 0 far outside the calibrated interval of the prediction, by place, with that interval.

    The end of the 90 % interval towards 0 lies 1.645 standard deviations from the prediction if the side is normal; 0
    is asked about beyond three of them. So a gap of 0 is a result for whatever may be a metal, and an energy above hull
    of 0 for whatever may be stable. Where 0 is physically excluded, the check of the row by itself has asked already.

    Args:
        rows: Rows of a sheet.
        candidates: Candidates with predictions and their intervals, by id.
    """
    found = {}
    for at, row in enumerate(rows):
        if row.measured is None or row.measured.value or row.measured.relation not in "=~" or row.sample is None:
            continue
        if any(doubt.column == "value" for doubt in row.doubts):
            continue
        known, name = candidates.get(row.sample.candidate_id), row.measured.property
        if known is not None and is_excluded(0.0, known.predictions.get(name, math.nan), known.intervals.get(name)):
            low, high = known.intervals[name]
            unit = property_named(name).unit
            found[at] = Remark("interval", (f"{known.predictions[name]:.4g}", f"{low:.4g}", f"{high:.4g}", unit))
    return found


def is_excluded(value: float, predicted: float, interval: tuple[float, float] | None) -> bool:
    """Whether a value lies more than three standard deviations from a prediction, by its interval on that side.

    >>> is_excluded(0.0, 2.0, (1.6, 2.4)), is_excluded(0.0, 0.06, (0.02, 0.1)), is_excluded(0.0, -1.0, (-1.2, -0.8))
    (True, False, True)
    """
    if interval is None or not math.isfinite(predicted):
        return False
    low, high = interval
    width = predicted - low if value < predicted else high - predicted
    return abs(predicted - value) > _FARTHEST / _HALF_WIDTH * width
