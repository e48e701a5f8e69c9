"""One fate for every row: what comparing the ids of the intake with those of all fates costs, and what a run says.

    python benchmarks/workflows/fates.py                    # synthetic runs of 160,000 and 1,000,000 rows
    python benchmarks/workflows/fates.py --rows 20000       # of another size
    python benchmarks/workflows/fates.py RUN                # a finished run

A synthetic run has candidates, fates of partitions and the fates of one merge, and every fifth thousandth row is a
repeat. Seconds are those of the comparison alone; memory is what it adds to the process at its peak.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.candidates.reasons import BELOW_CUT, NOT_CHOSEN, REPEATED, Reason
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.intake_files import refused_path
from matloop.data.runs.manifest import Manifest
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.screening.filters.elements import EXCLUDED_ELEMENT
from matloop.workflows.bench.hardware import describe
from matloop.workflows.running.conservation import account_of
from matloop.workflows.stages.fates import BELOW, FIRST_STAGE, REJECTED, SCORED, fate_table
from matloop.workflows.stages.stage_names import partitioned_stages

SIZES = (160_000, 1_000_000)
PARTITION_ROWS = 10_000
KEEP = 5_000
SYMBOLS = ("Tl", "Cd", "Hg", "Pb")


def measured(folder: Path, stages: list[str]) -> dict[str, Any]:
    """What the comparison finds in a run directory, its seconds and the memory it adds, in MB."""
    manifest = Manifest(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    account = account_of(RunDirectory(folder), manifest, stages)
    seconds = time.perf_counter() - start
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"account": account, "seconds": seconds, "megabytes": added, "peak": (before / 1024) + added}


def write_synthetic(folder: Path, rows: int) -> float:
    """A run directory of so many rows; returns the seconds of writing the fates of its merges."""
    run = RunDirectory.create(folder, "synthetic")
    manifest, rng, left = Manifest(run.folder), np.random.default_rng(0), []
    for index, start in enumerate(range(0, rows, PARTITION_ROWS)):
        count = min(PARTITION_ROWS, rows - start)
        ids = [f"x{hashlib.blake2b(str(start + row).encode(), digest_size=10).hexdigest()}" for row in range(count)]
        repeats = ids[:2] if index else []
        _write_candidates(run, manifest, index, ids, repeats)
        code = rng.random(count)
        table = pa.table({"candidate_id": ids, "formula": ["NaCl"] * count})
        reasons = [
            Reason(EXCLUDED_ELEMENT, SYMBOLS[row % len(SYMBOLS)], source="exclude_elements") for row in range(count)
        ]
        fates = fate_table(table, REJECTED, "filter exclude_elements", reasons).to_pydict()
        fates["outcome"] = [SCORED if value > 0.5 else REJECTED for value in code]
        fates["input_row"] = [None] * count
        for place, name in enumerate(repeats):
            told = (name, "NaCl", REJECTED, "intake", REPEATED, "", "", "", "", place)
            for column, value in zip(fates, told, strict=True):
                fates[column].append(value)
        path = run.partition(FIRST_STAGE, index)
        path.parent.mkdir(exist_ok=True)
        types = [(name, pa.int64() if name == "input_row" else pa.string()) for name in fates]
        pq.write_table(pa.table(fates, schema=pa.schema(types)), path, compression="zstd")
        manifest.append("partition", stage=FIRST_STAGE, index=index, rows=count, key=str(index), files={}, counts=[])
        left.append(table.filter(pa.array(code > 0.5)))
    start_time = time.perf_counter()
    survivors = pa.concat_tables(left)
    for stage, merge, part, table, code_of in (
        ("shortlist", "choice", "shortlist", survivors.slice(0, KEEP), NOT_CHOSEN),
        (FIRST_STAGE, BELOW, "ranking", survivors.slice(KEEP), BELOW_CUT),
    ):
        path = run.merge(stage, merge)
        path.parent.mkdir(parents=True, exist_ok=True)
        reasons = [Reason(code_of, value, KEEP, "most probable") for value in rng.random(len(table)).tolist()]
        pq.write_table(fate_table(table, REJECTED, part, reasons), path, compression="zstd")
        manifest.append("fates", stage=stage, merge=merge, files={}, counts=[], least=None)
    return time.perf_counter() - start_time


def _write_candidates(run: RunDirectory, manifest: Manifest, index: int, ids: list[str], repeats: list[str]) -> None:
    path = run.candidate_part(index)
    pq.write_table(pa.table({"candidate_id": ids}), path, compression="zstd")
    files = {f"candidates/{path.name}": ""}
    if repeats:
        places = list(range(len(repeats)))
        pq.write_table(pa.table({"row": pa.array(places, pa.int64()), "candidate_id": repeats}), refused_path(path))
        files[f"candidates/{refused_path(path).name}"] = ""
    manifest.append("candidates", index=index, rows=len(ids) + len(repeats), files=files)


def synthetic(sizes: list[int]) -> None:
    """Print a line for each size; each is measured in a process of its own."""
    print(f"{'rows':>10} {'merge written, s':>17} {'compared, s':>12} {'memory added, MB':>17}  equal")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name, multiprocessing.get_context("spawn").Pool(1) as pool:
            folder = Path(name) / "run"
            written = write_synthetic(folder, rows)
            found = pool.apply(measured, (folder, [FIRST_STAGE]))
        account = found["account"]
        figures = f"{account.intake:>10,} {written:>17.2f} {found['seconds']:>12.2f} {found['megabytes']:>17.0f}"
        print(f"{figures}  {account.balanced}")


def of_run(folder: Path) -> None:
    """Print what a finished run says."""
    campaign = read_campaign(folder / "campaign.yaml")
    found = measured(folder, partitioned_stages(campaign))
    account = found["account"]
    print(f"{account.intake:,} rows came in, {account.fates:,} fates; equal as sets: {account.balanced}")
    for ending, rows in sorted(account.counts.items(), key=lambda item: (-item[1], item[0])):
        told = ", ".join(filter(None, [ending.code, ending.value, ending.limit and f"limit {ending.limit}"]))
        print(f"  {rows:>10,}  {ending.stage}: {ending.outcome}, {told}")
    print(f"{found['seconds']:.2f} s, {found['megabytes']:.0f} MB added, {found['peak']:.0f} MB at the peak")


def main() -> None:
    """Print the table of synthetic runs, or what a finished run says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    chosen = parser.parse_args()
    if chosen.run is not None:
        of_run(chosen.run)
    else:
        print(describe("pyarrow"))
        synthetic(chosen.rows)


if __name__ == "__main__":
    main()
