"""What composition models buy: errors with their values as one more feature of packaged crystals, and without.

For each property the packaged crystals are predicted in five folds grouped by formula, by extra trees on the features
of the second stage of the packaged campaign ``optical_window``. Beside both errors stand those of guessing the mean and
of the composition model alone, and the range that nine of ten draws of formulas leave to the difference.

``python benchmarks/models/composition_models.py [--property band_gap ...]``; training the composition model of the band
gaps takes some 20 s of one core, and each property some minutes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.catalogue import property_named
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.prediction import forward
from matloop.workflows.bench.hardware import describe
from matloop.workflows.inspecting.validation import checked_campaign
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.composition_models import composition_value

TABLES = {
    "band_gap": "band_gap",
    "refractive_index": "refractive_index",
    "bulk_modulus_vrh": "bulk_modulus_vrh",
    "shear_modulus_vrh": "shear_modulus_vrh",
    "formation_energy_per_atom": "formation_energy_per_atom",
    "energy_above_hull": "formation_energy_per_atom",
}
"""Property of the crystals and property of the table."""
DRAWS = 1000


def out_of_fold(
    values: NDArray[np.float64], target: NDArray[np.float64], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Predict each row by extra trees that saw no row of its formula."""
    mean = np.empty(len(target))
    for train, held in grouped_folds(groups):
        mean[held] = ExtraTrees(seed=0).fit(values[train], target[train]).predict(values[held])[0]
    return mean


def range_of_difference(difference: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Middle 90 % of the mean of differences of errors over draws of formulas."""
    number = np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(number, difference), np.bincount(number)
    drawn = np.random.default_rng(0).integers(0, len(sums), (DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.05, 0.95])
    return float(low), float(high)


def compare(name: str, table: str) -> None:
    """Print the errors for one property."""
    training, known = packaged_training_set(name), property_named(name)
    stage = checked_campaign("optical_window").structure
    assert stage is not None
    entries = [entry for entry in stage.features if entry.name != "composition_value"]
    plain = build_feature_set((*entries,)).featurize(training.rows)
    began = time.perf_counter()
    column = composition_value(table).featurize(training.rows).values[:, 0]
    seconds = time.perf_counter() - began
    used = np.flatnonzero(plain.codes == "")
    target, groups, column = forward(training.values, known.transform)[used], training.groups[used], column[used]
    values = plain.values[used]
    without = np.abs(out_of_fold(values, target, groups) - target)
    with_model = np.abs(out_of_fold(np.column_stack([values, column]), target, groups) - target)
    low, high = range_of_difference(with_model - without, groups)
    unit = "decades" if known.transform == "log10" else known.unit
    alone = np.abs(column - target).mean() if table == name else np.nan
    print(
        f"{name} ({unit}), {len(used):,} crystals: mean {np.abs(target - target.mean()).mean():.4f}, composition model "
        f"alone {alone:.4f}, without it {without.mean():.4f}, with it {with_model.mean():.4f} "
        f"(difference {low:+.4f} to {high:+.4f}; trained in {seconds:.0f} s)",
        flush=True,
    )


def main() -> None:
    """Print the errors of the properties asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--property", nargs="*", choices=list(TABLES), default=list(TABLES))
    options = parser.parse_args()
    print(describe("lightgbm"))
    for name in options.property:
        compare(name, TABLES[name])


if __name__ == "__main__":
    main()
