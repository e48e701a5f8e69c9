"""The default campaign as a user runs it: wall time, and peak memory of every process.

``python benchmarks/workflows/campaign.py`` trains every surrogate; with ``--cache FOLDER`` surrogates and energies of
competing phases come from that cache folder. A campaign file may be named in place of the packaged campaign.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from matloop.screening.runs.run_view import RunView
from matloop.workflows.bench.hardware import describe


class Measured(NamedTuple):
    """One run of a campaign."""

    seconds: float
    rows: int
    peaks: dict[str, float]
    output: str


def run_campaign(campaign: str = "optical_window", *, workers: int = 2, cache: Path | None = None) -> Measured:
    """Run ``matloop screen`` in a fresh process, sampling the memory of it and all its children.

    Args:
        campaign: Name or file.
        workers: Number of workers.
        cache: Cache folder whose store of surrogates is used; None if all are trained.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "matloop.workflows.cli", "screen", campaign]
        command += ["--output", str(Path(folder) / "run"), "--workers", str(workers)]
        command += ["--no-store"] if cache is None else []
        environment = {**os.environ} if cache is None else {**os.environ, "MATLOOP_CACHE": str(cache)}
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as process:
            peaks: dict[str, float] = {}
            while process.poll() is None:
                _sample(psutil.Process(process.pid), peaks)
                time.sleep(0.1)
            seconds = time.perf_counter() - start
            output = process.stdout.read() if process.stdout else ""
        if process.returncode:
            raise SystemExit(f"the campaign failed with exit code {process.returncode}")

        rows = RunView(Path(folder) / "run").summary.rows_in
    return Measured(seconds, rows, peaks, output)


def _sample(root: psutil.Process, peaks: dict[str, float]) -> None:
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return
    for process in processes:
        try:
            name = f"{'driver' if process.pid == root.pid else 'child'} {process.pid}"
            peaks[name] = max(peaks.get(name, 0.0), process.memory_info().rss / 1e9)
        except psutil.Error:
            continue


def main() -> None:
    """Print the campaign's own output and what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", nargs="?", default="optical_window", help="name or file")
    parser.add_argument("--cache", type=Path, help="cache folder of matloop whose stores are used")
    options = parser.parse_args()
    named = Path(options.campaign)
    print(describe("dask", "scikit-learn", "torch"))
    measured = run_campaign(str(named.resolve()) if named.is_file() else options.campaign, cache=options.cache)
    print(measured.output)
    print(f"wall time {measured.seconds:.1f} s on 2 workers: {measured.rows:,} candidates, 60 relaxed (target: 240 s)")
    for name, peak in sorted(measured.peaks.items(), key=lambda item: -item[1])[:4]:
        print(f"peak memory {name}: {peak:.2f} GB (target: at most 1.5 GB)")


if __name__ == "__main__":
    main()
