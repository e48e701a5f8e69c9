"""What more labels would buy: does the error with more labels lie in the range that the card of a smaller model tells?

Models learn from 100 and 200 formulas of a packaged property, then from 50 formulas more and from twice as many. Errors
are those of other formulas that all of them can predict. The range on a card is about the average over which labels are
added, and one draw of them scatters more, so somewhat fewer than nine of ten are expected inside.

``python benchmarks/models/learning_curve.py``
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.train import campaign_of_table

PROPERTIES = ("band_gap", "refractive_index")
SIZES, MORE, TESTED_FROM, TREES = (100, 200), 50, 600, 100


class Task:
    """One property with its formulas in random order; those from place 600 on are predicted."""

    def __init__(self, training: TrainingSet, features: FeatureMatrix, seed: int) -> None:
        self.training, self.features = training, features
        self.order = np.random.default_rng(seed).permutation(np.unique(training.groups))
        self.tested = self._rows(self.order[TESTED_FROM:])

    def _rows(self, groups: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.flatnonzero(np.isin(self.training.groups, groups))

    def fit(self, formulas: int) -> Surrogate:
        """Train on all rows of the first formulas."""
        rows = self._rows(self.order[:formulas])
        return Surrogate.fit(
            self.training.property_name, self.features.take(rows), self.training.values[rows],
            self.training.groups[rows], parameters={"trees": TREES},
        )  # fmt: skip

    def errors(self, model: Surrogate) -> NDArray[np.float64]:
        """Absolute error of each tested row; nan where it has an element that the model never saw."""
        return np.abs(model.predict(self.features.take(self.tested)).median - self.training.values[self.tested])


def run_task(task: Task, formulas: int) -> list[tuple[float, float, float]]:
    """Error with more labels over that before, and the ends of the range on the card, for both numbers of labels."""
    before = task.fit(formulas)
    curve, errors = before.card["learning_curve"], task.errors(before)
    found = []
    for more, total in zip(curve["more"], (formulas + MORE, 2 * formulas), strict=True):
        known = np.isfinite(errors)
        ratio = float(task.errors(task.fit(total))[known].mean() / errors[known].mean())
        found.append((ratio, more["low"] / curve["mae"], more["high"] / curve["mae"]))
    return found


def main() -> None:
    """Print, for each property and size, how often the range holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=8, help="random orders of the formulas")
    draws = parser.parse_args().draws
    print(describe("scikit-learn"))
    settings = campaign_of_table("labels.csv", property_name="band_gap", column="value", source="dft:pbe")
    featurizers = build_feature_set(settings.surrogates.features)
    for name in PROPERTIES:
        training = packaged_training_set(name)
        features = featurizers.featurize(training.rows)
        for formulas in SIZES:
            found = np.array([run_task(Task(training, features, seed), formulas) for seed in range(draws)])
            for place, label in enumerate((f"{MORE} more", "twice as many")):
                ratio, low, high = found[:, place].T
                held = int(((low <= ratio) & (ratio <= high)).sum())
                print(
                    f"{name:18}{formulas} formulas, {label:14} error falls to {ratio.mean():.3f} ± {ratio.std():.3f}"
                    f"  told {low.mean():.3f}-{high.mean():.3f}  inside {held} of {draws}"
                )


if __name__ == "__main__":
    main()
