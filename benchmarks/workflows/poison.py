"""Poison: one candidate that crashes, one that hangs, one that eats memory, one that exits, among 2,000 good ones.

They do so in a featurizer of another package, which a campaign names as ``guarded``: what it does to its process is out
of anybody's hands. The folder is screened without and with the four; the good ones must come out the same, nearly as
fast.

``python benchmarks/workflows/poison.py``
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MATLOOP_STORE_LIMIT"] = "0"  # every run trains its surrogates

import pyarrow as pa  # noqa: E402  # after the thread limits
import pyarrow.parquet as pq  # noqa: E402
from ase import Atoms  # noqa: E402
from dirty_folder import write_good  # noqa: E402
from pymatgen.io.ase import AseAtomsAdaptor  # noqa: E402
from pymatgen.io.vasp import Poscar  # noqa: E402

from matloop.screening.campaign.campaign import Campaign  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.screen import ScreeningRun, screen  # noqa: E402

PLUGIN = """
import ctypes, os
import numpy as np
from matloop.featurizers.base import Features, Featurizer, no_codes


def suffer(formula):
    if formula == "K5Na":
        ctypes.string_at(0)
    if formula == "Rb5Na":
        ctypes.CDLL(None).sleep(10_000)
    if formula == "KRb5":
        held = [np.ones(50_000_000) for _ in range(1_000)]
    if formula == "Cs5Na":
        os._exit(3)


class Angles(Featurizer):
    name, version, needs, parameters = "angles", "1", frozenset({"crystals"}), {}
    feature_names = ("smallest angle", "largest angle")

    def featurize(self, batch):
        values = np.empty((len(batch), 2))
        for row, formula in enumerate(batch.formulas):
            suffer(formula)
            angles = batch.structure(row).get_primitive_structure().lattice.angles
            values[row] = min(angles), max(angles)
        return Features(values, no_codes(len(batch)))
"""
POISON = ("K5Na", "Rb5Na", "KRb5", "Cs5Na")
SECONDS = 2.0


def install(folder: Path) -> None:
    """Put a package with the featurizer where this process and its children find it."""
    (folder / "angles_plugin.py").write_text(PLUGIN, encoding="utf-8")
    facts = folder / "angles_plugin-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: angles-plugin\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[matloop.featurizers]\nangles = angles_plugin:Angles\n", encoding="utf-8")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    sys.path.insert(0, str(folder))


def campaign(folder: Path) -> Campaign:
    """Screen a folder of structure files, with the plug-in's features beside own ones."""
    guarded: dict[str, Any] = {"guarded": {"featurizer": "angles", "seconds": SECONDS, "megabytes": 1000}}
    return Campaign.model_validate(
        {
            "name": "poison", "sources": [{"structure_files": str(folder)}],
            "targets": [{"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV"}],
            "surrogates": {"features": ["magpie", "valence_orbital", guarded], "keep": 50}, "shortlist": {"size": 3},
        }
    )  # fmt: skip


def outcomes(run: ScreeningRun) -> dict[str, dict[str, Any]]:
    """Everything the partitions say of each file."""
    paths = sorted((run.folder / "partitions" / "surrogates").glob("*.parquet"))
    return {row["origin"]: row for row in pa.concat_tables(map(pq.read_table, paths)).to_pylist()}


def main() -> None:
    """Print what became of the four, how many others differ, and the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", type=int, default=1996)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs; their medians are compared")
    chosen = parser.parse_args()
    print(describe("dask"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plugin").mkdir()
        install(folder / "plugin")
        for part in ("clean", "mixed"):
            (folder / part).mkdir()
            write_good(folder / part, chosen.good)
        for formula in POISON:
            places = [(k / 6, 0.5 * (k % 2), 0) for k in range(6)]
            atoms = Atoms(formula, cell=[18, 6, 6], scaled_positions=places, pbc=True)
            Poscar(AseAtomsAdaptor.get_structure(atoms)).write_file(folder / "mixed" / f"poison-{formula}.vasp")
        seconds: dict[str, list[float]] = {"clean": [], "mixed": []}
        for repeat in range(chosen.repeats):
            for part, times in seconds.items():
                start = time.perf_counter()
                screen(campaign(folder / part), output=folder / f"{part}-{repeat}", partition_rows=250)
                times.append(time.perf_counter() - start)
        before, after = (outcomes(ScreeningRun(folder / f"{part}-0")) for part in seconds)
    poison = {origin: row for origin, row in after.items() if origin not in before}
    for origin, row in sorted(poison.items()):
        print(f"  {origin:<20} {row['formula']:<8} {row['outcome']:<12} {row['code']:<20} {row['detail']}")
    quarantined = sum(row["outcome"] == "quarantined" and "FEATURE" in row["code"] for row in poison.values())
    same = sum(pa.Table.from_pylist([row]).equals(pa.Table.from_pylist([after[key]])) for key, row in before.items())
    clean, mixed = (statistics.median(times) for times in seconds.values())
    print(f"quarantined {quarantined} of {len(poison)} (target: 4 of 4); the same as before {same} of {len(before)}")
    print(f"{clean:.1f} s without, {mixed:.1f} s with them: {mixed / clean - 1:+.1%} (target: at most +20 %)")


if __name__ == "__main__":
    main()
