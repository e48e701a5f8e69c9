"""Attempts to make a candidate, and what their outcomes say of whether the compound can be made.

All samples of a candidate are one attempt, with the best outcome among them: whoever fails twenty times at one compound
has learned of one compound. A sample that was made is a success, and one that was made in part half of one. A failure
counts in full if the sheet gives a reason that lies in the compound: another phase formed, the precursors did not
react, the product was amorphous, decomposed, melted or lost a component. It counts half where no reason is given or
none that tells. A failure of the equipment, of the crucible or by air says nothing of the compound and does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

OF_THE_COMPOUND = ("other_phases", "no_reaction", "amorphous", "decomposed", "melted", "evaporated")
"""Reasons of a failure that lie in the compound."""
OF_THE_HANDLING = ("crucible", "air", "equipment")
"""Reasons of a failure that lie in how it was tried."""
_SUCCESS: Mapping[str, float] = {"made": 1.0, "partly": 0.5, "failed": 0.0}
_UNTOLD = 0.5  # weight of a failure whose reason does not tell


class Attempt(NamedTuple):
    """The attempt to make a candidate, with however many samples.

    Attributes:
        candidate_id: The candidate.
        formula: Its formula.
        success: 1 if it was made, 0.5 if in part, 0 if not.
        weight: How much the attempt counts, above zero.
    """

    candidate_id: str
    formula: str
    success: float
    weight: float


class Attempts(NamedTuple):
    """The attempts that the records hold.

    Attributes:
        counted: Those that say something of the compound, one a candidate, in the order of import.
        of_handling: Number of failed samples whose reason lies in the handling, which do not count.
    """

    counted: Sequence[Attempt]
    of_handling: int


def attempts_of(samples: pa.Table, *, laboratory: str = "") -> Attempts:
    """Read attempts off a table of samples.

    Args:
        samples: As :func:`matloop.data.records.contents.samples_table` gives it.
        laboratory: Whose; those of all laboratories if empty.

    >>> failed = {"candidate_id": "c", "formula": "LiF", "laboratory": "", "outcome": "failed"}
    >>> rows = [{**failed, "reason": reason} for reason in ("", "other_phases", "other_phases", "equipment")]
    >>> attempts_of(pa.Table.from_pylist(rows))
    Attempts(counted=[Attempt(candidate_id='c', formula='LiF', success=0.0, weight=1.0)], of_handling=1)
    """
    best: dict[str, Attempt] = {}
    of_handling = 0
    for row in samples.to_pylist():
        if laboratory and row["laboratory"] != laboratory:
            continue
        if row["outcome"] == "failed" and row["reason"] in OF_THE_HANDLING:
            of_handling += 1
            continue
        tells = row["outcome"] != "failed" or row["reason"] in OF_THE_COMPOUND
        weight = 1.0 if tells else _UNTOLD
        attempt = Attempt(row["candidate_id"], row["formula"], _SUCCESS[row["outcome"]], weight)
        known = best.setdefault(attempt.candidate_id, attempt)
        if (attempt.success, attempt.weight) > (known.success, known.weight):
            best[attempt.candidate_id] = attempt
    return Attempts(list(best.values()), of_handling)
