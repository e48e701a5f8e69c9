"""Guard work that may hang, crash, use too much memory or exit, by doing it in a process that can be killed.

A :class:`GuardedWorker` gives items to one child process. If an item ends the child, only that item is lost: the child
is replaced and serves the other items. Three processes take part:

- the caller watches the time and kills children;
- the nursery is started once, imports the function, prepares it and forks children in milliseconds;
- the child does the work under a memory limit.

The nursery is an ordinary subprocess and not one of :mod:`multiprocessing`. So it can start inside daemonic workers
too, and never runs the main module of the caller again. Processes exchange bytes only, so a child that was taken over
by a file it read cannot make the caller unpickle anything. When the caller dies in any way, its connections close, and
the nursery kills its children and ends.

A stage that is called repeatedly takes its worker from :mod:`matloop.data.guard.shared_workers`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple

from matloop.data.errors import GuardError
from matloop.data.guard.child import FAILED, PREPARE, VALUE, WAIT, Frames, timed

_START_SECONDS = 180.0
_BATCH_ITEMS = 64
_BATCH_BYTES = 1_000_000
_ITEMS_PER_CHILD = 2_000  # memory that a parser leaks is freed when its process ends
_COMMAND = "import sys; from matloop.data.guard.child import nursery; nursery(sys.argv[1:])"


class Failure(NamedTuple):
    """Reason why an item gave no value.

    Attributes:
        code: Row code.
        detail: Details about the code.
    """

    code: str
    detail: str


class LongItem(NamedTuple):
    """An item with a time limit of its own.

    Attributes:
        content: Bytes that are passed to the function.
        timeout: Time limit in seconds.
    """

    content: bytes
    timeout: float


class GuardedWorker:
    """Calls a function in a child process that can be killed.

    Args:
        function_path: ``module:function``, which takes and returns bytes.
        memory_limit: Bytes an item may ask for beyond what the process holds when idle.
        timeout: Seconds an item may take, unless it is a :class:`LongItem`.
        warm_up: An item that is prepared (see :meth:`prepare`) at the start.
        reply_limit: Largest size of a value in bytes.

    Raises:
        GuardError: If the function cannot be imported.

    >>> with GuardedWorker("binascii:unhexlify", timeout=30) as worker:
    ...     for answer in worker.map([b"6f6b", b"no"]):
    ...         print(answer if isinstance(answer, bytes) else answer.code)
    b'ok'
    E-GUARD-CRASH
    """

    def __init__(
        self,
        function_path: str,
        *,
        memory_limit: int = 2_000_000_000,
        timeout: float = 60.0,
        warm_up: bytes = b"",
        reply_limit: int = 64_000_000,
    ) -> None:
        self.function_path, self.timeout = function_path, timeout
        self.memory_limit, self.reply_limit = memory_limit, reply_limit
        self._prepared = {warm_up: b""} if warm_up else {}
        self._lock = threading.RLock()  # only one thread of the process uses the worker at a time
        self._nursery: subprocess.Popen[bytes] | None = None
        self._control: Frames | None = None
        self._child: _Child | None = None

    def __enter__(self) -> GuardedWorker:
        self._renewed_child()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. They start again when there is work."""
        with self._lock:
            self._end_child()
            if self._control is not None:
                self._control.close()
            if self._nursery is not None:
                self._nursery.kill()
                self._nursery.wait()
            self._nursery = self._control = None

    def forget(self) -> None:
        """Drop the processes without ending them. A forked process calls this, because they belong to its parent."""
        for frames in (self._control, self._child and self._child.frames):
            if frames:
                frames.close()
        if self._nursery is not None:
            self._nursery.returncode = 0  # so that Popen does not wait for it
        self._lock, self._nursery, self._control, self._child = threading.RLock(), None, None, None

    def prepare(self, item: bytes) -> bytes:
        """Compute one item once in the nursery, without limits, before any child is forked.

        Every child then has the imports, compiled code and cached values that this item needed.

        Raises:
            GuardError: If the function raises an error or ends the process.
        """
        with self._lock:
            if item not in self._prepared:
                self._renewed_child()
                self._prepared[item] = self._do_prepare(item)
                self._end_child()  # the next child is forked from the prepared nursery
            return self._prepared[item]

    def map(self, items: Iterable[bytes | LongItem]) -> Iterator[bytes | Failure]:
        """Yield the value of the function, or a failure, for each item in order. Items are read when needed."""
        batch: list[LongItem] = []
        for item in items:
            batch.append(item if isinstance(item, LongItem) else LongItem(item, self.timeout))
            if len(batch) == _BATCH_ITEMS or sum(len(each.content) for each in batch) >= _BATCH_BYTES:
                yield from self._answers(batch)
                batch = []
        yield from self._answers(batch)

    def _answers(self, batch: list[LongItem]) -> list[bytes | Failure]:
        """Collect all answers to a batch before any is returned, or a slow caller would look like a slow child."""
        with self._lock:
            return self._answers_in_turn(deque(batch))

    def _answers_in_turn(self, waiting: deque[LongItem]) -> list[bytes | Failure]:
        answers: list[bytes | Failure] = []
        while waiting:
            child = self._child
            if child is None or child.served >= _ITEMS_PER_CHILD:
                child = self._renewed_child()
            was_fresh = child.served == 0
            failure = self._serve(child, waiting, answers)
            if failure is None:
                continue
            self._end_child()
            # An earlier item may have damaged the process, so this item gets a second chance in a new process.
            if failure.code == "E-GUARD-TIMEOUT" or (was_fresh and child.served == 0) or child.suspect:
                waiting.popleft()
                answers.append(failure)
            else:
                self._renewed_child().suspect = True
        return answers

    def _serve(self, child: _Child, waiting: deque[LongItem], answers: list[bytes | Failure]) -> Failure | None:
        """Move answered items from ``waiting`` to ``answers``; return the reason if the child ended."""
        # A suspected item is sent alone, so that it is not blamed for later items.
        share = [waiting[0]] if child.suspect else list(waiting)
        try:
            child.frames.send(*(timed(*item) for item in share), seconds=self.timeout)
            for _ in share:
                reply = child.frames.receive(waiting[0].timeout, self.reply_limit)
                kind, content = reply[:1], reply[1:]
                if kind != VALUE:
                    code, _, detail = content.decode("utf-8", "replace").partition("\n")
                    failure = Failure(code if code in FAILED else "E-GUARD-CRASH", detail[:500])
                    if failure.code == "E-GUARD-MEMORY":
                        return failure
                    answers.append(failure)
                else:
                    answers.append(content)
                waiting.popleft()
                child.served += 1
                child.suspect = False
        except TimeoutError:
            return Failure("E-GUARD-TIMEOUT", f"took longer than {waiting[0].timeout:g} s")
        except ValueError as error:
            return Failure("E-GUARD-CRASH", str(error))
        except OSError:
            return Failure("E-GUARD-CRASH", self._how_it_ended(child))
        return None

    def _how_it_ended(self, child: _Child) -> str:
        with contextlib.suppress(OSError, ValueError):
            _kill(child.pid)  # harmless if it is dead already, because the nursery has not reaped it
            status = int(self._ask(WAIT + str(child.pid).encode()))
            child.pid = 0
            if status < 0:
                with contextlib.suppress(ValueError):
                    return f"the process was ended by {signal.Signals(-status).name}"
            return f"the process ended itself with exit code {status}"
        return "the process ended"

    def _renewed_child(self) -> _Child:
        """Start a new child, from a new nursery if there is none or it was killed."""
        self._end_child()
        for _ in range(2):
            try:
                if self._control is None:
                    self._start_nursery()
                self._child = self._fork()
                return self._child
            except OSError:
                self.close()
        raise GuardError(f"no process could be started for {self.function_path}", "free memory and processes")

    def _start_nursery(self) -> None:
        ours, theirs = socket.socketpair()
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with theirs:
            arguments = (theirs.fileno(), self.function_path, self.memory_limit)
            self._control = Frames(ours)
            self._nursery = subprocess.Popen(  # a fixed command, without a shell
                [sys.executable, "-P", "-c", _COMMAND, *map(str, arguments)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **one_thread},
            )
        try:
            self._value(b"", "imported")
            self._prepared = {item: self._do_prepare(item) for item in self._prepared}
        except GuardError:
            self.close()
            raise

    def _do_prepare(self, item: bytes) -> bytes:
        return self._value(PREPARE + item, "prepared")

    def _value(self, order: bytes, task: str) -> bytes:
        """Return the value of the nursery for an order, or for its start.

        Raises:
            GuardError: If there is none.
        """
        try:
            reply = self._ask(order, _START_SECONDS, self.reply_limit)
            if reply[:1] == VALUE:
                return reply[1:]
            problem = reply[1:].decode("utf-8", "replace").partition("\n")[2]
        except (OSError, ValueError) as error:
            self.close()
            problem = f"its process ended while it was {task} ({type(error).__name__})"
        raise GuardError(f"{self.function_path} cannot be used: {problem}", "module:function, bytes to bytes")

    def _ask(self, order: bytes, seconds: float = 30.0, largest: int = 100) -> bytes:
        """Send an order to the nursery and return its reply. An empty order is not sent; only the reply is awaited."""
        if self._control is None:
            raise ConnectionError("no nursery")
        if order:
            self._control.send(order, seconds=seconds)
        return self._control.receive(seconds, largest)

    def _fork(self) -> _Child:
        if self._control is None:
            raise ConnectionError("no nursery")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._control.send_descriptor(theirs.fileno())
                return _Child(int(self._control.receive(30.0, 100)), Frames(ours))
            except (OSError, ValueError) as error:
                ours.close()
                raise ConnectionError("the nursery gave no child") from error

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.pid:
            _kill(child.pid)
            with contextlib.suppress(OSError):
                self._ask(WAIT + str(child.pid).encode())
        child.frames.close()


class _Child:
    """A process that serves items."""

    def __init__(self, pid: int, frames: Frames) -> None:
        self.pid, self.frames = pid, frames
        self.served = 0
        self.suspect = False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
