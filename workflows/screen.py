"""The main job: candidates in, a ranked shortlist out."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.batch import CandidateBatch, Intake, Refused
from matloop.data.errors import RunError
from matloop.data.registry import SOURCES, lookup
from matloop.data.run_store import RunDirectory, write_json, write_table, write_text
from matloop.screening.campaign import Campaign
from matloop.screening.campaign_file import write_campaign
from matloop.screening.ranking import diverse_choice, ranking_order
from matloop.screening.report.page import write_report
from matloop.screening.shortlist import write_shortlist
from matloop.workflows.clusters import local_workers, run_bounded
from matloop.workflows.progress import Progress, SilentProgress
from matloop.workflows.stages import (
    DUPLICATE,
    REJECTED,
    SCORED,
    SHORTLISTED,
    OutcomeCounts,
    ScoringTask,
    score_partition,
    train_surrogate,
)  # fmt: skip
from matloop.workflows.validation import checked_campaign

PARTITION_ROWS = 10_000


def screen(
    campaign: str | Path | Campaign,
    *,
    output: str | Path | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> ScreeningRun:
    """Run a campaign: sources -> filter -> featurize -> score -> rank -> shortlist -> report.

    Args:
        campaign: A campaign file, the name of a packaged campaign, or a campaign.
        output: Folder of the run, new or empty; by default ``runs/NAME-DATE-TIME``.
        workers: Worker processes on this machine.
        progress: Told what happens; silent by default.

    Returns:
        The finished run.

    Raises:
        CampaignError: Listing every problem of the campaign.
        RunError: If the folder is in use, workers do not start, or the counts do not add up.
    """
    chosen = campaign if isinstance(campaign, Campaign) else checked_campaign(campaign)
    run = RunDirectory.create(Path(output) if output else None, chosen.name)
    watch = progress or SilentProgress()
    clock = _Clock()
    write_text(run.folder / "campaign.yaml", write_campaign(chosen))
    sources = [entry.make(lookup("source", SOURCES, entry.name)) for entry in chosen.sources]
    with local_workers(workers) as client:
        clock.lap("workers started")
        cards = _train(client, chosen, run, watch)
        clock.lap("surrogates trained")
        task = ScoringTask(chosen, run.folder.resolve(), _ranges(chosen, cards))
        ranked, counts, rows_in = _score(client, task, sources, workers, watch)
        clock.lap("candidates scored")
    ranked = _shortlist(ranked, chosen, counts)
    _check_conservation(rows_in, counts)
    write_table(run.ranked, ranked.to_arrow())
    write_shortlist(run, ranked, chosen)
    clock.lap("shortlist written")
    write_json(run.summary, _summary(chosen, task, counts, rows_in, clock, workers))
    write_report(run.folder)
    return ScreeningRun(run.folder)


@dataclass(frozen=True)
class ScreeningRun:
    """A finished run.

    Attributes:
        folder: Its directory.
    """

    folder: Path

    @property
    def report(self) -> Path:
        """The HTML report."""
        return RunDirectory(self.folder).report

    @property
    def ranked(self) -> CandidateBatch:
        """The ranked candidates with predictions and cells, best first; column ``shortlisted`` is 1, 2, 3 ... or 0."""
        return CandidateBatch.from_arrow(pq.read_table(RunDirectory(self.folder).ranked))

    @property
    def shortlist(self) -> Any:
        """The shortlist as a pandas DataFrame, best first."""
        table = self.ranked.table
        chosen = table.filter(pa.compute.greater(table["shortlisted"], 0)).sort_by("shortlisted")
        return chosen.to_pandas()

    @property
    def summary(self) -> dict[str, Any]:
        """Content of ``run.json``: counts, funnel, versions, timings."""
        import json

        return json.loads(RunDirectory(self.folder).summary.read_text(encoding="utf-8"))


def _train(client: Any, campaign: Campaign, run: RunDirectory, watch: Progress) -> dict[str, dict[str, Any]]:
    """Train the surrogates, one task each; returns their cards by property."""
    watch.start("training surrogates", len(campaign.targets))
    # The property with most data takes longest and goes first.
    calls = [(campaign, target, run.models.resolve()) for target in campaign.targets]
    cards = {}
    for card in run_bounded(client, train_surrogate, calls, in_flight=len(calls)):
        cards[card["property"]] = card
        scale = card["unit"] if card["transform"] == "identity" else "decades"
        watch.advance(1, f"{card['property']}: grouped out-of-fold MAE {card['scores']['mae']:.3g} {scale}")
    return cards


def _ranges(campaign: Campaign, cards: dict[str, dict[str, Any]]) -> dict[str, tuple[float, float]]:
    return {t.property: t.range(tuple(cards[t.property]["best_of_training"])) for t in campaign.targets}


def _score(
    client: Any, task: ScoringTask, sources: list[Any], workers: int, watch: Progress
) -> tuple[CandidateBatch, OutcomeCounts, int]:
    """Score all partitions; returns the ranked candidates, outcomes counted, and how many rows came in."""
    total = sum(source.count() for source in sources)
    watch.start("scoring candidates", total)
    counts: OutcomeCounts = Counter()
    best: pa.Table | None = None
    for result in run_bounded(client, score_partition, _partitions(task, sources), in_flight=2 * workers):
        counts.update(result.counts)
        watch.advance(sum(result.counts.values()), _tally(counts))
        merged = result.best if best is None else pa.concat_tables([best, result.best], promote_options="default")
        order = ranking_order(merged["probability"].to_numpy(), merged["candidate_id"].to_pylist())
        best = merged.take(pa.array(order[: task.campaign.surrogates.keep]))
    if best is None:
        raise RunError("the sources gave no candidates", "at least one row", "look at the campaign's sources")
    return CandidateBatch.from_arrow(best), counts, total


def _partitions(task: ScoringTask, sources: list[Any]) -> Iterator[tuple[ScoringTask, int, Intake, list[Refused]]]:
    """Calls of :func:`score_partition`; a candidate that came before is taken out here and counted."""
    seen: set[str] = set()
    index = 0
    for source in sources:
        for intake in source.intakes(PARTITION_ROWS):
            ids = intake.batch.ids
            first = [row for row, name in enumerate(ids) if not (name in seen or seen.add(name))]  # type: ignore[func-returns-value]
            repeats = sorted(set(range(len(ids))) - set(first))
            formulas, origins = intake.batch.formulas, intake.batch.table["origin"].to_pylist()
            duplicates = [Refused(row, ids[row], formulas[row], DUPLICATE, str(origins[row])) for row in repeats]
            if repeats:
                intake = Intake(intake.batch.take(first), intake.refused)
            yield task, index, intake, duplicates
            index += 1


def _shortlist(ranked: CandidateBatch, campaign: Campaign, counts: OutcomeCounts) -> CandidateBatch:
    """Mark the shortlisted among the ranked, and settle the outcome of all that were scored."""
    picks = diverse_choice(
        ranked.column("probability"), ranked.compositions,
        size=campaign.shortlist.size, diversity=campaign.shortlist.diversity,
    )  # fmt: skip
    place = np.zeros(len(ranked), np.int64)
    place[picks] = np.arange(1, len(picks) + 1)
    scored = sum(n for (_, outcome, _), n in counts.items() if outcome == SCORED)
    for key in [key for key in counts if key[1] == SCORED]:
        del counts[key]
    counts["ranking", REJECTED, f"below the {campaign.surrogates.keep} most probable"] = scored - len(ranked)
    counts["shortlist", REJECTED, "ranked, not chosen"] = len(ranked) - len(picks)
    counts["shortlist", SHORTLISTED, ""] = len(picks)
    return ranked.with_columns(rank=np.arange(1, len(ranked) + 1), shortlisted=place)


def _check_conservation(rows_in: int, counts: OutcomeCounts) -> None:
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


def _summary(
    campaign: Campaign, task: ScoringTask, counts: OutcomeCounts, rows_in: int, clock: _Clock, workers: int
) -> dict[str, Any]:
    """Content of ``run.json``."""
    by_outcome: Counter[str] = Counter()
    for (_, outcome, _), n in counts.items():
        by_outcome[outcome] += n
    packages = ("matloop", "numpy", "scikit-learn", "lightgbm", "pymatgen", "moyopy", "pyarrow", "dask")
    return {
        "campaign": campaign.name,
        "seed": campaign.seed,
        "rows_in": rows_in,
        "outcomes": dict(by_outcome),
        "funnel": _funnel(campaign, counts, rows_in),
        "ranges": {name: [None if np.isinf(end) else end for end in ends] for name, ends in task.ranges.items()},
        "seconds": clock.laps,
        "workers": workers,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _funnel(campaign: Campaign, counts: OutcomeCounts, rows_in: int) -> list[dict[str, Any]]:
    """Stage by stage: how many went in, how many stayed, and what became of the others."""
    names = ["intake", *(f"filter {entry.name}" for entry in campaign.filters)]
    names += ["features", "surrogates", "domain", "ranking", "shortlist"]
    funnel, remaining = [], rows_in
    for name in names:
        lost = {(outcome, reason): n for (stage, outcome, reason), n in counts.items() if stage == name and n}
        lost = {key: n for key, n in lost.items() if key[0] != SHORTLISTED}
        left = remaining - sum(lost.values())
        reasons = [{"outcome": o, "reason": r, "rows": n} for (o, r), n in sorted(lost.items(), key=lambda x: -x[1])]
        funnel.append({"stage": name, "rows_in": remaining, "rows_out": left, "lost": reasons})
        remaining = left
    return funnel


def _tally(counts: OutcomeCounts) -> str:
    """Counts by stage, for the progress line."""
    by_stage: Counter[str] = Counter()
    for (stage, outcome, _), n in counts.items():
        by_stage["scored" if outcome == SCORED else stage] += n
    return ", ".join(f"{stage} {n:,}" for stage, n in by_stage.most_common(4))


class _Clock:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 2)
        self._last = now
