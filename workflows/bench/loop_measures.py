"""Figures of replayed loops: acceleration, enhancement, discovery yield and discovery probability, against chance.

A lab pays for whole batches, so measurements are counted to the end of the batch in which a share of the hits was
reached. Where that is the first batch or the second, whole batches cannot tell good strategies apart; so measurements
are also counted *one by one*, as if each batch was measured in the order in which it was picked, until the hit that
makes the share. The first measurements, which every strategy and chance have in common, are counted apart.

- *Acceleration factor*: measurements that an order of chance needs on average, over those needed here. *Enhancement
  factor*: share of the hits found, over the share that chance finds with as many measurements (Rohr et al., Chem. Sci.
  11, 2696 (2020); Liang et al., npj Comput. Mater. 7, 188 (2021)).
- *Discovery yield*: share of the hits found. *Discovery probability*: how likely one measurement finds a hit (Borg et
  al., Digital Discovery 2, 327 (2023)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from matloop.workflows.bench.loop_replay import LoopRun, Replay
from matloop.workflows.bench.loop_strategies import RANDOM

CERTAIN = 0.05
"""Level of the sign test below which a loop counts as sooner than chance, or as later."""


class Spread(NamedTuple):
    """Median, smallest and largest of a figure over the seeds; infinite where a share of the hits was not reached."""

    median: float
    low: float
    high: float


class Figures(NamedTuple):
    """What one strategy achieved.

    Attributes:
        needed: Measurements after the first ones until the goal was reached, in whole batches, over the seeds.
        one_by_one: The same counted to the hit itself, each batch in the order in which it was picked.
        reached: Seeds in which it was.
        seeds: Seeds that have hits to find.
        acceleration: Acceleration factor at the goal, 0 where it was not reached.
        enhancement: Enhancement factor at the end of the budget.
        discovery_yield: Discovery yield at the end of the budget, mean.
        probability: Discovery probability from the first batch until the goal or the end of the budget, mean.
        sooner: Seeds in which it needed fewer measurements than the order of chance of the same seed.
        later: Seeds in which that order got there while it had not. Where neither had when the budget was spent,
            nothing is told.
    """

    needed: Spread
    one_by_one: Spread
    reached: int
    seeds: int
    acceleration: Spread
    enhancement: float
    discovery_yield: float
    probability: float
    sooner: int
    later: int


def hits_to_find(hits: int, share: float) -> int:
    """Number of hits that make a share of them, at least one.

    >>> hits_to_find(11, 0.5), hits_to_find(4, 0.5), hits_to_find(3, 0.01)
    (6, 2, 1)
    """
    return max(math.ceil(share * hits - 1e-9), 1)


def measurements_to(replay: Replay, share: float) -> float:
    """Measurements until the end of the batch in which a share of the hits was reached; infinite if it never was.

    >>> measurements_to(Replay("loop", 0, 90, 3, 0, [0, 20, 40], [0, 1, 2], [9, 23]), 0.5)
    40.0
    """
    place = int(np.searchsorted(replay.found, hits_to_find(replay.hits, share)))
    return float(replay.evaluated[place]) if replay.hits and place < len(replay.found) else math.inf


def place_of(replay: Replay, share: float) -> float:
    """Measurements until the hit that makes a share of the hits, each batch in the order in which it was picked.

    Infinite if the share was not reached.

    >>> place_of(Replay("loop", 0, 90, 3, 0, [0, 20, 40], [0, 1, 2], [9, 23]), 0.5)
    23.0
    """
    wanted = hits_to_find(replay.hits, share)
    return float(replay.places[wanted - 1]) if replay.hits and wanted <= len(replay.places) else math.inf


def expected_by_chance(replay: Replay, share: float) -> float:
    """Mean number of measurements at which an order of chance meets a share of the hits.

    The h-th of m hits stands at place h (n + 1) / (m + 1) of n candidates, on average.

    >>> expected_by_chance(Replay("loop", 0, 99, 3, 0, [0], [0], []), 0.5)
    50.0
    """
    return hits_to_find(replay.hits, share) * (replay.pool + 1) / (replay.hits + 1)


def by_an_oracle(replay: Replay, share: float, batch: int) -> float:
    """Measurements that one who knows the hits needs, in whole batches: nothing can do better."""
    return float(math.ceil(hits_to_find(replay.hits, share) / batch) * batch)


def figures_of(run: LoopRun, strategy: str) -> Figures:
    """Figures of a strategy over the seeds that have hits to find."""
    goal = run.settings.goal
    pairs = [pair for pair in zip(run.of(strategy), run.of(RANDOM), strict=True) if pair[0].hits]
    needed = [measurements_to(replay, goal) for replay, _ in pairs]
    by_chance = [measurements_to(chance, goal) for _, chance in pairs]
    yields = [found_by(replay, run.settings.budget) / replay.hits for replay, _ in pairs]
    spent = [min(replay.evaluated[-1], run.settings.budget) / replay.pool for replay, _ in pairs]
    return Figures(
        _spread(needed), _spread([place_of(replay, goal) for replay, _ in pairs]),
        int(np.isfinite(needed).sum()), len(needed),
        _spread([expected_by_chance(replay, goal) / count for (replay, _), count in zip(pairs, needed, strict=True)]),
        float(np.median(np.divide(yields, spent))), float(np.mean(yields)),
        float(np.mean([_probability(replay, count) for (replay, _), count in zip(pairs, needed, strict=True)])),
        sum(own < chance for own, chance in zip(needed, by_chance, strict=True)),
        sum(
            chance < own and chance <= replay.evaluated[-1]
            for (replay, _), own, chance in zip(pairs, needed, by_chance, strict=True)
        ),
    )  # fmt: skip


def found_by(replay: Replay, measurements: float) -> int:
    """Hits found with no more than so many measurements."""
    return replay.found[int(np.searchsorted(replay.evaluated, measurements, side="right")) - 1]


def oracle_acceleration(run: LoopRun) -> float:
    """Acceleration of an oracle at the goal, median over the seeds: the most there is to gain with these batches."""
    goal, replays = run.settings.goal, [replay for replay in run.of(RANDOM) if replay.hits]
    return float(
        np.median([expected_by_chance(one, goal) / by_an_oracle(one, goal, run.settings.batch) for one in replays])
    )


def fewer_than(
    run: LoopRun, strategy: str, rival: str, *, count: Callable[[Replay, float], float] = measurements_to
) -> float:
    """Share of the measurements of a rival that a strategy saves until the goal, median over the seeds.

    A rival that did not get there within the budget counts as if it had with its last measurement, so that no more is
    claimed than was seen; where the strategy did not get there, the share is minus infinity.

    Args:
        run: A finished benchmark.
        strategy: Whose measurements are compared.
        rival: With whose.
        count: Counts them: :func:`measurements_to` in whole batches, or :func:`place_of` one by one.
    """
    saved = []
    for own, other in zip(run.of(strategy), run.of(rival), strict=True):
        theirs = min(count(other, run.settings.goal), float(max(other.evaluated[-1], 1)))
        saved.append(1 - count(own, run.settings.goal) / theirs)
    return float(np.median(saved))


FEWEST_SEEDS = math.ceil(math.log2(1 / CERTAIN))
"""Seeds from which on the sign test can find anything."""


def verdict(figures: Figures) -> str:
    """Whether a strategy is ``sooner`` than chance by more than chance, ``later``, or neither (sign test over seeds).

    >>> spread = Spread(1, 1, 1)
    >>> [verdict(Figures(spread, spread, 9, 10, spread, 1, 1, 1, *counts)) for counts in ((10, 0), (6, 4), (1, 9))]
    ['sooner', 'neither', 'later']
    """
    from scipy.stats import binomtest

    told = figures.sooner + figures.later
    for name, count in (("sooner", figures.sooner), ("later", figures.later)):
        if told and binomtest(count, told, alternative="greater").pvalue < CERTAIN:
            return name
    return "neither"


def _probability(replay: Replay, needed: float) -> float:
    """Hits a measurement, until the goal or the end."""
    end = min(needed, float(replay.evaluated[-1]))
    return found_by(replay, end) / end if end else math.nan


def _spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(math.nan, math.nan, math.nan)
    return Spread(float(np.median(values)), float(np.min(values)), float(np.max(values)))
