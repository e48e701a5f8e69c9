"""Workers: a local Dask cluster that listens on loopback only."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from matloop.data.errors import RunError

START_TIMEOUT = 120  # s


@contextlib.contextmanager
def local_workers(count: int) -> Iterator[Any]:
    """A Dask client of ``count`` single-threaded worker processes, without dashboard, bound to 127.0.0.1.

    Raises:
        RunError: If the workers do not start within two minutes.
    """
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.worker.daemon": False,
        "distributed.scheduler.allowed-failures": 0,  # a task that killed its worker is not tried on the others
        "distributed.worker.memory.spill": False,
        "distributed.worker.http.routes": [],
        "distributed.scheduler.http.routes": [],
        "distributed.comm.timeouts.connect": "60s",
    }
    with dask.config.set(settings):
        try:
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                # The scheduler's HTTP server cannot be left out; it serves nothing, on a free port of the loopback.
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                memory_limit=None,
                silence_logs=logging.CRITICAL,
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            raise RunError(f"no workers started: {error}", "free memory and loopback networking") from error
        with cluster, Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=START_TIMEOUT)
            client.run(_ignore_interrupts)
            yield client


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the driver, which gets it too, ends the workers in good order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_bounded(
    client: Any, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], *, in_flight: int
) -> Iterator[Any]:
    """Results of ``function(*call)`` for each call, in the order of the calls.

    At most ``in_flight`` calls are submitted and not yet handed on, so that neither side piles up memory.

    Raises:
        RunError: If a worker process died under a call.
    """
    from collections import deque

    from distributed import KilledWorker

    def answer(future: Any) -> Any:
        try:
            return future.result()
        except KilledWorker as error:
            raise RunError(
                f"a worker process died while it ran {function.__name__}", "a crash or lack of memory ends a worker"
            ) from error

    waiting: deque[Any] = deque()
    for call in calls:
        if len(waiting) >= in_flight:
            yield answer(waiting.popleft())
        waiting.append(client.submit(function, *call, pure=False))
    while waiting:
        yield answer(waiting.popleft())
