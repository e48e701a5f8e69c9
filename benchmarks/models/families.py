"""Every family on every feature set, and the stack against the best single one: grouped 5-fold error, seconds.

All families have their own settings, whatever the property: nothing is tuned here. Rows without a finite feature in any
of the sets are left out of all of them, so that a line compares the same rows and folds. Element attention reads the
118 atomic fractions in place of the statistics of the composition, and the features of the crystal, if any, as its
context; the other families do not read the fractions.

The stack is made of all families, each on the columns it reads alone. It is fitted anew inside each fold, on folds of
its training rows. The last line says how it does against the best single family of each set of features, best by
hindsight: picked by the very error it is compared with.

``python benchmarks/models/families.py`` takes at most 1,000 rows of each property, drawn once for all lines, and an
hour or two of one core; ``--rows 0`` takes all. ``--draw`` and ``--split`` take other rows and other folds.
``--embedding`` adds CHGNet's embedding as a third feature set: CHGNet was trained on relaxations of most of these
crystals with their energies, so its figures, of the formation energy above all, are not those of crystals it never saw.
"""

from __future__ import annotations

import argparse
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from typing import Any, NamedTuple  # noqa: E402  # after the thread limits

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.candidates.batch import CandidateBatch  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.data.properties.definition import Transform  # noqa: E402
from matloop.data.registry import lookup  # noqa: E402
from matloop.featurizers.base import featurize_checked  # noqa: E402
from matloop.models.registry import MODELS  # noqa: E402
from matloop.models.surrogates.prediction import forward  # noqa: E402
from matloop.models.surrogates.training import grouped_folds  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS  # noqa: E402

TASKS: tuple[tuple[str, Transform], ...] = (
    ("bulk_modulus_vrh", "log10"), ("shear_modulus_vrh", "log10"), ("refractive_index", "identity"),
    ("band_gap", "identity"), ("formation_energy_per_atom", "identity"), ("energy_above_hull", "identity"),
)  # fmt: skip
COMPOSITION = ("magpie", "stoichiometry", "valence_orbital", "charge_balance")
CRYSTAL = ("density", "symmetry", "property_density", "crystal_local")
SETS: dict[str, tuple[str, ...]] = {
    "composition": COMPOSITION,
    "crystal": (*COMPOSITION, *CRYSTAL),
    "embedding": (*COMPOSITION, "crystal_embedding"),
}
SINGLE = ("extra_trees", "boosted_trees", "gaussian_process", "deep_ensemble", "element_attention")
FRACTIONS = 118
TOLERATED = 0.01


class Data(NamedTuple):
    """Crystals with the columns of each featurizer, and which of them lack none."""

    materials: CandidateBatch
    blocks: dict[str, NDArray[np.float64]]
    sound: NDArray[np.bool_]


def load(sets: list[str]) -> Data:
    """The packaged crystals with all features that the sets need."""
    materials, blocks = load_materials(), {}
    sound = np.ones(len(materials), bool)
    for name in dict.fromkeys(["element_fraction", *(part for chosen in sets for part in SETS[chosen])]):
        options = {"potential": "chgnet"} if name == "crystal_embedding" else {}
        values, codes, _ = featurize_checked(lookup("featurizer", CAMPAIGN_FEATURIZERS, name)(**options), materials)
        blocks[name], sound = values, sound & (codes == "")
    return Data(materials, blocks, sound)


def matrix(data: Data, chosen: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Statistics of the composition, the fractions of its elements, and what else a feature set has."""
    parts = [*COMPOSITION, "element_fraction", *SETS[chosen][len(COMPOSITION) :]]
    return np.hstack([data.blocks[part][rows] for part in parts])


def columns_read(data: Data, chosen: str, family: str) -> list[list[int | None]]:
    """Ranges of the matrix's columns that a family reads."""
    start = sum(data.blocks[part].shape[1] for part in COMPOSITION)
    if family == "element_attention":
        return [[start, None]]
    return [[0, start], *([[start + FRACTIONS, None]] if len(SETS[chosen]) > len(COMPOSITION) else [])]


def error(
    family: str, values: NDArray[np.float64], *, truth: NDArray[np.float64], groups: NDArray[np.int64],
    settings: dict[str, Any], split: int,
) -> tuple[float, float]:  # fmt: skip
    """Mean absolute error over rows of formulas the model never saw, and the processor time of all five folds."""
    misses, start = np.empty(len(truth)), time.process_time()
    for train, test in grouped_folds(groups, seed=split):
        model = lookup("model", MODELS, family)(**settings).fit(values[train], truth[train], groups=groups[train])
        misses[test] = np.abs(model.predict(values[test])[0] - truth[test])
    return float(misses.mean()), time.process_time() - start


def block(data: Data, task: tuple[str, Transform], options: argparse.Namespace) -> dict[str, float]:
    """Print the lines of one property; how much worse the stack is than the best single family, by line."""
    name, transform = task
    target = forward(data.materials.column(property_named(name).column("dft")), transform)
    rows = np.flatnonzero(np.isfinite(target) & data.sound)
    if options.rows:
        rows = np.sort(np.random.default_rng(options.draw).permutation(rows)[: options.rows])
    groups = data.materials.take(rows).groups()
    scale = "log10 " if transform == "log10" else ""
    print(f"\n{scale}{name}: {len(rows)} rows, {groups.max() + 1} formulas", flush=True)
    worse: dict[str, float] = {}
    for chosen in options.sets:
        values = matrix(data, chosen, rows)
        read = {family: columns_read(data, chosen, family) for family in options.families}
        found: dict[str, float] = {}
        for family in [*options.families, "stack"]:
            if family == "stack":
                part, settings = values, {"families": [{one: {"columns": read[one]}} for one in read]}
            else:
                part, settings = np.hstack([values[:, slice(*ends)] for ends in read[family]]), {}
            mae, seconds = error(
                family, part, truth=target[rows], groups=groups, settings=settings, split=options.split
            )  # fmt: skip
            note = ""
            if family == "stack":
                best = min(found, key=lambda one: found[one])
                worse[f"{name} on {chosen}"] = mae / found[best] - 1
                note = f"   {mae / found[best] - 1:+.1%} against {best}"
            found[family] = mae
            print(f"  {chosen:<12} {family:<18} MAE {mae:.4f} {seconds:7.1f} s{note}", flush=True)
    return worse


def main() -> None:
    """Print one block per property, and the stack's worst case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[name for name, _ in TASKS], help="some of the properties")
    parser.add_argument("--rows", type=int, default=1000, help="most rows of a property; 0 for all")
    parser.add_argument("--families", nargs="+", default=list(SINGLE), choices=SINGLE, help="two or more")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw of rows")
    parser.add_argument("--split", type=int, default=0, help="seed of the folds")
    parser.add_argument("--embedding", action="store_true", help="CHGNet's embedding as well")
    options = parser.parse_args()
    options.sets = ["composition", "crystal", *(["embedding"] if options.embedding else [])]
    print(describe("scikit-learn", "lightgbm", "scipy", "torch"))
    start = time.process_time()
    data = load(options.sets)
    print(f"features of {len(data.materials)} crystals: {time.process_time() - start:.0f} s of one core")
    print("5 folds grouped by reduced formula; seconds of one core for all five; stack against the best single family")
    worse: dict[str, float] = {}
    for task in TASKS:
        if not options.only or task[0] in options.only:
            worse.update(block(data, task, options))
    worst, met = max(worse, key=lambda line: worse[line]), sum(each <= TOLERATED for each in worse.values())
    print(
        f"\nstack against the best single family: at worst {worse[worst]:+.1%} ({worst});"
        f" at most {TOLERATED:+.0%} in {met} of {len(worse)} lines"
    )
    print(f"{time.process_time() - start:.0f} s of one core in all")


if __name__ == "__main__":
    main()
