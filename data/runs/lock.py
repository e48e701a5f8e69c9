"""The lock of a run directory: one process works on a run at a time, also where several machines share the folder.

A lock is a file that only one process can have created: by giving a filled file its name (``link``), or where there are
no links with ``O_CREAT | O_EXCL``; network file systems honour both. It names its holder, who touches it every few
seconds. A lock whose holder is gone is taken over: at once on the
holder's own machine, where the process can be looked up, and after two minutes without a sign of life elsewhere.

Clocks decide nothing here, for they may be set back or ahead of the truth. Whoever wants to take over the lock of a
process elsewhere watches by a clock of its own whether the lock is touched: for thirty seconds where its time stamp is
old already, for two minutes where that lies in the future.

A lock with token X is replaced or removed only by whoever has made the file ``lock.json.X``, which again only one
process can create. So of several takers one wins, and a holder that wakes up late removes nobody else's lock.
"""

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
import threading
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

from matloop.data.bounded_files import parse_json
from matloop.data.errors import DamagedFileError, LockedError, LockLostError

LOCK_NAME = "lock.json"
HEARTBEAT_SECONDS = 10.0
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
        return cls(socket.gethostname(), pid, _process_start(pid), _machine(), now, now, uuid.uuid4().hex[:12])

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to have ended; False where it cannot be looked up from here."""
        return self.machine == _machine() and _process_start(self.pid) != self.process_start

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
            touched, text = _content(path)
        except FileNotFoundError:
            return None
        holder = _parsed(text)
        if holder is not None or text or not patient:
            break
        time.sleep(_READ_PAUSE)
    if holder is not None and holder.machine == _machine():
        return LockState(holder, max(0.0, time.time() - holder.heartbeat), holder.is_gone)
    silent = _file_system_time(path.parent) - touched
    return LockState(holder, max(0.0, silent), abs(silent) > stale_seconds, max(0.0, -silent - _CLOCK_GRAIN))


def _content(path: Path) -> tuple[float, bytes]:
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
        return _token_of(self.path) != self.token

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


class LockWatch:
    """How long locks were not touched, by a clock that is never set."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[float, bytes], float]] = {}

    def look(self, path: Path) -> tuple[float, bool]:
        """Look at a lock.

        Returns:
            Seconds for which it was seen unchanged, and whether it was touched since it was last looked at.

        Raises:
            FileNotFoundError: If it is not there.
        """
        content, now = _content(path), time.monotonic()
        before, since = self._seen.get(path, (content, now))
        since = since if before == content else now
        self._seen[path] = content, since
        return now - since, before != content


class RunLock:
    """The right to work on a run directory, for as long as the ``with`` block lasts.

    Args:
        folder: The run directory.
        name: Of the lock file; array tasks have one each.
        heartbeat: Seconds between two signs of life.
        stale_seconds: A holder elsewhere that was silent for so long has lost its lock.
        wait_seconds: How long to wait for a lock that somebody holds before giving up.
        watch: What was seen of this lock before, where several locks are watched at the same time.
    """

    def __init__(
        self,
        folder: Path,
        name: str = LOCK_NAME,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        stale_seconds: float = STALE_SECONDS,
        wait_seconds: float = 0.0,
        watch: LockWatch | None = None,
    ) -> None:
        self.path = folder / name
        self.taken_over: LockState | None = None
        """Whose abandoned lock this one replaced; None if it was free."""
        self._heartbeat, self._stale_seconds, self._wait_seconds = heartbeat, stale_seconds, wait_seconds
        self._holder: Holder | None = None
        self._file = -1
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._watch = LockWatch() if watch is None else watch
        self._undecided = False

    def __enter__(self) -> RunLock:
        """Take the lock.

        Raises:
            LockedError: If somebody else holds it.
            OSError: If the folder cannot be written to, as on a full disk.
        """
        try:
            self._wait_and_take()
            self._ended.clear()
            self._thread = threading.Thread(target=self._beat, name="heartbeat of the run", daemon=True)
            self._thread.start()
        except BaseException:  # of an interrupt too: what was taken is given back
            self._undo()
            raise
        return self

    def _wait_and_take(self) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                self._holder = Holder.this_process()
                self._file, self.taken_over = self._take(self.path)
                self._remove_leftovers()
                break
            except LockedError:
                if not self._undecided and time.monotonic() >= deadline:
                    raise
                time.sleep(min(1.0, self._heartbeat))

    def _undo(self) -> None:
        self._ended.set()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._holder is not None:
            for path in self.path.parent.glob(f"{self.path.name}*"):
                with contextlib.suppress(OSError):
                    if _token_of(path) == self._holder.token:
                        path.unlink()
        self._holder = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back, if it is still ours."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        try:
            with contextlib.suppress(OSError):  # on a disk that went away a lock cannot be given back: it goes stale
                self._release()
        finally:
            os.close(self._file)
            self._file, self._holder = -1, None

    @property
    def lost(self) -> bool:
        """Whether another process took the lock over (this one was suspended for long) or somebody removed it."""
        return self._holder is None or self.claim.lost

    @property
    def claim(self) -> Claim:
        """The lock as workers know it."""
        return Claim(self.path.absolute(), "not held" if self._holder is None else self._holder.token)

    def check(self) -> None:
        """Make sure that nobody else works on the run by now; as :meth:`Claim.check`."""
        self.claim.check()

    def _take(self, path: Path) -> tuple[int, LockState | None]:
        """Make the file ``path`` ours, replacing an abandoned one; the open file, and whom it was taken from."""
        assert self._holder is not None
        made = self._create(path)
        if made is not None:
            return made, None
        state = lock_state(path, stale_seconds=self._stale_seconds)
        if state is None:  # given back just now
            return self._take(path)
        if not self._is_abandoned(path, state):
            raise self._refusal(state)
        old = state.holder.token if state.holder else "unreadable"
        successor = path.with_name(f"{path.name}.{old}")
        file, _ = self._take(successor)
        still = lock_state(path, stale_seconds=self._stale_seconds)
        if still is None or still.holder != state.holder or not self._is_abandoned(path, still):
            successor.unlink(missing_ok=True)
            os.close(file)
            return self._take(path)
        with contextlib.suppress(FileNotFoundError):
            successor.replace(path)
        if _token_of(path) != self._holder.token:
            os.close(file)
            return self._take(path)
        return file, state

    def _is_abandoned(self, path: Path, state: LockState) -> bool:
        """Whether a lock may be taken over: its process is gone, or it was not touched while it was watched for long.

        Whether that is still open is kept in mind: a lock whose time stamp is no sign of life has to be watched.
        """
        self._undecided = False
        if state.holder is not None and state.holder.machine == _machine():
            return state.abandoned
        try:
            unchanged, touched = self._watch.look(path)
        except FileNotFoundError:
            return True  # given back, or taken over, just now
        least = min(3 * self._heartbeat, self._stale_seconds)
        needed = self._stale_seconds if state.ahead_seconds else max(least, self._stale_seconds - state.silent_seconds)
        # A lock that was touched while it was watched has a holder, whatever clocks say of it.
        self._undecided = not touched and (state.silent_seconds > self._stale_seconds or state.ahead_seconds > 0)
        return unchanged >= needed

    def _create(self, path: Path) -> int | None:
        """Create the file with our name in it, both at once; None if there is one."""
        assert self._holder is not None
        draft = path.with_name(f".{path.name}.{self._holder.token}.partial")
        file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            _write(file, self._holder)
            made = _linked(draft, path)
        except BaseException:
            os.close(file)
            raise
        finally:
            draft.unlink(missing_ok=True)
        if made:
            return file
        os.close(file)
        return self._create_and_fill(path) if made is None else None

    def _create_and_fill(self, path: Path) -> int | None:
        """The same in two steps, where the file system has no links: after a kill between them nobody is named."""
        assert self._holder is not None
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return None
        try:
            _write(file, self._holder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        return file

    def _remove_leftovers(self) -> None:
        """Remove what takers and holders of this lock left that were killed; whoever still works on one misses nothing.

        A file ``lock.json.X`` means something only as long as the lock has the token X, and now it has ours.
        """
        assert self._holder is not None
        for path in self.path.parent.glob(f"{self.path.name}.*"):
            if path.name != f"{self.path.name}.{self._holder.token}":
                path.unlink(missing_ok=True)

    def _release(self) -> None:
        assert self._holder is not None
        successor = self.path.with_name(f"{self.path.name}.{self._holder.token}")
        try:
            file = None if self.lost else self._create(successor)
        except OSError:  # no room for a file; a lock with a heartbeat is not being taken over
            self.path.unlink()
            raise
        if file is None:
            return
        os.close(file)
        if not self.lost:
            self.path.unlink()
        successor.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat):
            assert self._holder is not None
            # After a takeover this writes into a file without a name and disturbs nobody.
            with contextlib.suppress(OSError):
                _write(self._file, replace(self._holder, heartbeat=time.time()))

    def _refusal(self, state: LockState) -> LockedError:
        here = state.holder is not None and state.holder.machine == _machine()
        ways = f"end it with: kill {state.holder.pid}" if here and state.holder else (
            f"try again {max(1.0, self._stale_seconds - state.silent_seconds):.0f} s from now: "
            f"without a heartbeat for {self._stale_seconds:.0f} s the run is taken over"
        )  # fmt: skip
        return LockedError(
            f"{self.path.parent} is being worked on by {state}",
            "one process at a time",
            f"let it finish, or {ways}",
        )


def _linked(draft: Path, path: Path) -> bool | None:
    """Give a file a further name; False if something has the name already, None where that is not possible."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        # Somebody who holds the lock may clean up drafts, ours with them.
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.ENOENT):
            return None
        raise
    return True


def _write(file: int, holder: Holder) -> None:
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


def _token_of(path: Path) -> str:
    try:
        holder = _parsed(_content(path)[1])
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


def _machine() -> str:
    """Within which a process number means one process: a boot of a machine, and a container on it."""
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
