"""Kills: one run of 50,000 candidates whose driver or workers are killed (SIGKILL) thirty times, at random moments.

After a kill of the driver the run is resumed; a worker that was killed is replaced by the run itself. At the end the
shortlist must be that of an undisturbed run, byte for byte, and no finished partition may have been computed twice.

``python benchmarks/workflows/kills.py``
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MATLOOP_STORE_LIMIT"] = "0"  # every run trains its surrogates

import psutil  # noqa: E402  # after the thread limits
from scale import campaign_of  # noqa: E402

from matloop.screening.campaign.campaign_file import write_campaign  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

MATLOOP = [sys.executable, "-m", "matloop.workflows.cli"]
SAME = ("shortlist.csv", "ranked.parquet", "novelty.json", "explanations.json")


def workers_of(driver: psutil.Process) -> list[psutil.Process]:
    """Worker processes of a run."""
    found = []
    for child in driver.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def kill_one(driver: psutil.Process, choice: random.Random) -> str:
    """Kill the driver or one of the workers; which it was."""
    with contextlib.suppress(psutil.Error):
        workers = workers_of(driver)
        if workers and choice.random() < 0.5:
            choice.choice(workers).kill()
            return "worker"
    driver.kill()
    return "driver"


def disturbed(campaign: Path, output: Path, kills: int, choice: random.Random) -> Counter[str]:
    """Run to the end, whatever it takes; what was killed how often."""
    killed: Counter[str] = Counter()
    command = [*MATLOOP, "screen", str(campaign), "--output", str(output), "--partition-rows", "1000"]
    while True:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            driver = psutil.Process(process.pid)
            while process.poll() is None and killed.total() < kills:
                end = time.monotonic() + choice.uniform(2, 14)
                while process.poll() is None and time.monotonic() < end:
                    time.sleep(0.05)
                if process.poll() is None and (output / "identity.json").is_file():
                    killed[kill_one(driver, choice)] += 1
            _, said = process.communicate()
        if process.returncode == 0:
            return killed
        # 3: its workers were killed while they started.
        if process.returncode not in (-9, 3):
            raise SystemExit(f"exit code {process.returncode}: {said}")
        command = [*MATLOOP, "resume", str(output)]


def redone(output: Path) -> int:
    """How many things the manifest says were finished more than once."""
    lines = [json.loads(line) for line in (output / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    parts = Counter(
        (line["kind"], line.get("stage"), line.get("property"), line.get("index"))
        for line in lines
        if line["kind"] in ("candidates", "partition", "model")
    )
    return sum(count - 1 for count in parts.values())


def main() -> None:
    """Print what was killed, what differs and what was computed twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(describe("dask"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        campaign = folder / "campaign.yaml"
        campaign.write_text(write_campaign(campaign_of(chosen.candidates)), encoding="utf-8")
        start = time.perf_counter()
        undisturbed = disturbed(campaign, folder / "undisturbed", 0, random.Random(0))
        between = time.perf_counter()
        killed = disturbed(campaign, folder / "killed", chosen.kills, random.Random(chosen.seed))
        end = time.perf_counter()
        assert not undisturbed
        different = [
            file
            for file in SAME
            if (folder / "killed" / file).read_bytes() != (folder / "undisturbed" / file).read_bytes()
        ]
        twice = redone(folder / "killed")
        events = Counter(
            line["what"]
            for line in map(json.loads, (folder / "killed" / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
            if line["kind"] == "event"
        )
    print(f"{chosen.candidates:,} candidates in partitions of 1,000")
    print(f"undisturbed {between - start:.0f} s; killed {killed.total()} times ({dict(killed)}) {end - between:.0f} s")
    print(f"what the run wrote down: {dict(events)}")
    print(f"files that differ: {', '.join(different) or 'none'} of {', '.join(SAME)} (target: none)")
    print(f"finished partitions computed again: {twice} (target: 0)")


if __name__ == "__main__":
    main()
