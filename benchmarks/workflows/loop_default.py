"""Which strategy is the default of replayed loops, chosen on properties that no reported replay looks for.

Ways to turn values into what trees learn are replayed beside each other: values as measured, their order alone (normal
scores), and half of each; with and without optimism. Then the default, a Gaussian process and trees that count half
each (:mod:`loop_hedge` puts these two together in other ways); and the plain random forest. The properties are other
than those whose replays are reported (bulk modulus, refractive index, n-type power factor, effective mass and p-type
Seebeck coefficient), and the first measurements are other ones too. For each property: measurements one by one until
half of the hits are found (median; what was not reached counts as a quarter more than the budget), and share of the
hits found within the budget. The last lines are geometric means of the measurements over all properties and seeds.

``python benchmarks/workflows/loop_default.py [SEEDS [TARGET ...]]``, all targets below unless some are named.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Mapping

import numpy as np

from matloop.workflows.bench.hardware import describe
from matloop.workflows.bench.loop_measures import place_of
from matloop.workflows.bench.loop_replay import replay
from matloop.workflows.bench.loop_settings import LoopSettings
from matloop.workflows.bench.loop_strategies import (
    Strategy,
    as_measured,
    by_models,
    forest,
    normal_scores,
    trees,
    values_and_order,
)
from matloop.workflows.bench.target_labels import TargetLabels, read_target_labels
from matloop.workflows.bench.wanted_targets import ranges_of, read_target

TASKS = (
    ("materials", "shear_modulus_vrh:max"), ("materials", "poisson_ratio_dft:min"), ("materials", "band_gap:max"),
    ("materials", "piezoelectric_modulus_dft:max"), ("materials", "elastic_anisotropy_dft:max"),
    ("materials", "formation_energy_per_atom:min"), ("transport", "power_factor_per_relaxation_time_p_dft:max"),
    ("transport", "seebeck_n_dft:max"),
)  # fmt: skip
MOST_ROWS = 6_000  # of the transport table; drawn once
FIRST_SEED = 1_000
BUDGET = 300
WAYS: Mapping[str, Strategy] = {
    f"trees, {name}, optimism {optimism:g}": functools.partial(by_models, learn=trees, single=single, optimism=optimism)
    for name, single in (("order", normal_scores), ("values", as_measured), ("both", values_and_order))
    for optimism in (0.0, 0.5)
} | {"process and trees (default)": by_models, "plain random forest": forest}


def labels_of(data: str, target: str) -> TargetLabels:
    """Labels of one target, of no more rows than can be replayed soon."""
    found = read_target_labels(data, [read_target(target)])
    count = len(found.candidates)
    rows = np.sort(np.random.default_rng(12345).choice(count, min(count, MOST_ROWS), replace=False))
    return found._replace(
        candidates=found.candidates.take(rows), features=found.features.take(rows), groups=found.groups[rows],
        labels={name: values[rows] for name, values in found.labels.items()},
    )  # fmt: skip


def print_target(data: str, target: str, *, seeds: int) -> dict[str, list[float]]:
    """A line for each way; the measurements of each seed by way."""
    labels, settings = labels_of(data, target), LoopSettings((read_target(target),), budget=BUDGET)
    ranges, needed = ranges_of(settings.targets, labels.labels, top=settings.top), {}
    print(f"{data} {target}, {len(labels.candidates):,} candidates")
    for way in WAYS:
        replays = [
            replay(labels, settings, ranges, strategy=way, seed=FIRST_SEED + seed, strategies=WAYS)
            for seed in range(seeds)
        ]
        needed[way] = [min(place_of(one, settings.goal), 1.25 * BUDGET) for one in replays]
        share = float(np.mean([one.found[-1] / one.hits for one in replays]))
        print(f"  {way:27s} half after {np.median(needed[way]):4.0f}, found {100 * share:3.0f} %", flush=True)
    return needed


def main() -> None:
    """Print every property, and the geometric means."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(describe("numba", "scikit-learn"))
    tasks = [task for task in TASKS if not sys.argv[2:] or task[1] in sys.argv[2:]]
    found = [print_target(*task, seeds=seeds) for task in tasks]
    print("geometric mean of the measurements until half of the hits are found")
    for way in WAYS:
        print(f"  {way:27s} {math.exp(np.mean([np.log(needed[way]) for needed in found])):5.1f}")


if __name__ == "__main__":
    main()
