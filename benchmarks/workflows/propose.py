"""The next batch: time and memory of ``matloop propose`` on a pool of any size, and batches beside those of PHYSBO.

``python benchmarks/workflows/propose.py pool RUN --size 1000000`` makes a pool of that size from the scored candidates
of a finished run, repeated under other ids, and measures the command in a process of its own, by strategy.

``python benchmarks/workflows/propose.py retrained RUN --size 1000000`` measures the same where models that learned from
records judge the whole pool again. The records hold a result of 60 candidates of the run for each property, with the
predicted value, since only the time matters here; models that learned from them are put in use without a contest.

``python benchmarks/workflows/propose.py peer`` measures what PHYSBO takes to choose a batch from pools of growing size,
and replays the packaged refractive indices with both: 50 labels at random, then batches of 20. The forest is the same
for all strategies of matloop; the rivals are its highest predictions and an order of chance. PHYSBO is imported only if
it is installed (https://github.com/issp-center-dev/PHYSBO).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.data.properties.columns import property_column  # noqa: E402
from matloop.data.records.contents import newest_action  # noqa: E402
from matloop.data.records.database import open_records  # noqa: E402
from matloop.data.records.importing import import_sheet  # noqa: E402
from matloop.data.records.ledger import KnownCandidate  # noqa: E402
from matloop.data.records.result_sheet import RESULTS  # noqa: E402
from matloop.data.runs.directory import RunDirectory, part_name  # noqa: E402
from matloop.data.runs.intake_files import read_intake, refused_path  # noqa: E402
from matloop.data.whole_files import write_csv  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.models.acquisition.batch import STRATEGIES, Prospects, choose_batch  # noqa: E402
from matloop.models.acquisition.joint_posterior import loadings_of_members  # noqa: E402
from matloop.models.acquisition.outlook import TargetOutlook  # noqa: E402
from matloop.models.families.extra_trees import ExtraTrees  # noqa: E402
from matloop.screening.runs.run_view import RunView  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.looping.champions import (  # noqa: E402
    ModelDecision,
    describe_champion,
    models_folder,
    write_decision,
)
from matloop.workflows.looping.taught_campaign import taught_by_records, without_records  # noqa: E402
from matloop.workflows.stages.fates import FIRST_STAGE  # noqa: E402
from matloop.workflows.train import train  # noqa: E402

FIRST, BATCH, TOP = 50, 20, 0.01
RESULTS_IN_RECORDS = 60
PEER = "PHYSBO, Thompson sampling"
FOREST = "highest prediction of the forest"


def enlarged(run: Path, folder: Path, size: int) -> int:
    """Copy a run with its parts repeated until they hold so many scored rows; return how many they hold."""
    copied = shutil.ignore_patterns("partitions", "candidates", "best", "fates", "report.html", "dossiers")
    shutil.copytree(run, folder, ignore=copied)
    old, new = RunDirectory(run), RunDirectory(folder)
    for path in (new.partitions / "surrogates", new.candidates, new.best, new.fates):
        path.mkdir(parents=True)
    sources = sorted((old.partitions / "surrogates").glob("part-*.parquet"))
    rows = written = 0
    while rows < size:
        source = sources[written % len(sources)]
        table = pq.read_table(source)
        candidates = pq.read_table(old.candidates / source.name)
        if round_ := written // len(sources):
            table, candidates = (_renamed(one, round_) for one in (table, candidates))
        pq.write_table(table, new.partition("surrogates", written), compression="zstd")
        pq.write_table(candidates, new.candidate_part(written), compression="zstd")
        beside = refused_path(old.candidates / source.name)
        if beside.is_file():
            shutil.copy(beside, refused_path(new.candidates / part_name(written)))
        rows, written = rows + len(candidates), written + 1
    return rows


def _renamed(table: pa.Table, round_: int) -> pa.Table:
    ids = pa.array([f"{name}r{round_}" for name in table["candidate_id"].to_pylist()], pa.string())
    return table.set_column(table.column_names.index("candidate_id"), "candidate_id", ids)


def measure_pool(run: Path, size: int, strategies: list[str]) -> None:
    """Print time and memory of the command."""
    print(describe())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        rows = enlarged(run, folder, size)
        print(f"\n{rows:,} candidates, batch of {BATCH}\n\n| strategy | seconds | processor seconds | memory (GB) |")
        print("|---|---:|---:|---:|")
        for strategy in strategies:
            _measure_command(folder, "--strategy", strategy, name=strategy)


def _measure_command(run: Path, *options: str, name: str) -> None:
    """Print what the command takes, in a row of a table."""
    command = [sys.executable, "-m", "matloop", "propose", str(run), "--dry-run", "--json", "--batch", str(BATCH)]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, cwd=run.parent)
    used, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(f"| {name} | {seconds:.1f} | {processor:.1f} | {used.ru_maxrss / 1e6:.2f} |", flush=True)


def measure_retrained(run: Path, size: int, properties: list[str]) -> None:
    """Print time and memory of the command where models that learned from records judge the pool."""
    print(describe())
    with tempfile.TemporaryDirectory() as scratch:
        folder, records = Path(scratch) / "run", str(Path(scratch) / "records.sqlite")
        rows = enlarged(run, folder, size)
        print(
            f"\n{rows:,} candidates, batch of {BATCH}\n\n| models in use | seconds | processor seconds | memory (GB) |"
        )
        print("|---|---:|---:|---:|")
        for count in range(len(properties) + 1):
            if count:
                put_in_use(RunView(folder), properties[count - 1], records)
            name = " and ".join(properties[:count]) or "none"
            _measure_command(folder, *(("--records", records) if count else ()), name=name)


def put_in_use(run: RunView, name: str, records: str) -> None:
    """Take in results of some candidates of the run, train the model that learns from them, and let records name it."""
    part = read_intake(run.paths.candidate_part(0)).batch
    scored = run.table(
        run.parts(run.paths.partitions / FIRST_STAGE)[0], ["candidate_id", property_column(name, "pred")]
    )
    values = dict(zip(*(column.to_pylist() for column in scored.columns), strict=True))
    rows = [row for row, one in enumerate(part.ids) if np.isfinite(values.get(one) or np.nan)][:RESULTS_IN_RECORDS]
    known, property_ = {}, property_named(name)
    cells = [[column.heading("en") for column in RESULTS]]
    for row in rows:
        said = {
            "candidate_id": part.ids[row], "formula": part.formulas[row], "sample_id": f"{name}-{row}",
            "outcome": "made", "property": property_.label_en, "value": f"{values[part.ids[row]]:.4g}",
            "unit": property_.unit,
        }  # fmt: skip
        cells.append([said.get(column.key, "") for column in RESULTS])
        known[part.ids[row]] = KnownCandidate(part.formulas[row], cif=part.kinds[row].export(part, row, facts={}))
    sheet, database = Path(records).parent / f"{name}.csv", open_records(records)
    write_csv(sheet, cells[0], cells[1:])
    import_sheet(database, sheet, candidates=known)
    models, until = models_folder(records, None), newest_action(database)
    models.mkdir(exist_ok=True)
    base = train(without_records(run.campaign, name), output=models / f"first-{name}")
    taught = taught_by_records(run.campaign, base, place=records, laboratory="", until=until)
    champion = describe_champion(train(taught, output=models / name).folder, until=until)
    write_decision(database, ModelDecision(run.campaign.name, name, "wins", champion), before=None)


def packaged_indices() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of composition and refractive indices of the packaged crystals."""
    batch = load_materials()
    index = np.asarray(batch.column("refractive_index_dft"), float)
    rows = np.flatnonzero(np.isfinite(index))
    features = feature_set(["magpie", "stoichiometry"]).featurize(batch.take(rows))
    sound = np.flatnonzero(features.codes == "")
    return features.values[sound], index[rows[sound]]


def replay(values: NDArray[np.float64], index: NDArray[np.float64], *, name: str, seed: int, rounds: int) -> list[int]:
    """How many of the best are labelled after each round."""
    limit = float(np.quantile(index, 1 - TOP))
    labelled = np.random.default_rng(seed).permutation(len(index))[:FIRST]
    found = []
    for number in range(rounds):
        left = np.setdiff1d(np.arange(len(index)), labelled)
        chosen = (
            peer_batch(values, index, labelled, seed + number) if name == PEER
            else left[forest_batch(values, index, labelled, left, limit=limit, name=name, seed=seed)]
        )  # fmt: skip
        labelled = np.concatenate([labelled, chosen])
        found.append(int((index[labelled[FIRST:]] >= limit).sum()))
    return found


def forest_batch(
    values: NDArray[np.float64], index: NDArray[np.float64], labelled: NDArray[np.int64], left: NDArray[np.int64], *,
    limit: float, name: str, seed: int,
) -> NDArray[np.int64]:  # fmt: skip
    """A batch by a forest."""
    forest = ExtraTrees(seed=seed).fit(values[labelled], index[labelled])
    mean, sigma = forest.predict(values[left])
    best = np.argsort(-mean, kind="stable")
    if name == FOREST:
        return best[:BATCH]
    finalists = np.union1d(best[:1000], np.argsort(-(mean + 2 * sigma), kind="stable")[:1000])
    loadings = loadings_of_members(forest.member_predictions(values[left[finalists]]), sigma[finalists])
    spread = float(np.std(index[labelled]))
    target = TargetOutlook(mean[finalists], sigma[finalists], limit, spread=spread, loadings=loadings)
    known = max(0.0, (float(index[labelled].max()) - limit) / spread)
    ids = np.array([f"{row:06d}" for row in left[finalists]])
    prospects = Prospects(ids, (target,), best=known if name != "probability" else 0.0)
    return finalists[[choice.row for choice in choose_batch(prospects, STRATEGIES[name], BATCH, seed=seed)]]


def peer_batch(
    values: NDArray[np.float64], index: NDArray[np.float64], labelled: NDArray[np.int64], seed: int, basis: int = 500
) -> NDArray[np.int64]:
    """A batch by PHYSBO."""
    import physbo

    deviation = values.std(axis=0)
    scaled = (values[:, deviation > 0] - values[:, deviation > 0].mean(axis=0)) / deviation[deviation > 0]
    policy = physbo.search.discrete.Policy(test_X=scaled, initial_data=[labelled, index[labelled]])
    policy.set_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        chosen = policy.bayes_search(
            max_num_probes=1, num_search_each_probe=BATCH, simulator=None, score="TS", interval=0, num_rand_basis=basis
        )
    return np.asarray(chosen, np.int64)


def measure_peer_pool(size: int) -> None:
    """Print what one batch of PHYSBO takes from a pool of so many rows."""
    values, index = packaged_indices()
    rows = np.random.default_rng(0).integers(0, len(values), size)
    labelled = np.arange(FIRST)
    start = time.perf_counter()
    peer_batch(values[rows], index[rows], labelled, 0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"| {size:,} | {time.perf_counter() - start:.1f} | {memory:.2f} |", flush=True)


def measure_peer(seeds: int, rounds: int, sizes: list[int]) -> None:
    """Print time, memory and quality beside the peer."""
    print(describe())
    try:
        import physbo

        names = [PEER]
        print(f"PHYSBO {physbo.__version__}")
    except ImportError:
        names = []
        print("PHYSBO is not installed: matloop alone")
    if names:
        print("\n| rows of the pool | seconds for a batch | memory (GB) |\n|---:|---:|---:|")
        for size in sizes:
            process = multiprocessing.get_context("spawn").Process(target=measure_peer_pool, args=(size,))
            process.start()
            process.join()
            if process.exitcode:
                print(f"| {size:,} | ended with {process.exitcode} | |", flush=True)
    values, index = packaged_indices()
    best = int((index >= np.quantile(index, 1 - TOP)).sum())
    print(f"\n{len(index):,} refractive indices, {best} in the top {TOP:.0%}; found after {rounds} batches of {BATCH}")
    print(f"by chance: {best * rounds * BATCH / len(index):.1f}\n\n| strategy | median | each seed | seconds a batch |")
    print("|---|---:|---|---:|")
    for name in [FOREST, "probability", "expected_improvement", "upper_confidence_bound", "thompson", *names]:
        start = time.perf_counter()
        found = [replay(values, index, name=name, seed=seed, rounds=rounds)[-1] for seed in range(seeds)]
        seconds = (time.perf_counter() - start) / seeds / rounds
        print(f"| {name} | {np.median(found):g} | {', '.join(map(str, found))} | {seconds:.1f} |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    pool = parts.add_parser("pool")
    pool.add_argument("run", type=Path)
    pool.add_argument("--size", type=int, default=1_000_000)
    pool.add_argument("--strategy", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    retrained = parts.add_parser("retrained")
    retrained.add_argument("run", type=Path)
    retrained.add_argument("--size", type=int, default=1_000_000)
    retrained.add_argument("--property", nargs="+", default=["refractive_index", "band_gap"])
    peer = parts.add_parser("peer")
    peer.add_argument("--seeds", type=int, default=5)
    peer.add_argument("--rounds", type=int, default=8)
    peer.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000])
    chosen = parser.parse_args()
    if chosen.part == "pool":
        measure_pool(chosen.run, chosen.size, chosen.strategy)
    elif chosen.part == "retrained":
        measure_retrained(chosen.run, chosen.size, chosen.property)
    else:
        measure_peer(chosen.seeds, chosen.rounds, chosen.sizes)


if __name__ == "__main__":
    main()
