"""Size: wall time and memory from 10,000 to a million candidates, two workers against one, the engine against a loop.

The candidates are ionic substitutions of the packaged crystals, most probable first; features of composition and
crystal; three surrogates. Wall times are those of whole commands in fresh processes, starting of workers, training and
report included.

``python benchmarks/workflows/scale.py growth``, ``python benchmarks/workflows/scale.py workers``
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MATLOOP_STORE_LIMIT"] = "0"  # every run trains its surrogates

import numpy as np  # noqa: E402  # after the thread limits
import pyarrow as pa  # noqa: E402
from campaign import run_campaign  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.screening.campaign.campaign import Campaign  # noqa: E402
from matloop.screening.campaign.campaign_file import write_campaign  # noqa: E402
from matloop.screening.ranking.criteria import MOST_PROBABLE  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.deciding.shortlisting import distinct  # noqa: E402
from matloop.workflows.resume import fork  # noqa: E402
from matloop.workflows.running.candidate_parts import sources_of  # noqa: E402
from matloop.workflows.running.engine import joined  # noqa: E402
from matloop.workflows.running.session import PARTITION_ROWS  # noqa: E402
from matloop.workflows.screen import ScreeningRun, screen  # noqa: E402
from matloop.workflows.stages.scoring import ScoringTask, score_partition  # noqa: E402

SIZES = (10_000, 100_000, 380_000, 1_000_000)
KEEP = 1000


def campaign_of(size: int) -> Campaign:
    """So many candidates, one scoring stage."""
    targets = [
        {"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"},
        {"property": "refractive_index", "goal": "at_least", "value": 2.2, "unit": "1"},
        {"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV"},
    ]
    composition = ["magpie", "stoichiometry", "valence_orbital", "charge_balance"]
    return Campaign.model_validate(
        {
            "name": f"scale-{size}", "sources": [{"ionic_substitution": {"limit": size, "min_probability": 1e-5}}],
            "filters": [], "targets": targets, "shortlist": {"size": 3},
            "surrogates": {"features": [*composition, "density", "symmetry"], "keep": KEEP},
        }
    )  # fmt: skip


def growth(sizes: tuple[int, ...]) -> None:
    """Wall time and peak memory of whole commands, and the exponent of their growth."""
    found = []
    print("candidates   wall time   per 100,000   driver      largest worker")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "campaign.yaml"
            path.write_text(write_campaign(campaign_of(size)), encoding="utf-8")
            measured = run_campaign(str(path))
        driver = max(peak for name, peak in measured.peaks.items() if name.startswith("driver"))
        worker = max(peak for name, peak in measured.peaks.items() if name.startswith("child"))
        found.append((measured.rows, measured.seconds))
        print(
            f"{measured.rows:>10,}  {measured.seconds:8.1f} s  {measured.seconds / measured.rows * 1e5:10.1f} s"
            f"  {driver:7.2f} GB  {worker:7.2f} GB",
            flush=True,
        )
    print("targets: 380,000 in at most 480 s, every process at most 2 GB, memory of the driver does not grow")
    if len(found) > 1:
        rows, seconds = np.log(np.array(found)).T
        print(f"exponent of growth {np.polyfit(rows, seconds, 1)[0]:.2f} (target: at most 1.05)")
        (small, before), (large, after) = found[0], found[-1]
        print(f"between the smallest and the largest: {(after - before) / (large - small) * 1e5:.1f} s per 100,000")


def workers(size: int, repeats: int) -> None:
    """Time to score candidates with two workers and with one, and in plain loops over the same stages.

    Two plain loops at once tell what the machine has for two processes that do not know of each other. What is compared
    are the least times of runs in turn: whatever else the machine does can only add to them.
    """
    campaign, seconds = campaign_of(size), {kind: list[float]() for kind in ("loop", "two loops", "1", "2")}
    with tempfile.TemporaryDirectory() as name:
        trained = screen(campaign, output=Path(name) / "trained", prepare_only=True).folder
        shutil.rmtree(trained / "candidates")  # of the surrogates alone the others are given
        for repeat in range(repeats):
            for count in (1, 2):
                run = fork(trained, Path(name) / f"{count}-{repeat}", workers=count)
                seconds[str(count)].append(run.summary.seconds["candidates scored"])
            for kind, count in (("loop", 1), ("two loops", 2)):
                told = side_by_side(size, run.folder, count)
                seconds[kind].append(max(each for each, _ in told))
        same = set(told[0][1]) == set(run.ranked.ids)
    loop, two_loops, one, two = map(min, seconds.values())
    print(f"{size:,} candidates made and scored; least of {repeats} times each")
    print(f"plain loop in one process   {loop:7.1f} s   the same candidates ranked: {'yes' if same else 'NO'}")
    print(f"two plain loops at once     {two_loops:7.1f} s   {2 * loop / two_loops:.2f} times the work of one")
    print(f"engine, 1 worker            {one:7.1f} s   overhead {one / loop - 1:+.1%} (at most 15 %)")
    print(f"engine, 2 workers           {two:7.1f} s   {one / two:.2f} times as fast (target: 1.7)")
    print("all times:", "; ".join(f"{kind} {', '.join(f'{t:.0f}' for t in each)} s" for kind, each in seconds.items()))


def side_by_side(size: int, folder: Path, count: int) -> list[tuple[float, list[str]]]:
    """So many plain loops at once, each in a process of its own."""
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(plain_loop, [size] * count, [folder] * count))


def plain_loop(size: int, folder: Path) -> tuple[float, list[str]]:
    """The same stages called one after the other, nothing written; the seconds and the best candidates."""
    campaign, run = campaign_of(size), ScreeningRun(folder)
    ends = {
        name: (-np.inf if low is None else low, np.inf if high is None else high)
        for name, (low, high) in run.summary.ranges.items()
    }
    task = ScoringTask(campaign, folder.resolve(), ends)
    sources, best = sources_of(campaign.sources), None
    for source in sources:
        source.count()  # plans what is made; the engine does so before it trains the surrogates
    start = time.perf_counter()
    for source in sources:
        for intake in source.intakes(PARTITION_ROWS):
            made = score_partition(task, intake).best
            table = made if best is None else joined([best, made])
            best = table.take(pa.array(MOST_PROBABLE.order(table)[:KEEP]))
    assert best is not None
    ranked = distinct(CandidateBatch.from_arrow(best), "ranking").ranked
    return time.perf_counter() - start, ranked.ids


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["growth", "workers"])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--size", type=int, default=380_000, help="of the table 'workers'")
    parser.add_argument("--repeats", type=int, default=3, help="of the table 'workers'")
    chosen = parser.parse_args()
    print(describe("dask", "scikit-learn"))
    if chosen.table == "growth":
        growth(tuple(chosen.sizes))
    else:
        workers(chosen.size, chosen.repeats)


if __name__ == "__main__":
    main()
