"""Share guarded workers within a process: one nursery and one child serve all its partitions."""

from __future__ import annotations

import atexit
import os
import threading

from matloop.data.guard.guarded import GuardedWorker

_SHARED: dict[tuple[str, int, float], GuardedWorker] = {}
_SHARED_LOCK = threading.Lock()


def shared_worker(function_path: str, *, memory_limit: int, timeout: float) -> GuardedWorker:
    """Return the worker of this process for a function and limits. It is made at the first call and then reused.

    Args:
        function_path: As in :class:`GuardedWorker`.
        memory_limit: As in :class:`GuardedWorker`, in bytes.
        timeout: As in :class:`GuardedWorker`, in seconds.
    """
    with _SHARED_LOCK:
        if not _SHARED:
            atexit.register(close_shared_workers)
        key = (function_path, memory_limit, timeout)
        if key not in _SHARED:
            _SHARED[key] = GuardedWorker(function_path, memory_limit=memory_limit, timeout=timeout)
        return _SHARED[key]


def close_shared_workers() -> None:
    """End the processes of all shared workers. This also happens when the process ends."""
    with _SHARED_LOCK:
        for worker in _SHARED.values():
            worker.close()
        _SHARED.clear()


def _forget_shared_workers() -> None:
    """Forget the workers in a forked process. They belong to the parent, and must still notice its death."""
    for worker in _SHARED.values():
        worker.forget()
    _SHARED.clear()


os.register_at_fork(after_in_child=_forget_shared_workers)
