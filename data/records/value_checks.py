"""Values that are doubtful beside what was predicted, and beside the other values of a sheet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from matloop.data.records import result_codes as codes
from matloop.data.records.cells import Doubt
from matloop.data.records.forgotten_zeros import forgotten_zeros
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.row_checks import CheckedRow
from matloop.data.records.unit_jumps import jumps


def doubts_about_values(
    rows: Sequence[CheckedRow], candidates: Mapping[str, KnownCandidate]
) -> dict[int, list[Doubt]]:  # fmt: skip
    """Questions about values a power of 1,000 from what is expected, or 0 where the prediction excludes it, by place.

    Args:
        rows: Rows that are judged together.
        candidates: Candidates with their predictions, by id.
    """
    expected = {(name, key): value for name, one in candidates.items() for key, value in one.predictions.items()}
    found: dict[int, list[Doubt]] = defaultdict(list)
    for code, remarks in ((codes.JUMP, jumps(rows, expected)), (codes.ZERO, forgotten_zeros(rows, candidates))):
        for at, remark in remarks.items():
            found[at].append(Doubt(code, "value", rows[at].written.cells.get("value", ""), remark))
    return found
