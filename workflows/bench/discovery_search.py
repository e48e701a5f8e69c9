"""Search for hits in labelled data by rounds: how many labels until the first, half and all of them are found?

All targets must be met. Each round trains one surrogate a target on the labels known so far and combines them as a
campaign does (:mod:`matloop.models.surrogates.joint_probability`); a strategy picks the candidates to label next. A
candidate is a crystal where the data have crystals, so two polymorphs are two candidates; calibration keeps formulas
together. The rival is an order of chance: on average it meets the h-th of m hits among n candidates after
h (n + 1) / (m + 1) labels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError, unknown_name
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.finished_parts import FinishedParts, each_part, parts_in
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.seeds import plain
from matloop.workflows.bench.strategies import RANDOM, STRATEGIES, Judged
from matloop.workflows.bench.target_labels import TargetLabels
from matloop.workflows.bench.wanted_targets import Ranges, WantedTarget, check_thresholds, hits_among, ranges_of
from matloop.workflows.running.progress import Progress

FEWEST_FIRST = 20
"""Labels that a surrogate needs at least."""


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search.

    Attributes:
        targets: What a hit meets, all at once.
        top: Share of the labels of a property that are good enough where its target has no threshold.
        first: Candidates labelled at random before the first round.
        batch: Candidates labelled in each round.
        rounds: The most rounds; a search ends before where all hits are found.
        seeds: Number of searches, seeds 0, 1, ...
        strategies: Names of strategies.
        family: Model family of every surrogate.
    """

    targets: tuple[WantedTarget, ...]
    top: float = 0.1
    first: int = 50
    batch: int = 20
    rounds: int = 20
    seeds: int = 10
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    family: str = "extra_trees"

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            MatloopError: If a setting is out of its range.
            UnknownNameError: For an unknown strategy.
        """
        checks = {
            "--top": (self.top, 0 < self.top < 0.5, "a share above 0 and below 0.5"),
            "--first": (self.first, self.first >= FEWEST_FIRST, f"at least {FEWEST_FIRST}"),
            "--batch": (self.batch, self.batch > 0, "at least 1"),
            "--rounds": (self.rounds, self.rounds > 0, "at least 1"),
            "--seeds": (self.seeds, self.seeds > 0, "at least 1"),
        }
        for name, (value, fits, allowed) in checks.items():
            if not fits:
                raise MatloopError(f"{name} {value}", allowed)
        for name in self.strategies:
            if name not in STRATEGIES:
                raise unknown_name("strategy", name, STRATEGIES)


class Search(NamedTuple):
    """One search by one strategy.

    Attributes:
        strategy: Its name.
        seed: Its seed, which decides the first labels.
        pool: Candidates that had no label at first.
        hits: Hits among them.
        hits_before: Hits among the first labels.
        evaluated: Candidates labelled after each round, starting with 0.
        found: Hits among them.
        places: Number of labels after which each hit was found, in order.
    """

    strategy: str
    seed: int
    pool: int
    hits: int
    hits_before: int
    evaluated: list[int]
    found: list[int]
    places: list[int]


class SearchRun(NamedTuple):
    """A finished benchmark.

    Attributes:
        data: Labels and features.
        settings: What was asked for.
        ranges: Wanted range of each property.
        searches: By seed and strategy, the order of chance included.
        seconds: Wall time.
    """

    data: TargetLabels
    settings: SearchSettings
    ranges: Ranges
    searches: list[Search]
    seconds: float


def run_search(
    data: TargetLabels, settings: SearchSettings, *, folder: Path | None = None, progress: Progress | None = None
) -> SearchRun:
    """Search with every strategy and seed.

    Args:
        data: From :func:`matloop.workflows.bench.target_labels.read_target_labels`.
        settings: What is wanted.
        folder: Where finished searches are kept, so that a benchmark that was stopped goes on.
        progress: Told of each search.

    Raises:
        ThresholdError: If no candidate meets all targets, or more than half of them do.
        MatloopError: If the first labels leave nothing to search.
    """
    start = time.perf_counter()
    ranges = ranges_of(settings.targets, data.labels, top=settings.top)
    check_thresholds(data.labels, ranges, of=data.name)
    if settings.first >= len(data.candidates):
        raise MatloopError(f"--first {settings.first}", f"fewer than the {len(data.candidates):,} candidates")
    asked = [(seed, name) for seed in range(settings.seeds) for name in (RANDOM, *settings.strategies)]
    key = plain({
        "sha256": data.sha256, "features": data.features.fingerprint, "ranges": ranges,
        "settings": {**vars(settings), "targets": [str(target) for target in settings.targets]},
        "versions": describe_machine()["versions"],
    })  # fmt: skip
    parts = parts_in(folder, key) if folder else FinishedParts()

    def compute(numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        for number in numbers:
            seed, name = asked[number]
            yield search(data, settings, ranges, strategy=name, seed=seed)._asdict()

    done = each_part(
        parts, [f"{name}-{seed}" for seed, name in asked], compute, progress=progress, step="searching",
        note=lambda part: f"{part['strategy']}, seed {part['seed']}: {part['found'][-1]} of {part['hits']} hits",
    )  # fmt: skip
    return SearchRun(data, settings, ranges, [Search(**part) for part in done], time.perf_counter() - start)


def search(data: TargetLabels, settings: SearchSettings, ranges: Ranges, *, strategy: str, seed: int) -> Search:
    """Label some candidates at random, then batch after batch what a strategy picks."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(data.candidates))
    known, left = order[: settings.first], order[settings.first :]
    hit = hits_among(data.labels, ranges)
    found, evaluated = [0], [0]
    labelled = np.empty(0, np.int64)
    while len(left) and found[-1] < hit[order[settings.first :]].sum():
        if strategy == RANDOM:
            picked = np.arange(len(left))  # the order is one of chance, and needs no round
        elif len(evaluated) > settings.rounds:
            break
        else:
            judged = judge(data, ranges, np.concatenate([known, labelled]), left, family=settings.family, seed=seed)
            picked = STRATEGIES[strategy](judged, settings.batch, random)
        labelled = np.concatenate([labelled, left[picked]])
        left = np.delete(left, picked)
        evaluated.append(len(labelled))
        found.append(int(hit[labelled].sum()))
    places = (np.flatnonzero(hit[labelled]) + 1).tolist()
    pool = order[settings.first :]
    return Search(strategy, seed, len(pool), int(hit[pool].sum()), int(hit[known].sum()), evaluated, found, places)


def judge(
    data: TargetLabels, ranges: Ranges, known: NDArray[np.int64], asked: NDArray[np.int64], *, family: str, seed: int
) -> Judged:
    """What surrogates that learned some labels say of other candidates.

    Args:
        data: Labels and features.
        ranges: Wanted range of each property.
        known: Rows with a label.
        asked: Rows to judge.
        family: Model family.
        seed: Of the models.
    """
    train = partial(
        Surrogate.fit, family=family, parameters={"seed": seed}, ids=[data.candidates.ids[row] for row in known]
    )
    features, groups = data.features.take(known), data.groups[known]
    surrogates = {
        name: train(name, features, data.labels[name][known], groups, transform=data.transforms[name])
        for name in ranges
    }
    predictions = {name: surrogate.predict(data.features.take(asked)) for name, surrogate in surrogates.items()}
    # Few labels support no more than a small probability; a cap on it would leave the best without an order.
    probability = JointProbability.fit(surrogates, ranges).probabilities(predictions, ranges).uncapped
    widths = [predictions[name].sigma / np.std(data.labels[name][known]) for name in ranges]
    uncertainty = np.nan_to_num(np.mean(widths, axis=0), nan=np.inf)
    return Judged(probability, uncertainty)
