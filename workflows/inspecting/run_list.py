"""The runs in a folder, a line each: what they are, how far they are and what they found."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from matloop.data.errors import MatloopError, RunError
from matloop.screening.runs.run_view import RunView
from matloop.workflows.inspecting.status import RunStatus, status_of
from matloop.workflows.stages.fates import SHORTLISTED

DAMAGED = "damaged"
"""In place of a state: the run directory cannot be looked at."""
MOST_RUNS = 10_000


@dataclass(frozen=True)
class ListedRun:
    """A run in a folder of runs.

    Attributes:
        run: Its directory.
        campaign: Name of its campaign; empty if that cannot be read.
        state: As of ``matloop status``, or ``damaged``.
        candidates: Rows the sources have given so far.
        updated: When anything last happened to it, in unix seconds.
        shortlisted: Candidates on its shortlist; None while there is none.
        code: Code of the first thing that is damaged; empty if nothing is.
    """

    run: str
    campaign: str
    state: str
    candidates: int
    updated: float
    shortlisted: int | None
    code: str


def runs_in(folder: str | Path) -> list[ListedRun]:
    """The runs in a folder, the latest first.

    Args:
        folder: Holds run directories; other folders in it are passed over.

    Raises:
        RunError: If there is no such folder, it cannot be read, or it holds more folders than are ever listed.
    """
    try:
        inner = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        raise RunError(
            f"cannot list the runs in {Path(folder).absolute()}: {error.strerror}", "a folder with run directories",
            "name the folder: matloop runs FOLDER",
        ) from error  # fmt: skip
    if len(inner) > MOST_RUNS:
        raise RunError(f"{len(inner):,} folders in {folder}", f"at most {MOST_RUNS:,}", "name a smaller folder")
    runs = [_listed(RunView(path)) for path in inner if RunView(path).is_there]
    return sorted(runs, key=lambda run: (-run.updated, run.run))


def _listed(view: RunView) -> ListedRun:
    try:
        status = status_of(view.folder, content=False)
    except MatloopError as error:
        return ListedRun(str(view.folder), "", DAMAGED, 0, _touched(view), None, error.code)
    except OSError:
        return ListedRun(str(view.folder), "", DAMAGED, 0, _touched(view), None, RunError.code)
    age = None if status.step is None else status.step.age_seconds
    return ListedRun(
        status.run, status.campaign, status.state, _candidates(status), _touched(view, age=age),
        status.outcomes.get(SHORTLISTED), _first_code(status.problems),
    )  # fmt: skip


def _candidates(status: RunStatus) -> int:
    """Rows of a finished run, or those that were taken in so far."""
    return sum(status.outcomes.values()) or status.candidates


def _first_code(problems: list[str]) -> str:
    found = re.match(r"E-[A-Z-]+", problems[0]) if problems else None
    return found[0] if found else ""


def _touched(view: RunView, *, age: float | None = None) -> float:
    """When the run last told how far it is, or else when its campaign was written; in unix seconds."""
    if age is not None:
        return time.time() - age
    for path in (view.paths.progress, view.paths.campaign, view.folder):
        if os.path.lexists(path):
            return path.lstat().st_mtime
    return 0.0
