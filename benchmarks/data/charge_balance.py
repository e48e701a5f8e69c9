"""What charge balance adds to composition features: grouped 5-fold error of extra trees, and its speed.

The same 200 trees are grown with and without the columns of ``charge_balance`` on three splits; the error of each row
is paired, so that the standard error is that of the difference. All packaged band gaps are of insulators, so no
question of metal or insulator can be put to them.

``python benchmarks/data/charge_balance.py``
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.catalogue import property_named
from matloop.featurizers.registry import feature_set
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.grouped_folds import grouped_folds
from matloop.workflows.bench.hardware import describe

PLAIN = ("magpie", "stoichiometry", "valence_orbital")
PROPERTIES = ("band_gap", "formation_energy_per_atom", "refractive_index", "energy_above_hull")
SEEDS = (0, 1, 2)


def errors(values: NDArray[np.float64], target: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Absolute error of each row, mean over the splits, shape (m,)."""
    error = np.zeros(len(target))
    for seed in SEEDS:
        for train, held_out in grouped_folds(groups, seed=seed):
            mean, _ = ExtraTrees(seed=seed).fit(values[train], target[train]).predict(values[held_out])
            error[held_out] += np.abs(mean - target[held_out]) / len(SEEDS)
    return error


def compare(name: str, materials: CandidateBatch) -> str:
    """One line: error without, with, and the difference."""
    target = materials.column(property_named(name).column("dft"))
    features = feature_set([*PLAIN, "charge_balance"]).featurize(materials)
    rows = np.flatnonzero(np.isfinite(target) & (features.codes == ""))
    groups = materials.take(rows).groups()
    plain = len(feature_set(PLAIN).feature_names)
    without = errors(features.values[rows, :plain], target[rows], groups)
    with_it = errors(features.values[rows], target[rows], groups)
    gain = without - with_it
    by_group = np.bincount(groups, gain) / len(rows)
    standard_error = np.sqrt((by_group**2).sum() - gain.mean() ** 2 / len(by_group))
    return (
        f"{name:<28} {len(rows):>5} rows   MAE {without.mean():.4f} without, {with_it.mean():.4f} with: "
        f"{gain.mean() / without.mean():+.1%} ± {standard_error / without.mean():.1%}"
    )


def speed(materials: CandidateBatch) -> str:
    """Compositions per second of processor time, best of five passes."""
    features = feature_set(["charge_balance"])
    batch = CandidateBatch.from_formulas(materials.formulas * 3).batch
    seconds = []
    features.featurizers[0].featurize(batch)
    for _ in range(5):
        start = time.process_time()
        features.featurizers[0].featurize(batch)
        seconds.append(time.process_time() - start)
    return f"{len(batch):,} compositions: {len(batch) / min(seconds):,.0f} per second and core"


def main() -> None:
    """Print one line per property."""
    materials = load_materials()
    print(describe("scikit-learn"))
    print(speed(materials))
    print(f"extra trees on {' + '.join(PLAIN)}, 5 folds grouped by formula, {len(SEEDS)} splits; positive is better")
    for name in PROPERTIES:
        print(compare(name, materials), flush=True)


if __name__ == "__main__":
    main()
