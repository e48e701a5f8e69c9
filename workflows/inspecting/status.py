"""``matloop status``: what a run is doing, how far it is and how to go on, from any shell and at any time.

Everything is read from the run directory; nothing is asked of the process that works on it, which may be on another
machine or gone. What cannot be read is told and left out.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from matloop.data.errors import DamagedFileError, MatloopError
from matloop.data.runs.lock_file import LockState
from matloop.screening.runs.run_records import RunIdentity, RunProgress
from matloop.screening.runs.run_summary import RunSummary
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.running.results import REPORT
from matloop.workflows.stages.fates import FIRST_STAGE, FateCounts, counts_of, decided
from matloop.workflows.wording import json_text

Read = TypeVar("Read")
_MOST_DAMAGED = 20
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
        return json_text(asdict(self))


@in_catalogue_of_run
def status_of(folder: str | Path, *, content: bool = True) -> RunStatus:
    """Look at a run.

    Args:
        folder: The run directory; may be worked on meanwhile.
        content: Whether the content of every file is held against its hash, and not only its size.

    Raises:
        RunError: If there is no run in it.
    """
    view, reading = RunView(folder), _Reading()
    # The lock comes first: whoever gives it back has written everything else by then.
    locks = reading.tried(lambda: view.locks) or {}
    if not locks:
        view.require()
    told = reading.tried(lambda: view.progress)
    summary = reading.tried(lambda: view.summary) if os.path.lexists(view.paths.summary) else None
    identity = reading.tried(lambda: view.identity) if os.path.lexists(view.paths.identity) else None
    manifest = reading.tried(lambda: view.manifest)
    complete = view.paths.is_complete
    lines = [] if manifest is None else manifest.lines
    stages = _stages(lines, complete=complete)
    running = any(not lock.abandoned for lock in locks.values())
    state = RUNNING if running else _resting(told, complete=complete, began=bool(stages), locked=bool(locks))
    end = _of_kind(lines, "candidates_end")[-1:]
    damage = {} if running or manifest is None else reading.tried(lambda: manifest.damage(content=content)) or {}
    if complete and manifest is not None and manifest.beginning and manifest.results(REPORT) is None:
        damage[manifest.path.name] = f"does not name {view.paths.report.name}: it was cut"
    began = identity is not None or (manifest is not None and manifest.beginning is not None)
    told_already, to_mend = " ".join(reading.problems), began and bool(damage)
    damage = {name: what for name, what in damage.items() if f": {name} " not in told_already}
    told_of = _damage_told(folder, damage, began=began)
    resumable = state not in (RUNNING, COMPLETE) or to_mend
    return RunStatus(
        run=str(folder),
        campaign=_campaign_name(identity, summary),
        state=state,
        go_on=f"matloop resume {shlex.quote(str(folder))}" if resumable else "",
        processes=[_process(name, lock) for name, lock in locks.items()],
        step=None if told is None else _step(told, running=running),
        candidates=sum(line["rows"] for line in _of_kind(lines, "candidates")),
        candidates_total=end[0]["rows"] if end else None,
        models=len({(line["stage"], line["property"]) for line in _of_kind(lines, "model")}),
        stages=stages,
        outcomes={} if summary is None else dict(summary.outcomes),
        events=[{name: line[name] for name in ("what", "detail", "time")} for line in _of_kind(lines, "event")],
        problems=[*reading.problems, *told_of],
    )


def _damage_told(folder: str | Path, damage: Mapping[str, str], *, began: bool) -> list[str]:
    """Coded messages of damaged files, the first of them; a folder in which no run began yet has no damage."""
    if not began:
        return []
    mended = f"matloop resume {shlex.quote(str(folder))} makes again what can be made again"
    told = [
        str(DamagedFileError(f"{name} {what}", "the file as the run wrote it", mended))
        for name, what in sorted(damage.items())
    ]
    more = [f"{DamagedFileError.code}: and {len(told) - _MOST_DAMAGED:,} files more"]
    return told if len(told) <= _MOST_DAMAGED else [*told[:_MOST_DAMAGED], *more]


@dataclass
class _Reading:
    """Reads files of a run, and keeps in mind which of them cannot be read."""

    problems: list[str] = field(default_factory=list)

    def tried(self, read: Callable[[], Read]) -> Read | None:
        """What is read; None if the file cannot be read, which is then among the problems."""
        try:
            return read()
        except MatloopError as error:
            self.problems.append(str(error))
            return None


def _campaign_name(identity: RunIdentity | None, summary: RunSummary | None) -> str:
    name = None if identity is None else identity.campaign.get("name")
    return name if isinstance(name, str) else "" if summary is None else summary.campaign


def _of_kind(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def _step(told: RunProgress, *, running: bool) -> StepStatus:
    """What ``progress.json`` tells; times left are told only while somebody works on the run."""
    return StepStatus(
        told.step, told.done, told.total, told.rate, told.eta_seconds if running else None, told.driver_memory,
        told.worker_memory, max(0.0, time.time() - told.updated), told.message,
    )  # fmt: skip


def _resting(told: RunProgress | None, *, complete: bool, began: bool, locked: bool) -> str:
    """State of a run that nobody works on."""
    if complete:
        return COMPLETE
    last = None if told is None else told.state
    if last == RUNNING or locked:
        return LOST
    if last == FAILED or (last == PREPARED and not began):
        return last
    return INTERRUPTED


def _process(name: str, lock: LockState) -> ProcessStatus:
    holder = lock.holder
    host, pid, started = (holder.host, holder.pid, holder.started) if holder else ("", 0, 0.0)
    return ProcessStatus(name, host, pid, started, round(lock.silent_seconds, 1), not lock.abandoned)


def _stages(lines: list[dict[str, Any]], *, complete: bool) -> list[StageStatus]:
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for line in _of_kind(lines, "partition"):
        found.setdefault(line["stage"], {})[line["index"]] = line
    stages = []
    for at, (stage, partitions) in enumerate(found.items()):
        counts = FateCounts()
        for line in partitions.values():
            counts.update(counts_of(line.get("counts", ())))
        merges = {line["merge"]: line for line in _of_kind(lines, "fates") if line["stage"] == stage}
        for line in merges.values():
            counts = decided(counts) + counts_of(line["counts"])
        end = _of_kind(lines, "candidates_end")[-1:]
        # A stage begins when the one before is finished.
        total = len(partitions) if complete or at + 1 < len(found) else None
        total = end[0]["partitions"] if end and stage == FIRST_STAGE else total
        ordered = sorted(((*key, n) for key, n in counts.items()), key=lambda item: (-item[-1], item))
        stages.append(
            StageStatus(stage, len(partitions), total, sum(line["rows"] for line in partitions.values()), ordered)
        )
    return stages
