"""What structure features are worth: grouped 5-fold error with and without, same rows and folds.

Rows whose crystal or elements lack a feature of any set are left out of all of them. What ``crystal_local`` and
``property_density`` are was settled with folds of other seeds (1 and 2) of the elastic moduli; the rows are the same,
so the gain on them may be flattered a little.

The embedding is no stranger to these crystals: CHGNet was trained on relaxations of the Materials Project, which hold
probably most of them with their energies. Its figures, of the formation energy above all, are not those of crystals it
never saw. The surrogates on top see only the training folds.

``python benchmarks/featurizers/structure_value.py``; with ``--definitions`` it compares neighbours by the smooth cutoff
with those by Voronoi cells instead, on folds of seed 1, since a choice is made by it.
"""

from __future__ import annotations

import argparse
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  # after the thread limits
from numpy.typing import NDArray  # noqa: E402

from matloop.data.errors import PotentialError  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.data.properties.definition import Transform  # noqa: E402
from matloop.data.registry import lookup  # noqa: E402
from matloop.featurizers.base import Features, featurize_checked  # noqa: E402
from matloop.models.registry import MODELS  # noqa: E402
from matloop.models.surrogates.prediction import forward  # noqa: E402
from matloop.models.surrogates.training import grouped_folds  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS  # noqa: E402

TASKS: tuple[tuple[str, Transform], ...] = (
    ("bulk_modulus_vrh", "log10"), ("shear_modulus_vrh", "log10"), ("refractive_index", "identity"),
    ("formation_energy_per_atom", "identity"),
)  # fmt: skip
COMPOSITION = ("magpie", "stoichiometry", "valence_orbital")
STRUCTURE = ("density", "symmetry", "property_density", "crystal_local")
SETS: dict[str, tuple[str, ...]] = {
    "composition": COMPOSITION,
    "+ crystal_local": (*COMPOSITION, *STRUCTURE),
    "+ CHGNet embedding": (*COMPOSITION, "crystal_embedding"),
    "+ both": (*COMPOSITION, *STRUCTURE, "crystal_embedding"),
}
DEFINITIONS: dict[str, tuple[str, ...]] = {
    "no neighbours": (*COMPOSITION, *STRUCTURE[:3]),
    "crystal_local": (*COMPOSITION, *STRUCTURE),
    "crystal_voronoi": (*COMPOSITION, *STRUCTURE[:3], "crystal_voronoi"),
    "side by side": (*COMPOSITION, *STRUCTURE, "crystal_voronoi"),
}
EMBEDDING_NOTE = (
    "CHGNet was trained on Materials Project relaxations that probably hold most of these crystals and their\n"
    "energies: the embedding's figures, of the formation energy above all, are not those of crystals it never saw."
)


def featurized(sets: dict[str, tuple[str, ...]]) -> dict[str, Features]:
    """Features of all packaged crystals by featurizer, and a line on how long each took."""
    materials, done = load_materials(), {}
    for name in dict.fromkeys(name for chosen in sets.values() for name in chosen):
        options = {"potential": "chgnet"} if name == "crystal_embedding" else {}
        try:
            featurizer = lookup("featurizer", CAMPAIGN_FEATURIZERS, name)(**options)
        except PotentialError as error:
            print(f"  {name:<18} left out: {error}")
            continue
        featurize_checked(featurizer, materials.take(range(8)))  # compiles
        start = time.process_time()
        done[name] = featurize_checked(featurizer, materials)
        taken, refused = time.process_time() - start, (done[name].codes != "").sum()
        print(f"  {name:<18} {len(featurizer.feature_names):4} columns {taken:7.1f} s, {refused} refused", flush=True)
    return done


def error(
    values: NDArray[np.float64], truth: NDArray[np.float64], groups: NDArray[np.int64], family: str, seed: int
) -> float:
    """Mean absolute error over rows of formulas the model never saw."""
    misses = np.empty(len(truth))
    for train, test in grouped_folds(groups, seed=seed):
        model = lookup("model", MODELS, family)().fit(values[train], truth[train])
        misses[test] = np.abs(model.predict(values[test])[0] - truth[test])
    return float(misses.mean())


def main() -> None:
    """Print one block per property."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one property")
    parser.add_argument("--family", default="extra_trees", choices=sorted(MODELS), help="with its own settings")
    parser.add_argument("--definitions", action="store_true", help="smooth cutoff or Voronoi cells")
    options = parser.parse_args()
    materials, seed = load_materials(), int(options.definitions)
    sets = DEFINITIONS if options.definitions else SETS
    print(describe("scikit-learn", "lightgbm", "numba"))
    print(f"features of {len(materials)} crystals, processor time on one core:")
    features = featurized(sets)
    sets = {label: chosen for label, chosen in sets.items() if set(chosen) <= set(features)}
    sound = np.logical_and.reduce([block.codes == "" for block in features.values()])
    print(f"\n5 folds grouped by reduced formula (seed {seed}), {options.family}; change against the first line")
    if "crystal_embedding" in features:
        print(EMBEDDING_NOTE)
    for name, transform in TASKS:
        if options.only not in (None, name):
            continue
        target = forward(materials.column(property_named(name).column("dft")), transform)
        rows = np.flatnonzero(np.isfinite(target) & sound)
        groups = materials.take(rows).groups()
        print(f"\n{'log10 ' if transform == 'log10' else ''}{name}: {len(rows)} rows")
        alone = 0.0
        for label, chosen in sets.items():
            values = np.hstack([features[part].values[rows] for part in chosen])
            mae = error(values, target[rows], groups, options.family, seed)
            alone = alone or mae
            print(f"  {label:<20} {values.shape[1]:4} columns  MAE {mae:.4f}  {mae / alone - 1:+6.1%}", flush=True)


if __name__ == "__main__":
    main()
