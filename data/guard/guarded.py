"""Guard around work that may hang, crash, eat memory or exit: it is done in a process that may be killed.

A :class:`GuardedWorker` keeps one child process busy with items. Whatever an item does to the child, only that item is
lost: the child is replaced and the other items are served. Three processes take part:

- the caller, which keeps the clock and kills;
- a nursery, started once, which imports the function, prepares it and forks children in milliseconds;
- the child, under a memory limit, which does the work.

The nursery is an ordinary subprocess and not one of :mod:`multiprocessing`, so that it starts inside daemonic workers
too and never runs the caller's main module again. Only bytes are exchanged: a child that was taken over by what it
read cannot make the caller unpickle anything. When the caller dies, however it dies, its channels close: the nursery
kills its children and ends.

A stage that is called again and again takes its worker from :mod:`matloop.data.guard.shared_workers`.
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
_ITEMS_PER_CHILD = 2_000  # what a parser leaks goes with its process
_COMMAND = "import sys; from matloop.data.guard.child import nursery; nursery(sys.argv[1:])"


class Failure(NamedTuple):
    """What became of an item that gave no value.

    Attributes:
        code: Row code.
        detail: What more is known.
    """

    code: str
    detail: str


class LongItem(NamedTuple):
    """An item that may take longer than others.

    Attributes:
        content: What the function is given.
        timeout: Seconds it may take.
    """

    content: bytes
    timeout: float


class GuardedWorker:
    """Calls a function in a child process that may be killed.

    Args:
        function_path: ``module:function``, which takes and gives bytes.
        memory_limit: Bytes an item may ask for beyond what the process holds when idle.
        timeout: Seconds an item may take, unless it is a :class:`LongItem`.
        warm_up: An item to be prepared (see :meth:`prepare`) from the start.
        reply_limit: Bytes a value may have.

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
        self._lock = threading.RLock()  # threads of one process take turns
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
        """End the processes; they start again when there is something to do."""
        with self._lock:
            self._end_child()
            if self._control is not None:
                self._control.close()
            if self._nursery is not None:
                self._nursery.kill()
                self._nursery.wait()
            self._nursery = self._control = None

    def forget(self) -> None:
        """Drop the processes without ending them, in a process that was forked and to which they do not belong."""
        for frames in (self._control, self._child and self._child.frames):
            if frames:
                frames.close()
        if self._nursery is not None:
            self._nursery.returncode = 0  # not to be waited for
        self._lock, self._nursery, self._control, self._child = threading.RLock(), None, None, None

    def prepare(self, item: bytes) -> bytes:
        """The function's value for an item that is done once, before any child is forked and outside the limits.

        So imports, compiled code and whatever the function keeps are ready in every child.

        Raises:
            GuardError: If the function raises an error, or ends the process.
        """
        with self._lock:
            if item not in self._prepared:
                self._renewed_child()
                self._prepared[item] = self._do_prepare(item)
                self._end_child()  # the next one is forked with what was prepared
            return self._prepared[item]

    def map(self, items: Iterable[bytes | LongItem]) -> Iterator[bytes | Failure]:
        """The function's value or a failure for each item, in order; items are read as they are needed."""
        batch: list[LongItem] = []
        for item in items:
            batch.append(item if isinstance(item, LongItem) else LongItem(item, self.timeout))
            if len(batch) == _BATCH_ITEMS or sum(len(each.content) for each in batch) >= _BATCH_BYTES:
                yield from self._answers(batch)
                batch = []
        yield from self._answers(batch)

    def _answers(self, batch: list[LongItem]) -> list[bytes | Failure]:
        """Answers to a batch, all taken before any is handed on: a slow caller must not look like a slow child."""
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
            # An earlier item may have left the process damaged: this one gets a second chance in a new process.
            if failure.code == "E-GUARD-TIMEOUT" or (was_fresh and child.served == 0) or child.suspect:
                waiting.popleft()
                answers.append(failure)
            else:
                self._renewed_child().suspect = True
        return answers

    def _serve(self, child: _Child, waiting: deque[LongItem], answers: list[bytes | Failure]) -> Failure | None:
        """Move answered items from ``waiting`` to ``answers``; what ended the child, if it ended."""
        # A suspected item goes alone, so that what follows is not blamed on it.
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
            _kill(child.pid)  # no harm if it is dead already; the nursery has not reaped it
            status = int(self._ask(WAIT + str(child.pid).encode()))
            child.pid = 0
            if status < 0:
                with contextlib.suppress(ValueError):
                    return f"the process was ended by {signal.Signals(-status).name}"
            return f"the process ended itself with exit code {status}"
        return "the process ended"

    def _renewed_child(self) -> _Child:
        """A new child, from a new nursery if there is none or it was killed."""
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
            self._nursery = subprocess.Popen(  # a command of ours, no shell
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
        """The nursery's value for an order, or for being imported.

        Raises:
            GuardError: If it has none.
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
        """The nursery's reply to an order; an empty one is not sent, only waited for."""
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
