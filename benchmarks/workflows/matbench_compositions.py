"""A task of Matbench by composition, with the default choice of families, on the rows that ``crabnet`` 2.0.8 carries.

The wheel holds the 13 tasks as formulas and targets, without structures (the data of Dunn et al., npj Comput. Mater. 6,
138 (2020)). Its rows stand in the order of Matbench: predicting the mean of the training rows in the published folds
gives the published score of the dummy, which is printed first. Tasks of structures are given as formulas alone here, so
their scores are not to be compared with those of models that read structures.

``pip download --no-deps --ignore-requires-python crabnet==2.0.8 -d FOLDER``, then
``python benchmarks/workflows/matbench_compositions.py FOLDER --task steels``. Other options, such as ``--folds`` and
``--budget``, are those of ``matloop bench matbench``; ``--output`` keeps finished folds, and the same call goes on from
there. The last line tells how the intervals hold for formulas of which other rows were in training, and for new ones.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pymatgen.core import Composition

from matloop.workflows.bench.hardware import describe
from matloop.workflows.bench.matbench import published_folds
from matloop.workflows.bench.matbench_tasks import MatbenchTask, task_named

FILES = {
    "matbench_steels": "steels_yield", "matbench_log_gvrh": "elasticity_log10(G_VRH)",
    "matbench_log_kvrh": "elasticity_log10(K_VRH)", "matbench_perovskites": "castelli",
}  # fmt: skip
"""Files of the wheel that are not named like the task."""


def rows_of(folder: Path, task: MatbenchTask) -> list[list[Any]]:
    """Formulas and targets of a task in the wheel."""
    name = FILES.get(task.name, task.name.removeprefix("matbench_"))
    with zipfile.ZipFile(next(folder.glob("crabnet-2.0.8-*.whl"))) as wheel:
        text = wheel.read(f"crabnet/data/matbench/{name}.csv").decode()
    read = list(csv.DictReader(io.StringIO(text)))
    return [
        [row["formula"], bool(float(row["target"])) if task.is_classification else float(row["target"])] for row in read
    ]


def main() -> None:
    """Print the check of the order of rows, and the command's own output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the wheel")
    parser.add_argument("--task", default="steels")
    parser.add_argument("--output", type=Path, default=Path("matbench_compositions"))
    given, others = parser.parse_known_args()
    task = task_named(given.task)
    rows = rows_of(given.folder, task)
    target = np.array([row[1] for row in rows], float)
    print(describe("scikit-learn", "lightgbm", "torch"))
    if not task.is_classification:
        folds = published_folds(target, classification=False)
        dummy = float(np.mean([np.abs(target[held] - target[train].mean()).mean() for train, held in folds]))
        print(
            f"{task.name}: {len(rows):,} rows; dummy {dummy:.4f}, published {task.published[-1].score:.4f}", flush=True
        )
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / f"{task.name}.json.gz"
    content = {"index": list(range(len(rows))), "columns": ["composition", task.column], "data": rows}
    path.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))
    command = [sys.executable, "-m", "matloop.workflows.cli", "bench", "matbench", "--task", task.name]
    command += ["--file", str(path), "--output", str(given.output / f"results_{given.task}"), *others]
    done = subprocess.run(command, check=False).returncode
    if not done and not task.is_classification:
        tell_known_formulas(given.output / f"results_{given.task}" / "predictions.parquet", [row[0] for row in rows])
    sys.exit(done)


def tell_known_formulas(path: Path, formulas: list[str]) -> None:
    """Print how the intervals hold for formulas of which other rows were in training, and for new ones."""
    table = pq.read_table(path)
    reduced = np.array([Composition(formulas[row]).reduced_formula for row in table["row"].to_pylist()])
    fold, target, low, high = (table[name].to_numpy() for name in ("fold", "target", "lo", "hi"))
    held = (low <= target) & (target <= high)
    known = np.empty(len(fold), bool)
    for number in np.unique(fold):
        known[fold == number] = np.isin(reduced[fold == number], reduced[fold != number])
    for words, rows in (("other rows of which were in training", known), ("that were new", ~known)):
        print(f"90 % intervals of {rows.sum():,} rows of formulas {words}: {held[rows].mean():.1%} hold")


if __name__ == "__main__":
    main()
