"""Values about a power of 1,000 from what is expected, which probably have another unit."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from matloop.data.records.row_checks import CheckedRow
from matloop.data.remarks import Remark


def jumps(rows: Sequence[CheckedRow], expected: Mapping[tuple[str, str], float]) -> dict[int, Remark]:
    """Rows whose value is about a power of 1,000 from what is expected, by place, with what it is compared to.

    Expected is the prediction for the candidate; without one, the median of the other values of the property in the
    sheet, where at least three lie within a factor of 30 of each other.

    Args:
        rows: Rows of a sheet.
        expected: Predicted value by candidate and property.
    """
    found: dict[int, Remark] = {}
    stated = [(at, row.sample, row.measured) for at, row in enumerate(rows) if row.sample and row.measured]
    sizes: dict[str, list[float]] = defaultdict(list)
    for _, _, measured in stated:
        sizes[measured.property].append(abs(measured.value))
    for listed in sizes.values():
        listed.sort()
    for at, sample, measured in stated:
        wanted, of = expected.get((sample.candidate_id, measured.property), math.nan), "predicted"
        if math.isnan(wanted):
            wanted, of = _median_of_others(sizes[measured.property], abs(measured.value)), "median"
        if wanted and measured.value and math.isfinite(wanted):
            decades = math.log10(abs(measured.value / wanted))
            steps = round(decades / 3)
            if steps and abs(decades - 3 * steps) < 0.8:
                found[at] = Remark(of, (f"{measured.value:.4g}", f"{wanted:.4g}"))
    return found


def _median_of_others(listed: Sequence[float], own: float) -> float:
    """Median of sorted sizes without one of them; nan unless three or more lie within a factor of 30 of each other."""
    place = bisect.bisect_left(listed, own)
    count = len(listed) - 1
    if count < 3:
        return math.nan
    least, most = listed[1 if place == 0 else 0], listed[-2 if place == count else -1]
    middle = count // 2
    return listed[middle if middle < place else middle + 1] if 0 < most < 30 * least else math.nan
