"""Workers in jobs of a real Slurm: they come, listen where they should, and are waited for no longer than asked."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from distributed import Client

from matloop.data.errors import WorkersLostError
from matloop.screening.campaign.cluster_settings import ClusterSettings
from matloop.workflows.clusters.submission import scripts_of
from matloop.workflows.clusters.workers import workers_of
from tests.slurm.conftest import Submitted, until

pytestmark = pytest.mark.slurm


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Worker jobs name it, so it has a plain name."""
    return tmp_path_factory.mktemp("workers")


def settings(**changes: object) -> ClusterSettings:
    given = {"kind": "slurm", "interface": "lo", "memory": "1GB", "walltime": "0:05:00", "patience": 60}
    return ClusterSettings.model_validate({**given, **changes})


def worker_jobs() -> list[str]:
    told = subprocess.run(
        ["squeue", "--noheader", "--name=matloop-worker", "--format=%i %T"], capture_output=True, text=True, check=True
    )
    return told.stdout.splitlines()


def test_workers_come_as_jobs_and_leave(folder: Path) -> None:
    def job_and_process() -> tuple[str, int, str]:
        import os

        return os.environ["SLURM_JOB_ID"], os.getpid(), os.environ["OMP_NUM_THREADS"]

    with workers_of(settings(), 1, folder=folder) as client:
        job, process, threads = client.submit(job_and_process).result(timeout=60)
        assert threads == "1"
        assert any(line.startswith(f"{job} ") for line in worker_jobs())
        family = [psutil.Process(process), psutil.Process(process).parent(), psutil.Process()]
        found = {
            (one.pid, place.laddr.ip)
            for one in family
            for place in one.net_connections("tcp")
            if place.status == "LISTEN"
        }
        assert {pid for pid, _ in found} == {one.pid for one in family}  # each of them was looked at
        assert {ip for _, ip in found} == {"127.0.0.1"}  # the address of the interface that was named
        address = client.scheduler.address
        assert address.startswith("tls://")
        with pytest.raises(OSError, match=r"refused|closed|Timed out|in <TCP|EOF"):
            Client(address.replace("tls://", "tcp://"), timeout=2, set_as_default=False)
        (keys,) = folder.rglob("key.pem")
        assert [path.stat().st_mode & 0o077 for path in (keys, keys.parent)] == [0, 0]
    assert not list(folder.rglob("*.pem"))
    until(lambda: not worker_jobs(), 20)


def test_more_workers_come_when_there_is_more_to_do(folder: Path) -> None:
    def where(_: int) -> str:
        import os
        import time

        time.sleep(1)
        return os.environ["SLURM_JOB_ID"]

    with workers_of(settings(), 2, folder=folder) as client:
        jobs = set(client.gather(client.map(where, range(30), pure=False)))
    assert len(jobs) == 2


def test_jobs_that_wait_for_ever(folder: Path) -> None:
    started = time.monotonic()
    with (
        pytest.raises(
            WorkersLostError, match=r"no worker arrived within 4 s: jobs \d+: \d+ PENDING JobHeldUser"
        ) as caught,
        workers_of(settings(directives=("--hold",), patience=4), 2, folder=folder),
    ):
        pass
    assert time.monotonic() - started < 20
    assert caught.value.exit_code == 3
    until(lambda: not worker_jobs(), 20)


def test_jobs_that_the_queue_refuses(folder: Path) -> None:
    started = time.monotonic()
    with (
        pytest.raises(WorkersLostError, match=r"slurm refused the job: .*invalid partition specified: nosuch"),
        workers_of(settings(queue="nosuch"), 2, folder=folder),
    ):
        pass
    assert time.monotonic() - started < 20  # there is nothing to wait for


# Does what the engine does with the scheduler it is told of.
DRIVER = """\
import sys
from pathlib import Path
from matloop.screening.campaign.cluster_settings import ClusterSettings, cluster_chosen
from matloop.workflows.clusters.workers import workers_of

def where():
    import os
    return os.environ["SLURM_PROCID"]

run, file = Path(sys.argv[sys.argv.index("--output") + 1]), sys.argv[sys.argv.index("--cluster") + 1]
with workers_of(cluster_chosen(ClusterSettings(), file), 2) as client:
    client.wait_for_workers(2, timeout=60)
    address, answers = client.scheduler.address, sorted(client.run(where).values())
    loopback = [one for one in client.nthreads() if one.startswith("tls://127.0.0.1:")]
(run / "told").write_text(f"{address.partition(':')[0]} {answers} {len(loopback)}")
(run / "run.json").touch()
(run / "report.html").touch()
"""


def test_scheduler_and_workers_of_an_allocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on several nodes; there is only one here, so the number of nodes is changed where Slurm reads it."""
    import matloop.workflows.clusters.submission as module

    def on_one_node(submission: module.Submission) -> dict[str, str]:
        return {name: text.replace("--nodes=2\n", "--nodes=1\n") for name, text in scripts_of(submission).items()}

    monkeypatch.setattr(module, "scripts_of", on_one_node)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "driver.py").write_text(DRIVER)
    run = Submitted(
        tmp_path, nodes=2, workers=2, interface="lo", command=(sys.executable, str(tmp_path / "driver.py")),
        most_submissions=1,
    )  # fmt: skip
    run.wait(120)
    assert (run.run / "told").exists(), run.logs()
    assert (run.run / "told").read_text() == "tls ['0', '1'] 2"
    assert not list(run.submission.folder.glob("dask-*"))  # the keys are gone
    named = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"]]
    assert not [line for line in named if any(str(tmp_path) in word for word in line)]  # and so are all processes
