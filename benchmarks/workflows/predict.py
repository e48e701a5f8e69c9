"""``matloop predict`` on a million formulas, one in a hundred of them refused: time, peak memory, order of the rows.

The model predicts band gaps from compositions. Training and predicting are whole commands in fresh processes.

``python benchmarks/workflows/predict.py [--rows 1000000]``
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from matloop.workflows.bench.hardware import describe

REFUSED = 100  # one row of so many
ANIONS = ("O", "S", "N", "F", "Cl", "Se", "Br")
WRONG = ("Fe0", "?", "Xx2", "")
CAMPAIGN = """
name: gaps
sources: [{ionic_substitution: {limit: 1}}]
targets: [{property: band_gap, goal: at_least, value: 2.5, unit: eV}]
surrogates: {features: [magpie, stoichiometry, valence_orbital], keep: 1}
shortlist: {size: 1}
"""


def formulas(count: int) -> list[str]:
    """Formulas of two metals and an anion, with rows that are refused among them."""
    random = np.random.default_rng(0)
    metals = "Li Na K Mg Ca Sr Ba Sc Y La Ti Zr Hf V Nb Ta Cr Mo W Mn Fe Co Ni Cu Zn Al Ga In Si Ge Sn".split()
    first, second, anion = random.choice(metals, count), random.choice(metals, count), random.choice(ANIONS, count)
    amounts = random.integers(1, 10, (count, 3))
    made = [
        f"{one}{x}{two}{y}{three}{z}"
        for one, two, three, (x, y, z) in zip(first, second, anion, amounts.tolist(), strict=True)
    ]
    for row in range(0, count, REFUSED):
        made[row] = WRONG[row // REFUSED % len(WRONG)]
    return made


def called(*arguments: str) -> tuple[float, float]:
    """Run a command; returns wall seconds and peak memory in GB of the largest process so far."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "matloop.workflows.cli", *arguments], check=True)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def main() -> None:
    """Train, predict, and compare the rows of the output with those of the input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    print(describe("scikit-learn", "pyarrow"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gaps.yaml").write_text(CAMPAIGN, encoding="utf-8")
        seconds, memory = called("train", str(folder / "gaps.yaml"), "--output", str(folder / "model"), "--no-store")
        print(f"training: {seconds:.1f} s, peak memory {memory:.2f} GB")
        given = pa.table({"place": np.arange(count), "formula": formulas(count)})
        for suffix in ("parquet", "csv"):
            source, output = folder / f"in.{suffix}", folder / f"out.{suffix}"
            pq.write_table(given, source) if suffix == "parquet" else pa.csv.write_csv(given, source)
            seconds, memory = called("predict", str(folder / "model"), str(source), "--output", str(output))
            back = pq.read_table(output) if suffix == "parquet" else pa.csv.read_csv(output)
            places = np.array_equal(back["place"].to_numpy(), np.arange(count))
            refused = np.flatnonzero(np.array(back["code"].to_pylist(), object) != "")
            in_place = np.array_equal(refused, np.arange(0, count, REFUSED))
            print(
                f"{suffix}: {count:,} rows in {seconds:.1f} s, {count / seconds:,.0f} rows a second, peak memory "
                f"{memory:.2f} GB; rows in order: {places}; refused rows in their places: {in_place}",
                flush=True,
            )


if __name__ == "__main__":
    main()
