"""How fast a step of a run is, how long it will take and how much memory it holds."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from matloop.workflows.stages.fates import Ending
from matloop.workflows.wording import memory_text, rate_text, time_text

Endings = Sequence[tuple[Ending, int]]
"""Where, how and why rows end, and how many of them."""
_WINDOW = 60.0  # s: the rate is that of the last minute, so that it follows what the run does now


class Pace:
    """A step: what of it is done, how fast, and what it takes. What every display shows.

    Attributes:
        step: Its name.
        total: Units it has.
        done: Units finished.
        note: What happened last.
        endings: What became of the rows of the run so far.
        driver_memory: Of this process, in bytes.
        worker_memory: Of the largest worker, in bytes; 0 if there is none.
    """

    def __init__(self, step: str = "", total: int = 0) -> None:
        self.step, self.total, self.done, self.note = step, total, 0, ""
        self.endings: Endings = ()
        self.driver_memory = self.worker_memory = self._reported_memory = 0
        self._samples = deque([(time.monotonic(), 0)])

    def advance(self, units: int, note: str, *, endings: Endings, worker_memory: int, earlier: bool = False) -> None:
        """Take in what a progress is told."""
        self.done, self.note = self.done + units, note
        if earlier:
            self._samples = deque((then, done + units) for then, done in self._samples)
        self.endings = endings or self.endings
        self._reported_memory = max(self._reported_memory, worker_memory)
        now = time.monotonic()
        if now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, self.done))
        while len(self._samples) > 1 and self._samples[1][0] <= now - _WINDOW:
            self._samples.popleft()

    def measure(self) -> None:
        """Look up the memory of this process and of those below it."""
        self.driver_memory = resident_memory(os.getpid())
        self.worker_memory = max([self._reported_memory, *map(resident_memory, _descendants(os.getpid()))])

    @property
    def rate(self) -> float:
        """Units per second over the last minute."""
        then, done = self._samples[0]
        return (self.done - done) / max(time.monotonic() - then, 1e-3)

    @property
    def eta_seconds(self) -> float | None:
        """Time left of the step; None before anything is done."""
        return max(self.total - self.done, 0) / self.rate if self.rate > 0 else None

    def text(self) -> str:
        """Rate, time left and memory in words."""
        parts = [f"{rate_text(self.rate)}/s"] if self.rate > 0 else []
        parts += [] if self.eta_seconds is None else [f"{time_text(self.eta_seconds)} left"]
        parts += [memory_text(self.driver_memory, self.worker_memory)] if self.driver_memory else []
        return ", ".join(parts)


def resident_memory(pid: int) -> int:
    """Memory a process holds, in bytes; 0 if it is gone or cannot be looked at."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        if pid != os.getpid():
            return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS: the most it has ever held


def _descendants(pid: int) -> list[int]:
    """Processes below one, on Linux."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text(encoding="ascii").split()):
                found += [child, *_descendants(child)]
    return found
