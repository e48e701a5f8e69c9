"""What a replayed loop could reach at most with its features and models, if nearly all labels taught it.

Every candidate is predicted by trees that learned four fifths of all labels, far more than a loop ever measures, and
the candidates are tried from the best prediction down. Where even that order needs many measurements, labels do not
follow from the features, and no choice of batches helps.

``python benchmarks/workflows/loop_ceiling.py DATA TARGET [TARGET ...]``
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from matloop.models.grouped_folds import grouped_folds
from matloop.workflows.bench.hardware import describe
from matloop.workflows.bench.loop_measures import expected_by_chance, place_of
from matloop.workflows.bench.loop_replay import Replay
from matloop.workflows.bench.loop_settings import LoopSettings
from matloop.workflows.bench.loop_strategies import Aim, Asked, loop
from matloop.workflows.bench.quantities import scale_of
from matloop.workflows.bench.target_labels import TargetLabels, read_target_labels
from matloop.workflows.bench.wanted_targets import hits_among, ranges_of, read_target

FOLDS = 5


def out_of_fold_order(data: TargetLabels, settings: LoopSettings) -> NDArray[np.float64]:
    """Share of its fold that the default strategy would try before each candidate, shape (n,)."""
    tried = np.empty(len(data.candidates))
    values = {target.name: data.labels[target.name] for target in settings.targets}
    for rest, fold in grouped_folds(data.groups, folds=FOLDS):
        aims = [
            Aim(target.range(values[target.name][rest], top=settings.top), scale_of(target.name, values[target.name]))
            for target in settings.targets
        ]
        known = [values[target.name][rest] for target in settings.targets]
        features = data.features.values
        picked = loop(Asked(features[rest], known, features[fold], aims, len(fold), (0, 0)))
        tried[fold[picked]] = np.arange(len(fold)) / len(fold)
    return tried


def main() -> None:
    """Print how many measurements that order needs until a tenth, a quarter and half of the hits are found."""
    targets = tuple(map(read_target, sys.argv[2:]))
    data, settings = read_target_labels(sys.argv[1], targets), LoopSettings(targets)
    hit = hits_among(data.labels, ranges_of(targets, data.labels, top=settings.top))
    places = (1 + np.flatnonzero(hit[np.argsort(out_of_fold_order(data, settings), kind="stable")])).tolist()
    order = Replay("loop", 0, len(hit), len(places), 0, [0, len(hit)], [0, len(places)], places)
    print(describe("numba"))
    print(f"{data.name} {' '.join(map(str, targets))}: {len(places):,} hits among {len(hit):,} candidates")
    for share in (0.1, 0.25, settings.goal):
        needed, chance = place_of(order, share), expected_by_chance(order, share)
        print(f"  {100 * share:2.0f} % of the hits after {needed:6,.0f}, chance {chance:6,.0f}: {chance / needed:5.1f}")


if __name__ == "__main__":
    main()
