"""The default campaign through a Slurm: one allocation whose wall-time ends in the middle, then a job array.

Times are those from submission to the last job, waiting in the queue included. Set Slurm up with ``bash .ci/slurm``.

``python benchmarks/workflows/slurm.py [CAMPAIGN]``
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from matloop.workflows.bench.hardware import describe

PARTITIONS_BEFORE_THE_KILL = 3
TASKS = 2


def told(*command: str) -> str:
    """What a command of Slurm answers."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def submitted(campaign: str, run: Path, *options: str) -> list[str]:
    """Submit; returns the lines that name the jobs."""
    command = [sys.executable, "-m", "matloop.workflows.cli", "submit", campaign, "--cluster", "slurm"]
    subprocess.run([*command, "--output", str(run), *options], check=True, stdout=subprocess.DEVNULL)
    return jobs_of(run)


def jobs_of(run: Path) -> list[str]:
    """Step and job id of every job so far."""
    return (run / "submission" / "jobs.txt").read_text().splitlines()


def finished_partitions(run: Path) -> int:
    """Finished partitions, as the manifest tells."""
    manifest = run / "manifest.jsonl"
    return manifest.read_text().count('"kind": "partition"') if manifest.exists() else 0


def wait_for_the_end(run: Path) -> None:
    """Wait until none of the run's jobs is in the queue."""
    while told("squeue", "--noheader", f"--name=matloop-{run.name}"):
        time.sleep(1)


def end_of_walltime(run: Path) -> int:
    """End the wall-time of the job once some partitions are finished; returns how many there were."""
    while finished_partitions(run) < PARTITIONS_BEFORE_THE_KILL:
        if not told("squeue", "--noheader", f"--name=matloop-{run.name}"):
            raise SystemExit(f"{run} ended early; see {run}/submission/logs")
        time.sleep(0.2)
    job = jobs_of(run)[0].split()[1]
    soon = datetime.now() + timedelta(seconds=1)
    told("scontrol", "update", f"JobId={job}", f"EndTime={soon:%FT%T}")  # Slurm looks every half minute
    return finished_partitions(run)


def report(name: str, run: Path, seconds: float) -> None:
    """One block: outcome, time, and how each job ended."""
    complete = (run / "run.json").exists() and (run / "report.html").exists()
    print(f"{name}: {'complete' if complete else 'NOT complete'}, {seconds / 60:.1f} min")
    for line in jobs_of(run):
        step, job, *condition = line.split()
        fact = told("scontrol", "show", "job", job)
        states = sorted({part.split()[0] for part in fact.split("JobState=")[1:]})
        print(f"  {step:8} {job:>6} {' '.join(condition):18} {', '.join(states)}")


def main(campaign: str) -> None:
    """Both ways, and whether they end with the same shortlist."""
    print(describe("distributed"))
    print(told("sinfo", "--version").strip())
    folder = Path(tempfile.mkdtemp(prefix="matloop-slurm-"))
    start = time.perf_counter()
    submitted(campaign, folder / "allocation", "--time", "2:00:00")
    before = end_of_walltime(folder / "allocation")
    wait_for_the_end(folder / "allocation")
    report("one allocation, wall-time ended in the middle", folder / "allocation", time.perf_counter() - start)
    lines = map(json.loads, (folder / "allocation" / "manifest.jsonl").read_text().splitlines())
    names = [(line["stage"], line["index"]) for line in lines if line["kind"] == "partition"]
    worked = len((folder / "allocation" / "submission" / "started.txt").read_text().splitlines())
    print(f"  partitions finished when the wall-time was ended: {before}; jobs that worked on the run: {worked}")
    print(f"  partitions done twice: {len(names) - len(set(names))} of {len(set(names))}")
    start = time.perf_counter()
    submitted(campaign, folder / "array", "--time", "2:00:00", "--array", str(TASKS))
    wait_for_the_end(folder / "array")
    report(f"array of {TASKS} tasks", folder / "array", time.perf_counter() - start)
    files = [folder / run / "shortlist.csv" for run in ("allocation", "array")]
    same = all(file.exists() for file in files) and len({file.read_bytes() for file in files}) == 1
    print(f"same shortlist: {'yes' if same else 'NO'}; runs are kept in {folder}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "optical_window")
