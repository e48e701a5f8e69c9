"""Runs as processes of their own, for tests that stop, kill or starve them."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

COMMAND = Path(sys.executable).with_name("matloop")


def until(met: Callable[[], object], seconds: float, *, pause: float = 0.05) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not met() and time.monotonic() < end:
        time.sleep(pause)
    return bool(met())


def workers_of(run: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Worker processes of a run that are up: spawned, and with a socket to the scheduler."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # a helper that has ended meanwhile
                if "spawn_main" in " ".join(child.cmdline()) and child.net_connections("tcp"):
                    found.append(child)
    return found


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them have ended."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
