"""How long a Matbench task of 1,300 structures takes, reading, features and all five folds included.

The structures are packaged crystals with their formation energies, drawn once, in the published ``json.gz`` layout of
``matbench_mp_e_form``; the command is the one users type. The score is that of these rows, not of the published task.

``python benchmarks/workflows/matbench.py``
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from matloop.data.packaged.materials import load_materials
from matloop.workflows.bench.hardware import describe

LIMIT = 15 * 60  # s


def write_task(path: Path, count: int) -> None:
    """Packaged crystals in the published layout."""
    materials = load_materials()
    energies = materials.column("formation_energy_per_atom_dft")
    rows = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(energies)))[:count])
    data = [[materials.structure(row).as_dict(), float(energies[row])] for row in rows]
    content = {"index": list(range(count)), "columns": ["structure", "e_form"], "data": data}
    path.write_bytes(gzip.compress(json.dumps(content).encode()))


def main() -> None:
    """Print the command's own output and its wall time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=1300)
    count = parser.parse_args().structures
    print(describe("scikit-learn", "lightgbm"), flush=True)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "matbench_mp_e_form.json.gz"
        write_task(path, count)
        command = [sys.executable, "-m", "matloop.workflows.cli", "bench", "matbench", "--task", "matbench_mp_e_form"]
        start = time.perf_counter()
        done = subprocess.run([*command, "--file", str(path), "--output", str(Path(name) / "results")], check=False)
        seconds = time.perf_counter() - start
    print(f"{count:,} structures: {seconds:.0f} s on 2 cores (target: at most {LIMIT} s), exit code {done.returncode}")


if __name__ == "__main__":
    main()
