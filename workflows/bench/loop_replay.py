"""``matloop bench loop``: labelled data, replayed as if they were measured batch by batch.

Each replay measures some candidates at random. Then models learn what was measured, a strategy picks the next batch,
its labels are revealed, and so on until the hits are found or the budget is spent. A candidate is a crystal where the
data have crystals, else a composition. Strategies see no label that was not measured: where a target has no limit, the
value from which models take a candidate for a hit is where the top share of the *first* labels begins, which were drawn
at random. What is counted as a hit, though, is the top share of all labels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError
from matloop.workflows.bench.finished_parts import FinishedParts, each_part, parts_in
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.loop_settings import LoopSettings
from matloop.workflows.bench.loop_strategies import RANDOM, STRATEGIES, Aim, Asked, Strategy
from matloop.workflows.bench.quantities import scale_of
from matloop.workflows.bench.seeds import plain
from matloop.workflows.bench.target_labels import TargetLabels
from matloop.workflows.bench.wanted_targets import Ranges, check_thresholds, hits_among, ranges_of
from matloop.workflows.running.progress import Progress


class Replay(NamedTuple):
    """One replay by one strategy.

    Attributes:
        strategy: Its name.
        seed: Its seed, which decides the first measurements.
        pool: Candidates that were not measured at first.
        hits: Hits among them.
        hits_before: Hits among the first measurements.
        evaluated: Candidates measured after each batch, starting with 0, without the first ones.
        found: Hits among them.
        places: How many candidates were measured when each hit was, if every batch is measured in the order in which
            the strategy picked it, best first.
    """

    strategy: str
    seed: int
    pool: int
    hits: int
    hits_before: int
    evaluated: list[int]
    found: list[int]
    places: list[int]


class LoopRun(NamedTuple):
    """A finished benchmark.

    Attributes:
        data: Labels and features.
        settings: What was asked for.
        ranges: Wanted range of each quantity.
        replays: By seed and strategy, the order of chance included.
        seconds: Wall time.
    """

    data: TargetLabels
    settings: LoopSettings
    ranges: Ranges
    replays: list[Replay]
    seconds: float

    def of(self, strategy: str) -> list[Replay]:
        """The replays by one strategy, by seed."""
        return [replay for replay in self.replays if replay.strategy == strategy]


def run_loop(
    data: TargetLabels, settings: LoopSettings, *, folder: Path | None = None, progress: Progress | None = None
) -> LoopRun:
    """Replay the loop with every strategy and seed.

    Args:
        data: From :func:`matloop.workflows.bench.target_labels.read_target_labels`.
        settings: What is wanted.
        folder: Where finished replays are kept, so that a benchmark that was stopped goes on.
        progress: Told of each replay.

    Raises:
        ThresholdError: If no candidate meets all targets, or more than half of them do.
        MatloopError: If the first measurements leave nothing to find.
    """
    start = time.perf_counter()
    ranges = ranges_of(settings.targets, data.labels, top=settings.top)
    check_thresholds(data.labels, ranges, of=data.name)
    if settings.first >= len(data.candidates):
        raise MatloopError(f"--first {settings.first}", f"fewer than the {len(data.candidates):,} candidates")
    asked = [(seed, name) for seed in range(settings.seeds) for name in (RANDOM, *settings.strategies)]
    parts = parts_in(folder, _key(data, settings, ranges)) if folder else FinishedParts()

    def compute(numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        for number in numbers:
            seed, name = asked[number]
            yield replay(data, settings, ranges, strategy=name, seed=seed)._asdict()

    done = each_part(
        parts, [f"{name}-{seed}" for seed, name in asked], compute, progress=progress, step="replaying",
        note=lambda part: f"{part['strategy']}, seed {part['seed']}: {part['found'][-1]} of {part['hits']} hits with "
        f"{part['evaluated'][-1]:,} measurements",
    )  # fmt: skip
    return LoopRun(data, settings, ranges, [Replay(**part) for part in done], time.perf_counter() - start)


def _key(data: TargetLabels, settings: LoopSettings, ranges: Ranges) -> dict[str, Any]:
    """On what a replay depends; more seeds or strategies than before leave those that are finished as they are."""
    decisive = {name: value for name, value in vars(settings).items() if name not in ("seeds", "strategies", "goal")}
    key: dict[str, Any] = plain({
        "sha256": data.sha256, "features": data.features.fingerprint, "ranges": ranges,
        "settings": {**decisive, "targets": [str(target) for target in settings.targets]},
        "versions": describe_machine()["versions"],
    })  # fmt: skip
    return key


def replay(
    data: TargetLabels,
    settings: LoopSettings,
    ranges: Ranges,
    *,
    strategy: str,
    seed: int,
    strategies: Mapping[str, Strategy] = STRATEGIES,
    until: float = 1.0,
) -> Replay:
    """Measure some candidates at random, then batch after batch what a strategy picks.

    Args:
        data: Candidates with labels.
        settings: How the replay begins, how many are measured at once, and when it ends.
        ranges: Wanted range of each quantity.
        strategy: ``random``, or the name of one of the strategies.
        seed: Decides the first measurements.
        strategies: By name.
        until: Share of the hits with which it ends, if the budget is not spent before.
    """
    order = np.random.default_rng(seed).permutation(len(data.candidates))
    known, left = order[: settings.first], order[settings.first :]
    hit = hits_among(data.labels, ranges)
    aims = _aims(data, settings, known)
    evaluated, found, hits, places = [0], [0], int(hit[left].sum()), list[int]()
    budget = len(left) if strategy == RANDOM else min(settings.budget, len(left))
    while found[-1] < until * hits and evaluated[-1] < budget:
        size = min(settings.batch, budget - evaluated[-1])
        if strategy == RANDOM:
            picked = np.arange(size)  # the order is one of chance already
        else:
            values = [data.labels[target.name][known] for target in settings.targets]
            features = data.features.values
            picked = strategies[strategy](
                Asked(features[known], values, features[left], aims, size, (seed, len(evaluated)))
            )
        places += (evaluated[-1] + 1 + np.flatnonzero(hit[left[picked]])).tolist()
        found.append(len(places))
        evaluated.append(evaluated[-1] + len(picked))
        known = np.concatenate([known, left[picked]])
        left = np.delete(left, picked)
    return Replay(
        strategy, seed, len(order) - settings.first, hits, int(hit[known[: settings.first]].sum()), evaluated, found,
        places,
    )  # fmt: skip


def _aims(data: TargetLabels, settings: LoopSettings, first: NDArray[np.int64]) -> list[Aim]:
    """The targets; where a limit or scale is not given, the first labels alone decide."""
    labels = {target.name: data.labels[target.name][first] for target in settings.targets}
    return [
        Aim(target.range(labels[target.name], top=settings.top), scale_of(target.name, labels[target.name]))
        for target in settings.targets
    ]
