"""Workers in the jobs of a batch queue, through dask-jobqueue."""

from __future__ import annotations

import contextlib
import importlib
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matloop.data.errors import RunError
from matloop.data.installation import install_command
from matloop.screening.campaign.cluster_settings import ClusterSettings
from matloop.workflows.clusters.certificates import security_from, write_certificates
from matloop.workflows.clusters.queue_systems import states_of

_CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
_ACCOUNT = {"slurm": "account", "pbs": "account", "lsf": "project", "sge": "project"}
_LOOPBACK = "127.0.0.1:0"
IDLE_SECONDS = 120
LOOK_SECONDS = 5


@contextlib.contextmanager
def queued_workers(
    settings: ClusterSettings, count: int, *, folder: Path, dask_settings: Mapping[str, Any]
) -> Iterator[Any]:
    """A Dask cluster whose workers are jobs of a batch queue: at least one, at most ``count``, as work demands.

    The scheduler runs here and listens, like the workers, on the interface that was named only, with certificates made
    for this cluster alone. Workers leave in good order before their wall-time ends, not all at once, and others are
    submitted in their place.

    Args:
        settings: The queue.
        count: Most workers.
        folder: Where jobs on other machines can read the certificates; logs of the jobs go below it.
        dask_settings: Settings of Dask that must hold in the workers too.

    Raises:
        RunError: If dask-jobqueue or cryptography is not installed, or the interface cannot be listened on.
    """
    folder = folder.resolve()
    if not re.fullmatch(r"[A-Za-z0-9._/+@=-]+", str(folder)):
        raise RunError(
            f"the folder {str(folder)!r} cannot be named in a worker job",
            "letters, digits and . _ / + @ = - in the path",
            "choose another --output",
        )
    try:
        cluster_class = getattr(importlib.import_module("dask_jobqueue"), _CLASSES[settings.kind])
    except ImportError as error:
        raise RunError(
            "dask-jobqueue is not installed", "batch queues need the extra 'hpc'", install_command("matloop[hpc]")
        ) from error
    with tempfile.TemporaryDirectory(prefix=".dask-", dir=folder) as place:
        security = None
        if not settings.allow_insecure:
            write_certificates(Path(place) / "tls")
            security = security_from(Path(place) / "tls")
        refusals: list[str] = []
        try:
            cluster = cluster_class(
                job_cls=_told(cluster_class.job_cls, refusals),
                security=security,
                silence_logs="critical",
                # Workers import modules from this folder too, so nobody else may write to it.
                local_directory=str(Path(place) / "workers"),
                **_job(settings, folder, dask_settings),
            )
        except (ValueError, OSError, RuntimeError) as error:
            raise RunError(
                f"no scheduler for a batch queue: {error}",
                f"an interface of this machine that can be listened on in place of '{settings.interface}'",
            ) from error
        cluster.refusals = refusals
        with cluster:
            cluster.scale(1)  # start at once; adapting would wait for its first check
            cluster.adapt(
                minimum=1, maximum=count, interval=f"{LOOK_SECONDS}s", wait_count=IDLE_SECONDS // LOOK_SECONDS,
                target_duration="1s",
            )  # fmt: skip
            yield cluster


def why_absent(settings: ClusterSettings, cluster: Any) -> str:
    """Return what the queue says about the worker jobs."""
    if cluster.refusals:
        return f"{settings.kind} refused the job: {cluster.refusals[-1]}"
    jobs = [str(worker.job_id) for worker in cluster.workers.values() if worker.job_id is not None]
    return states_of(settings.kind, jobs)


def lifetime(settings: ClusterSettings) -> tuple[int, int]:
    """Return the seconds after which a worker leaves, and how much they differ between workers.

    >>> lifetime(ClusterSettings(walltime="1:00:00"))
    (3060, 180)
    """
    walltime = settings.walltime_seconds
    stagger = walltime // 20
    return walltime - max(60, walltime // 10) - stagger if walltime > 180 else max(walltime // 2, 1), stagger


def _job(settings: ClusterSettings, folder: Path, dask_settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options of dask-jobqueue; whatever is None is taken from the user's own ``jobqueue.yaml``."""
    seconds, stagger = lifetime(settings)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment(dask_settings).items()]
    walltime = settings.walltime if settings.kind != "lsf" else settings.walltime.rpartition(":")[0]
    return {
        "cores": 1,
        "processes": 1,
        "memory": settings.memory,
        "walltime": walltime,
        "queue": settings.queue,
        _ACCOUNT[settings.kind]: settings.account,
        "interface": settings.interface,
        "scheduler_options": {
            "interface": settings.interface, "dashboard": False, "dashboard_address": _LOOPBACK,
        },
        "worker_extra_args": [
            "--lifetime", f"{seconds}s", "--lifetime-stagger", f"{stagger}s",
            # Without an address the worker's own web server listens everywhere, also where it serves nothing.
            "--no-dashboard", "--dashboard-address", _LOOPBACK,
        ],
        "job_name": "matloop-worker",
        "job_extra_directives": list(settings.directives),
        "job_script_prologue": exports,
        "log_directory": str(folder / "worker_logs"),
        "python": shlex.quote(sys.executable),
    }  # fmt: skip


def environment(dask_settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings of Dask as the environment variables that Dask reads; one thread in every numerical library.

    >>> environment({"distributed.worker.daemon": False})["DASK_DISTRIBUTED__WORKER__DAEMON"]
    'False'
    """
    spelled = {"DASK_" + key.upper().replace(".", "__").replace("-", "_"): str(v) for key, v in dask_settings.items()}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**spelled, **dict.fromkeys(threads, "1")}


def _told(job_class: Any, refusals: list[str]) -> Any:
    """A job that keeps what the queue says when it refuses one; dask-jobqueue would wait for it for ever."""
    from distributed.core import Status

    class ToldJob(job_class):
        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, OSError, ValueError) as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                told = lines[lines.index("stderr:") + 1 :] if "stderr:" in lines else []
                refusals.append("; ".join(told or lines))
                self.status = Status.running  # Dask treats it like a job that waits in the queue

    return ToldJob
