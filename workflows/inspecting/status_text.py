"""What ``matloop status`` prints."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from matloop.data.plain_text import counted, one_line
from matloop.data.runs.directory import RunDirectory
from matloop.workflows.inspecting.status import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    LOST,
    PREPARED,
    RUNNING,
    RunStatus,
    StepStatus,
    status_of,
)  # fmt: skip
from matloop.workflows.terminal_tables import Heading, print_table
from matloop.workflows.wording import memory_text, rate_text, reason_text, time_text

_MOST_REASONS, _MOST_EVENTS = 4, 5
_STALE_FIGURES = 30.0  # s
_STATES = {
    RUNNING: "running",
    COMPLETE: "complete",
    PREPARED: "prepared: candidates are written and surrogates trained, none is scored",
    INTERRUPTED: "interrupted, can be resumed; nobody works on it",
    FAILED: "stopped by an error, can be resumed",
    LOST: "lost: the process that worked on it is gone and left no word; it can be resumed",
}


def print_status(folder: Path, *, as_json: bool = False) -> bool:
    """Print the status of a run.

    Returns:
        Whether the run directory is sound.

    Raises:
        RunError: If there is no run in the folder.
    """
    status = status_of(folder)
    if as_json:
        print(status.to_json())
        return not status.problems
    console = Console(highlight=False)
    lines = [f"{one_line(status.run)}: {_STATES[status.state]}"]
    lines += [f"  {line}" for line in _processes(status)]
    if status.step is not None and status.state != COMPLETE:
        lines += [f"  {line}" for line in _step_lines(status.step, running=status.state == RUNNING)]
    so_far = "" if status.candidates_total is not None else " so far"
    taken = f"{counted(status.candidates, 'candidate')} taken in{so_far}"
    lines += [f"  {taken}, {counted(status.models, 'surrogate')} trained"]
    console.print(Text("\n".join(lines)), soft_wrap=True)
    if status.stages:
        print_table(console, "", _STAGE_HEADINGS, _stage_rows(status))
    for line in (*_event_lines(status), *_last_lines(status)):
        console.print(Text(line), soft_wrap=True)
    return not status.problems


def _processes(status: RunStatus) -> list[str]:
    told = []
    for process in status.processes:
        who = f"process {process.pid} on {one_line(process.host)}" if process.host else "an unknown process"
        task = "" if process.lock == "lock.json" else f" ({one_line(process.lock)})"
        since = f", since {clock_text(process.started)}" if process.started else ""
        age = f"last heartbeat {time_text(process.heartbeat_age_seconds)} ago"
        told.append(f"{who}{task}{since}, {age}" + ("" if process.alive else ": gone"))
    return told


def _step_lines(step: StepStatus, *, running: bool) -> list[str]:
    parts = [f"{one_line(step.name) or 'starting'}: {step.done:,} of {step.total:,}"]
    parts += [f"{rate_text(step.rate)}/s"] * (running and step.rate > 0)
    parts += [] if step.eta_seconds is None else [f"{time_text(step.eta_seconds)} left of this step"]
    parts += [memory_text(step.driver_memory, step.worker_memory)]
    old = not running or step.age_seconds > _STALE_FIGURES
    told = [", ".join(parts) + (f" ({time_text(step.age_seconds)} ago)" if old else "")]
    return told + [f"last word: {one_line(step.message)}"] * bool(step.message)


_STAGE_HEADINGS = (
    Heading("stage"), Heading("partitions", right=True), Heading("rows", right=True),
    Heading("most frequent outcomes", breaks=True),
)  # fmt: skip


def _stage_rows(status: RunStatus) -> list[list[str]]:
    rows = []
    for stage in status.stages:
        total = "?" if stage.partitions_total is None else f"{stage.partitions_total:,}"
        told = [
            one_line(f"{part}: {reason_text(code, value, limit)} {n:,}" if code else f"{outcome} {n:,}")
            for part, outcome, code, value, limit, n in stage.counts
        ]
        more = [f"and {len(told) - _MOST_REASONS} more"] if len(told) > _MOST_REASONS else []
        cells = [stage.stage, f"{stage.partitions:,}/{total}", f"{stage.rows:,}"]
        rows.append([*cells, "; ".join([*told[:_MOST_REASONS], *more])])
    return rows


def _event_lines(status: RunStatus) -> list[str]:
    if not status.events:
        return []
    counts = Counter(one_line(str(event["what"])) for event in status.events)
    told = ["Events: " + ", ".join(f"{what} {n} x" for what, n in counts.most_common())]
    for event in status.events[-_MOST_EVENTS:]:
        when = clock_text(event["time"])
        told.append(f"  {when} {one_line(str(event['what']))}: {one_line(str(event['detail']))}")
    return told


def _last_lines(status: RunStatus) -> list[str]:
    told = [f"Damaged: {one_line(problem)}" for problem in status.problems]
    if status.outcomes:
        outcomes = ", ".join(f"{one_line(name)} {rows:,}" for name, rows in sorted(status.outcomes.items()))
        told.append(f"Every candidate accounted for: {outcomes}; together {sum(status.outcomes.values()):,}.")
    if status.state == COMPLETE:
        told.append(f"Report: {one_line(str(RunDirectory(Path(status.run)).report))}")
    if status.go_on:
        told.append(f"Go on with: {one_line(status.go_on)}")
    return told


def clock_text(seconds: float) -> str:
    """Local time; empty for one outside the calendar, as a foreign run may say."""
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
    return ""
