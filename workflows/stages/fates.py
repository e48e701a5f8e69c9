"""What becomes of the rows of a run: one fate each, written as a row by whoever decides it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Refused
from matloop.data.candidates.reasons import REPEATED, Reason, text_of
from matloop.data.properties.columns import Column

SHORTLISTED, REJECTED, QUARANTINED = "shortlisted", "rejected", "quarantined"
SCORED = "scored"
"""In place of a fate: a stage has scored the row, and where it ends is decided later."""
FIRST_STAGE = "surrogates"
BELOW = "below-cut"
"""Name of the merge that cuts the candidates of all partitions of a stage to those that go on."""

Reasons = Reason | str | Sequence[Reason | str | None] | NDArray[Any]
"""One reason or row code for all, or one for each; None and empty text where there is none."""

FATE_COLUMNS = (
    Column.CANDIDATE_ID,
    Column.FORMULA,
    Column.OUTCOME,
    Column.STAGE,
    Column.CODE,
    Column.VALUE,
    Column.LIMIT,
    Column.SOURCE,
    Column.DETAIL,
)
"""Columns of every table of fates, all of them text."""
FATE_SCHEMA = pa.schema([(str(name), pa.string()) for name in FATE_COLUMNS])
"""Of the fates of a merge; the tables of partitions have further columns."""
_MEASURED = r"^(-?\d+(\.\d+)?(e[+-]\d+)?|-?inf|nan)$"


class Ending(NamedTuple):
    """Where, how and why rows end; what fates are counted by.

    Attributes:
        stage: Part of the funnel.
        outcome: ``shortlisted``, ``rejected``, ``quarantined``, or ``scored`` where it is not decided yet.
        code: Code of the reason.
        value: What was met, where that is a text such as an element; measured numbers do not tell endings apart.
        limit: What was allowed.
    """

    stage: str
    outcome: str
    code: str = ""
    value: str = ""
    limit: str = ""


FateCounts = Counter[Ending]
"""Rows by where, how and why they end."""


class Fates:
    """The fate of each candidate of a partition, as far as it is decided.

    Args:
        count: Number of candidates.
        stage: Stage the partition is in. The first one, ``surrogates``, is told apart by its parts in the funnel.
    """

    def __init__(self, count: int, stage: str) -> None:
        self.stage = stage
        self.outcomes = np.full(count, SCORED, dtype=object)
        self.stages = np.full(count, self.part("ranking"), dtype=object)
        self.reasons = np.full(count, None, dtype=object)
        self.details = np.full(count, "", dtype=object)

    def part(self, name: str) -> str:
        """Name in the funnel of a part of the stage: features, surrogates, domain or ranking."""
        return part_of(self.stage, name)

    def end(self, rows: NDArray[np.int64], outcome: str, stage: str, reasons: Reasons) -> None:
        """Decide the fate of ``rows``; candidates without a reason are left as they are.

        Args:
            rows: Places in the partition, shape (n,).
            outcome: How they end.
            stage: Part of the funnel where they end.
            reasons: Why, one for all or n.
        """
        given = np.full(len(rows), None, dtype=object)
        given[:] = reasons if not isinstance(reasons, Reason | str) else [reasons] * len(rows)
        for row, reason in zip(rows.tolist(), given.tolist(), strict=True):
            if reason:
                self.reasons[row] = reason if isinstance(reason, Reason) else Reason(reason)
                self.outcomes[row], self.stages[row] = outcome, stage

    def explain(self, rows: NDArray[np.int64], details: Mapping[int, str]) -> None:
        """Add details by place in ``rows``."""
        for place, detail in details.items():
            self.details[rows[place]] = detail

    def scored(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in ``rows`` of the candidates whose fate is open."""
        return np.flatnonzero(self.outcomes[rows] == SCORED)

    def table(
        self,
        batch: CandidateBatch,
        rows: NDArray[np.int64],
        columns: Mapping[str, Any],
        refused: Iterable[Refused] = (),
    ) -> pa.Table:
        """One row per input row: candidates, then the rows that never became candidates.

        The column ``input_row`` is where in the input the latter were, and null for candidates: repeats share the id of
        a candidate, and rows of equal text share theirs.

        Args:
            batch: The candidates.
            rows: The candidates that ``columns`` tell of.
            columns: Further columns, each of the length of ``rows``.
            refused: Rows the source refused, and repeats.
        """
        others = list(refused)
        reasons = [reason or _NONE for reason in self.reasons]
        data: dict[str, Any] = {
            Column.CANDIDATE_ID: [*batch.ids, *(row.candidate_id for row in others)],
            Column.FORMULA: [*batch.formulas, *(row.formula for row in others)],
            Column.OUTCOME: [*self.outcomes, *(REJECTED if row.code == REPEATED else QUARANTINED for row in others)],
            Column.STAGE: [*self.stages, *("intake" for _ in others)],
            Column.CODE: [*(reason.code for reason in reasons), *(row.code for row in others)],
            Column.VALUE: [*(text_of(reason.value) for reason in reasons), *("" for _ in others)],
            Column.LIMIT: [*(text_of(reason.limit) for reason in reasons), *("" for _ in others)],
            Column.SOURCE: [*(reason.source for reason in reasons), *("" for _ in others)],
            Column.DETAIL: [*self.details, *(row.detail for row in others)],
        }
        table = pa.table(data, schema=FATE_SCHEMA)
        origins = [*batch.table.column(Column.ORIGIN).to_pylist(), *("" for _ in others)]
        table = table.append_column(Column.ORIGIN, pa.array(origins, pa.string()))
        input_rows = [*(None for _ in range(len(batch))), *(row.row for row in others)]
        table = table.append_column(Column.INPUT_ROW, pa.array(input_rows, pa.int64()))
        places = np.full(len(table), -1)
        places[rows] = np.arange(len(rows))
        taken = pa.array(places, mask=places < 0)
        for name, values in columns.items():
            stored = np.asarray(values, np.float32) if np.asarray(values).dtype.kind in "fb" else values
            table = table.append_column(name, pa.array(stored, from_pandas=True).take(taken))
        return table


_NONE = Reason("")


def part_of(stage: str, name: str) -> str:
    """Name in the funnel of a part of a stage; only the first stage has parts."""
    return name if stage == FIRST_STAGE else stage


def fate_table(table: pa.Table, outcome: str, stage: str, reasons: Sequence[Reason]) -> pa.Table:
    """Fates of rows that a merge ends.

    Args:
        table: The rows, n of them, with ``candidate_id`` and ``formula``.
        outcome: How they end.
        stage: Part of the funnel where they end.
        reasons: Why each of them does, n of them.
    """
    texts = {
        Column.OUTCOME: [outcome] * len(reasons),
        Column.STAGE: [stage] * len(reasons),
        Column.CODE: [reason.code for reason in reasons],
        Column.VALUE: [text_of(reason.value) for reason in reasons],
        Column.LIMIT: [text_of(reason.limit) for reason in reasons],
        Column.SOURCE: [reason.source for reason in reasons],
        Column.DETAIL: [""] * len(reasons),
    }
    own = {name: table.column(name).combine_chunks() for name in (Column.CANDIDATE_ID, Column.FORMULA)}
    return pa.table({**own, **texts}, schema=FATE_SCHEMA)


def counted(table: pa.Table) -> FateCounts:
    """Rows by where, how and why they end."""
    names = list(Ending._fields)
    told = table.select(names).combine_chunks()
    measured = pc.match_substring_regex(told[Column.VALUE], _MEASURED)
    told = told.set_column(names.index(Column.VALUE), Column.VALUE, pc.if_else(measured, "", told[Column.VALUE]))
    groups = told.group_by(names).aggregate([([], "count_all")])
    counts = groups.column("count_all").to_pylist()
    endings = zip(*(groups.column(name).to_pylist() for name in names), strict=True)
    return Counter({Ending(*ending): n for ending, n in zip(endings, counts, strict=True)})


def decided(counts: FateCounts) -> FateCounts:
    """The counts without the rows whose fate is open."""
    return Counter({ending: n for ending, n in counts.items() if ending.outcome != SCORED})


def counts_of(written: Iterable[Sequence[Any]]) -> FateCounts:
    """Counts from a line of a manifest: the fields of an ending and the number of rows."""
    return Counter({Ending(*ending): n for *ending, n in written})
