"""Runs that are killed, crowded out of their disk or left without workers, as real processes.

Each ends in bounded time and goes on to the bytes of the run that nothing happened to.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from tests.processes import COMMAND, gone, until, workers_of
from tests.workflows.conftest import files_of, results_of

pytestmark = pytest.mark.slow

CAMPAIGN = """\
name: small
sources:
  - ionic_substitution: {limit: 3000, min_probability: 1e-3, max_sites: 10}
filters: [new_compounds]
targets:
  - {property: piezoelectric_modulus, goal: maximize, unit: C/m2}
surrogates:
  features: [stoichiometry]
  keep: 60
shortlist: {size: 5, diversity: 0.5}
"""
PARTITIONS = 30
SECONDS = 300.0  # nothing takes so long, unless it never ends


def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """matloop in a folder, in a process group of its own."""
    return subprocess.Popen(
        [COMMAND, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The same, ended with all that belongs to it."""
    process = command(folder, *arguments)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and messages of a command that ends by itself."""
    with running(folder, *arguments) as process:
        _, said = process.communicate(timeout=SECONDS)
        return process.returncode, said


def lines_of(run: Path) -> list[dict[str, Any]]:
    """Whole lines of the manifest."""
    path = run / "manifest.jsonl"
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def finished_of(run: Path) -> int:
    return sum(line["kind"] == "partition" for line in lines_of(run))


def state_of(run: Path) -> dict[str, tuple[int, int]]:
    """Of the files that are finished, what changes when one is written again."""
    made_once = (line for line in lines_of(run) if line["kind"] not in ("began", "results"))
    names = [name for line in made_once for name in line.get("files", ())]
    return {name: ((run / name).stat().st_ino, (run / name).stat().st_mtime_ns) for name in names}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happens to."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "campaign.yaml").write_text(CAMPAIGN)
    assert ended(folder, "screen", "campaign.yaml", "--output", "run", "--partition-rows", "100") == (0, "")
    assert finished_of(folder / "run") == PARTITIONS
    return folder / "run"


def scoring_from(unbroken: Path, run: Path, partitions: int = 0) -> None:
    """A run that was cut off after so many partitions."""
    shutil.copytree(unbroken, run)
    for path in [*files_of(run / "cif"), *(path for path in run.iterdir() if path.name in results_of(run))]:
        if path.name not in ("campaign.yaml", "training_sets.json"):
            path.unlink()
    for name in ("run.json", "report.html"):
        (run / name).unlink()
    kept, left = [], partitions
    for line in lines_of(run):
        left -= line["kind"] == "partition"
        if line["kind"] not in ("partition", "fates", "results") or left >= 0:
            kept.append(line)
        elif line["kind"] != "results":
            for name in line["files"]:
                (run / name).unlink()
    (run / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))


BELOW = "fates/surrogates/below-cut.parquet"


def check_result(run: Path, unbroken: Path, partitions: int = PARTITIONS) -> None:
    """All bytes are those of the unbroken run, everything was done once, and nothing else is left."""
    found, expected = results_of(run), results_of(unbroken)
    if partitions != PARTITIONS:  # smaller partitions end fewer rows themselves and leave more to the merge
        del found[BELOW], expected[BELOW]
    assert found == expected
    assert Counter(
        (line["kind"], line["index"]) for line in lines_of(run) if line["kind"] in ("candidates", "partition")
    ) == Counter({(kind, index): 1 for kind in ("candidates", "partition") for index in range(partitions)})
    names = {path.relative_to(run) for path in files_of(run) if not path.name.startswith("part-")}
    assert names <= {path.relative_to(unbroken) for path in files_of(unbroken)}


def test_r14_killed_and_stopped_at_random_moments(unbroken: Path, tmp_path: Path) -> None:
    """R14, R18: the driver is killed while it trains, scores and writes the end, and stopped as a queue would."""
    chance, run = random.Random(14), tmp_path / "run"
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN)
    start = ["screen", "campaign.yaml", "--output", "run", "--partition-rows", "50"]
    # Bytes and whole runs do not depend on the size of partitions; smaller ones leave more moments.
    moments: list[tuple[Callable[[int], bool], float, int]] = [
        (lambda _: (run / "identity.json").exists(), 3.0, signal.SIGKILL),
        (lambda earlier: finished_of(run) >= earlier + 4, 0.2, signal.SIGKILL),
        (lambda earlier: finished_of(run) >= earlier + 4, 0.2, signal.SIGTERM),
        (lambda _: finished_of(run) == 2 * PARTITIONS, 1.0, signal.SIGKILL),
    ]
    told, before = [], dict[str, tuple[int, int]]()
    for number, (reached, longest, how) in enumerate(moments):
        earlier = finished_of(run)
        with running(tmp_path, *start, "--workers", str(1 + number % 2)) as process:
            assert until(lambda: reached(earlier) or process.poll() is not None, SECONDS, pause=0.01)  # noqa: B023
            time.sleep(chance.uniform(0, longest))
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(how)
            _, said = process.communicate(timeout=SECONDS)
            told.append((process.returncode, said))
        assert until(lambda children=children: gone(children), 30)
        now = state_of(run)
        assert {name: now[name] for name in before} == before  # nothing that was finished was done again
        before = now
        start = ["resume", "run"]
    assert [code for code, _ in told] == [-signal.SIGKILL, -signal.SIGKILL, 4, -signal.SIGKILL]
    assert "matloop: interrupted; go on with: matloop resume run\n" in told[2][1]
    assert "Traceback" not in told[2][1]
    assert ended(tmp_path, "resume", "run", "--workers", "4") == (0, "")
    now = state_of(run)
    assert {name: now[name] for name in before} == before
    check_result(run, unbroken, partitions=2 * PARTITIONS)
    events = [line for line in lines_of(run) if line["kind"] == "event"]
    assert [line["what"] for line in events] == ["resumed"] * 4
    assert sum("took over from process" in line["detail"] for line in events) == 3  # the one that was stopped gave back


def test_r14_r15_killed_workers_are_replaced_and_a_second_process_is_refused(unbroken: Path, tmp_path: Path) -> None:
    """R14, R15: three times a worker is killed; meanwhile nobody else can work on the run."""
    chance, run = random.Random(15), tmp_path / "run"
    scoring_from(unbroken, run)
    killed = 0
    with running(tmp_path, "resume", "run") as process:
        for reached in (1, 9, 18):
            assert until(lambda reached=reached: finished_of(run) >= reached, SECONDS, pause=0.01)
            time.sleep(chance.uniform(0, 0.1))
            victims = workers_of(process)
            if victims and finished_of(run) < PARTITIONS:
                chance.choice(victims).kill()
                killed += 1
            if reached == 1:
                process.send_signal(signal.SIGSTOP)  # a run on this machine keeps its lock, asleep or not
                code, said = ended(tmp_path, "resume", "run")
                assert code == 1
                assert said.startswith("matloop: E-RUN-LOCKED: run is being worked on by process")
                assert f"kill {process.pid}" in said
                process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=SECONDS)
        assert (process.returncode, said) == (0, "")
    assert killed >= 2
    check_result(run, unbroken)
    what = Counter(line["what"] for line in lines_of(run) if line["kind"] == "event")
    assert what.keys() <= {"resumed", "worker died"}  # nothing was split, no candidate blamed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many bytes, or gives it another size."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(size: int) -> Path:
        again = ["-o", f"remount,size={size}"] if place.is_mount() else ["-t", "tmpfs", "-o", f"size={size}", "none"]
        done = subprocess.run(["mount", *again, str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        return place

    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    yield sized
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_r16_a_disk_that_fills_up(unbroken: Path, small_disk: Callable[[int], Path], tmp_path: Path) -> None:
    """R16: the run stops with a message and exit code 4, again while there is no room, and goes on once there is."""
    scoring_from(unbroken, tmp_path / "copy", partitions=10)
    block = 4096
    taken = sum(-(-path.stat().st_size // block) * block for path in files_of(tmp_path / "copy"))
    disk = small_disk(taken + 30 * block)  # room for a few partitions more
    shutil.copytree(tmp_path / "copy", disk / "run")
    code, said = ended(disk, "resume", "run")
    assert code == 4, said
    assert said.startswith("matloop: E-RUN-DISK: no room left on the disk")
    assert "free some space, then: matloop resume" in said
    assert "Traceback" not in said
    assert 10 <= finished_of(disk / "run") < PARTITIONS
    assert not list((disk / "run").rglob(".*.partial"))
    before = state_of(disk / "run")
    with contextlib.suppress(OSError), (disk / "filler").open("wb") as file:
        while True:
            file.write(bytes(block))
            file.flush()
    code, said = ended(disk, "resume", "run")
    assert code == 4, said
    assert said.startswith("matloop: E-RUN-DISK: no room left on the disk")
    (disk / "filler").unlink(missing_ok=True)
    small_disk(taken + 30_000_000)
    assert ended(disk, "resume", "run") == (0, "")
    check_result(disk / "run", unbroken)
    now = state_of(disk / "run")
    assert {name: now[name] for name in before} == before


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Dask scheduler of somebody else, without workers; its address is in scheduler.json."""
    process = dask("scheduler", tmp_path, "--host", "127.0.0.1", "--port", "0")
    try:
        assert until((tmp_path / "scheduler.json").exists, SECONDS)
        yield process
    finally:
        process.kill()
        process.wait()


def dask(what: str, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    options = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", "scheduler.json"]
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{what}", *options, *arguments], cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def with_cluster(run: Path, *, patience: float) -> None:
    """Let the campaign of a run ask for that scheduler; where workers are decides nothing."""
    yaml, path = YAML(typ="safe"), run / "campaign.yaml"
    content = yaml.load(path)
    content["cluster"] = {
        "kind": "existing", "scheduler_file": "scheduler.json", "allow_insecure": True, "patience": patience,
    }  # fmt: skip
    with path.open("w") as file:
        yaml.dump(content, file)


def test_r17_no_workers_and_a_scheduler_that_dies(
    unbroken: Path, scheduler: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    """R17, R14: without workers a run ends in bounded time with exit code 3, as it does when its scheduler is lost."""
    run = tmp_path / "run"
    scoring_from(unbroken, run)
    with_cluster(run, patience=2)
    code, said = ended(tmp_path, "resume", "run")
    assert code == 1  # a scheduler that only the run names may be anybody's
    assert "repeat the command with --cluster scheduler.json" in said
    again = ("resume", "run", "--cluster", "scheduler.json")
    code, said = ended(tmp_path, *again)
    assert code == 3
    assert said.startswith("matloop: E-RUN-WORKERS: no worker arrived within 2 s: the scheduler has none")
    assert "matloop resume RUN" in said
    assert finished_of(run) == 0
    with_cluster(run, patience=60)
    worker = dask("worker", tmp_path, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--death-timeout", "5")
    try:
        with running(tmp_path, *again) as process:
            assert until(lambda: finished_of(run) >= 2 or process.poll() is not None, SECONDS, pause=0.01)
            scheduler.kill()
            _, said = process.communicate(timeout=SECONDS)
            assert process.returncode == 3, said
    finally:
        worker.kill()
        worker.wait()
    assert "\nmatloop: E-RUN-WORKERS: " in f"\n{said}"  # Dask logs its own view of it before
    assert 2 <= finished_of(run) < PARTITIONS
    before = state_of(run)
    assert ended(tmp_path, "resume", "run", "--cluster", "local") == (0, "")
    (run / "campaign.yaml").write_bytes((unbroken / "campaign.yaml").read_bytes())
    check_result(run, unbroken)
    now = state_of(run)
    assert {name: now[name] for name in before} == before
