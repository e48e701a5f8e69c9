"""Telling people how a run is going."""

from __future__ import annotations

import time
from typing import Any, Protocol


class Progress(Protocol):
    """Told of each step of a run."""

    def start(self, step: str, total: int) -> None:
        """A step of ``total`` units begins; the one before is over."""
        ...

    def advance(self, units: int, note: str) -> None:
        """So many units are done; ``note`` says what happened."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class SilentProgress:
    """Says nothing; the default in Python."""

    def start(self, step: str, total: int) -> None:
        """Nothing."""

    def advance(self, units: int, note: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class BarProgress:
    """A bar per step with rate and time left, for terminals."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description:<22}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False), console=console,
        )  # fmt: skip
        self._bars.start()
        self._task: Any = None

    def start(self, step: str, total: int) -> None:
        """Begin a new bar."""
        self._task = self._bars.add_task(step, total=total, note="")

    def advance(self, units: int, note: str) -> None:
        """Move the bar on."""
        self._bars.update(self._task, advance=units, note=note)

    def close(self) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()


class LineProgress:
    """One plain line at most every few seconds, for logs and pipes.

    Args:
        interval: Fewest seconds between two lines of one step.
    """

    def __init__(self, *, interval: float = 5.0) -> None:
        self._interval = interval
        self._step, self._total, self._done, self._started, self._last = "", 0, 0, 0.0, 0.0

    def start(self, step: str, total: int) -> None:
        """Begin a step."""
        self._step, self._total, self._done = step, total, 0
        self._started = self._last = time.monotonic()

    def advance(self, units: int, note: str) -> None:
        """Print a line if it is time, or the step is done."""
        self._done += units
        now = time.monotonic()
        if now - self._last >= self._interval or self._done >= self._total:
            self._last = now
            elapsed = now - self._started
            left = elapsed * (self._total - self._done) / max(self._done, 1)
            print(f"{self._step}: {self._done:,}/{self._total:,}, {left:.0f} s left; {note}", flush=True)

    def close(self) -> None:
        """Nothing left to print."""
