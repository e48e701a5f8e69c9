"""What structure features are worth: grouped 5-fold error with and without, same rows and folds, both families.

Rows whose crystal or elements lack a feature of any set are left out of all of them. The definition of
``crystal_local`` and ``property_density`` was settled with folds of other seeds (1 and 2) of the elastic moduli; the
rows are the same, so the gain on them may be flattered a little. The other two properties took no part in that.

``python benchmarks/structure_value.py``
"""

from __future__ import annotations

import argparse
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from machine import describe  # noqa: E402
from surrogates import Task  # noqa: E402

from matloop.data.composition import composition_keys  # noqa: E402
from matloop.data.materials import load_materials  # noqa: E402
from matloop.data.registry import lookup  # noqa: E402
from matloop.data.schema import property_named  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.models.prediction import Transform, forward  # noqa: E402
from matloop.models.registry import MODELS  # noqa: E402
from matloop.models.training import grouped_folds  # noqa: E402

TASKS: tuple[tuple[str, Transform], ...] = (
    ("bulk_modulus_vrh", "log10"), ("shear_modulus_vrh", "log10"), ("refractive_index", "identity"),
    ("formation_energy_per_atom", "identity"),
)  # fmt: skip
COMPOSITION = ("magpie", "stoichiometry", "valence_orbital")
SETS: dict[str, tuple[str, ...]] = {
    "composition": COMPOSITION,
    "+ density, symmetry": (*COMPOSITION, "density", "symmetry"),
    "+ property_density": (*COMPOSITION, "density", "symmetry", "property_density"),
    "+ crystal_local": (*COMPOSITION, "density", "symmetry", "crystal_local"),
    "+ both": (*COMPOSITION, "density", "symmetry", "property_density", "crystal_local"),
}


def load_task(name: str, transform: Transform) -> Task:
    """All packaged rows with the property and finite values of every feature of :data:`SETS`."""
    materials = load_materials()
    features = feature_set(SETS["+ both"]).featurize(materials)
    target = materials.column(property_named(name).column("dft"))
    rows = np.flatnonzero(np.isfinite(forward(target, transform)) & (features.codes == ""))
    groups = np.unique(composition_keys(materials.compositions.take(rows)), return_inverse=True)[1]
    return Task(features.take(rows), target[rows], groups, transform, name)


def error(task: Task, chosen: tuple[str, ...], family: str) -> float:
    """Mean absolute error over rows of formulas the model never saw."""
    columns = [task.features.names.index(name) for name in feature_set(chosen).feature_names]
    values, truth = task.features.values[:, columns], forward(task.target, task.transform)
    misses = np.empty(len(truth))
    for train, test in grouped_folds(task.groups):
        model = lookup("model", MODELS, family)().fit(values[train], truth[train])
        misses[test] = np.abs(model.predict(values[test])[0] - truth[test])
    return float(misses.mean())


def main() -> None:
    """Print one block per property."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one property")
    only = parser.parse_args().only
    print(describe("scikit-learn", "lightgbm"))
    print("5 folds grouped by reduced formula, families with their own settings; change against composition alone")
    for name, transform in TASKS:
        if only not in (None, name):
            continue
        task = load_task(name, transform)
        print(f"\n{'log10 ' if transform == 'log10' else ''}{name}: {len(task.target)} rows")
        for family in MODELS:
            alone = 0.0
            for label, chosen in SETS.items():
                start = time.perf_counter()
                mae = error(task, chosen, family)
                alone = alone or mae
                taken = time.perf_counter() - start
                print(f"  {family:<14} {label:<20} MAE {mae:.4f}  {mae / alone - 1:+6.1%}  {taken:.0f} s", flush=True)


if __name__ == "__main__":
    main()
