"""What became of the rows of a run: one outcome each, and the funnel they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Refused
from matloop.data.errors import RunError
from matloop.data.properties.columns import Column
from matloop.screening.campaign.campaign import Campaign

SHORTLISTED, REJECTED, QUARANTINED = "shortlisted", "rejected", "quarantined"
SCORED = "scored"
"""Outcome of a row that a stage has scored; whether it goes on is known once all partitions are in."""
FIRST_STAGE = "surrogates"
DUPLICATE = "repeats an earlier candidate"

OutcomeCounts = Counter[tuple[str, str, str]]
"""Rows by (stage, outcome, reason)."""


class Outcomes:
    """Outcome, stage, reason and, where more is known, detail of each candidate of a partition.

    Args:
        count: Number of candidates.
        stage: Stage the partition is in. The first one, ``surrogates``, is told apart by its parts in the funnel.
    """

    def __init__(self, count: int, stage: str) -> None:
        self.stage = stage
        self.outcomes = np.full(count, SCORED, dtype=object)
        self.stages = np.full(count, self.part("ranking"), dtype=object)
        self.reasons = np.full(count, "", dtype=object)
        self.details = np.full(count, "", dtype=object)

    def part(self, name: str) -> str:
        """Name in the funnel of a part of the stage: features, surrogates, domain or ranking."""
        return name if self.stage == FIRST_STAGE else self.stage

    def set(self, rows: NDArray[np.int64], outcome: str, stage: str, reasons: NDArray[Any] | str) -> None:
        """Settle the outcome of ``rows``; candidates with an empty reason are left as they are."""
        given = np.broadcast_to(np.asarray(reasons, dtype=object), len(rows))
        settled = given != ""
        rows = rows[settled]
        self.outcomes[rows], self.stages[rows], self.reasons[rows] = outcome, stage, given[settled]

    def explain(self, rows: NDArray[np.int64], details: Mapping[int, str]) -> None:
        """Add details by place in ``rows``."""
        for place, detail in details.items():
            self.details[rows[place]] = detail

    def scored(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in ``rows`` of the candidates without any other outcome."""
        return np.flatnonzero(self.outcomes[rows] == SCORED)

    def table(
        self,
        batch: CandidateBatch,
        rows: NDArray[np.int64],
        columns: Mapping[str, Any],
        refused: Iterable[Refused] = (),
    ) -> pa.Table:
        """One row per input row: candidates, then the rows that never became candidates.

        Args:
            batch: The candidates.
            rows: The candidates that ``columns`` tell of.
            columns: Further columns, each of the length of ``rows``.
            refused: Rows the source refused, and repeats.
        """
        others = list(refused)
        data: dict[str, Any] = {
            Column.CANDIDATE_ID: [*batch.ids, *(row.candidate_id for row in others)],
            Column.FORMULA: [*batch.formulas, *(row.formula for row in others)],
            Column.ORIGIN: [*batch.table.column(Column.ORIGIN).to_pylist(), *("" for _ in others)],
            Column.OUTCOME: [*self.outcomes, *(REJECTED if row.code == DUPLICATE else QUARANTINED for row in others)],
            Column.STAGE: [*self.stages, *("intake" for _ in others)],
            Column.REASON: [*self.reasons, *(row.code for row in others)],
            Column.DETAIL: [*self.details, *(row.detail for row in others)],
        }
        places = np.full(len(batch) + len(others), -1)
        places[rows] = np.arange(len(rows))
        taken = pa.array(places, mask=places < 0)
        for name, values in columns.items():
            stored = np.asarray(values, np.float32) if np.asarray(values).dtype.kind in "fb" else values
            data[name] = pa.array(stored, from_pandas=True).take(taken)
        return pa.table(data)


def counted(table: pa.Table) -> OutcomeCounts:
    """Rows of a partition by stage, outcome and reason."""
    columns = [table.column(name).to_pylist() for name in (Column.STAGE, Column.OUTCOME, Column.REASON)]
    return Counter(zip(*columns, strict=True))


def settle(counts: OutcomeCounts, stage: str, kept: int, reason: str) -> None:
    """Turn the scored rows that do not go on into rejected ones.

    Args:
        counts: Changed in place.
        stage: Stage that rejects them.
        kept: How many scored rows go on; they are counted by the stages to come.
        reason: Why the others do not.
    """
    scored = sum(n for (_, outcome, _), n in counts.items() if outcome == SCORED)
    for key in [key for key in counts if key[1] == SCORED]:
        del counts[key]
    if scored > kept:
        counts[stage, REJECTED, reason] += scored - kept


def by_outcome(counts: OutcomeCounts) -> dict[str, int]:
    """Rows by outcome alone."""
    totals: Counter[str] = Counter()
    for (_, outcome, _), n in counts.items():
        totals[outcome] += n
    return dict(sorted(totals.items()))


def check_conservation(rows_in: int, counts: OutcomeCounts) -> None:
    """Every row that came in ended in exactly one outcome.

    Raises:
        RunError: If not; the run's results must not be trusted then.
    """
    if sum(counts.values()) != rows_in:
        raise RunError(
            f"{rows_in} rows came in and {sum(counts.values())} have an outcome",
            "equal numbers",
            "report this as a bug",
        )


def filter_stages(campaign: Campaign) -> list[str]:
    """Stage of each filter, by the name the campaign gives it; a filter named again is told by its number there."""
    names: list[str] = []
    for number, entry in enumerate(campaign.filters, start=1):
        name = f"filter {entry.name}"
        names.append(f"filter {number} {entry.name}" if name in names else name)
    return names


def stage_names(campaign: Campaign) -> list[str]:
    """Stages at which a candidate of this campaign can end, in order."""
    names = ["intake", *filter_stages(campaign)]
    names += ["features", "surrogates", "domain", "ranking"]
    names += ["structure"] * (campaign.structure is not None) + ["potential"] * (campaign.potential is not None)
    return [*names, "shortlist"]


def funnel(campaign: Campaign, counts: OutcomeCounts, rows_in: int) -> list[dict[str, Any]]:
    """Stage by stage: how many went in, how many stayed, and what became of the others.

    Raises:
        RunError: If the last stage leaves others than the shortlisted; an outcome has a stage that is not told then.
    """
    stages, remaining = [], rows_in
    for name in stage_names(campaign):
        lost = {(outcome, reason): n for (stage, outcome, reason), n in counts.items() if stage == name and n}
        lost = {key: n for key, n in lost.items() if key[0] != SHORTLISTED}
        left = remaining - sum(lost.values())
        ordered = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
        reasons = [{"outcome": o, "reason": r, "rows": n} for (o, r), n in ordered]
        stages.append({"stage": name, "rows_in": remaining, "rows_out": left, "lost": reasons})
        remaining = left
    shortlisted = by_outcome(counts).get(SHORTLISTED, 0)
    if remaining != shortlisted:
        raise RunError(
            f"the funnel leaves {remaining} rows and {shortlisted} are shortlisted",
            "equal numbers",
            "report this as a bug",
        )
    return stages
