"""Guarded workers that a process keeps: one nursery and one child for all the partitions it works on."""

from __future__ import annotations

import atexit
import os
import threading

from matloop.data.guard.guarded import GuardedWorker

_SHARED: dict[tuple[str, int, float], GuardedWorker] = {}
_SHARED_LOCK = threading.Lock()


def shared_worker(function_path: str, *, memory_limit: int, timeout: float) -> GuardedWorker:
    """This process's worker for a function under these limits, made at the first call and kept until the process ends.

    Args:
        function_path: As in :class:`GuardedWorker`.
        memory_limit: Bytes, likewise.
        timeout: Seconds, likewise.
    """
    with _SHARED_LOCK:
        if not _SHARED:
            atexit.register(close_shared_workers)
        key = (function_path, memory_limit, timeout)
        if key not in _SHARED:
            _SHARED[key] = GuardedWorker(function_path, memory_limit=memory_limit, timeout=timeout)
        return _SHARED[key]


def close_shared_workers() -> None:
    """End the processes of all shared workers, as happens by itself at the end of the process."""
    with _SHARED_LOCK:
        for worker in _SHARED.values():
            worker.close()
        _SHARED.clear()


def _forget_shared_workers() -> None:
    """In a process forked from this one: the workers are the parent's, whose death must still be seen by them."""
    for worker in _SHARED.values():
        worker.forget()
    _SHARED.clear()


os.register_at_fork(after_in_child=_forget_shared_workers)
