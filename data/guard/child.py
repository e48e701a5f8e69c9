"""The processes behind :mod:`matloop.data.guard.guarded`: the nursery, its children, and their messages."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

VALUE, FAILURE = b"v", b"f"
FORK, WAIT, PREPARE = b"F", b"W", b"P"
FAILED = frozenset({"E-GUARD-CRASH", "E-GUARD-MEMORY", "E-GUARD-TIMEOUT"})
_NAP = 0.001  # s
_LENGTH = struct.Struct("<Q")
_SECONDS = struct.Struct("<d")
_LARGEST_REQUEST = 1_000_000_000  # bytes; requests come from the caller, which is trusted


class Frames:
    """Sends and receives messages of known length over a socket, with time limits."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._received = bytearray()  # bytes that arrived with earlier messages

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def send(self, *messages: bytes, seconds: float | None = None) -> None:
        """Send several messages at once.

        Raises:
            TimeoutError: If the other side does not receive them in time.
            OSError: If the other side has ended.
        """
        self._channel.settimeout(seconds)
        self._channel.sendall(b"".join([_LENGTH.pack(len(messages)), *map(_framed, messages)]))

    def reply(self, message: bytes) -> None:
        """Send a single message."""
        self._channel.sendall(_framed(message))

    def requests(self) -> list[bytes]:
        """Receive all messages that are sent at once next.

        Raises:
            OSError: If the other side closed the connection.
        """
        self._channel.settimeout(None)
        count = _LENGTH.unpack(self._exactly(_LENGTH.size, None))[0]
        return [self._message(None, _LARGEST_REQUEST) for _ in range(count)]

    def receive(self, seconds: float, largest: int) -> bytes:
        """Receive the next reply.

        Raises:
            TimeoutError: If it does not arrive in time.
            ValueError: If it has more than ``largest`` bytes.
            OSError: If the other side has ended.
        """
        return self._message(time.monotonic() + seconds, largest)

    def send_descriptor(self, descriptor: int) -> None:
        """Order a child that listens on ``descriptor``."""
        self._channel.settimeout(30.0)
        socket.send_fds(self._channel, [_LENGTH.pack(1) + _framed(FORK)], [descriptor])

    def order(self) -> tuple[bytes, bytes, int]:
        """Receive the next order to the nursery: kind, content, and the descriptor sent with it, or -1.

        Raises:
            EOFError: If the caller has ended.
        """
        self._channel.settimeout(None)
        # The descriptor arrives with the first byte of its order.
        head, descriptors, _, _ = socket.recv_fds(self._channel, 2 * _LENGTH.size + 1, 1)
        if len(head) <= 2 * _LENGTH.size:
            raise EOFError
        length = _LENGTH.unpack_from(head, _LENGTH.size)[0]
        return head[-1:], self._exactly(length - 1, None), descriptors[0] if descriptors else -1

    def _message(self, deadline: float | None, largest: int) -> bytes:
        length = _LENGTH.unpack(self._exactly(_LENGTH.size, deadline))[0]
        if length > largest:
            raise ValueError(f"the value has {length} bytes, more than {largest}")
        return self._exactly(length, deadline)

    def _exactly(self, count: int, deadline: float | None) -> bytes:
        while len(self._received) < count:
            if deadline is not None:
                self._wait_until(deadline)
            part = self._channel.recv(max(1 << 16, min(count - len(self._received), 1 << 20)))
            if not part:
                raise ConnectionError("the other side hung up")
            self._received += part
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _wait_until(self, deadline: float) -> None:
        """Wait for something to read.

        Raises:
            TimeoutError: If nothing comes in time.
        """
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not poll.poll(0):
            # The caller does not wake up at every reply, because on a shared core that would interrupt the child.
            time.sleep(_NAP)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError


def _framed(message: bytes) -> bytes:
    return _LENGTH.pack(len(message)) + message


def timed(item: bytes, timeout: float) -> bytes:
    """Pack an item for a child together with its time limit in seconds."""
    return _SECONDS.pack(timeout) + item


def nursery(arguments: Sequence[str]) -> None:
    """Import a function and carry out orders until the caller ends: prepare an item, fork a child, wait for a child.

    Args:
        arguments: Descriptor of the control channel, ``module:function``, memory limit in bytes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the caller ends its children
    frames = Frames(socket.socket(fileno=int(arguments[0])))
    try:
        module, _, name = arguments[1].partition(":")
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller is told and we end
        frames.reply(_failure("E-GUARD-CRASH", error))
        return
    frames.reply(VALUE)
    children: set[int] = set()
    try:
        _do_orders(frames, function, int(arguments[2]), children)
    except (EOFError, ConnectionError):
        # The caller has ended, perhaps by a kill, and a child may be busy for a long time.
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _do_orders(frames: Frames, function: Callable[[bytes], bytes], memory_limit: int, children: set[int]) -> NoReturn:
    while True:
        kind, content, descriptor = frames.order()
        if kind == PREPARE:
            frames.reply(_answer(function, content))
        elif kind == WAIT:
            frames.reply(str(_exit_code(int(content))).encode())
            children.discard(int(content))
        else:
            pid = os.fork()
            if pid == 0:
                frames.close()
                _serve(socket.socket(fileno=descriptor), function, memory_limit)
            children.add(pid)
            os.close(descriptor)
            frames.reply(str(pid).encode())


def _exit_code(pid: int) -> int:
    """Return the exit code of a child, negative if a signal ended it."""
    with contextlib.suppress(ChildProcessError):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 0


def _serve(channel: socket.socket, function: Callable[[bytes], bytes], memory_limit: int) -> NoReturn:
    """Answer items until the caller closes the connection. This never returns into the code of the nursery."""
    try:
        frames = Frames(channel)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _limit_memory(memory_limit)
        while True:
            for item in frames.requests():
                timeout = _SECONDS.unpack_from(item)[0]
                # The caller watches the time. If caller and nursery die, the alarm ends this process, even inside
                # native code.
                signal.setitimer(signal.ITIMER_REAL, 2 * timeout + 5)
                reply = _answer(function, item[_SECONDS.size :])
                signal.setitimer(signal.ITIMER_REAL, 0)
                frames.reply(reply)
    finally:
        os._exit(0)


def _answer(function: Callable[[bytes], bytes], item: bytes) -> bytes:
    try:
        return VALUE + function(item)
    except MemoryError:
        return FAILURE + b"E-GUARD-MEMORY\nasked for more memory than allowed"
    except BaseException as error:  # noqa: BLE001  # also SystemExit and panics of native extensions
        return _failure("E-GUARD-CRASH", error)


def _failure(code: str, error: BaseException) -> bytes:
    return FAILURE + f"{code}\n{type(error).__name__}: {error}"[:5000].encode("utf-8", "replace")


def _limit_memory(extra: int) -> None:
    """Limit the address space of this process to ``extra`` bytes beyond its present size, and forbid core dumps."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = Path("/proc/self/statm")
    if pages.is_file():  # other kernels neither report the address space nor enforce limits on it
        limit = int(pages.read_text("ascii").split()[0]) * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
