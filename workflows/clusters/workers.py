"""Workers: on this machine, in the jobs of a batch queue, or at a Dask scheduler that runs already.

Everything listens on the loopback only, unless an interface is named, and speaks TLS with certificates of its own.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from matloop.data.bounded_files import read_json
from matloop.data.errors import DamagedFileError, RunError, WorkersLostError
from matloop.screening.campaign.cluster_settings import QUEUED, ClusterSettings
from matloop.workflows.clusters.certificates import security_in_memory
from matloop.workflows.clusters.dask_settings import LOCAL_SETTINGS, WORKER_SETTINGS, check_dask, dask_set
from matloop.workflows.clusters.job_queues import queued_workers, why_absent
from matloop.workflows.clusters.machine_limits import workers_by_default
from matloop.workflows.clusters.main_guard import check_main_guard

START_TIMEOUT = 120  # s
CONNECT_TIMEOUT = 60  # s


_QUEUED_WORKERS = 2


def workers_chosen(count: int | None, settings: ClusterSettings) -> int:
    """The number of workers of a run.

    Args:
        count: What the user asks for; None takes the cores of this machine, or two jobs of a batch queue.
        settings: Where the workers are.
    """
    if count is not None:
        return count
    return _QUEUED_WORKERS if settings.kind in QUEUED else workers_by_default()


@contextlib.contextmanager
def workers_of(settings: ClusterSettings, count: int, *, folder: Path | None = None) -> Iterator[Any]:
    """A Dask client of the workers a campaign asks for; at least one of them is there.

    Args:
        settings: Where the workers are.
        count: How many there are on this machine, or at most in a batch queue; a running scheduler has its own.
        folder: The run's folder, for what worker jobs must read and write; by default the working directory.

    Raises:
        WorkersLostError: If no worker arrives within ``settings.patience``; tells what the queue says.
        RunError: If a scheduler cannot be started or reached as asked.
    """
    if settings.kind == "local":
        with local_workers(count) as client:
            yield client
        return
    with contextlib.ExitStack() as stack:
        if settings.kind in QUEUED:
            client = stack.enter_context(_queued(settings, count, folder or Path.cwd()))
        else:
            client = stack.enter_context(_existing(settings))
        wait_for_a_worker(client, settings)
        yield client


def wait_for_a_worker(client: Any, settings: ClusterSettings) -> None:
    """Wait until there is a worker.

    Raises:
        WorkersLostError: If there is none within ``settings.patience``, or the queue refuses their jobs.
    """
    end = time.monotonic() + settings.patience
    queued = settings.kind in QUEUED
    while not _number_of_workers(client):
        late = time.monotonic() > end
        if late or (queued and client.cluster.refusals):
            waited = f" within {settings.patience:.0f} s" if late else ""
            why = why_absent(settings, client.cluster) if queued else "the scheduler has none"
            raise WorkersLostError(
                f"no worker arrived{waited}: {why}", "at least one worker",
                "mend the section 'cluster' of the campaign or wait for a less busy queue, then: matloop resume RUN",
            )  # fmt: skip
        time.sleep(0.5)


def _number_of_workers(client: Any) -> int:
    try:
        return len(client.nthreads())
    except OSError:  # the scheduler may come back
        return 0


@contextlib.contextmanager
def _queued(settings: ClusterSettings, count: int, folder: Path) -> Iterator[Any]:
    """A client of workers in a batch queue."""
    with dask_set(WORKER_SETTINGS, site=True), contextlib.ExitStack() as stack:
        from distributed import Client

        workers = queued_workers(settings, count, folder=folder, dask_settings=WORKER_SETTINGS)
        yield stack.enter_context(Client(stack.enter_context(workers), set_as_default=False))


def _existing(settings: ClusterSettings) -> Any:
    """A client of a scheduler that runs already."""
    check_dask()
    from distributed import Client
    from distributed.security import Security

    address = settings.address or _left_address(Path(str(settings.scheduler_file)))
    try:
        settings.check_address(address)
        named = {
            "tls_ca_file": settings.ca_file, "tls_client_cert": settings.certificate, "tls_client_key": settings.key,
        }  # fmt: skip
        # What is not named comes from Dask's own configuration.
        security = Security(
            require_encryption=not settings.allow_insecure, **{name: path for name, path in named.items() if path}
        )
        if address.startswith("tls://") and security.get_connection_args("client")["ssl_context"] is None:
            raise ValueError(
                "there are no certificates; give 'ca_file', 'certificate' and 'key', or configure them in Dask"
            )
    except (ValueError, OSError) as error:
        raise RunError(f"the scheduler is not used: {error}") from error
    try:
        return Client(address, security=security, set_as_default=False, timeout=min(CONNECT_TIMEOUT, settings.patience))
    except OSError as error:  # of TLS too
        raise WorkersLostError(
            f"no scheduler answers at {address}: {error}", "a scheduler that runs and trusts our certificate"
        ) from error


def check_scheduler_file(settings: ClusterSettings) -> None:
    """Refuse a file of a scheduler that is not there or tells no address, before a run begins.

    Raises:
        RunError: If no address can be read.
    """
    if settings.kind == "existing" and settings.scheduler_file is not None:
        _left_address(Path(settings.scheduler_file))


def _left_address(path: Path) -> str:
    """The address a scheduler has left in a file."""
    try:
        address = read_json(path)["address"]
    except (DamagedFileError, KeyError, TypeError) as error:
        got = error.got if isinstance(error, DamagedFileError) else "it has no 'address'"
        raise RunError(
            f"{path} tells no address of a scheduler: {got}", "a file that a scheduler of Dask has written",
            "look at the path; dask scheduler --scheduler-file FILE writes one",
        ) from error  # fmt: skip
    return str(address)


@contextlib.contextmanager
def local_workers(count: int) -> Iterator[Any]:
    """A Dask client of ``count`` single-threaded worker processes, without dashboard, bound to 127.0.0.1.

    Every user of this machine reaches the ports of the loopback, and whoever may talk to a scheduler or a worker runs
    code as its user. So they speak TLS and answer nobody without the certificate, which is made for them alone.

    Raises:
        RunError: If the workers do not start within two minutes.
    """
    check_main_guard()
    with dask_set(LOCAL_SETTINGS, site=False), contextlib.ExitStack() as stack:
        from distributed import Client, LocalCluster

        with interrupts_held_back():
            try:
                cluster = LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    protocol="tls://",
                    security=security_in_memory(),
                    dashboard_address=None,
                    # The scheduler's HTTP server cannot be left out; it serves nothing, on a free port of the loopback.
                    scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                    memory_limit=None,
                    silence_logs=logging.CRITICAL,
                )
            except (OSError, TimeoutError, RuntimeError) as error:
                raise WorkersLostError(f"no workers started: {error}", "free memory and loopback networking") from error
            stack.callback(_close, cluster)
            client = Client(cluster, set_as_default=False)
            stack.callback(_close, client)
            client.wait_for_workers(count, timeout=START_TIMEOUT)
        yield client


def _close(one: Any) -> None:
    with interrupts_held_back():
        one.close()


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the end; what is begun meanwhile, threads and processes, never gets SIGINT.

    Ctrl-C reaches every process of a terminal: the driver ends its workers in good order, and a worker interrupted in
    the middle of its start, or a scheduler in the middle of its end, would leave pages of tracebacks.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are another's business
        yield
        return
    resource_tracker.ensure_running()  # where it is started later, SIGINT is let through from then on
    held: list[int] = []
    before = {kind: signal.signal(kind, lambda kind, _: held.append(kind)) for kind in (signal.SIGINT, signal.SIGTERM)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is passed on
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for kind, handler in before.items():
            signal.signal(kind, handler)
        if held:
            signal.raise_signal(held[0])


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
