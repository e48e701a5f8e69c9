"""Telling people how a run is going: bars on a terminal, lines in a log, and a file that ``matloop status`` reads."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Protocol

from matloop.data.errors import ROW_CODES
from matloop.data.plain_text import one_line
from matloop.data.runs.directory import RunDirectory
from matloop.data.whole_files import write_json
from matloop.screening.runs.record_fields import LONGEST_TEXT
from matloop.screening.runs.run_records import RunProgress
from matloop.workflows.running.pace import Endings, Pace
from matloop.workflows.stages.fates import SCORED, Ending
from matloop.workflows.wording import reason_text

_LINE_REASONS, _BAR_REASONS = 3, 6


class Progress(Protocol):
    """Told of each step of a run."""

    def start(self, step: str, total: int) -> None:
        """A step of ``total`` units begins; the one before is over."""
        ...

    def advance(
        self, units: int, note: str, *, endings: Endings = (), worker_memory: int = 0, earlier: bool = False
    ) -> None:
        """So many units are done.

        Args:
            units: Since the last time.
            note: What happened, for people.
            endings: What became of all rows of the run so far; empty if that did not change.
            worker_memory: Of the largest worker, in bytes, where it is no process below this one.
            earlier: Whether an earlier process had done them already: they are no sign of how fast it goes.
        """
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class SilentProgress:
    """Says nothing; the default in Python."""

    def start(self, step: str, total: int) -> None:
        """Nothing."""

    def advance(
        self, units: int, note: str, *, endings: Endings = (), worker_memory: int = 0, earlier: bool = False
    ) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Progresses:
    """Tells several others."""

    def __init__(self, *others: Progress) -> None:
        self._others = others

    def start(self, step: str, total: int) -> None:
        """Tell all of them."""
        for other in self._others:
            other.start(step, total)

    def advance(
        self, units: int, note: str, *, endings: Endings = (), worker_memory: int = 0, earlier: bool = False
    ) -> None:
        """Tell all of them."""
        for other in self._others:
            other.advance(units, note, endings=endings, worker_memory=worker_memory, earlier=earlier)

    def close(self) -> None:
        """Close all of them."""
        for other in self._others:
            other.close()


class BarProgress:
    """A bar per step with rate, time left and memory, and under them why rows left, for terminals."""

    def __init__(self, console: Any) -> None:
        from rich.console import Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.text import Text

        self._bars = Progress(
            TextColumn("{task.description:<22}", markup=False), BarColumn(24), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False), console=console,
        )  # fmt: skip
        self._pace = Pace()
        self._measured = 0.0
        self._task: Any = None

        def shown() -> Any:
            lines = [f"{rows:>12,}  {reason}" for reason, rows in _most_frequent(self._pace.endings, _BAR_REASONS)]
            lines = lines or [f"{'':>12}  {one_line(self._pace.note)}"] * bool(self._pace.note)
            return Group(self._bars, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))

        self._live = Live(get_renderable=shown, console=console)
        self._live.start()

    def start(self, step: str, total: int) -> None:
        """Begin a new bar."""
        endings = self._pace.endings
        self._pace = Pace(step, total)
        self._pace.endings, self._measured = endings, 0.0
        self._task = self._bars.add_task(step, total=total, figures="")

    def advance(
        self, units: int, note: str, *, endings: Endings = (), worker_memory: int = 0, earlier: bool = False
    ) -> None:
        """Move the bar on."""
        self._pace.advance(units, note, endings=endings, worker_memory=worker_memory, earlier=earlier)
        now = time.monotonic()
        if now - self._measured >= 1.0:
            self._measured = now
            self._pace.measure()
        self._bars.update(self._task, completed=self._pace.done, figures=self._pace.text())

    def close(self) -> None:
        """Leave the bars as they stand."""
        self._live.stop()


class LineProgress:
    """One plain line at most every few seconds, for logs and pipes.

    Args:
        interval: Fewest seconds between two lines of one step.
    """

    def __init__(self, *, interval: float = 5.0) -> None:
        self._interval, self._last = interval, 0.0
        self._pace = Pace()

    def start(self, step: str, total: int) -> None:
        """Begin a step."""
        self._pace = Pace(step, total)
        self._last = time.monotonic()

    def advance(
        self, units: int, note: str, *, endings: Endings = (), worker_memory: int = 0, earlier: bool = False
    ) -> None:
        """Print a line if it is time, or the step is done."""
        pace = self._pace
        pace.advance(units, note, endings=endings, worker_memory=worker_memory, earlier=earlier)
        now = time.monotonic()
        if now - self._last >= self._interval or pace.done >= pace.total:
            self._last = now
            pace.measure()
            counted = [f"{reason} {rows:,}" for reason, rows in _most_frequent(endings, _LINE_REASONS)]
            parts = [f"{pace.step}: {pace.done:,}/{pace.total:,}", pace.text()]
            print("; ".join([", ".join(filter(None, parts)), ", ".join(counted) or one_line(note)]), flush=True)

    def close(self) -> None:
        """Nothing left to print."""


class FileProgress:
    """Keeps ``progress.json`` of a run directory up to date, for ``matloop status``.

    Args:
        folder: The run directory.
        interval: Fewest seconds between two writes of one step.
    """

    def __init__(self, folder: Path, *, interval: float = 2.0) -> None:
        self._path, self._interval, self._last = RunDirectory(folder).progress, interval, 0.0
        self._pace = Pace()
        self._finished = False

    def start(self, step: str, total: int) -> None:
        """Begin a step."""
        endings = self._pace.endings
        self._pace, self._finished = Pace(step, total), False
        self._pace.endings = endings
        self._write("running", "")

    def advance(
        self, units: int, note: str, *, endings: Endings = (), worker_memory: int = 0, earlier: bool = False
    ) -> None:
        """Write if it is time."""
        self._pace.advance(units, note, endings=endings, worker_memory=worker_memory, earlier=earlier)
        if time.monotonic() - self._last >= self._interval:
            self._write("running", note)

    def finish(self, state: str, message: str = "") -> None:
        """Write how it ended: ``complete``, ``interrupted`` (``resume`` goes on) or ``failed``."""
        self._write(state, message)
        self._finished = True

    def close(self) -> None:
        """A run that is closed before it is finished was interrupted."""
        if not self._finished:
            self.finish("interrupted")

    def _write(self, state: str, message: str) -> None:
        pace, self._last = self._pace, time.monotonic()
        if state == "running":  # at the end the workers are gone
            pace.measure()
        content = RunProgress(
            state=state, step=pace.step, done=pace.done, total=pace.total, rate=round(pace.rate, 3),
            eta_seconds=pace.eta_seconds, counts=[(*ending, rows) for ending, rows in pace.endings],
            driver_memory=pace.driver_memory, worker_memory=pace.worker_memory, updated=time.time(),
            message=message[:LONGEST_TEXT],
        )  # fmt: skip
        with contextlib.suppress(OSError):  # a full disk stops a run where it cannot keep results, not for this
            write_json(self._path, content.model_dump())


def _most_frequent(endings: Endings, most: int) -> list[tuple[str, int]]:
    told = [(_brief(ending), rows) for ending, rows in endings if rows]
    return [(one_line(text), rows) for text, rows in sorted(told, key=lambda item: -item[1])[:most]]


def _brief(ending: Ending) -> str:
    """Where and why rows end; row codes without their meaning, which would fill the line."""
    if ending.outcome == SCORED:
        return SCORED
    brief = ending.code in ROW_CODES
    return f"{ending.stage}: {ending.code if brief else reason_text(ending.code, ending.value, ending.limit)}"
