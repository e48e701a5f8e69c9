"""How a replayed loop puts a Gaussian process and trees together, and how optimistic it is.

The default strategy tries candidates by an equal mixture of what both expect, with one standard deviation of optimism.
Here the same two models are put together in other ways, on the properties of :mod:`loop_default`, which no reported
replay looks for:

- *mixture*: the linear pool of both with a weight of one half; with an optimism of one it is the default;
- *better of both*: before each batch the model that errs less on measured values held out takes it whole;
- *stacked*: the linear pool with the weight that errs least on values held out (Breiman, Mach. Learn. 24, 49 (1996));
- *ranks*: normal scores of the ranks in both orders, added;
- *in turn*: places of the batch go to both models in turn;
- *process*: the Gaussian process alone;
- *decorrelated*: the process alone, of principal components that count less unequally where that has more evidence.

Measurements are counted one by one until half of the hits are found; what was not reached counts as a quarter more than
the budget. The last lines compare each way with the better of both at an optimism of one half: geometric mean of the
ratios with its standard error over all pairs of property and seed, and that of the property where the way is worst.

``python benchmarks/workflows/loop_hedge.py [--seeds 24] [--first 1010] [--way NAME ...] [--target TARGET ...]``
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from loop_default import BUDGET, TASKS, labels_of
from numpy.typing import NDArray

from matloop.models.families.isotropic_process import IsotropicProcess, scaled_features
from matloop.workflows.bench.discovery_settings import ranked
from matloop.workflows.bench.hardware import describe
from matloop.workflows.bench.loop_measures import place_of
from matloop.workflows.bench.loop_replay import replay
from matloop.workflows.bench.loop_settings import LoopSettings
from matloop.workflows.bench.loop_strategies import (
    MOST_FOR_PROCESS,
    Asked,
    Strategy,
    by_models,
    normal_scores,
    process,
    process_and_trees,
    trees,
)
from matloop.workflows.bench.target_labels import TargetLabels
from matloop.workflows.bench.wanted_targets import WantedTarget, ranges_of, read_target

Values = NDArray[np.float64]
Prediction = tuple[Values, Values]
EVENNESS = (0.0, 0.25, 0.5)
"""How far principal components are made to count the same: by their variance to this power."""
SMALLEST_COMPONENT = 1e-3  # variance over that of the first


def fitted(known: Values, values: Values, left: Values) -> tuple[IsotropicProcess, NDArray[np.float32]]:
    """The process of the default, and scaled features of the candidates that were not measured."""
    features = scaled_features(np.concatenate([known, left]))
    return IsotropicProcess.fit(features[: len(known)].astype(np.float64), values), features[len(known) :]


def errors_left_out(model: IsotropicProcess) -> Values:
    """Error of each training row if it is left out, shape (n,); length scale and noise stay as they are.

    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press (2006), section 5.4.2.
    """
    return np.asarray((model.axes @ model.weights) / ((model.axes**2) @ (1 / model.spectrum)))


def trees_held_out(known: Values, values: Values, seed: int) -> Values:
    """Predict each measured value, shape (m,), by trees that learned from the other four fifths of the rows."""
    fold, held = np.arange(len(values)) % 5, np.empty(len(values))
    for number in range(5):
        out = fold == number
        held[out] = trees(known[~out], values[~out], known[out], seed)[0]
    return held


def better_of_both(known: Values, values: Values, left: Values, seed: int) -> Prediction:
    """Mean and spread by the model whose squared error on values held out is smaller."""
    if len(known) > MOST_FOR_PROCESS or not np.std(values):
        return trees(known, values, left, seed)
    model, features = fitted(known, values, left)
    of_trees = trees_held_out(known, values, seed) - values
    if np.mean(errors_left_out(model) ** 2) < np.mean(of_trees**2):
        return model.predict(features)
    return trees(known, values, left, seed)


def stacked(known: Values, values: Values, left: Values, seed: int) -> Prediction:
    """The pool of both with the weight, between 0 and 1, whose squared error on values held out is smallest."""
    model, features = fitted(known, values, left)
    by_trees = trees_held_out(known, values, seed)
    difference = values - errors_left_out(model) - by_trees
    weight = float((values - by_trees) @ difference / max(float(difference @ difference), np.finfo(float).tiny))
    weight = min(max(weight, 0.0), 1.0)
    first, second = model.predict(features), trees(known, values, left, seed)
    between = weight * (1 - weight) * (first[0] - second[0]) ** 2
    spread = np.sqrt(weight * first[1] ** 2 + (1 - weight) * second[1] ** 2 + between)
    return weight * first[0] + (1 - weight) * second[0], spread


def decorrelated(known: Values, values: Values, left: Values, seed: int) -> Prediction:
    """Mean and spread by the process of that evenness of principal components which has the largest evidence."""
    scaled = scaled_features(np.concatenate([known, left]))
    variances, axes = np.linalg.eigh(np.cov(scaled.T))
    kept = variances > SMALLEST_COMPONENT * variances.max()
    components = scaled @ axes[:, kept]
    best: tuple[float, IsotropicProcess, NDArray[np.float32]] | None = None
    for evenness in EVENNESS:
        features = components * variances[kept] ** -evenness
        features = (features / np.sqrt(features.var(axis=0).sum())).astype(np.float32)
        model = IsotropicProcess.fit(features[: len(known)].astype(np.float64), values)
        evidence = -(len(values) * math.log(model.amplitude) + float(np.log(model.spectrum).sum())) / 2
        if best is None or evidence > best[0]:
            best = evidence, model, features[len(known) :]
    assert best is not None
    return best[1].predict(best[2])


def orders(asked: Asked, optimism: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All candidates that were not measured, as the process and as trees would try them."""
    everything = asked._replace(size=len(asked.left))
    return by_models(everything, process, optimism=optimism), by_models(everything, trees, optimism=optimism)


def by_ranks(asked: Asked, optimism: float) -> NDArray[np.int64]:
    """Candidates by the normal scores of both ranks, added."""
    scores = sum(normal_scores(-np.argsort(order).astype(float)) for order in orders(asked, optimism))
    return ranked(np.asarray(scores))[: asked.size]


def in_turn(asked: Asked, optimism: float) -> NDArray[np.int64]:
    """Places of the batch go to the process and to trees in turn, each picks what is left."""
    picked = dict[int, None]()
    queues = itertools.cycle(iter(order.tolist()) for order in orders(asked, optimism))
    for _, queue in zip(range(asked.size), queues, strict=False):
        picked[next(place for place in queue if place not in picked)] = None
    return np.array(list(picked))


LEARNERS = {
    "better of both": better_of_both, "stacked": stacked, "mixture": process_and_trees, "process": process,
    "decorrelated": decorrelated,
}  # fmt: skip
SHARED = {"ranks": by_ranks, "in turn": in_turn}
REFERENCE = "better of both, 0.5"
WAYS: Mapping[str, Strategy] = {
    f"{name}, {optimism:g}": way
    for optimism in (0.5, 1.0)
    for name, way in (
        *((name, partial(by_models, learn=learner, optimism=optimism)) for name, learner in LEARNERS.items()),
        *((name, partial(strategy, optimism=optimism)) for name, strategy in SHARED.items()),
    )
}
"""By name and optimism in standard deviations."""


class Task(NamedTuple):
    """A property whose highest or lowest values are looked for."""

    name: str
    labels: TargetLabels
    target: WantedTarget


class Found(NamedTuple):
    """What a way found of the hits.

    Attributes:
        needed: Measurements one by one until half of them were found.
        share: Share found when the replay ended, with that half or with the budget.
    """

    needed: float
    share: float


def found_by(way: str, task: Task, seed: int) -> Found:
    """Replay a way until it has found half of the hits or spent the budget."""
    settings = LoopSettings((task.target,), budget=BUDGET)
    ranges = ranges_of(settings.targets, task.labels.labels, top=settings.top)
    done = replay(task.labels, settings, ranges, strategy=way, seed=seed, strategies=WAYS, until=settings.goal)
    return Found(min(place_of(done, settings.goal), 1.25 * BUDGET), done.found[-1] / done.hits)


def print_comparison(needed: Mapping[str, Values], names: list[str]) -> None:
    """Print each way beside the reference.

    Args:
        needed: Measurements that each way needed, shape (tasks, seeds).
        names: Of the tasks.
    """
    print("geometric mean of the measurements; over those of the reference, with its standard error; each property")
    for way, counts in needed.items():
        ratios = np.log(counts / needed[REFERENCE])
        error, centre = float(np.std(ratios, ddof=1)) / math.sqrt(ratios.size), math.exp(np.mean(ratios))
        each = "  ".join(f"{math.exp(part):.2f}" for part in ratios.mean(axis=1))
        print(f"  {way:21s}{math.exp(np.mean(np.log(counts))):6.1f}  {centre:5.2f} ± {centre * error:.2f}   {each}")
    print(f"  properties: {', '.join(names)}")


def chosen_on_the_command_line() -> argparse.Namespace:
    """Seeds, ways and targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--first", type=int, default=1010, help="first seed; those from 0 on are for reported replays")
    parser.add_argument("--way", nargs="+", default=list(WAYS), choices=list(WAYS))
    crystals = [target for data, target in TASKS if data == "materials"]
    parser.add_argument("--target", nargs="+", default=crystals, choices=[target for _, target in TASKS])
    return parser.parse_args()


def main() -> None:
    """Print what each way needs for every property, and compare it with the reference."""
    chosen = chosen_on_the_command_line()
    tasks = [
        Task(f"{data} {target}", labels_of(data, target), read_target(target))
        for data, target in TASKS
        if target in chosen.target
    ]
    ways = list(dict.fromkeys([REFERENCE, *chosen.way]))
    found = {way: np.empty((2, len(tasks), chosen.seeds)) for way in ways}
    for seed, (number, task), way in itertools.product(range(chosen.seeds), enumerate(tasks), ways):
        one = found_by(way, task, chosen.first + seed)
        found[way][:, number, seed] = one
        print(f"{task.name}, {chosen.first + seed}, {way}: {one.needed:.0f}", file=sys.stderr, flush=True)
    print(describe("numba", "scikit-learn"))
    seeds = f"seeds {chosen.first} to {chosen.first + chosen.seeds - 1}"
    print(f"{seeds}: median of the measurements, or the mean share found where it is over the budget")
    for way in ways:
        medians, shares = np.median(found[way][0], axis=1).tolist(), found[way][1].mean(axis=1).tolist()
        each = zip(medians, shares, strict=True)
        print(f"  {way:21s}" + "".join(f"{m:7.0f}" if m <= BUDGET else f"{100 * s:5.0f} %" for m, s in each))
    print_comparison({way: counts for way, (counts, _) in found.items()}, [task.target.name for task in tasks])


if __name__ == "__main__":
    main()
