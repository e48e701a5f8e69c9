"""Handing calls to workers and taking answers as they come, whatever happens to the workers meanwhile."""

from __future__ import annotations

import errno
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from matloop.data.errors import DiskFullError, RunError, RunFilesError, WorkersLostError

PATIENCE = 120.0
"""Seconds without any worker after which a run gives up; worker processes that died come back within a few."""
_LOOK, _LONGEST_LOOK = 0.5, 5.0  # s
_FULL = (errno.ENOSPC, errno.EDQUOT)

Call = TypeVar("Call")


@dataclass(frozen=True)
class Died:
    """In place of an answer: the worker process died while it had the call, or had not enough memory for it.

    Which of its calls ended it is not known.
    """


@dataclass(frozen=True)
class Answered(Generic[Call]):
    """A call and what became of it.

    Attributes:
        call: The call.
        answer: What the function returned, or :class:`Died`.
    """

    call: Call
    answer: Any


def answers(
    client: Any, function: Callable[..., Any], calls: Iterable[Call], *, in_flight: int, patience: float = PATIENCE
) -> Iterator[Answered[Call]]:
    """``function(call)`` for each call on some worker, as they are finished.

    At most ``in_flight`` calls are handed out at a time, so that neither side piles up memory. Calls that are still
    open when the caller stops listening are dropped.

    Raises:
        WorkersLostError: If the scheduler is gone, or there has been no worker for ``patience`` seconds.
        DiskFullError: If there was no room for a file of a worker.
        RunFilesError: If a worker met another error of the file system.
    """
    finished: queue.SimpleQueue[str] = queue.SimpleQueue()
    open_calls: dict[str, tuple[Call, Any]] = {}
    waiting, watch = iter(calls), _Watch(client, patience)
    try:
        while True:
            while len(open_calls) < in_flight:
                try:
                    call = next(waiting)
                except StopIteration:
                    break
                future = client.submit(function, call, pure=False)
                open_calls[future.key] = (call, future)
                future.add_done_callback(lambda done: finished.put(done.key))
            if not open_calls:
                return
            try:
                key = finished.get(timeout=_LOOK)
            except queue.Empty:
                watch.look()
                continue
            watch.heard()
            call, future = open_calls.pop(key)
            yield Answered(call, _answer(future, function))
    finally:
        if open_calls and client.status == "running":  # a caller may stop listening after the client was closed
            client.cancel([future for _, future in open_calls.values()], force=True)


def _answer(future: Any, function: Callable[..., Any]) -> Any:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    try:
        return future.result()
    except (KilledWorker, MemoryError):
        return Died()
    except (FutureCancelledError, CommClosedError) as error:
        raise WorkersLostError(
            f"the scheduler was lost while workers ran {function.__name__}: {error}", "a scheduler that stays up",
            "matloop resume RUN",
        ) from error  # fmt: skip
    except OSError as error:
        raise files_error(error) from error


def files_error(error: OSError) -> RunError:
    """What to say when the file system of a run fails, or forbids what the run needs; or workers cannot be reached."""
    from distributed.comm.core import CommClosedError

    if isinstance(error, TimeoutError | ConnectionError | CommClosedError) and not isinstance(error, BrokenPipeError):
        return WorkersLostError(
            f"workers cannot be reached: {error}", "workers that answer", "look at their logs, then: matloop resume RUN"
        )
    place = f" for {error.filename}" if error.filename else ""
    if error.errno in _FULL:
        return DiskFullError(
            f"no room left on the disk{place}", "free disk, and free inodes, where the run directory is",
            "free some space, then: matloop resume RUN",
        )  # fmt: skip
    return RunFilesError(
        f"the file system says {error.strerror or error}{place}", "a run directory that can be read and written",
        "look at the disk and the permissions, then: matloop resume RUN",
    )  # fmt: skip


class _Watch:
    """Notices when there is nobody left who could answer."""

    def __init__(self, client: Any, patience: float) -> None:
        self.client, self.patience = client, patience
        self.last_seen = time.monotonic()

    def heard(self) -> None:
        """Somebody answered."""
        self.last_seen = time.monotonic()

    def look(self) -> None:
        """Look once.

        Raises:
            WorkersLostError: If the scheduler is gone, or no worker has been there for too long.
        """
        try:
            ask = self.client.scheduler.ncores  # as client.nthreads() does, which waits a minute for a dead scheduler
            some = self.client.status == "running" and self.client.sync(ask, callback_timeout=_LONGEST_LOOK)
        except OSError:
            some = False
        if self.client.status != "running":
            raise WorkersLostError(
                "the connection to the scheduler is lost", "a scheduler that stays up", "matloop resume RUN"
            )
        if some:
            self.last_seen = time.monotonic()
        elif time.monotonic() - self.last_seen > self.patience:
            raise WorkersLostError(
                f"no worker for {self.patience:.0f} s", "workers that start and stay",
                "look at the workers' logs or the queue, then: matloop resume RUN",
            )  # fmt: skip
