"""``matloop status``: of finished, running, killed, interrupted and damaged runs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from matloop.data.candidates.reasons import REPEATED
from matloop.data.errors import RunError
from matloop.data.runs.lock import RunLock
from matloop.data.runs.manifest import Manifest
from matloop.workflows.inspecting.status import status_of
from matloop.workflows.inspecting.status_text import print_status
from matloop.workflows.running.progress import FileProgress
from matloop.workflows.screen import ScreeningRun

COMMAND = Path(sys.executable).with_name("matloop")
CAMPAIGN = """\
name: watched
sources:
  - table: {path: candidates.csv}
targets:
  - {property: refractive_index, goal: maximize, unit: "1"}
surrogates:
  features: [stoichiometry]
  keep: 10
shortlist:
  size: 2
"""
LOCK = """
import sys, time
from pathlib import Path
from matloop.data.runs.lock import RunLock
with RunLock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(finished: ScreeningRun, tmp_path: Path) -> Path:
    """A copy of a finished run that lacks what is written at the end."""
    folder = tmp_path / "a run"
    shutil.copytree(finished.folder, folder)
    (folder / "report.html").unlink()
    (folder / "run.json").unlink()
    lines = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "manifest.jsonl").write_bytes(b"".join(line for line in lines if json.loads(line)["kind"] != "results"))
    tell(folder, "running")
    return folder


def tell(folder: Path, state: str, message: str = "", **changes: Any) -> None:
    told = FileProgress(folder)
    told.start("scoring candidates", 2300)
    told.advance(500, "")
    told.finish(state, message)
    path = folder / "progress.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def text_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_status(folder)
    return " ".join(capsys.readouterr().out.split())


def test_a_finished_run(finished: ScreeningRun, capsys: pytest.CaptureFixture[str]) -> None:
    status = status_of(finished.folder)
    assert (status.state, status.campaign, status.go_on, status.processes) == ("complete", "small", "", [])
    assert (status.candidates, status.candidates_total, status.models) == (2300, 2300, 2)
    assert status.problems == []
    (stage,) = status.stages
    assert (stage.stage, stage.rows, stage.partitions) == ("surrogates", 2300, stage.partitions_total)
    assert sum(count[-1] for count in stage.counts) == 2300 - len(finished.ranked)
    assert ("intake", "rejected", REPEATED, "", "", 300) in stage.counts
    assert status.outcomes == finished.summary.outcomes
    text = text_of(finished.folder, capsys)
    assert f"{finished.folder}: complete" in text
    assert "together 2,300." in text
    assert "Go on with" not in text


def test_the_names_in_the_json_are_stable(finished: ScreeningRun, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert print_status(finished.folder, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert list(told) == [
        "run", "campaign", "state", "go_on", "processes", "step", "candidates", "candidates_total", "models", "stages",
        "outcomes", "events", "problems",
    ]  # fmt: skip
    assert list(told["step"]) == [
        "name", "done", "total", "rate", "eta_seconds", "driver_memory", "worker_memory", "age_seconds", "message",
    ]  # fmt: skip
    assert list(told["stages"][0]) == ["stage", "partitions", "partitions_total", "rows", "counts"]


def test_a_run_that_somebody_works_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {"rate": 20.0, "eta_seconds": 90.0, "driver_memory": 400_000_000, "worker_memory": 1_200_000_000}
    tell(run, "running", "[b]partition 3[/b]\x1b[2J", **told)
    with RunLock(run):
        status = status_of(run)
        text = text_of(run, capsys)
    assert (status.state, status.go_on) == ("running", "")
    (process,) = status.processes
    assert (process.pid, process.alive, process.lock) == (os.getpid(), True, "lock.json")
    assert f"process {os.getpid()} on " in text
    assert (
        "scoring candidates: 500 of 2,300, 20/s, 90 s left of this step, memory 0.4 GB, largest worker 1.2 GB" in text
    )
    assert "last word: [b]partition 3[/b][2J" in text
    assert status.step is not None
    assert status.step.age_seconds < 30


def test_a_run_whose_process_was_killed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    holder = subprocess.Popen([sys.executable, "-c", LOCK, run, "lock.json"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.communicate()
    status = status_of(run)
    assert (status.state, status.processes[0].alive) == ("lost", False)
    assert status.go_on == f"matloop resume '{run}'"
    text = text_of(run, capsys)
    assert "lost: the process that worked on it is gone and left no word" in text
    assert text.endswith(f"Go on with: matloop resume '{run}'")
    (run / "lock.json").unlink()
    assert status_of(run).state == "lost"  # the last word was that it runs


@pytest.mark.parametrize(
    ("last", "state"), [("interrupted", "interrupted"), ("failed", "failed"), ("prepared", "interrupted")]
)
def test_runs_that_rest(last: str, state: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell(run, last, "E-RUN-DISK: no room", eta_seconds=4.0)
    status = status_of(run)
    assert status.state == state
    assert status.go_on
    assert status.step is not None
    assert status.step.eta_seconds is None
    assert "last word: E-RUN-DISK: no room" in text_of(run, capsys)


def test_a_run_that_is_only_prepared(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (run / "manifest.jsonl").read_text().splitlines(keepends=True)
    (run / "manifest.jsonl").write_text("".join(line for line in lines if '"kind": "partition"' not in line))
    tell(run, "prepared")
    assert status_of(run).state == "prepared"
    assert "2,300 candidates taken in, 2 surrogates trained" in text_of(run, capsys)


def test_tasks_of_an_array(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tasks, one of them dead; the lines of one partition stand in a manifest of its own."""
    lines = (run / "manifest.jsonl").read_text().splitlines(keepends=True)
    partitions = [line for line in lines if '"kind": "partition"' in line]
    (run / "manifest.jsonl").write_text("".join(line for line in lines if line not in partitions))
    (run / "manifest-002.jsonl").write_text(partitions[0])
    dead = subprocess.Popen([sys.executable, "-c", LOCK, run, "lock-001.json"], stdout=subprocess.PIPE, text=True)
    assert dead.stdout is not None
    dead.stdout.readline()
    dead.kill()
    dead.communicate()
    with RunLock(run, "lock-002.json"):
        status = status_of(run)
        text = text_of(run, capsys)
    assert status.state == "running"
    assert {process.lock: process.alive for process in status.processes} == {
        "lock-001.json": False, "lock-002.json": True,
    }  # fmt: skip
    assert (status.stages[0].partitions, status.stages[0].partitions_total) == (1, len(partitions))
    assert "(lock-001.json)" in text
    assert "ago: gone" in text
    assert status_of(run).state == "lost"


def test_events(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = Manifest(run)
    for index in range(7):
        manifest.append("event", what="worker died", detail=f"surrogates, partition {index}", time=1e9 + index)
    manifest.append("event", what="resumed", detail="2 workers; took over from [red]x[/red]", time=1e9 + 9)
    text = text_of(run, capsys)
    assert "Events: worker died 7 x, resumed 1 x" in text
    assert "worker died: surrogates, partition 6" in text
    assert "worker died: surrogates, partition 2" not in text
    assert "took over from [red]x[/red]" in text
    assert status_of(run).events[0] == {"what": "worker died", "detail": "surrogates, partition 0", "time": 1e9}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("manifest.jsonl", b'{"kind": "partition"}\n', "E-RUN: line 1 of manifest.jsonl cannot be read"),
        ("manifest.jsonl", b"\x00\xff\n{}\n", "E-RUN: line 1 of manifest.jsonl cannot be read"),
        ("progress.json", b'{"state": ', "E-FILE-DAMAGED: progress.json "),
        ("progress.json", b"[]", "E-FILE-DAMAGED: progress.json "),
        ("progress.json", b'{"state": "running", "done": "many"}', "E-FILE-DAMAGED: progress.json has "),
        ("identity.json", b"\xff\xfe", "E-FILE-DAMAGED: identity.json cannot be read"),
        ("run.json", b"", "E-FILE-DAMAGED: run.json cannot be read"),
    ],
)
def test_damage_is_told_and_the_rest_is_shown(
    name: str, content: bytes, problem: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_bytes(content)
    status = status_of(run)
    assert [told.startswith(problem) for told in status.problems] == [True]
    assert status.state == ("interrupted" if name == "progress.json" else "lost")
    assert status.models == (0 if name == "manifest.jsonl" else 2)
    capsys.readouterr()
    assert not print_status(run)
    assert f"Damaged: {problem}" in " ".join(capsys.readouterr().out.split())


def test_a_line_that_is_being_written(run: Path) -> None:
    with (run / "manifest.jsonl").open("ab") as file:
        file.write(b'{"kind": "event", "wh')
    assert status_of(run).problems == []


def test_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(RunError, match="no run in"):
            status_of(folder)


def ask(folder: Path) -> dict[str, Any]:
    done = subprocess.run([COMMAND, "status", folder, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_run_watched_from_outside_killed_and_resumed(tmp_path: Path) -> None:
    """From its first second to its end, the status can be read by a process that knows nothing else."""
    elements = ["Na", "K", "Mg", "Ca", "Al", "Ga", "Ti", "Si"]
    formulas = [f"{a}{i}{b}{j}O{k}" for a in elements for b in elements if a < b for i in (1, 2) for j in (1, 3)
                for k in (2, 3, 5)]  # fmt: skip
    (tmp_path / "candidates.csv").write_text("\n".join(["formula", *formulas]))
    (tmp_path / "watched.yaml").write_text(CAMPAIGN)
    started = [COMMAND, "screen", "watched.yaml", "--output", "run", "--workers", "1", "--partition-rows", "4"]
    driver = subprocess.Popen(started, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: list[dict[str, Any]] = []
    end = time.monotonic() + 90
    while driver.poll() is None and time.monotonic() < end:
        if (tmp_path / "run" / "campaign.yaml").exists():
            seen.append(ask(tmp_path / "run"))
            if seen[-1]["stages"]:
                break
        time.sleep(1)  # leave the processor to the run
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert {told["state"] for told in seen} == {"running"}
    assert {told["processes"][0]["pid"] for told in seen} == {driver.pid}
    assert not any(told["problems"] for told in seen)
    killed = ask(tmp_path / "run")
    assert killed["state"] == "lost"
    assert killed["stages"][0]["partitions"] >= seen[-1]["stages"][0]["partitions"] >= 1
    again = subprocess.run(
        [*killed["go_on"].split(), "--workers", "1"], executable=COMMAND, cwd=tmp_path, capture_output=True, check=False
    )
    assert again.returncode == 0, again.stderr
    told = ask(tmp_path / "run")
    assert (told["state"], told["problems"]) == ("complete", [])
    assert sum(told["outcomes"].values()) == told["candidates"] == len(formulas)
    assert [event["what"] for event in told["events"]] == ["resumed"]
    assert f"took over from process {driver.pid}" in told["events"][0]["detail"]
