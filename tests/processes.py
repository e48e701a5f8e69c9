"""Runs as processes of their own, for tests that stop, kill or starve them."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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


FORKING = """
import importlib, json, os, pkgutil, resource, signal, sys, threading, traceback
import matloop.workflows
from matloop.workflows.cli import main

for module in pkgutil.walk_packages(matloop.workflows.__path__, "matloop.workflows."):
    importlib.import_module(module.name)
assert threading.active_count() == 1  # a thread would be missing in the child, with the locks it holds


def work(words, out, errors, data, seconds):
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    signal.alarm(seconds)
    for stream, (path, flags) in enumerate([(os.devnull, os.O_RDONLY), (out, os.O_WRONLY), (errors, os.O_WRONLY)]):
        os.dup2(os.open(path, flags), stream)
    sys.stdin = open(os.devnull)
    sys.argv = ["matloop", *words]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


for line in sys.stdin:
    child = os.fork()
    if not child:
        code = work(**json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class ForkedCommands:
    """The ``matloop`` command, forked from a process that has imported everything, which takes seconds.

    Args:
        folder: Where what they print is kept until it is read.
        data: Bytes of memory that a command may ask for.
        seconds: After which a command is killed.
    """

    def __init__(self, folder: Path, *, data: int, seconds: int) -> None:
        self._told = folder / "out", folder / "errors"
        self._limits = {"data": data, "seconds": seconds}
        self._server = subprocess.Popen(
            [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """What a command answers; its exit code is minus the signal that killed it."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        out, errors = self._told
        out.write_bytes(b"")
        errors.write_bytes(b"")
        call = {"words": words, "out": str(out), "errors": str(errors), **self._limits}
        self._server.stdin.write(json.dumps(call) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text("utf-8"), errors.read_text("utf-8"))

    def close(self) -> None:
        self._server.communicate(timeout=30)


@contextlib.contextmanager
def forked_commands(folder: Path, *, data: int, seconds: int) -> Iterator[ForkedCommands]:
    """The same for a while."""
    commands = ForkedCommands(folder, data=data, seconds=seconds)
    try:
        yield commands
    finally:
        commands.close()
