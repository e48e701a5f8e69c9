"""Check the machine: threads, memory, disk, connections, worker processes, Slurm, text."""

from __future__ import annotations

import locale
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from matloop.data.compiled_code import compiled_code_is_lost, is_writable, places
from matloop.data.errors import MatloopError
from matloop.data.plain_text import one_line
from matloop.data.runs.lock import RunLock
from matloop.data.whole_files import write_text
from matloop.workflows.clusters.machine_limits import usable_cores, usable_memory, workers_that_fit
from matloop.workflows.inspecting.check import FAIL, OK, WARN, Check

_GB = 1e9
_LITTLE_DISK, _NO_DISK = 5 * _GB, 0.2 * _GB
_SLURM_SECONDS = 15
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def check_threads() -> Iterator[Check]:
    """Check the settings for threads: every worker is a process with one thread; more would compete for the cores."""
    given = {name: os.environ[name] for name in _THREADS if name in os.environ}
    told = ", ".join(f"{name}={one_line(value)}" for name, value in given.items())
    wrong = [name for name, value in given.items() if not re.fullmatch(r"[0-9]{1,4}", value)]
    many = [name for name, value in given.items() if name not in wrong and int(value) > 1]
    if wrong:
        yield Check("threads", FAIL, f"no whole number: {told}", f"unset {' '.join(wrong)}")
    elif many:
        yield Check("threads", WARN, f"{told}; each worker would start so many", f"unset {' '.join(many)}")
    else:
        yield Check("threads", OK, told or "left to matloop: one per worker")


def check_machine() -> Iterator[Check]:
    """Check cores and memory, with the limits of containers and jobs."""
    cores, memory = usable_cores(), usable_memory()
    yield Check("cores", OK, f"{cores:g}", "" if cores >= 2 else "use --workers 1")
    if memory is None:
        yield Check("memory", WARN, "the system does not tell", "allow 2 GB for each worker and for matloop itself")
        return
    workers = workers_that_fit(int(memory))
    found = f"{memory / _GB:.1f} GB may be used"
    if workers < 1:
        yield Check("memory", WARN, found, "give the job or container 4 GB: 2 GB for a worker, 2 GB for matloop itself")
    else:
        yield Check("memory", OK, found, "" if workers >= cores else f"use at most --workers {workers}")


def check_folder(name: str, folder: Path) -> Iterator[Check]:
    """Check whether files can be made, locked and renamed in a folder, and how much room it has."""
    if os.path.lexists(folder) and not folder.is_dir():
        yield Check(name, FAIL, f"{folder} is a file", "choose another folder, or remove the file")
        return
    there = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir()), Path("/"))
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".matloop-doctor-") as made, RunLock(Path(made)):
            write_text(Path(made) / "text", "written, flushed and renamed")
        free = shutil.disk_usage(there).free
    except (OSError, MatloopError) as error:
        yield Check(name, FAIL, f"cannot write in {there}: {error}", "choose another folder, or mend its permissions")
        return
    found = f"{free / _GB:,.1f} GB free in {there}"
    if free < _LITTLE_DISK:
        yield Check(
            name, FAIL if free < _NO_DISK else WARN, found, "free some space; a run of 100,000 takes up to 1 GB"
        )
    else:
        yield Check(name, OK, found)


def check_compiled_code() -> Iterator[Check]:
    """Where numba keeps what it compiled: without such a place every process would compile for minutes."""
    lost = compiled_code_is_lost()
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield Check("compiled code", FAIL, "NUMBA_DISABLE_JIT is set: everything takes 100 times as long", "unset it")
    elif lost:
        found, _, advice = lost.partition("; ")
        yield Check("compiled code", WARN, found, advice)
    else:
        place = next(filter(is_writable, places()))
        yield Check("compiled code", OK, f"is kept in {place}")


def check_loopback() -> Iterator[Check]:
    """Check whether processes of this machine can talk to each other."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            with socket.create_connection(server.getsockname(), timeout=5) as caller:
                answering, _ = server.accept()
                with answering:
                    answering.settimeout(5)
                    caller.sendall(b"?")
                    heard = answering.recv(1) == b"?"
        found = "a connection to 127.0.0.1 works" if heard else "a connection to 127.0.0.1 carries nothing"
    except OSError as error:
        heard, found = False, f"a connection to 127.0.0.1 fails: {error}"
    yield Check("loopback", OK, found) if heard else Check("loopback", FAIL, found, "allow connections to 127.0.0.1")


def check_worker() -> Iterator[Check]:
    """Check whether a worker process starts and answers, and how long it takes."""
    from matloop.workflows.clusters.workers import local_workers

    began = time.monotonic()
    try:
        with local_workers(1) as client:
            client.submit(os.getpid).result(timeout=60)
            seconds = time.monotonic() - began
    except (MatloopError, OSError, TimeoutError) as error:
        yield Check("worker process", FAIL, one_line(str(error)), "see the lines on memory, loopback and libraries")
        return
    slow = seconds > 30
    advice = "a slow network disk? install matloop on a local one" if slow else ""
    yield Check("worker process", WARN if slow else OK, f"started and answered in {seconds:.1f} s", advice)


def check_slurm() -> Iterator[Check]:
    """Check whether Slurm is here and has nodes."""
    if shutil.which("sinfo") is None:
        yield Check("Slurm", OK, "is not on this machine; only --cluster slurm needs it")
        return
    try:
        told = subprocess.run(
            ["sinfo", "--noheader", "--format=%D %T"],
            capture_output=True,
            text=True,
            timeout=_SLURM_SECONDS,
            check=False,
        )
        failed = one_line(told.stderr) or f"exit code {told.returncode}" if told.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = one_line(str(error))
    if failed:
        advice = "only --cluster slurm needs it; ask who runs the cluster whether slurmctld is up"
        yield Check("Slurm", WARN, f"sinfo does not answer: {failed}", advice)
        return
    nodes = [line.split(maxsplit=1) for line in told.stdout.splitlines() if re.match(r"[0-9]+ \w", line)]
    # A mark behind the state says that a node does not answer, is being rebooted or powered down.
    ready = sum(int(count) for count, state in nodes if state.strip() in ("idle", "mixed", "idle~"))
    found = ", ".join(f"{count} {one_line(state)}" for count, state in nodes) or "no nodes"
    yield Check(
        "Slurm", OK if ready else WARN, f"nodes: {found}", "" if ready else "jobs will wait until a node is idle"
    )


def check_text() -> Iterator[Check]:
    """Check whether names and units can be printed."""
    spoken = {
        "preferred": locale.getpreferredencoding(False),
        "output": sys.stdout.encoding or "",
        "files": sys.getfilesystemencoding(),
    }
    others = {name: encoding for name, encoding in spoken.items() if encoding.lower().replace("-", "") != "utf8"}
    if others:
        told = ", ".join(f"{name} {encoding}" for name, encoding in others.items())
        yield Check("text", WARN, f"not UTF-8: {told}", "set PYTHONUTF8=1, or LANG=C.UTF-8")
    else:
        yield Check("text", OK, "UTF-8")
