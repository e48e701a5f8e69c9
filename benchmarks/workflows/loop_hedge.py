"""Whether a replayed loop gains where process and trees share a batch, and not the better of both takes it whole.

The default strategy asks before each batch whether a Gaussian process or trees err less on measured values held out.
Here the same two models are put together in other ways, on the properties of :mod:`loop_default`, which no reported
replay looks for:

- *stacked*: the linear pool with the weight that errs least on values held out (Breiman, Mach. Learn. 24, 49 (1996));
- *mean of both*: the linear pool with a weight of one half;
- *mean of ranks*: normal scores of the ranks in both orders, added;
- *in turn*: places of the batch go to both models in turn.

Measurements are counted one by one until half of the hits are found; what was not reached counts as a quarter more than
the budget. The last lines compare each way with the default: geometric mean of the ratios with its standard error over
all pairs of property and seed, and that of the property where the way is worst.

``python benchmarks/workflows/loop_hedge.py [SEEDS [TARGET ...]]``, all properties unless some are named.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from loop_default import BUDGET, FIRST_SEED, TASKS, labels_of
from numpy.typing import NDArray

from matloop.models.families.isotropic_process import IsotropicProcess, scaled_features
from matloop.workflows.bench.discovery_settings import ranked
from matloop.workflows.bench.hardware import describe
from matloop.workflows.bench.loop_measures import place_of
from matloop.workflows.bench.loop_replay import replay
from matloop.workflows.bench.loop_settings import LoopSettings
from matloop.workflows.bench.loop_strategies import (
    Asked,
    Strategy,
    by_models,
    loop,
    normal_scores,
    trees,
    trees_held_out,
)
from matloop.workflows.bench.target_labels import TargetLabels
from matloop.workflows.bench.wanted_targets import WantedTarget, ranges_of, read_target

Values = NDArray[np.float64]
Prediction = tuple[Values, Values]


def fitted(known: Values, values: Values, left: Values) -> tuple[IsotropicProcess, NDArray[np.float32]]:
    """The process of the default, and scaled features of the candidates that were not measured."""
    features = scaled_features(np.concatenate([known, left]))
    return IsotropicProcess.fit(features[: len(known)].astype(np.float64), values), features[len(known) :]


def process(known: Values, values: Values, left: Values, seed: int) -> Prediction:
    """Mean and spread by the process alone."""
    model, features = fitted(known, values, left)
    return model.predict(features)


def pooled(first: Prediction, second: Prediction, weight: float) -> Prediction:
    """Mean and spread of the linear pool of two predictions; ``weight`` is that of the first."""
    between = weight * (1 - weight) * (first[0] - second[0]) ** 2
    spread = np.sqrt(weight * first[1] ** 2 + (1 - weight) * second[1] ** 2 + between)
    return weight * first[0] + (1 - weight) * second[0], spread


def mean_of_both(known: Values, values: Values, left: Values, seed: int) -> Prediction:
    """The pool of both with the same weight."""
    return pooled(process(known, values, left, seed), trees(known, values, left, seed), 0.5)


def stacked(known: Values, values: Values, left: Values, seed: int) -> Prediction:
    """The pool of both with the weight, between 0 and 1, whose squared error on values held out is smallest."""
    model, features = fitted(known, values, left)
    by_trees = trees_held_out(known, values, seed)
    difference = values - model.errors_left_out() - by_trees
    weight = float((values - by_trees) @ difference / max(float(difference @ difference), np.finfo(float).tiny))
    return pooled(model.predict(features), trees(known, values, left, seed), min(max(weight, 0.0), 1.0))


def orders(asked: Asked) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All candidates that were not measured, as the process and as trees would try them."""
    everything = asked._replace(size=len(asked.left))
    return by_models(everything, process), by_models(everything, trees)


def mean_of_ranks(asked: Asked) -> NDArray[np.int64]:
    """Candidates by the normal scores of both ranks, added."""
    scores = sum(normal_scores(-np.argsort(order).astype(float)) for order in orders(asked))
    return ranked(np.asarray(scores))[: asked.size]


def in_turn(asked: Asked) -> NDArray[np.int64]:
    """Places of the batch go to the process and to trees in turn, each picks what is left."""
    picked = dict[int, None]()
    queues = itertools.cycle(iter(order.tolist()) for order in orders(asked))
    for _, queue in zip(range(asked.size), queues, strict=False):
        picked[next(place for place in queue if place not in picked)] = None
    return np.array(list(picked))


DEFAULT = "better of both (default)"
WAYS: Mapping[str, Strategy] = {
    DEFAULT: loop,
    "stacked": partial(by_models, learn=stacked),
    "mean of both": partial(by_models, learn=mean_of_both),
    "mean of ranks": mean_of_ranks,
    "in turn": in_turn,
}


class Task(NamedTuple):
    """A property whose highest or lowest values are looked for."""

    name: str
    labels: TargetLabels
    target: WantedTarget


def needed(task: Task, way: str, seed: int) -> float:
    """Measurements one by one until half of the hits are found."""
    settings = LoopSettings((task.target,), budget=BUDGET)
    ranges = ranges_of(settings.targets, task.labels.labels, top=settings.top)
    done = replay(
        task.labels, settings, ranges, strategy=way, seed=FIRST_SEED + seed, strategies=WAYS, until=settings.goal
    )
    return min(place_of(done, settings.goal), 1.25 * BUDGET)


def print_comparison(found: Mapping[str, Values]) -> None:
    """Print each way beside the default.

    Args:
        found: Measurements that each way needed, shape (tasks, seeds).
    """
    print("geometric mean of the measurements; over those of the default, with its standard error; worst property")
    for way, counts in found.items():
        ratios = np.log(counts / found[DEFAULT])
        error = float(np.std(ratios, ddof=1)) / math.sqrt(ratios.size)
        print(
            f"  {way:25s}{math.exp(np.mean(np.log(counts))):6.1f}  {math.exp(np.mean(ratios)):5.2f}"
            f" ± {math.exp(np.mean(ratios)) * error:.2f}  {math.exp(np.max(ratios.mean(axis=1))):5.2f}"
        )


def main() -> None:
    """Print what each way needs for every property, and compare it with the default."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    tasks = [
        Task(f"{data} {target}", labels_of(data, target), read_target(target))
        for data, target in TASKS
        if not sys.argv[2:] or target in sys.argv[2:]
    ]
    found = {way: np.empty((len(tasks), seeds)) for way in WAYS}
    for seed, (number, task), way in itertools.product(range(seeds), enumerate(tasks), WAYS):
        found[way][number, seed] = needed(task, way, seed)
        print(f"{task.name}, seed {seed}, {way}: {found[way][number, seed]:.0f}", file=sys.stderr, flush=True)
    print(describe("numba", "scikit-learn"))
    for number, task in enumerate(tasks):
        print(f"{task.name}, {len(task.labels.candidates):,} candidates: median of {seeds} seeds, each seed")
        for way, counts in found.items():
            print(f"  {way:25s}{np.median(counts[number]):5.0f}   {' '.join(f'{one:.0f}' for one in counts[number])}")
    print_comparison(found)


if __name__ == "__main__":
    main()
