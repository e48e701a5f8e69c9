"""The value that is printed: the median of the calibrated distribution beside the mean of the ensemble.

Surrogates learn two thirds of the formulas of a packaged property, several times, and predict the others. Errors are on
the scale of the model. Beside them stands the share of predictions that contradict their own probability: the value
lies on one side of a limit, and the probability of lying there is below one half. Limits are the quartiles of the
truth.

``python benchmarks/models/printed_value.py``
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from surrogates import TASKS, Task, load_task

from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.prediction import Prediction, backward, forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe


def contradicts(prediction: Prediction, value: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether values disagree with probabilities of lying above some limits, for each limit and each of n values."""
    above = np.array([prediction.probability_between(limit, np.inf) > 0.5 for limit in limits])
    return np.asarray(above != (value > limits[:, None]))


def compare(task: Task, splits: int) -> str:
    """Errors, share of truths below the value and contradictions, of mean and median."""
    found: dict[str, list[tuple[float, float, float]]] = {"mean": [], "median": []}
    for number in range(splits):
        train, test = next(iter(grouped_folds(task.groups, folds=3, seed=number)))
        model = Surrogate.fit(
            task.name, task.features.take(train), task.target[train], task.groups[train], transform=task.transform
        )  # fmt: skip
        prediction = model.predict(task.features.take(test))
        rows = np.flatnonzero(prediction.codes == "")
        kept, truth = prediction.take(rows), task.target[test][rows]
        mean = np.clip(backward(kept.centre, task.transform), *kept.bounds)
        limits = np.quantile(truth, [0.25, 0.5, 0.75])
        for name, value in (("mean", mean), ("median", kept.median)):
            error = forward(value, task.transform) - forward(truth, task.transform)
            clash = float(contradicts(kept, value, limits).mean())
            found[name].append((float(np.abs(error).mean()), float((error > 0).mean()), clash))
    told = []
    for name, figures in found.items():
        error, below, clash = np.mean(figures, axis=0)
        told.append(f"{name:>6} MAE {error:.4f}, truth below it {below:5.1%}, contradicts P {clash:5.2%}")
    return ";  ".join(told)


def main() -> None:
    """Print one line for each property."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=2)
    options = parser.parse_args()
    print(describe())
    for name, transform in TASKS:
        if name in ("bulk_modulus_vrh", "shear_modulus_vrh", "refractive_index", "band_gap"):
            print(f"{name:<18} {compare(load_task(name, transform), options.splits)}", flush=True)


if __name__ == "__main__":
    main()
