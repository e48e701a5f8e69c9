"""The file of a lock: whom it names, whether that process still runs, and when it was last touched."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import stat
import subprocess
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from matloop.data.bounded_files import parse_json
from matloop.data.errors import DamagedFileError, LockLostError

LOCK_NAME = "lock.json"
STALE_SECONDS = 120.0
_BYTES = 512  # every lock file has this length, so that a heartbeat overwrites it in place
_CLOCK_GRAIN = 2.0  # s
_READS, _READ_PAUSE = 5, 0.1
_NAME = re.compile(r"lock(-[0-9]{3,4})?\.json")
_HAS_PROC = Path("/proc/self/stat").is_file()


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as written in the lock file.

    Attributes:
        host: Name of the machine.
        pid: Process on it.
        process_start: When that process started, in the system's own count: tells it from a later one of equal number.
        machine: Tells machines, their restarts and containers apart, within which a pid means one process.
        started: When the lock was taken, in unix seconds.
        heartbeat: Last sign of life, in unix seconds of the holder's clock.
        token: Unique to this lock.
    """

    host: str
    pid: int
    process_start: str
    machine: str
    started: float
    heartbeat: float
    token: str

    @classmethod
    def this_process(cls) -> Holder:
        """This process as a new holder."""
        now, pid = time.time(), os.getpid()
        return cls(socket.gethostname(), pid, _process_start(pid), this_machine(), now, now, uuid.uuid4().hex[:12])

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to have ended; False where it cannot be looked up from here."""
        return self.machine == this_machine() and _process_start(self.pid) != self.process_start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class LockState:
    """What can be told about a lock from here.

    Attributes:
        holder: Who holds it; None if the file cannot be read, as after a crash while it was written.
        silent_seconds: Time since the last sign of life, as far as clocks tell.
        abandoned: Whether it looks as if it may be taken over.
        ahead_seconds: How far in the future its time stamp lies, for a clock was set.
    """

    holder: Holder | None
    silent_seconds: float
    abandoned: bool
    ahead_seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.holder or 'an unknown process'}, last heartbeat {self.silent_seconds:.0f} s ago"


def lock_states(folder: Path) -> dict[str, LockState]:
    """The locks of a run directory by name of their file: the driver's and those of array tasks.

    >>> lock_states(Path("no/such/run"))
    {}
    """
    paths = (path for path in sorted(folder.glob("lock*.json")) if _NAME.fullmatch(path.name))
    found = {path.name: lock_state(path, patient=path.name == LOCK_NAME) for path in paths}
    return {name: state for name, state in found.items() if state is not None}


def lock_state(path: Path, *, stale_seconds: float = STALE_SECONDS, patient: bool = True) -> LockState | None:
    """What is known about a lock; None if it is free.

    Args:
        path: Of the lock.
        stale_seconds: As of :class:`RunLock`.
        patient: Whether to wait until a lock that was just made says who holds it.

    Raises:
        DamagedFileError: If a pipe, a link or a folder stands in the place of the lock.
    """
    for _ in range(_READS):  # where there are no links, a lock is empty for an instant after it was made
        try:
            touched, text = lock_content(path)
        except FileNotFoundError:
            return None
        holder = _parsed(text)
        if holder is not None or text or not patient:
            break
        time.sleep(_READ_PAUSE)
    if holder is not None and holder.machine == this_machine():
        return LockState(holder, max(0.0, time.time() - holder.heartbeat), holder.is_gone)
    silent = _file_system_time(path.parent) - touched
    return LockState(holder, max(0.0, silent), abs(silent) > stale_seconds, max(0.0, -silent - _CLOCK_GRAIN))


def lock_content(path: Path) -> tuple[float, bytes]:
    """As :func:`_read`; a file that was replaced on a network file system an instant ago is opened again."""
    try:
        return _read(path)
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return _read(path)


def _read(path: Path) -> tuple[float, bytes]:
    """When a lock was touched, and what it says; opening makes a network file system ask for the present time stamp."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _no_lock(path) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _no_lock(path)
        return found.st_mtime, os.read(handle, 4 * _BYTES)
    finally:
        os.close(handle)


def _no_lock(path: Path) -> DamagedFileError:
    return DamagedFileError(f"{path.name} is no regular file", "a lock as a run writes it", "remove it")


@dataclass(frozen=True)
class Claim:
    """The lock of a run as workers know it, who write only as long as their driver holds it; travels to workers.

    Attributes:
        path: The lock file.
        token: Of the holder.
    """

    path: Path
    token: str

    @property
    def lost(self) -> bool:
        """Whether another process took the lock over, or somebody removed it."""
        return token_of(self.path) != self.token

    def check(self) -> None:
        """Make sure that nobody else works on the run by now.

        Raises:
            LockLostError: If the lock is lost: nothing more may be written.
        """
        if not self.lost:
            return
        state = lock_state(self.path)
        raise LockLostError(
            f"{self.path.parent} was " + (f"taken over by {state}" if state else "left without its lock file"),
            "one process at a time; a process that gives no sign of life for two minutes loses its run",
            "let the other process go on; the parts finished here are kept",
        )


def write_holder(file: int, holder: Holder) -> None:
    """Write who holds a lock into its open file, over what stood there, down to the disk."""
    os.pwrite(file, json.dumps(asdict(holder)).encode().ljust(_BYTES - 1) + b"\n", 0)
    os.fsync(file)


def _parsed(text: bytes) -> Holder | None:
    try:
        content = parse_json(text, name=LOCK_NAME)
        return Holder(**{name: kind(content[name]) for name, kind in _FIELDS.items()})
    except (DamagedFileError, ValueError, TypeError, KeyError, OverflowError):
        return None


_FIELDS = {
    "host": str, "pid": int, "process_start": str, "machine": str, "started": float, "heartbeat": float, "token": str,
}  # fmt: skip


def token_of(path: Path) -> str:
    """The token of the holder that a lock names; empty if there is none, or it cannot be read."""
    try:
        holder = _parsed(lock_content(path)[1])
    except (FileNotFoundError, DamagedFileError):
        return ""
    return holder.token if holder else ""


def _file_system_time(folder: Path) -> float:
    """Now, by the clock that stamps files in a folder: those of two machines differ."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError:  # a folder we may only read, or a full disk
        return time.time()


def this_machine() -> str:
    """What a process number is unique within, as locks write it: a boot of a machine, and a container on it."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _process_start(pid: int) -> str:
    """When a process started, in the words of the system; empty if there is none, or it only waits to be buried."""
    if _HAS_PROC:
        try:
            state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
        except (OSError, ValueError):
            return ""
        return "" if state in "ZX" else rest[18]  # field 22 of proc(5)
    told = subprocess.run(
        ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, start = told.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else start.strip()
