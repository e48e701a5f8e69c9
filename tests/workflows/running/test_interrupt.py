"""Runs that are stopped from outside leave neither processes nor half files."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from matloop.data.runs.directory import RunDirectory
from tests.processes import COMMAND, gone, until, workers_of
from tests.workflows.conftest import files_of

CAMPAIGN = """\
name: long
sources:
  - ionic_substitution: {limit: 20000, min_probability: 1e-3}
targets:
  - {property: refractive_index, goal: maximize, unit: "1"}
  - {property: piezoelectric_modulus, goal: maximize, unit: C/m2}
surrogates:
  features: [magpie, stoichiometry, valence_orbital]
  keep: 10
shortlist:
  size: 2
"""
SECONDS = 15.0


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that is starting its worker processes."""
    (tmp_path / "long.yaml").write_text(CAMPAIGN)
    arguments = [COMMAND, "screen", "long.yaml", "--output", "run"]
    run = subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert until(lambda: run.poll() is not None or len(workers_of(run)) > 0, 60, pause=0.01)
        yield run
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


@pytest.fixture
def running(starting: subprocess.Popen[str], tmp_path: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A run that is training its surrogates, with its worker processes."""
    assert until(lambda: starting.poll() is not None or len(workers_of(starting)) == 2, 60)
    told = RunDirectory(tmp_path / "run").progress
    assert until(lambda: told.exists() and json.loads(told.read_text("utf-8"))["step"] == "training surrogates", 60)
    assert starting.poll() is None
    return starting, psutil.Process(starting.pid).children(recursive=True)


def test_ctrl_c_before_the_workers_are_there(starting: subprocess.Popen[str]) -> None:
    processes = psutil.Process(starting.pid).children(recursive=True)
    os.killpg(starting.pid, signal.SIGINT)
    _, err = starting.communicate(timeout=4 * SECONDS)
    assert (starting.returncode, err) == (4, "matloop: interrupted; go on with: matloop resume run\n")
    assert until(lambda: gone(processes), 5)


def test_ctrl_c(running: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path) -> None:
    run, processes = running
    started = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)  # a terminal interrupts the workers too
    _, err = run.communicate(timeout=4 * SECONDS)
    assert run.returncode == 4
    assert time.monotonic() - started < SECONDS
    assert "matloop: interrupted; go on with: matloop resume run" in err
    assert "Traceback" not in err
    assert until(lambda: gone(processes), 5)  # one is Python's own tracker, which ends when it finds itself alone
    names = [path.name for path in files_of(tmp_path / "run")]
    assert "campaign.yaml" in names
    assert not [name for name in names if name.endswith(".partial")]
    assert not {"ranked.parquet", "run.json", "report.html"} & set(names)


def test_r30_ctrl_c_twice_leaves_no_lock_and_no_drafts(
    running: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path
) -> None:
    run, processes = running
    for pause in (0.05, 0.2, 0.2):
        os.killpg(run.pid, signal.SIGINT)
        time.sleep(pause)
    _, err = run.communicate(timeout=4 * SECONDS)
    assert (run.returncode, err) == (4, "matloop: interrupted; go on with: matloop resume run\n")
    assert until(lambda: gone(processes), 5)
    names = [path.name for path in (tmp_path / "run").rglob("*")]
    assert not [name for name in names if name.endswith(".partial") or name.startswith("lock")]
    assert json.loads((tmp_path / "run" / "progress.json").read_text("utf-8"))["state"] == "interrupted"


def test_workers_do_not_outlive_the_driver(running: tuple[subprocess.Popen[str], list[psutil.Process]]) -> None:
    run, processes = running
    assert not gone(processes)
    run.kill()
    assert run.wait(SECONDS) == -signal.SIGKILL
    assert until(lambda: gone(processes), 2 * SECONDS)
