"""A small campaign as real jobs, by the command itself: both ways, one of them across a wall-time kill."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import Submitted, end_of_walltime, state_of, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
ROWS = ("--partition-rows", "500")
CAMPAIGN = """\
name: small
sources:
  - ionic_substitution: {limit: 3000, min_probability: 1e-3, max_sites: 10}
filters: [new_compounds]
targets:
  - {property: refractive_index, goal: maximize, unit: "1"}
surrogates:
  features: [valence_orbital, stoichiometry]
  keep: 60
shortlist: {size: 5, diversity: 0.5}
"""
# The command in small partitions. With a file "freeze" there, the first call is stopped once a partition is done, so
# the wall-time finds it in the middle, on any machine; "frozen" says that the wall-time may come. It is stopped again
# and again: Slurm wakes what it ends.
COMMAND = """\
#!/usr/bin/env bash
[ "$1" != screen ] || set -- "$@" {rows}
[ -e freeze ] || exec {matloop} "$@"
rm freeze
{matloop} "$@" &
until grep -q '"kind": "partition"' "$4/manifest.jsonl" 2>/dev/null; do sleep 0.1; done
trap '' TERM
while kill -STOP $!; do touch frozen; sleep 0.05; done
"""


@pytest.fixture(scope="module")
def unbroken(answering: None, tmp_path_factory: pytest.TempPathFactory, matloop: Path) -> Path:
    """The run as it is without a queue."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "campaign.yaml").write_text(CAMPAIGN)
    subprocess.run([matloop, "screen", "campaign.yaml", "--output", "run", *ROWS], cwd=folder, check=True, timeout=600)
    return folder / "run"


@pytest.fixture
def hand_over(handed_over: Callable[..., Submitted], tmp_path: Path, matloop: Path) -> Callable[..., Submitted]:
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN)
    command = tmp_path / "command"
    command.write_text(COMMAND.format(rows=shlex.join(ROWS), matloop=shlex.quote(str(matloop))))
    command.chmod(0o755)
    return lambda **options: handed_over(command=(str(command),), workers=2, time="0:10:00", **options)


def same_result(run: Path, unbroken: Path) -> bool:
    return all(
        (run / name).read_bytes() == (unbroken / name).read_bytes() for name in ("shortlist.csv", "ranked.parquet")
    )


def partitions(run: Path) -> list[int]:
    """Finished partitions as the manifests tell; one that was done twice is there twice."""
    lines = [json.loads(line) for path in run.glob("manifest*.jsonl") for line in path.read_text().splitlines()]
    return sorted(line["index"] for line in lines if line["kind"] == "partition")


def test_one_allocation_across_a_wall_time_kill(
    hand_over: Callable[..., Submitted], unbroken: Path, tmp_path: Path
) -> None:
    (tmp_path / "freeze").touch()
    run = hand_over()
    until((tmp_path / "frozen").exists, 300)
    (job,) = (line.split()[1] for line in run.notes("jobs.txt")[:1])
    end_of_walltime(job)
    run.wait(600)
    assert state_of(job) == "TIMEOUT"
    assert len(run.notes("started.txt")) == 2, run.logs()
    assert same_result(run.run, unbroken), run.logs()
    assert partitions(run.run) == list(range(6))


def test_array(hand_over: Callable[..., Submitted], unbroken: Path) -> None:
    run = hand_over(array=3)
    run.wait(900)
    assert [line.split()[0] for line in run.notes("jobs.txt")][:3] == ["prepare", "share", "run"]
    assert len(run.notes("started.txt")) == 1, run.logs()
    assert same_result(run.run, unbroken), run.logs()
    assert partitions(run.run) == list(range(6))
    shares = {path.name for path in run.run.glob("manifest-*.jsonl")}
    assert shares == {"manifest-001.jsonl", "manifest-002.jsonl", "manifest-003.jsonl"}


def screen(matloop: Path, folder: Path, cluster: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command with workers in jobs of the queue."""
    (folder / "campaign.yaml").write_text(f"{CAMPAIGN}cluster: {{{cluster}}}\n")
    return subprocess.run(
        [matloop, "screen", "campaign.yaml", "--output", "run", *ROWS, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def test_workers_in_jobs(unbroken: Path, tmp_path: Path, matloop: Path) -> None:
    done = screen(matloop, tmp_path, 'kind: slurm, interface: lo, memory: 2GB, walltime: "0:20:00", patience: 120')
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run" / "worker_logs").iterdir())
    assert same_result(tmp_path / "run", unbroken)


def test_no_worker_arrives_and_the_run_goes_on_here(unbroken: Path, tmp_path: Path, matloop: Path) -> None:
    done = screen(matloop, tmp_path, "kind: slurm, interface: lo, memory: 2GB, patience: 5, directives: [--hold]")
    assert done.returncode == 3
    assert "E-RUN-WORKERS: no worker arrived within 5 s: jobs " in done.stderr
    assert "JobHeldUser" in done.stderr
    resume = [matloop, "resume", "run", "--cluster", "local"]
    subprocess.run(resume, cwd=tmp_path, check=True, timeout=900, stdout=subprocess.DEVNULL)
    assert same_result(tmp_path / "run", unbroken)
