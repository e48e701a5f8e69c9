"""The other side of :mod:`matloop.data.guarded`: the nursery, its children, and how the processes talk."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

VALUE, FAILURE = b"v", b"f"
FORK, WAIT = b"F", b"W"
FAILED = frozenset({"E-GUARD-CRASH", "E-GUARD-MEMORY", "E-GUARD-TIMEOUT"})
_LENGTH = struct.Struct("<Q")
_LARGEST_REQUEST = 1_000_000_000  # bytes; requests come from the caller, who is trusted


class Frames:
    """Messages of known length over a socket; whoever waits, waits no longer than told."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def send(self, *messages: bytes, seconds: float | None = None) -> None:
        """Send messages as one burst.

        Raises:
            TimeoutError: If the other side does not take them in time.
            OSError: If the other side is gone.
        """
        self._channel.settimeout(seconds)
        self._channel.sendall(b"".join([_LENGTH.pack(len(messages)), *map(_framed, messages)]))

    def reply(self, message: bytes) -> None:
        """Send one message by itself."""
        self._channel.sendall(_framed(message))

    def requests(self) -> list[bytes]:
        """All messages of the burst that comes next.

        Raises:
            EOFError: If the other side hung up.
        """
        self._channel.settimeout(None)
        count = _LENGTH.unpack(self._exactly(_LENGTH.size, None))[0]
        return [self._message(None, _LARGEST_REQUEST) for _ in range(count)]

    def receive(self, seconds: float, largest: int) -> bytes:
        """The next reply.

        Raises:
            TimeoutError: If it does not come in time.
            ValueError: If it has more than ``largest`` bytes.
            OSError: If the other side is gone.
        """
        return self._message(time.monotonic() + seconds, largest)

    def send_descriptor(self, descriptor: int) -> None:
        """Ask for a child that listens on ``descriptor``."""
        self._channel.settimeout(30.0)
        socket.send_fds(self._channel, [_LENGTH.pack(1) + _framed(FORK)], [descriptor])

    def _message(self, deadline: float | None, largest: int) -> bytes:
        length = _LENGTH.unpack(self._exactly(_LENGTH.size, deadline))[0]
        if length > largest:
            raise ValueError(f"the value has {length} bytes, more than {largest}")
        return self._exactly(length, deadline)

    def _exactly(self, count: int, deadline: float | None) -> bytes:
        parts = []
        while count:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._channel.settimeout(left)
            part = self._channel.recv(min(count, 1 << 20))
            if not part:
                raise ConnectionError("the other side hung up")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _framed(message: bytes) -> bytes:
    return _LENGTH.pack(len(message)) + message


def nursery(arguments: Sequence[str]) -> None:
    """Import a function, warm it up, then fork a child for every descriptor that arrives, until the caller hangs up.

    Args:
        arguments: Descriptor of the control channel, ``module:function``, memory limit in bytes, time limit in seconds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the caller ends its children
    channel = socket.socket(fileno=int(arguments[0]))
    frames = Frames(channel)
    try:
        module, _, name = arguments[1].partition(":")
        function = getattr(importlib.import_module(module), name)
        (first,) = frames.requests()
        if first:
            function(first)
        frames.reply(b"")
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller is told and we end
        frames.reply(f"{type(error).__name__}: {error}"[:5000].encode("utf-8", "replace"))
        return
    with contextlib.suppress(ConnectionError):
        _fork_on_request(channel, frames, function, int(arguments[2]), float(arguments[3]))


def _fork_on_request(
    channel: socket.socket, frames: Frames, function: Callable[[bytes], bytes], memory_limit: int, timeout: float
) -> None:
    while True:
        channel.settimeout(None)
        # The descriptor comes with the first byte of its request; a request to wait comes without one.
        data, descriptors, _, _ = socket.recv_fds(channel, 2 * _LENGTH.size + 1, 1)
        if not data:
            return
        if descriptors:
            pid = os.fork()
            if pid == 0:
                channel.close()
                _serve(socket.socket(fileno=descriptors[0]), function, memory_limit, timeout)
            os.close(descriptors[0])
            frames.reply(str(pid).encode())
        else:
            length = _LENGTH.unpack(data[_LENGTH.size : 2 * _LENGTH.size])[0]
            rest = channel.recv(length) if length > 1 else b""
            frames.reply(str(_exit_code(int(rest))).encode())


def _exit_code(pid: int) -> int:
    """Exit code of a child, negative if a signal ended it."""
    with contextlib.suppress(ChildProcessError):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 0


def _serve(channel: socket.socket, function: Callable[[bytes], bytes], memory_limit: int, timeout: float) -> NoReturn:
    """Answer items until the caller hangs up; never returns into the nursery's code."""
    frames = Frames(channel)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        _limit_memory(memory_limit)
        while True:
            for item in frames.requests():
                # The caller keeps the clock. Should it die, the alarm ends this process, even inside native code.
                signal.setitimer(signal.ITIMER_REAL, 2 * timeout + 5)
                reply = _answer(function, item)
                signal.setitimer(signal.ITIMER_REAL, 0)
                frames.reply(reply)
    os._exit(0)


def _answer(function: Callable[[bytes], bytes], item: bytes) -> bytes:
    try:
        return VALUE + function(item)
    except MemoryError:
        return FAILURE + b"E-GUARD-MEMORY\nasked for more memory than allowed"
    except BaseException as error:  # noqa: BLE001  # also SystemExit and panics of native extensions
        return FAILURE + f"E-GUARD-CRASH\n{type(error).__name__}: {error}"[:600].encode("utf-8", "replace")


def _limit_memory(extra: int) -> None:
    """Let this process ask for ``extra`` bytes of address space beyond what it has, and write no core dumps."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = Path("/proc/self/statm")
    if pages.is_file():  # elsewhere the kernel tells no address space, and does not hold limits on it either
        limit = int(pages.read_text("ascii").split()[0]) * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
