"""Tests on a real Slurm: `bash .ci/slurm` sets one up on this machine. Only one of them runs at a time."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from matloop.workflows.clusters.submission import Submission, submit

DAEMONS = Path("/run/matloop-slurm")
"""Where .ci/slurm keeps the process numbers of the daemons it started."""

# Behaves like matloop towards the scripts. Each call is written down; what one does is told by the line of the file
# "plan" with the number of the call. Empty lines and calls beyond the plan succeed.
STAND_IN = r"""#!/usr/bin/env bash
exec 9>>calls.lock
flock 9
echo "$*" >>calls
call=$(wc -l <calls)
flock -u 9
run=$2
[ "$1" = resume ] || run=$4
[ -e "$run/submission" ] || exit 2
touch "$run/identity.json"
case $(sed -n "${call}p" plan 2>/dev/null) in
    interruptible) trap 'echo notice >>calls.signals; exit 4' TERM; sleep 300 & wait $! ;;
    deaf) trap '' TERM; sleep 300; exit 1 ;; # whoever of the two is killed first, the run is not complete
    refused) echo E-CAMPAIGN >"$MATLOOP_REFUSAL"; exit 1 ;;
    stale) exit 1 ;;
    crashed) kill -SEGV $$ ;;
    unfinished) exit 4 ;;
    nothing) exit 0 ;;
esac
case "$*" in *--prepare-only* | *--share*) exit 0 ;; esac
touch "$run/run.json" "$run/report.html"
"""


def slurm_answers() -> bool:
    """Whether there is a Slurm whose nodes could run a job."""
    if shutil.which("sinfo") is None:
        return False
    try:
        told = subprocess.run(
            ["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return told.returncode == 0 and bool({"idle", "mix", "alloc", "comp"} & set(told.stdout.split()))


@pytest.fixture(scope="session")
def answering() -> None:
    """Skips where there is no Slurm."""
    if not slurm_answers():
        pytest.skip("no Slurm answers to sinfo; as root on Debian: bash .ci/slurm")


@pytest.fixture(autouse=True)
def slurm(answering: None) -> Iterator[None]:
    """A Slurm that no other test uses meanwhile, in this process or another."""
    with (Path(tempfile.gettempdir()) / f"matloop-slurm-tests-{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def queue(run: Path, fields: str = "%i %T %r") -> list[str]:
    """The jobs of a run that are in the queue, finished ones aside."""
    told = subprocess.run(
        ["squeue", "--noheader", f"--name=matloop-{run.name}", f"--format={fields}"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return told.stdout.splitlines()


def until(met: Callable[[], object], seconds: float) -> None:
    """Wait for something to come true; fails if it does not."""
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


def end_of_walltime(job: str) -> None:
    """Let the wall-time of a job end now; Slurm looks at wall-times every half minute."""
    soon = datetime.now() + timedelta(seconds=1)
    done = subprocess.run(["scontrol", "update", f"JobId={job}", f"EndTime={soon:%FT%T}"], check=False, timeout=20)
    assert done.returncode == 0


def state_of(job: str) -> str:
    told = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True, timeout=20)
    return told.stdout.partition("JobState=")[2].split()[0]


class Submitted:
    """A run that was handed to Slurm, worked on by the stand-in."""

    def __init__(self, folder: Path, **options: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        command = folder / "stand-in"
        command.write_text(STAND_IN)
        command.chmod(0o755)
        settings = {
            "campaign": "campaign.yaml", "run": folder / f"run-{os.getpid()}-{time.time_ns()}", "workers": 1,
            "time": "0:05:00", "command": (str(command),), "lock_seconds": 3,
        }  # fmt: skip
        self.submission = Submission("slurm", **{**settings, **options})  # type: ignore[arg-type]
        self.run = self.submission.run
        self.jobs = submit(self.submission)

    def calls(self) -> list[str]:
        """What the stand-in was asked, one line a call, without the name of the run."""
        path = self.folder / "calls"
        return path.read_text().replace(f" {self.run}", "").splitlines() if path.exists() else []

    def notes(self, name: str) -> list[str]:
        path = self.submission.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.submission.folder / "logs").iterdir()))

    def wait(self, seconds: float = 60) -> None:
        """Wait until nothing of the run is left in the queue."""
        until(lambda: not queue(self.run), seconds)

    def running(self, calls: int) -> str:
        """Wait until the stand-in was called so often and its job runs; the job's id."""
        until(lambda: len(self.calls()) >= calls, 60)
        (job,) = (line.split()[0] for line in queue(self.run) if line.split()[1] == "RUNNING")
        return job


@pytest.fixture
def handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Submitted]]:
    """Hands a run of the stand-in to Slurm; whatever of it is left at the end is cancelled."""
    made: list[Submitted] = []

    def hand_over(*, plan: list[str] = [], folder: Path = tmp_path, **options: object) -> Submitted:  # noqa: B006
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plan").write_text("".join(f"{line}\n" for line in plan))
        monkeypatch.chdir(folder)
        made.append(Submitted(folder, **options))
        return made[-1]

    yield hand_over
    for one in made:
        subprocess.run(["scancel", f"--name=matloop-{one.run.name}"], check=False, timeout=20)


@pytest.fixture(scope="session")
def matloop() -> Path:
    """The installed command."""
    return Path(sys.executable).with_name("matloop")
