"""Magpie features and formula parsing: matloop against matminer and pymatgen, one core, in one run.

``python benchmarks/featurizers/features.py``
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from matminer.featurizers.composition import ElementProperty  # noqa: E402
from pymatgen.core import Composition  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.candidates.formula import parse_formulas  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.featurizers.composition import Magpie  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

warnings.filterwarnings("ignore")


def seconds(work: Callable[[], object], *, repeats: int = 5) -> float:
    """Median processor time of a call, after one that compiles and warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Print rates, ratios and the largest deviation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formulas", type=int, default=5000)
    count = parser.parse_args().formulas
    formulas = sorted(set(load_materials().formulas))[:count]
    print(describe("matminer", "pymatgen"))
    print(f"{len(formulas)} distinct formulas, one core, processor time, median of 5 after a warm-up (matminer: 1 run)")

    matminer = ElementProperty.from_preset("magpie")
    matminer.set_n_jobs(1)
    compositions = [Composition(formula) for formula in formulas]
    matminer.featurize(compositions[0])
    start = time.process_time()
    reference = np.array([matminer.featurize(composition) for composition in compositions])
    theirs = time.process_time() - start

    magpie = Magpie(missing="impute")  # matminer fills gaps with the mean; the default of matloop refuses such rows
    batch = CandidateBatch.from_formulas(formulas).batch
    ours = seconds(lambda: magpie.featurize(batch))
    from_text = seconds(lambda: magpie.featurize(CandidateBatch.from_formulas(formulas).batch))
    deviation = np.abs(magpie.featurize(batch).values - reference).max()
    print(f"magpie      matminer {len(formulas) / theirs:12,.0f}/s   matloop {len(formulas) / ours:12,.0f}/s")
    print(f"            ratio {theirs / ours:,.0f} (from arrays), {theirs / from_text:,.0f} (from formula text)")
    same_names = magpie.feature_names == tuple(matminer.feature_labels())
    print(f"            largest deviation {deviation:.2e}; same names: {same_names}")

    pymatgen_time = seconds(lambda: [Composition(formula) for formula in formulas], repeats=1)
    distinct = seconds(lambda: parse_formulas(formulas))
    many = formulas * 20
    repeated = seconds(lambda: parse_formulas(many))
    grouped = sum("(" in formula for formula in formulas) / len(formulas)
    print(
        f"parsing     pymatgen {len(formulas) / pymatgen_time:12,.0f}/s   matloop {len(formulas) / distinct:12,.0f}/s"
    )
    print(f"            {len(many) / repeated:,.0f}/s where each occurs 20 times; {grouped:.0%} have parentheses")


if __name__ == "__main__":
    main()
