"""Cores and memory that this process may use, with the limits of containers and batch jobs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

WORKER_MEMORY = 2_000_000_000
"""The most bytes that a process of a run holds."""
MOST_WORKERS = 256

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_MEMORY = Path("/proc/meminfo")


def usable_cores() -> float:
    """Count the cores that this process may use: those it is bound to, or the share of processor time of its group."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(bound), *_core_limits()])


def usable_memory() -> int | None:
    """Return the bytes that are free, or the smaller limit of its group; None if the system does not tell."""
    known = [*_free_memory(), *_numbers("memory", ("memory.max", "memory.limit_in_bytes"))]
    return min(known, default=None)


def workers_that_fit(memory: int) -> int:
    """Workers that have room beside the process that leads the run; it holds as much as one of them.

    >>> workers_that_fit(8_000_000_000)
    3
    """
    return memory // WORKER_MEMORY - 1


def workers_by_default() -> int:
    """As many workers as there are cores this process may use, as far as they fit into its memory; at least one."""
    memory = usable_memory()
    fitting = MOST_WORKERS if memory is None else workers_that_fit(memory)
    return max(min(int(usable_cores()), fitting, MOST_WORKERS), 1)


def _free_memory() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for line in _MEMORY.read_text(encoding="ascii").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                yield int(amount.split()[0]) * 1024


def _core_limits() -> Iterator[float]:
    """Processor time per time, from cpu.max of version 2 of control groups and its two files of version 1."""
    for folder in _group_folders("cpu"):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            yield int(quota) / int(period)  # "max" is no number: there is no limit
        with contextlib.suppress(OSError, ValueError):
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
            )
            if int(quota) > 0:
                yield int(quota) / int(period)


def _numbers(controller: str, names: tuple[str, ...]) -> Iterator[int]:
    for folder in _group_folders(controller):
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                yield int((folder / name).read_text(encoding="ascii"))


def _group_folders(controller: str) -> Iterator[Path]:
    """Folders of the group of this process and of all above it: the tightest limit holds.

    A container shows its own group as the top one, whatever path it is told: the top is always looked at.
    """
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top = _GROUPS
        elif controller in controllers.split(","):
            top = _GROUPS / controllers
        else:
            continue
        folder = top / path.lstrip("/")
        yield folder
        yield from (above for above in folder.parents if above.is_relative_to(top))
