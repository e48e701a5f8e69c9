"""Workers in jobs of a batch queue, as far as that can be told without one; tests/slurm has the rest."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dask_jobqueue
import pytest

from matloop.data.errors import RunError, WorkersLostError
from matloop.screening.campaign.cluster_settings import QUEUED, ClusterSettings
from matloop.workflows.clusters import job_queues
from matloop.workflows.clusters.dask_settings import WORKER_SETTINGS
from matloop.workflows.clusters.queue_systems import QUEUE_SYSTEMS, states_of
from matloop.workflows.clusters.workers import workers_of


def script_of(settings: ClusterSettings, folder: Path) -> str:
    """The batch script of a worker."""
    options: dict[str, Any] = job_queues._job(settings, folder, WORKER_SETTINGS)
    del options["scheduler_options"]
    job_class = getattr(dask_jobqueue, job_queues._CLASSES[settings.kind]).job_cls
    return job_class("tls://10.0.0.1:1", name="w", protocol="tls://", **options).job_script()


def test_a_worker_in_a_job_reads_the_settings_of_a_local_one() -> None:
    program = (
        "import dask.config, distributed, json, sys; print(json.dumps([dask.config.get(k) for k in sys.argv[1:]]))"
    )
    environment = {**os.environ, **job_queues.environment(WORKER_SETTINGS)}
    call = [sys.executable, "-c", program, *WORKER_SETTINGS]
    told = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    for (key, wanted), read in zip(WORKER_SETTINGS.items(), json.loads(told.stdout), strict=True):
        # What Dask itself sets for the processes of workers stays beside it.
        assert ({**read, **wanted} == read) if isinstance(wanted, dict) else (read == wanted), key


WALLTIMES = {"slurm": "-t 2:00:00", "pbs": "walltime=2:00:00", "lsf": "-W 2:00", "sge": "h_rt=2:00:00"}
ACCOUNTS = {"slurm": "#SBATCH -A me", "pbs": "#PBS -A me", "lsf": '#BSUB -P "me"', "sge": "#$ -P me"}


@pytest.mark.parametrize("kind", QUEUED)
def test_batch_script_of_a_worker(kind: str, tmp_path: Path) -> None:
    settings = ClusterSettings(
        kind=kind, interface="ib0", queue="long", account="me", walltime="2:00:00", directives=("--extra=1",)
    )
    script = script_of(settings, tmp_path)
    assert WALLTIMES[kind] in script
    assert ACCOUNTS[kind] in script
    assert "-q long" in script or "-p long" in script
    assert f"{QUEUE_SYSTEMS[kind].prefix} --extra=1\n" in script
    assert "\nexport DASK_DISTRIBUTED__WORKER__DAEMON=False\n" in script
    assert "\nexport OMP_NUM_THREADS=1\n" in script
    command = script.splitlines()[-1]
    for words in ("--nthreads 1", "--interface ib0", "--no-dashboard --dashboard-address 127.0.0.1:0"):
        assert words in command


@pytest.mark.parametrize("walltime", ["0:01:00", "0:03:00", "0:05:00", "1:00:00", "96:00:00"])
def test_workers_leave_before_their_wall_time(walltime: str) -> None:
    settings = ClusterSettings(walltime=walltime)
    seconds, stagger = job_queues.lifetime(settings)
    assert seconds > 0
    assert 0 < stagger < seconds
    assert seconds + stagger < settings.walltime_seconds


def test_a_missing_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    settings = ClusterSettings(kind="slurm", interface="lo")
    with (
        pytest.raises(RunError, match=r"dask-jobqueue is not installed.*install .*\[hpc\]"),
        workers_of(settings, 1, folder=tmp_path),
    ):
        pass


def test_an_interface_that_is_not_there(tmp_path: Path) -> None:
    settings = ClusterSettings(kind="slurm", interface="nosuch0")
    with (
        pytest.raises(RunError, match=r"no scheduler for a batch queue: .*nosuch0"),
        workers_of(settings, 1, folder=tmp_path),
    ):
        pass
    assert not list(tmp_path.rglob("*.pem"))


def test_a_folder_that_a_worker_job_could_not_name(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    with (
        pytest.raises(RunError, match="cannot be named in a worker job"),
        workers_of(ClusterSettings(kind="slurm", interface="lo"), 1, folder=folder),
    ):
        pass


@pytest.mark.skipif(shutil.which("bsub") is not None, reason="there is an LSF")
def test_a_queue_whose_commands_are_not_there(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        pytest.raises(WorkersLostError, match=r"lsf refused the job: .*bsub"),
        workers_of(ClusterSettings(kind="lsf", interface="lo", patience=30), 1, folder=tmp_path),
    ):
        pass
    assert time.monotonic() - started < 20


def a_queue_that_says(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "squeue"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_what_the_queue_says_is_one_clean_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_queue_that_says(
        r"""printf '7 PENDING Priority\n8 RUNNING \033[31mNone\n'; echo "$5" >&2""", tmp_path, monkeypatch
    )
    assert states_of("slurm", ["7", "8"]) == "jobs 7, 8: 7 PENDING Priority; 8 RUNNING [31mNone"


def test_a_queue_that_hangs_or_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matloop.workflows.clusters.queue_systems._ANSWER_SECONDS", 0.3)
    a_queue_that_says("exec sleep 20", tmp_path, monkeypatch)
    assert "the queue does not answer" in states_of("slurm", ["7"])
    (tmp_path / "squeue").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "the queue does not answer" in states_of("slurm", ["7"])
    assert states_of("slurm", []) == "no job was accepted"
