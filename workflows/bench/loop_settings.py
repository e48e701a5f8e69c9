"""Settings of a replayed loop: what is wanted, how it begins, how many are measured at once, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass

from matloop.data.errors import MatloopError, unknown_name
from matloop.workflows.bench.loop_strategies import DEFAULT, STRATEGIES
from matloop.workflows.bench.wanted_targets import WantedTarget

FEWEST_FIRST = 10
"""Measurements that a model needs at least."""


@dataclass(frozen=True)
class LoopSettings:
    """Settings of a replayed loop.

    Attributes:
        targets: What a hit meets, all at once.
        top: Share of the labels that is good enough where a target has no limit.
        first: Candidates measured at random before the first batch.
        batch: Candidates measured in each batch.
        budget: The most measurements after the first ones; a replay ends before where all hits are found.
        goal: Share of the hits to be found, which the sentence and the acceleration are about.
        seeds: Number of replays, seeds 0, 1, ...
        strategies: Names of strategies, the one to be judged first.
    """

    targets: tuple[WantedTarget, ...]
    top: float = 0.01
    first: int = 50
    batch: int = 20
    budget: int = 400
    goal: float = 0.5
    seeds: int = 10
    strategies: tuple[str, ...] = DEFAULT

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
            "--budget": (self.budget, self.budget >= self.batch, f"at least one batch of {self.batch}"),
            "--goal": (self.goal, 0 < self.goal <= 1, "a share above 0, at most 1"),
            "--seeds": (self.seeds, self.seeds > 0, "at least 1"),
            "--strategy": (len(self.strategies), len(self.strategies) > 0, "at least one strategy"),
        }
        for name, (value, fits, allowed) in checks.items():
            if not fits:
                raise MatloopError(f"{name} {value}", allowed)
        for strategy in self.strategies:
            if strategy not in STRATEGIES:
                raise unknown_name("strategy", strategy, STRATEGIES)
