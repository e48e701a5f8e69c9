"""``matloop status``: what a run is doing, how far it is and how to go on, from any shell and at any time.

Everything is read from the run directory; nothing is asked of the process that works on it, which may be on another
machine or gone. What cannot be read is told and left out.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matloop.data.errors import RunError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.lock import LockState, lock_states
from matloop.data.runs.manifest import Manifest
from matloop.workflows.running.progress import PROGRESS_NAME
from matloop.workflows.stages.fates import FIRST_STAGE, FateCounts, counts_of, decided

RUNNING, COMPLETE, PREPARED = "running", "complete", "prepared"
INTERRUPTED, FAILED, LOST = "interrupted", "failed", "lost"
"""Lost: the process that worked on the run is gone and left no word."""


@dataclass(frozen=True)
class ProcessStatus:
    """A process that works on the run, or did when it died.

    Attributes:
        lock: Name of its lock file; tasks of a job array have one each.
        host: Its machine; empty if the lock cannot be read.
        pid: Its number there.
        started: When it took the run, in unix seconds.
        heartbeat_age_seconds: Time since its last sign of life.
        alive: Whether it is taken to be at work.
    """

    lock: str
    host: str
    pid: int
    started: float
    heartbeat_age_seconds: float
    alive: bool


@dataclass(frozen=True)
class StepStatus:
    """What the driver did last.

    Attributes:
        name: The step in words.
        done: Units of it that are finished.
        total: Units it has.
        rate: Units per second.
        eta_seconds: Time left of the step; None where that is not known, or nothing runs.
        driver_memory: In bytes.
        worker_memory: Of the largest worker, in bytes.
        age_seconds: How old these figures are.
        message: What was said last, such as why the run stopped.
    """

    name: str
    done: int
    total: int
    rate: float
    eta_seconds: float | None
    driver_memory: int
    worker_memory: int
    age_seconds: float
    message: str


@dataclass(frozen=True)
class StageStatus:
    """The finished partitions of one stage.

    Attributes:
        stage: Its name.
        partitions: How many are finished.
        partitions_total: How many there will be; None where that is not known yet.
        rows: Rows in the finished ones.
        counts: What became of them: part of the stage, outcome, code, value, limit and rows; most frequent first. Rows
            whose fate is open are left out once what goes on is decided.
    """

    stage: str
    partitions: int
    partitions_total: int | None
    rows: int
    counts: list[tuple[str, str, str, str, str, int]]


@dataclass(frozen=True)
class RunStatus:
    """What there is to know about a run.

    Attributes:
        run: Its directory.
        campaign: Name of its campaign; empty if that cannot be read.
        state: ``running``, ``complete``, ``prepared``, ``interrupted``, ``failed`` or ``lost``.
        go_on: The command that goes on with it; empty while somebody works on it and when there is nothing left to do.
        processes: Those that hold a lock.
        step: What the driver does, or did last.
        candidates: Rows the sources have given so far.
        candidates_total: Rows they give in all; None while they are still asked.
        models: Surrogates that are trained.
        stages: In the order they were reached.
        outcomes: Rows of the whole run by outcome, once it is complete.
        events: What happened to the run itself: ``what``, ``detail`` and ``time`` in unix seconds.
        problems: What of the run directory is damaged, as coded messages.
    """

    run: str
    campaign: str
    state: str
    go_on: str
    processes: list[ProcessStatus]
    step: StepStatus | None
    candidates: int
    candidates_total: int | None
    models: int
    stages: list[StageStatus]
    outcomes: dict[str, int]
    events: list[dict[str, Any]]
    problems: list[str]

    def to_json(self) -> str:
        """The same as JSON, under the names of the attributes."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


def status_of(folder: Path) -> RunStatus:
    """Look at a run.

    Args:
        folder: The run directory; may be worked on meanwhile.

    Raises:
        RunError: If there is no run in it.
    """
    run, reading = RunDirectory(folder), _Reading(folder)
    # The lock comes first: whoever gives it back has written everything else by then.
    locks = lock_states(folder)
    if not any(path.exists() for path in (run.identity, folder / "campaign.yaml", run.summary)) and not locks:
        raise RunError(f"no run in {folder}", "a folder that matloop screen wrote", "look at the path")
    told, summary = reading.json(PROGRESS_NAME), reading.json(run.summary.name) or {}
    lines = reading.manifest_lines()
    stages = reading.stages(lines, complete=run.is_complete)
    running = any(not lock.abandoned for lock in locks.values())
    state = RUNNING if running else _resting(run, told, began=bool(stages), locked=bool(locks))
    campaign = (reading.json(run.identity.name) or {}).get("campaign")
    name = campaign.get("name") if isinstance(campaign, dict) else summary.get("campaign")
    resumable = state not in (RUNNING, COMPLETE)
    end = lines.of_kind("candidates_end")[-1:]
    return RunStatus(
        run=str(folder),
        campaign=str(name or ""),
        state=state,
        go_on=f"matloop resume {shlex.quote(str(folder))}" if resumable else "",
        processes=[_process(name, lock) for name, lock in locks.items()],
        step=reading.step(told, running=running) if told else None,
        candidates=sum(line.get("rows", 0) for line in lines.of_kind("candidates")),
        candidates_total=end[0].get("rows") if end else None,
        models=len({(line.get("stage"), line.get("property")) for line in lines.of_kind("model")}),
        stages=stages,
        outcomes=dict(summary.get("outcomes", {})),
        events=[{name: line.get(name) for name in ("what", "detail", "time")} for line in lines.of_kind("event")],
        problems=reading.problems,
    )


@dataclass
class _Reading:
    """Reads files of a run, and keeps in mind which of them cannot be read."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON object; None if there is none. The files are replaced whole, so that half of one is damage."""
        try:
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("it is no JSON object")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.problems.append(str(RunError(f"{name} cannot be read: {error}", "the file as the run wrote it")))
            return None
        return content

    def step(self, told: Mapping[str, Any], *, running: bool) -> StepStatus | None:
        """What ``progress.json`` tells; times left are told only while somebody works on the run."""
        try:
            eta = told["eta_seconds"] if running else None
            return StepStatus(
                str(told["step"]), int(told["done"]), int(told["total"]), float(told["rate"]),
                None if eta is None else float(eta), int(told["driver_memory"]), int(told["worker_memory"]),
                max(0.0, time.time() - float(told["updated"])), str(told["message"]),
            )  # fmt: skip
        except (LookupError, TypeError, ValueError) as error:
            self.problems.append(str(RunError(f"{PROGRESS_NAME} lacks something: {error!r}", "the file as written")))
            return None

    def manifest_lines(self) -> _Lines:
        """What is finished."""
        try:
            manifest = Manifest(self.folder)
        except (RunError, OSError, LookupError) as error:
            told = error if isinstance(error, RunError) else RunError(f"the manifest cannot be read: {error!r}")
            self.problems.append(str(told))
            return _Lines([])
        return _Lines(manifest.lines)

    def stages(self, lines: _Lines, *, complete: bool) -> list[StageStatus]:
        """The stages by the partitions that are finished."""
        try:
            return _stages(lines, complete=complete)
        except (LookupError, TypeError, ValueError) as error:
            self.problems.append(
                str(RunError(f"the manifest lacks something: {error!r}", "lines as a run writes them"))
            )
            return []


@dataclass(frozen=True)
class _Lines:
    lines: list[dict[str, Any]]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]


def _resting(run: RunDirectory, told: Mapping[str, Any] | None, *, began: bool, locked: bool) -> str:
    """State of a run that nobody works on."""
    if run.is_complete:
        return COMPLETE
    last = (told or {}).get("state")
    if last == RUNNING or locked:
        return LOST
    if last == FAILED or (last == PREPARED and not began):
        return last
    return INTERRUPTED


def _process(name: str, lock: LockState) -> ProcessStatus:
    holder = lock.holder
    host, pid, started = (holder.host, holder.pid, holder.started) if holder else ("", 0, 0.0)
    return ProcessStatus(name, host, pid, started, round(lock.silent_seconds, 1), not lock.abandoned)


def _stages(lines: _Lines, *, complete: bool) -> list[StageStatus]:
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for line in lines.of_kind("partition"):
        found.setdefault(line["stage"], {})[line["index"]] = line
    stages = []
    for at, (stage, partitions) in enumerate(found.items()):
        counts = FateCounts()
        for line in partitions.values():
            counts.update(counts_of(line["counts"]))
        merges = {line["merge"]: line for line in lines.of_kind("fates") if line["stage"] == stage}
        for line in merges.values():
            counts = decided(counts) + counts_of(line["counts"])
        end = lines.of_kind("candidates_end")[-1:]
        # A stage begins when the one before is finished.
        total = len(partitions) if complete or at + 1 < len(found) else None
        total = end[0]["partitions"] if end and stage == FIRST_STAGE else total
        ordered = sorted(((*key, n) for key, n in counts.items()), key=lambda item: (-item[-1], item))
        stages.append(
            StageStatus(stage, len(partitions), total, sum(line["rows"] for line in partitions.values()), ordered)
        )
    return stages
