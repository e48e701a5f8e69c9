"""The main job: candidates in, a ranked shortlist out."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.batch import CandidateBatch, Intake, Refused
from matloop.data.errors import RunError
from matloop.data.materials import EmbeddedCrystals
from matloop.data.registry import SOURCES, lookup
from matloop.data.run_store import RunDirectory, write_json, write_table, write_text
from matloop.models.potentials import energy_source, potential_named
from matloop.screening.campaign import Campaign, PotentialStage
from matloop.screening.campaign_file import write_campaign
from matloop.screening.ranking import ranking_order
from matloop.screening.report.page import write_report
from matloop.screening.shortlist import write_shortlist
from matloop.workflows.claims import evidence_for, expected_misses, known_rows, selected_errors, selected_intervals
from matloop.workflows.clusters import local_workers, run_bounded
from matloop.workflows.explaining import explain_run
from matloop.workflows.outcomes import (
    DUPLICATE,
    FIRST_STAGE,
    SCORED,
    OutcomeCounts,
    by_outcome,
    check_conservation,
    funnel,
    settle,
)  # fmt: skip
from matloop.workflows.potential_stage import PARTITION_ROWS as RELAXATION_ROWS
from matloop.workflows.potential_stage import STAGE as POTENTIAL_STAGE
from matloop.workflows.potential_stage import evaluate_references, references_are_packaged, relax_partition
from matloop.workflows.progress import Progress, SilentProgress
from matloop.workflows.shortlisting import choose, distinct, novelty
from matloop.workflows.stages import PartitionResult, ScoringTask, score_partition, train_surrogate
from matloop.workflows.validation import checked_campaign

PARTITION_ROWS = 10_000
CRYSTAL_PARTITION_ROWS = 500
REFERENCE_ROWS = 20


def screen(
    campaign: str | Path | Campaign,
    *,
    output: str | Path | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> ScreeningRun:
    """Run a campaign: sources -> filter -> featurize -> score -> relax -> rank -> shortlist -> report.

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
    clock, counts = _Clock(), OutcomeCounts()
    write_text(run.folder / "campaign.yaml", write_campaign(chosen))
    sources = [entry.make(lookup("source", SOURCES, entry.name)) for entry in chosen.sources]
    rows_in = sum(source.count() for source in sources)
    with local_workers(workers) as client:
        engine = _Engine(client, run, watch, counts, in_flight=2 * workers)
        clock.lap("workers started")
        ranges = _ranges(chosen, _train(engine, chosen))
        clock.lap("surrogates trained")
        task = ScoringTask(chosen, run.folder.resolve(), ranges)
        ranked = _score(engine, task, sources, rows_in)
        clock.lap("candidates scored")
        if chosen.structure is not None:
            task = replace(task, stage="structure")
            ranked = _score_crystals(engine, task, ranked)
            clock.lap("crystals scored")
        cut = _cut(task, ranked, counts)
        if chosen.potential is not None:
            ranked = _relax(engine, task, ranked)
            clock.lap("candidates relaxed")
        ranked = _shortlist(engine, task, ranked, cut=cut)
        clock.lap("shortlist chosen")
    check_conservation(rows_in, counts)
    write_table(run.ranked, ranked.to_arrow())
    reports = novelty(ranked, _references(chosen))
    write_shortlist(run, ranked, chosen, novelty=reports)
    write_json(run.novelty, {"finalists": reports})
    clock.lap("shortlist written")
    write_json(run.summary, _summary(chosen, ranges, counts, rows_in, clock, workers))
    explain_run(run.folder)
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


@dataclass(frozen=True)
class _Engine:
    """What every stage of a run needs.

    Attributes:
        client: Where the workers are reached.
        run: The run directory.
        watch: Told what happens.
        counts: Outcomes so far; changed as the run goes on.
        in_flight: Most partitions handed out at a time.
    """

    client: Any
    run: RunDirectory
    watch: Progress
    counts: OutcomeCounts
    in_flight: int

    def stage(
        self, label: str, total: int, function: Callable[..., PartitionResult], calls: Iterable[Any], keep: int
    ) -> CandidateBatch:
        """Send partitions through a stage, count outcomes, and merge the most probable rows as they arrive."""
        self.watch.start(label, total)
        best: pa.Table | None = None
        for result in run_bounded(self.client, function, calls, in_flight=self.in_flight):
            self.counts.update(result.counts)
            self.watch.advance(sum(result.counts.values()), _tally(self.counts))
            merged = (
                result.best if best is None else pa.concat_tables([best, result.best], promote_options="permissive")
            )
            order = ranking_order(merged["probability"].to_numpy(), merged["candidate_id"].to_pylist())
            best = merged.take(pa.array(order[:keep]))
        if best is None:
            raise RunError("the sources gave no candidates", "at least one row", "look at the campaign's sources")
        return CandidateBatch.from_arrow(best)


def _train(engine: _Engine, campaign: Campaign) -> dict[str, dict[str, Any]]:
    """Train the surrogates of all stages, one task each; returns the cards of the first stage by property."""
    calls = [
        (campaign, stage, target, engine.run.folder.resolve())
        for stage in campaign.scoring_stages
        for target in campaign.targets
    ]
    engine.watch.start("training surrogates", len(calls))
    cards = {}
    for (_, stage, target, _), card in zip(
        calls, run_bounded(engine.client, train_surrogate, calls, in_flight=len(calls)), strict=True
    ):
        if stage == FIRST_STAGE:
            cards[target.property] = card
        scale = card["unit"] if card["transform"] == "identity" else "decades"
        engine.watch.advance(1, f"{stage}, {card['property']}: grouped MAE {card['scores']['mae']:.3g} {scale}")
    return cards


def _ranges(campaign: Campaign, cards: dict[str, dict[str, Any]]) -> dict[str, tuple[float, float]]:
    return {t.property: t.range(tuple(cards[t.property]["best_of_training"])) for t in campaign.targets}


def _score(engine: _Engine, task: ScoringTask, sources: list[Any], rows_in: int) -> CandidateBatch:
    """First stage: everything the sources give; returns the most probable."""
    calls = _partitions(task, sources)
    ranked = engine.stage("scoring candidates", rows_in, score_partition, calls, task.settings.keep)
    settle(engine.counts, "ranking", len(ranked), _below(task))
    return distinct(ranked, engine.counts, "ranking")


def _score_crystals(engine: _Engine, task: ScoringTask, survivors: CandidateBatch) -> CandidateBatch:
    """Second stage: the survivors again, by features of their crystals."""
    if not len(survivors):
        return survivors
    parts = enumerate(survivors.slices(CRYSTAL_PARTITION_ROWS))
    calls = ((task, index, Intake(part, [])) for index, part in parts)
    ranked = engine.stage("scoring crystals", len(survivors), score_partition, calls, task.settings.keep)
    settle(engine.counts, task.stage, len(ranked), _below(task))
    return ranked


def _relax(engine: _Engine, task: ScoringTask, survivors: CandidateBatch) -> CandidateBatch:
    """Third stage: relax the survivors and judge their stability by the potential."""
    if not len(survivors):
        return survivors
    assert task.campaign.potential is not None
    _evaluate_references(engine, task.campaign.potential)
    # Large crystals first: a long relaxation that starts last would keep the other workers waiting.
    sizes = np.zeros(len(survivors)) if survivors.crystals is None else survivors.crystals.site_counts
    order = np.argsort(-sizes, kind="stable")
    calls = ((task, index, part) for index, part in enumerate(survivors.take(order).slices(RELAXATION_ROWS)))
    ranked = engine.stage("relaxing candidates", len(survivors), relax_partition, calls, len(survivors))
    settle(engine.counts, POTENTIAL_STAGE, len(ranked), "")
    return distinct(ranked, engine.counts, POTENTIAL_STAGE)


def _cut(task: ScoringTask, survivors: CandidateBatch, counts: OutcomeCounts) -> float:
    """The lowest probability that passed the last scoring stage; 0 where all passed."""
    if not any(reason == _below(task) for _, _, reason in counts):
        return 0.0
    return float(survivors.column("probability").min())


def _below(task: ScoringTask) -> str:
    return f"below the {task.settings.keep:,} most probable"


def _shortlist(engine: _Engine, task: ScoringTask, ranked: CandidateBatch, *, cut: float) -> CandidateBatch:
    """Choose, say what share of misses to expect, and give what was picked intervals that hold for what was picked."""
    (known,) = run_bounded(engine.client, known_rows, [(task,)], in_flight=1)
    shares = expected_misses(evidence_for(known, ranked, task.ranges, cut=cut))
    ranked = choose(ranked.with_columns(expected_misses=shares), task.campaign, engine.counts)
    picked = ranked.column("shortlisted") > 0
    if not picked.any():
        return ranked
    relaxed = "probability_before_relaxing" in ranked.table.column_names
    scores = ranked.column("probability_before_relaxing" if relaxed else "probability")
    errors = selected_errors(known, scores, float(scores[picked].min()))
    calls = [(task, ranked.take(np.flatnonzero(picked)), errors)]
    (columns,) = run_bounded(engine.client, selected_intervals, calls, in_flight=1)
    spread = {name: np.full(len(ranked), np.nan) for name in columns}
    for name, values in columns.items():
        spread[name][picked] = values
    return ranked.with_columns(**spread)


def _evaluate_references(engine: _Engine, stage: PotentialStage) -> None:
    """Evaluate the reference phases that the package holds no energies of, and write them into the run."""
    sources = [(source, False) for source in _reference_sources(stage)]
    if not references_are_packaged(stage.name):
        sources.insert(0, (EmbeddedCrystals(), True))
    if not sources:
        return
    engine.watch.start("evaluating reference phases", sum(source.count() for source, _ in sources))
    calls = (
        (stage, part, packaged)
        for source, packaged in sources
        for intake in source.intakes(PARTITION_ROWS)
        for part in intake.batch.slices(REFERENCE_ROWS)
    )
    tables = []
    for table in run_bounded(engine.client, evaluate_references, calls, in_flight=engine.in_flight):
        failed = table.num_rows - table["energy_per_atom"].drop_null().length()
        engine.watch.advance(table.num_rows, f"{failed} of the last {table.num_rows} without energy")
        tables.append(table)
    if tables:
        write_table(engine.run.references, pa.concat_tables(tables))


def _reference_sources(stage: PotentialStage) -> list[Any]:
    return [entry.make(lookup("source", SOURCES, entry.name)) for entry in stage.references]


def _references(campaign: Campaign) -> list[CandidateBatch]:
    """Known crystals the campaign brings along."""
    sources = [] if campaign.potential is None else _reference_sources(campaign.potential)
    return [intake.batch for source in sources for intake in source.intakes(PARTITION_ROWS)]


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


def _summary(
    campaign: Campaign,
    ranges: dict[str, tuple[float, float]],
    counts: OutcomeCounts,
    rows_in: int,
    clock: _Clock,
    workers: int,
) -> dict[str, Any]:
    """Content of ``run.json``."""
    return {
        "campaign": campaign.name,
        "seed": campaign.seed,
        "rows_in": rows_in,
        "outcomes": by_outcome(counts),
        "funnel": funnel(campaign, counts, rows_in),
        "ranges": {name: [None if np.isinf(end) else end for end in ends] for name, ends in ranges.items()},
        "seconds": clock.laps,
        "workers": workers,
        "python": platform.python_version(),
        "versions": _versions(),
        "energies": None if campaign.potential is None else energy_source(potential_named(campaign.potential.name)),
    }


def _versions() -> dict[str, str]:
    """Versions of what numbers come from, of packages that are installed."""
    needed = ("matloop", "numpy", "scikit-learn", "lightgbm", "pymatgen", "moyopy", "pyarrow", "dask")
    installed = {dist.metadata["Name"]: dist.version for dist in importlib.metadata.distributions()}
    return {name: installed[name] for name in (*needed, "ase", "torch", "chgnet") if name in installed}


def _tally(counts: OutcomeCounts) -> str:
    """Counts by stage, for the progress line."""
    by_stage: Counter[str] = Counter()
    for (stage, outcome, _), n in counts.items():
        by_stage[SCORED if outcome == SCORED else stage] += n
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
