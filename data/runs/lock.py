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
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from matloop.data.errors import LockedError
from matloop.data.runs.lock_file import (
    LOCK_NAME,
    STALE_SECONDS,
    Claim,
    Holder,
    LockState,
    lock_content,
    lock_state,
    this_machine,
    token_of,
    write_holder,
)

HEARTBEAT_SECONDS = 10.0


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
        content, now = lock_content(path), time.monotonic()
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
                    if token_of(path) == self._holder.token:
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
        if token_of(path) != self._holder.token:
            os.close(file)
            return self._take(path)
        return file, state

    def _is_abandoned(self, path: Path, state: LockState) -> bool:
        """Whether a lock may be taken over: its process is gone, or it was not touched while it was watched for long.

        Whether that is still open is kept in mind: a lock whose time stamp is no sign of life has to be watched.
        """
        self._undecided = False
        if state.holder is not None and state.holder.machine == this_machine():
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
            write_holder(file, self._holder)
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
            write_holder(file, self._holder)
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
                write_holder(self._file, replace(self._holder, heartbeat=time.time()))

    def _refusal(self, state: LockState) -> LockedError:
        here = state.holder is not None and state.holder.machine == this_machine()
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
