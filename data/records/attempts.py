"""Attempts to make a candidate, and what their outcomes say of whether the compound can be made.

A sample that was made is a success, and one that was made in part half of one. A failure counts in full if the sheet
gives a reason that lies in the compound: another phase formed, the precursors did not react, the product was amorphous,
decomposed, melted or lost a component. It counts half where no reason is given or none that tells. A failure of the
equipment, of the crucible or by air says nothing of the compound and does not count.
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
    """One attempt to make a candidate.

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
        counted: Those that say something of the compound, in the order of import.
        of_handling: Number of failures that lie in the handling, which do not count.
    """

    counted: Sequence[Attempt]
    of_handling: int


def attempts_of(samples: pa.Table, *, laboratory: str = "") -> Attempts:
    """Read attempts off a table of samples.

    Args:
        samples: As :func:`matloop.data.records.contents.samples_table` gives it.
        laboratory: Whose; those of all laboratories if empty.

    >>> failed = {"candidate_id": "c", "formula": "LiF", "laboratory": "", "outcome": "failed"}
    >>> rows = [{**failed, "reason": reason} for reason in ("other_phases", "equipment", "")]
    >>> found = attempts_of(pa.Table.from_pylist(rows))
    >>> [(one.success, one.weight) for one in found.counted], found.of_handling
    ([(0.0, 1.0), (0.0, 0.5)], 1)
    """
    counted, of_handling = [], 0
    for row in samples.to_pylist():
        if laboratory and row["laboratory"] != laboratory:
            continue
        if row["outcome"] == "failed" and row["reason"] in OF_THE_HANDLING:
            of_handling += 1
            continue
        tells = row["outcome"] != "failed" or row["reason"] in OF_THE_COMPOUND
        weight = 1.0 if tells else _UNTOLD
        counted.append(Attempt(row["candidate_id"], row["formula"], _SUCCESS[row["outcome"]], weight))
    return Attempts(counted, of_handling)
