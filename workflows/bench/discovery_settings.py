"""Settings of a replay of labelled data, and the definition of a hit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError
from matloop.workflows.bench.labelled import ModelChoice


@dataclass(frozen=True)
class DiscoverySettings:
    """Settings of a replay of labelled data.

    Attributes:
        direction: ``max`` or ``min``: whether high or low values are wanted.
        top: Share of the rows that counts as the best, above 0 and below 0.5.
        threshold: Value from which a row is a hit, in the unit of the property; by default it follows the labelled
            rows: where their top share begins.
        seeds: Number of random splits, seeds 0, 1, ...
        labelled: Share of the rows that is labelled from the start.
        shortlist: Rows on the shortlist; by default as many as the top share of the pool.
        max_false_discovery: Limit of conformal selection on the expected share of misses.
        batch: Rows labelled in each round.
        rounds: Rounds of labelling; none by default.
        model: What is trained.
    """

    direction: str = "max"
    top: float = 0.01
    seeds: int = 10
    labelled: float = 0.5
    shortlist: int | None = None
    max_false_discovery: float = 0.1
    batch: int = 20
    rounds: int = 0
    threshold: float | None = None
    model: ModelChoice = field(default_factory=ModelChoice)

    def ends(self, target: NDArray[np.float64]) -> tuple[float, float]:
        """Range of the values of a hit, see :func:`wanted_range`."""
        if self.threshold is None:
            return wanted_range(target, self.top, self.direction)
        return (self.threshold, np.inf) if self.direction == "max" else (-np.inf, self.threshold)

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            MatloopError: If a setting is out of its range.
        """
        within = {
            "--direction": (self.direction, self.direction in ("max", "min"), "max or min"),
            "--top": (self.top, 0 < self.top < 0.5, "a share above 0 and below 0.5, such as 1% or 0.01"),
            "--labelled": (self.labelled, 0 < self.labelled < 1, "a share between 0 and 1"),
            "--max-false-discovery": (
                self.max_false_discovery, 0 < self.max_false_discovery < 1, "a share between 0 and 1"
            ),
            "--shortlist": (self.shortlist, self.shortlist is None or self.shortlist > 0, "at least 1"),
            "--seeds": (self.seeds, self.seeds > 0, "at least 1"),
            "--batch": (self.batch, self.batch > 0, "at least 1"),
            "--threshold": (self.threshold, self.threshold is None or np.isfinite(self.threshold), "a number"),
            "--rounds": (self.rounds, self.rounds >= 0, "0 or more"),
        }  # fmt: skip
        for name, (value, fits, allowed) in within.items():
            if not fits:
                raise MatloopError(f"{name} {value}", allowed)


def wanted_range(target: NDArray[np.float64], top: float, direction: str) -> tuple[float, float]:
    """Return the range from the labelled value at which the top share begins to infinity; downwards for ``min``.

    >>> wanted_range(np.arange(1.0, 101.0), 0.05, "max"), wanted_range(np.arange(1.0, 101.0), 0.05, "min")
    ((96.0, inf), (-inf, 5.0))
    """
    count = max(round(top * len(target)), 1)
    ordered = np.sort(target)
    return (float(ordered[-count]), np.inf) if direction == "max" else (-np.inf, float(ordered[count - 1]))


def ranked(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order rows from the highest score to the lowest; equal scores keep their order, missing scores come last.

    >>> ranked(np.array([0.2, np.nan, 0.9, 0.2])).tolist()
    [2, 0, 3, 1]
    """
    return np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")


def within(values: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.bool_]:
    """Whether each value lies between two ends, ends included."""
    return (values >= ends[0]) & (values <= ends[1])


def share_named(text: str) -> float:
    """Read a share written as ``1%``, ``1 %`` or ``0.01``.

    Raises:
        MatloopError: If it is neither.

    >>> share_named("1%"), share_named("0.05")
    (0.01, 0.05)
    """
    number, percent = text.strip().removesuffix("%").strip(), text.strip().endswith("%")
    try:
        value = float(number)
    except ValueError:
        raise MatloopError(f"the share '{text}'", "a share such as 1% or 0.01") from None
    return value / 100 if percent else value
