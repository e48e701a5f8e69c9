"""Surrogates against untuned LightGBM and extra trees on Magpie features: grouped 5-fold error, coverage, sharpness.

Every figure is for rows of formulas the model never saw, calibration included: within each outer fold the surrogate
makes its own out-of-fold residuals from the training rows alone.

``python benchmarks/models/surrogates.py``
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from lightgbm import LGBMRegressor
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor

from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.definition import Transform
from matloop.featurizers.registry import feature_set
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe

warnings.filterwarnings("ignore", message="X does not have valid feature names")

TASKS: tuple[tuple[str, Transform], ...] = (
    ("bulk_modulus_vrh", "log10"), ("shear_modulus_vrh", "log10"), ("refractive_index", "identity"),
    ("band_gap", "identity"), ("formation_energy_per_atom", "identity"), ("energy_above_hull", "identity"),
)  # fmt: skip
FEATURES = ("magpie", "stoichiometry", "valence_orbital", "density", "symmetry")


class Task(NamedTuple):
    """Rows of one property."""

    features: FeatureMatrix
    target: NDArray[np.float64]
    groups: NDArray[np.int64]
    transform: Transform
    name: str


def load_task(name: str, transform: Transform) -> Task:
    """All packaged rows with the property and finite features; elastic moduli of at most zero have no logarithm."""
    materials = load_materials()
    features = feature_set(FEATURES).featurize(materials)
    target = materials.column(property_named(name).column("dft"))
    rows = np.flatnonzero(np.isfinite(forward(target, transform)) & (features.codes == ""))
    groups = materials.take(rows).groups()
    return Task(features.take(rows), target[rows], groups, transform, name)


def baseline(task: Task, make: Callable[[], Any]) -> str:
    """Mean absolute error of an untuned regressor on the 132 Magpie columns."""
    truth, error = forward(task.target, task.transform), np.empty(len(task.target))
    for train, test in grouped_folds(task.groups):
        model = make().fit(task.features.values[train, :132], truth[train])
        error[test] = np.abs(model.predict(task.features.values[test, :132]) - truth[test])
    return f"MAE {error.mean():.4f}"


def surrogate(task: Task, family: str) -> str:
    """Error, coverage of the 90 % interval, and rank correlation of its width with the error."""
    truth = forward(task.target, task.transform)
    error, width, inside = (np.empty(len(truth)) for _ in range(3))
    start = time.perf_counter()
    for train, test in grouped_folds(task.groups):
        fitted = Surrogate.fit(
            task.name, task.features.take(train), task.target[train], task.groups[train],
            family=family, transform=task.transform,
        )  # fmt: skip
        prediction = fitted.predict(task.features.take(test))
        low, high = (forward(end, task.transform) for end in prediction.interval(0.9))
        mean = forward(prediction.median, task.transform)
        seen = prediction.codes == ""  # rows with an element absent from the training folds get no prediction
        with np.errstate(invalid="ignore"):  # both ends are infinite for a row without prediction
            error[test], width[test] = np.where(seen, np.abs(mean - truth[test]), np.nan), high - low
        inside[test] = np.where(seen, (truth[test] >= low) & (truth[test] <= high), np.nan)
    kept = np.isfinite(error)
    correlation = spearmanr(width[kept], error[kept]).statistic
    return (
        f"MAE {np.nanmean(error):.4f}   90 % interval holds {np.nanmean(inside):.1%}   "
        f"width~error {correlation:.2f}   refused {(~kept).sum()}   {time.perf_counter() - start:.0f} s"
    )


UNTUNED: dict[str, Callable[[], Any]] = {
    "LightGBM on Magpie": lambda: LGBMRegressor(verbosity=-1, n_jobs=1, random_state=0),
    "extra trees on Magpie": lambda: ExtraTreesRegressor(n_jobs=1, random_state=0),
}


def line(name: str, transform: Transform, contender: str) -> str:
    """One line of the table."""
    task = load_task(name, transform)
    if contender in UNTUNED:
        return f"  untuned {contender:<22} {baseline(task, UNTUNED[contender])}"
    return f"  matloop {contender:<22} {surrogate(task, contender)}"


def main() -> None:
    """Print one block per property."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one property")
    only = parser.parse_args().only
    print(describe("scikit-learn", "lightgbm"))
    print(
        "5 folds grouped by reduced formula; log10 of the moduli. Targets: coverage 87-93 %, width~error at least 0.3"
    )
    contenders = [*UNTUNED, "extra_trees", "boosted_trees"]
    with ProcessPoolExecutor(2) as pool:
        tasks = [(name, transform) for name, transform in TASKS if only in (None, name)]
        lines = {task: [pool.submit(line, *task, contender) for contender in contenders] for task in tasks}
        for (name, transform), futures in lines.items():
            rows = len(load_task(name, transform).target)
            print(f"\n{'log10 ' if transform == 'log10' else ''}{name}: {rows} rows")
            for future in futures:
                print(future.result(), flush=True)


if __name__ == "__main__":
    main()
