"""Training the surrogates of a campaign: core-seconds and scores with our trees and with scikit-learn's, in one run.

Everything else is the same: features, folds grouped by reduced formula, difficulty, calibration, scores of the card.
Each surrogate is trained with either kind of trees in turn, with as many seeds of the forest as are asked for. Seconds
are processor time of this process, in which all threads count, the median over the seeds. The change of the error is
paired: errors of the same rows are compared, averaged over the seeds, and its standard error comes from the five folds.
The other scores are means over the seeds; ``log loss`` is that of the probability of meeting the target.

``python benchmarks/models/training_speed.py`` takes some ten minutes of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from unittest import mock

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

from typing import Any, NamedTuple  # noqa: E402  # after the thread limits

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from sklearn.ensemble import ExtraTreesRegressor  # noqa: E402

from matloop.data.feature_matrix import FeatureMatrix  # noqa: E402
from matloop.data.training.training_set import TrainingSet  # noqa: E402
from matloop.data.training.training_sets import TrainingSets  # noqa: E402
from matloop.models.families.extra_trees import ExtraTrees  # noqa: E402
from matloop.models.grouped_folds import grouped_folds  # noqa: E402
from matloop.models.surrogates.classification import probability_scores  # noqa: E402
from matloop.models.surrogates.prediction import forward  # noqa: E402
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.models.surrogates.training import usable_rows  # noqa: E402
from matloop.screening.campaign.target import Target  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402
from matloop.workflows.inspecting.validation import checked_campaign  # noqa: E402
from matloop.workflows.stages.campaign_featurizers import build_feature_set  # noqa: E402

SCORES = ("r2", "coverage_90", "width_90", "log_loss", "width_error_rank_correlation")
KINDS = ("scikit-learn", "matloop")


class Trained(NamedTuple):
    """One training: processor time, absolute out-of-fold error of each row, and scores."""

    seconds: float
    errors: NDArray[np.float64]
    scores: dict[str, float]


def fit_by_scikit_learn(self: ExtraTrees, values: Any, target: Any, *, groups: Any = None) -> ExtraTrees:
    """Grow the trees of a forest with scikit-learn, and store them in the same arrays."""
    forest = ExtraTreesRegressor(
        n_estimators=self.parameters["trees"],
        max_features=self.parameters["feature_share"],
        min_samples_leaf=self.parameters["smallest_leaf"],
        random_state=self.parameters["seed"],
        n_jobs=1,
    ).fit(values.astype(np.float32), target)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    split = np.concatenate([tree.children_left for tree in trees]) >= 0
    threshold = np.concatenate([tree.threshold for tree in trees])
    single = threshold.astype(np.float32)
    single = np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)
    self._arrays = {
        "starts": np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])]).astype(np.int64),
        "feature": np.where(split, np.concatenate([tree.feature for tree in trees]), -1).astype(np.int16),
        "right": np.where(split, np.concatenate([tree.children_right for tree in trees]), 0).astype(np.int32),
        "threshold": np.where(split, single, np.concatenate([tree.value[:, 0, 0] for tree in trees])).astype(
            np.float32
        ),
        "importances": forest.feature_importances_,
    }
    self._nodes = None
    return self


@contextlib.contextmanager
def grown_by(kind: str) -> Iterator[None]:
    """Let every forest be grown by scikit-learn for a while, or by matloop."""
    if kind == "matloop":
        yield
        return
    with mock.patch.object(ExtraTrees, "fit", fit_by_scikit_learn):
        yield


def train(kind: str, target: Target, features: FeatureMatrix, training: TrainingSet, *, seed: int) -> Trained:
    """Train the surrogate of a target as a run does."""
    start = time.process_time()
    with grown_by(kind):
        surrogate = Surrogate.fit(
            target.property, features, training.values, training.groups, transform=target.scale(),
            parameters={"seed": seed}, ids=training.rows.ids,
        )  # fmt: skip
    seconds = time.process_time() - start
    lower, upper = target.range(tuple(surrogate.card["best_of_training"]))
    used = usable_rows(features, forward(training.values, target.scale()))
    met = (training.values[used] >= lower) & (training.values[used] <= upper)
    probability = surrogate.out_of_fold_prediction().probability_between(lower, upper)
    scores = {**surrogate.card["scores"], "log_loss": probability_scores(probability, met * 1.0)["log_loss"]}
    return Trained(seconds, np.abs(surrogate.training.mean - surrogate.training.target), scores)


def change_of_error(runs: dict[str, list[Trained]], groups: NDArray[np.integer]) -> str:
    """Write the paired change of the error in per cent of it, with the standard error over the folds."""
    before, after = (np.mean([run.errors for run in runs[kind]], axis=0) for kind in KINDS)
    folds = np.array([(after - before)[held].mean() for _, held in grouped_folds(groups)])
    share = 100 / before.mean()
    return f"{(after - before).mean() * share:+.2f} ± {folds.std(ddof=1) / len(folds) ** 0.5 * share:.2f} %"


def block(
    stage: str, target: Target, features: FeatureMatrix, training: TrainingSet, *, seeds: int
) -> dict[str, float]:
    """Print the lines of one surrogate; return the seconds by kind."""
    runs: dict[str, list[Trained]] = {kind: [] for kind in KINDS}
    for seed in range(seeds):
        for kind in KINDS:
            runs[kind].append(train(kind, target, features, training, seed=seed))
    used = usable_rows(features, forward(training.values, target.scale()))
    seconds = {kind: float(np.median([run.seconds for run in runs[kind]])) for kind in KINDS}
    print(f"\n{stage}, {target.property}: {len(used)} rows, {features.values.shape[1]} features")
    for kind in KINDS:
        mean = {name: float(np.mean([run.scores[name] for run in runs[kind]])) for name in ("mae", *SCORES)}
        figures = "  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in mean.items())
        print(f"  {kind:<12} {seconds[kind]:6.1f} s  {figures}")
    print(
        f"  error of matloop's trees against scikit-learn's: {change_of_error(runs, training.groups[used])}", flush=True
    )
    return seconds


def main() -> None:
    """Print a block for each surrogate of the campaign, and the sums of the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaign", default="optical_window")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print(describe("scikit-learn", "numba"))
    campaign = checked_campaign(options.campaign)
    sets = TrainingSets.of([target.property for target in campaign.targets])
    ExtraTrees(trees=1).fit(np.eye(4), np.arange(4.0)).predict(np.eye(4))  # reads or makes the compiled code
    total = dict.fromkeys(KINDS, 0.0)
    for stage, settings in campaign.scoring_stages.items():
        for target in campaign.targets:
            training = sets[target.property]
            features = build_feature_set(settings.features).featurize(training.rows)
            for kind, seconds in block(stage, target, features, training, seeds=options.seeds).items():
                total[kind] += seconds
    old, new = (total[kind] for kind in KINDS)
    print(f"\nall surrogates: {old:.1f} core-seconds with scikit-learn's trees, {new:.1f} with matloop's")
    print(f"share {new / old:.2f} (target: at most 0.33)")


if __name__ == "__main__":
    main()
