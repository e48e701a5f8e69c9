"""Two ways to the probability that a target is met: the predictive distribution of its value, and a classifier.

Both are grown on the same rows, features and family in each of five folds grouped by reduced formula, and judged on the
rows held out: Brier score (mean square of probability minus outcome), log loss and expected calibration error; smaller
is better. Beside them stands what giving every row the share of the others that meet the target is worth. Differences
come with the standard error over formulas. Outside the domain means outside that of the surrogate of the fold.

With extra trees the classifier has the smaller Brier score and log loss for the energy above hull, whose errors are
skewed by its bound at zero, and the distribution for the refractive index and the band gap; over all rows the
classifier has the smaller calibration error for each of them. ``python benchmarks/models/probabilities.py`` takes a
quarter of an hour of one core.
"""

from __future__ import annotations

import argparse
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from typing import NamedTuple  # noqa: E402  # after the thread limits

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.feature_matrix import FeatureMatrix  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.properties.catalogue import property_named  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.models.surrogates.classification import probability_scores  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.models.surrogates.training import grouped_folds  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

TARGETS: dict[str, tuple[float, float]] = {
    "energy_above_hull": (-np.inf, 0.05), "refractive_index": (2.2, np.inf), "band_gap": (2.5, np.inf),
}  # fmt: skip
SETS: dict[str, tuple[str, ...]] = {
    "composition, density, symmetry": (
        "magpie", "stoichiometry", "valence_orbital", "charge_balance", "density", "symmetry",
    ),
    "and atomic surroundings": (
        "magpie", "stoichiometry", "valence_orbital", "charge_balance", "density", "symmetry", "crystal_local",
        "property_density",
    ),
}  # fmt: skip


class Judged(NamedTuple):
    """Probabilities of held-out rows by both ways, and by the share of the training rows."""

    distribution: NDArray[np.float64]
    classifier: NDArray[np.float64]
    share: NDArray[np.float64]
    met: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    groups: NDArray[np.int64]


def judged(name: str, features: FeatureMatrix, family: str, rows: NDArray[np.int64]) -> Judged:
    """Both ways on rows that neither has seen."""
    materials, wanted = load_materials().take(rows), TARGETS[name]
    values = materials.column(property_named(name).column("dft"))
    groups = materials.groups()
    met = ((values >= wanted[0]) & (values <= wanted[1])).astype(float)
    ways, in_domain = np.full((3, len(rows)), np.nan), np.zeros(len(rows), bool)
    for train, held_out in grouped_folds(groups):
        part, target = features.take(train), values[train]
        surrogate = Surrogate.fit(name, part, target, groups[train], family=family)
        both = surrogate.with_classifier(part, target, groups[train], wanted=wanted)
        predictions = [model.predict(features.take(held_out)) for model in (surrogate, both)]
        for way, prediction in enumerate(predictions):
            ways[way, held_out] = prediction.probability_between(*wanted)
        ways[2, held_out] = met[train].mean()
        in_domain[held_out] = predictions[0].in_domain
    known = np.isfinite(ways).all(axis=0)
    return Judged(*ways[:, known], met[known], in_domain[known], groups[known])


def difference(found: Judged) -> tuple[float, float]:
    """Brier score of the classifier less that of the distribution, and its standard error over formulas."""
    gain = (found.classifier - found.met) ** 2 - (found.distribution - found.met) ** 2
    sums = np.bincount(found.groups, gain - gain.mean())
    return float(gain.mean()), float(np.sqrt((sums**2).sum()) / len(gain))


def print_block(name: str, found: Judged) -> None:
    """Lines of one target, feature set and family."""
    for words, rows in (("all", np.full(len(found.met), True)), ("outside the domain", ~found.in_domain)):
        part = Judged(*(column[rows] for column in found))
        print(f"    {words}: {rows.sum()} rows, {part.met.mean():.1%} meet it")
        for way in ("share", "distribution", "classifier"):
            scores = probability_scores(getattr(part, way), part.met)
            print(
                f"      {way:<13} Brier {scores['brier']:.4f}   log loss {scores['log_loss']:.4f}"
                f"   calibration error {scores['calibration_error']:.4f}"
            )
        gain, error = difference(part)
        print(f"      Brier score, classifier less distribution: {gain:+.4f} ± {error:.4f}", flush=True)


def print_reliability(found: Judged) -> None:
    """Probability and share of both ways by steps of probability."""
    for way in ("distribution", "classifier"):
        steps = probability_scores(getattr(found, way), found.met)["reliability"]
        print(f"      {way:<13}", "  ".join(f"{mean:.2f}:{share:.2f} ({rows})" for mean, share, rows in steps))


def main() -> None:
    """Print one block per target, feature set and family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TARGETS, help="one target")
    parser.add_argument("--families", nargs="+", default=["extra_trees"])
    parser.add_argument("--rows", type=int, default=0, help="most rows of a target; 0 for all")
    parser.add_argument("--reliability", action="store_true", help="probability:share (rows) in steps of probability")
    options = parser.parse_args()
    print(describe("scikit-learn", "lightgbm"))
    print("5 folds grouped by reduced formula")
    start = time.process_time()
    for name in TARGETS if options.only is None else [options.only]:
        materials = load_materials()
        rows = np.flatnonzero(np.isfinite(materials.column(property_named(name).column("dft"))))
        if options.rows:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[: options.rows])
        low, high = TARGETS[name]
        unit = property_named(name).unit
        print(f"\n{name} " + (f"at least {low:g} {unit}" if np.isfinite(low) else f"at most {high:g} {unit}"))
        for words, parts in SETS.items():
            features = feature_set(list(parts)).featurize(materials.take(rows))
            for family in options.families:
                print(f"  {words}, {family}")
                found = judged(name, features, family, rows)
                print_block(name, found)
                if options.reliability:
                    print_reliability(found)
    print(f"\n{time.process_time() - start:.0f} s of one core")


if __name__ == "__main__":
    main()
