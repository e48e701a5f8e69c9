"""Choose a batch: one candidate after the other, each in view of what the ones before it may turn out to be.

Candidates of one batch are made before any of them is measured. After each choice the outlook of all others is
therefore conditioned on an imagined result of the chosen one, and the next is the best by that outlook. This is the
kriging believer of Ginsbourger, Le Riche and Carraro (Computational Intelligence in Expensive Optimization Problems,
Springer (2010), ch. 6). By default the imagined result is what the models expect *if the chosen candidate fails to
meet the targets*: near twins of it then fall back, while candidates whose errors have nothing in common with it stay
where they are. By probability, that is a greedy choice of the batch most likely to hold at least one success. Upper
bounds of confidence imagine the prediction itself (Desautels, Krause and Burdick, J. Mach. Learn. Res. 15, 4053
(2014)), and Thompson sampling imagines nothing: each candidate is the best of another draw.

A stated share of the batch goes to the candidates whose results would explain most of what is uncertain about all
others, whatever their prospects.

Everything is decided by the seed, and ties by id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from matloop.data.errors import ModelError, unknown_name
from matloop.models.acquisition.criteria import (
    CONFIDENCE,
    draw_margins,
    expected_improvement,
    probability_of_improvement,
    upper_confidence_bound,
)
from matloop.models.acquisition.hypervolume import expected_hypervolume_improvement
from matloop.models.acquisition.joint_posterior import correlations, explained_variance, given_result
from matloop.models.acquisition.outlook import TargetOutlook

Imagined = Literal["failure", "prediction", "nothing"]
"""What a chosen candidate is imagined to turn out to be before the next one is chosen."""
_FURTHEST = 2.0  # standard deviations from a prediction that a failure is imagined to lie
_SUREST = 1e-12


@dataclass(frozen=True)
class Prospects:
    """What is known of n candidates that might be made, and of the materials they have to beat.

    Attributes:
        ids: Identifiers, shape (n,); they decide ties.
        targets: Outlook of each target.
        probability: Calibrated probability of meeting all targets, shape (n,), where something better is known than
            the product over the targets; None elsewhere.
        best: Smallest margin of the best known material, 0 or larger.
        front: Margins of known materials, shape (f, t).
    """

    ids: NDArray[np.str_]
    targets: tuple[TargetOutlook, ...]
    probability: NDArray[np.floating] | None = None
    best: float = 0.0
    front: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return some of the candidates."""
        probability = None if self.probability is None else self.probability[rows]
        targets = tuple(target.take(rows) for target in self.targets)
        return replace(self, ids=self.ids[rows], targets=targets, probability=probability)

    def imagined(self, row: int, result: Imagined) -> Self:
        """The prospects if one candidate turned out as imagined."""
        if result == "nothing":
            return self
        failure = _failure([target.take(np.array([row])) for target in self.targets])
        targets, margins = [], []
        for target, deviations in zip(self.targets, failure, strict=True):
            value = float(target.mean[row] + (deviations * target.sigma[row] if result == "failure" else 0.0))
            targets.append(given_result(target, row, value))
            margins.append(float(target.margin(np.array([value]))[0]))
        probability = None if self.probability is None else _moved(self.probability, self.targets, targets)
        return replace(
            self, targets=tuple(targets), probability=probability, best=max(self.best, min(margins)),
            front=np.concatenate([self.front.reshape(-1, len(margins)), [margins]]),
        )  # fmt: skip


def _failure(targets: Sequence[TargetOutlook]) -> list[float]:
    """Expected results of one candidate if it does not meet all targets, in standard deviations from the predictions.

    The mean over success and failure is the prediction, so the mean over failures is that over successes with the other
    sign, times the odds of success. That over successes is the mean of a truncated normal distribution.
    """
    chance = float(probability_of_improvement(targets)[0])
    odds = chance / max(1 - chance, _SUREST)
    found = []
    for target in targets:
        width = max(float(target.sigma[0]), _SUREST)
        density = [
            np.exp(-0.5 * ((end - float(target.mean[0])) / width) ** 2) / np.sqrt(2 * np.pi)
            for end in (target.lower, target.upper)
        ]
        met = (density[0] - density[1]) / max(float(target.chance_of_margin(0.0)[0]), _SUREST)
        found.append(float(np.clip(-odds * met, -_FURTHEST, _FURTHEST)))
    return found


def _moved(
    probability: NDArray[np.floating], before: Sequence[TargetOutlook], after: Sequence[TargetOutlook]
) -> NDArray[np.float64]:
    """A calibrated probability whose odds change as those of the product over the targets do, shape (n,)."""
    odds = [logit(np.clip(probability_of_improvement(targets), _SUREST, 1 - _SUREST)) for targets in (before, after)]
    return np.asarray(expit(logit(np.clip(probability, _SUREST, 1 - _SUREST)) + odds[1] - odds[0]))


def _probability(prospects: Prospects) -> NDArray[np.float64]:
    if prospects.probability is None:
        return probability_of_improvement(prospects.targets)
    return np.asarray(prospects.probability, np.float64)


def _improvement(prospects: Prospects) -> NDArray[np.float64]:
    return probability_of_improvement(prospects.targets, prospects.best)


def _expected_improvement(prospects: Prospects) -> NDArray[np.float64]:
    return expected_improvement(prospects.targets, prospects.best)


def _upper_confidence_bound(prospects: Prospects) -> NDArray[np.float64]:
    return upper_confidence_bound(prospects.targets, width=CONFIDENCE)


def _expected_hypervolume(prospects: Prospects) -> NDArray[np.float64]:
    return expected_hypervolume_improvement(prospects.targets, prospects.front)


@dataclass(frozen=True)
class Strategy:
    """How a batch is chosen.

    Attributes:
        name: In the table of strategies.
        value: How good each candidate is, larger is better, shape (n,).
        imagines: What a chosen candidate is imagined to turn out to be.
        draws: Whether ``value`` only says which candidates are worth a draw of the truth, which then decides.
    """

    name: str
    value: Callable[[Prospects], NDArray[np.float64]]
    imagines: Imagined = "failure"
    draws: bool = False


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            Strategy("probability", _probability),
            Strategy("improvement", _improvement),
            Strategy("expected_improvement", _expected_improvement),
            Strategy("upper_confidence_bound", _upper_confidence_bound, imagines="prediction"),
            Strategy("thompson", _upper_confidence_bound, imagines="nothing", draws=True),
            Strategy("expected_hypervolume", _expected_hypervolume),
        )
    }
)
"""Strategies by name."""

Purpose = Literal["exploit", "explore"]


class Choice(NamedTuple):
    """A candidate of a batch, and why it was chosen.

    Attributes:
        row: Place among the candidates.
        purpose: Whether it is promising, or tells most about the others.
        value: What the strategy says of it in view of those chosen before; of one that explores, the mean variance of
            all candidates that its result would explain.
        alone: The same as if nothing had been chosen before.
        rank_alone: Its rank by that, 1 for the best.
        nearest: Place in the batch of the one chosen before with which its errors have most in common; -1 for none.
        correlation: Of the two, the largest over the targets; 0 for none.
    """

    row: int
    purpose: Purpose
    value: float
    alone: float
    rank_alone: int
    nearest: int
    correlation: float


def strategy_named(name: str) -> Strategy:
    """A strategy by its name.

    Raises:
        UnknownNameError: For another name.
    """
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def choose_batch(
    prospects: Prospects, strategy: Strategy, size: int, *, explored: float = 0.0, seed: int = 0
) -> list[Choice]:
    """Choose candidates one after the other.

    Args:
        prospects: Of the candidates; those without a prediction of every target are never chosen.
        strategy: How good a candidate is.
        size: Number of candidates wanted; fewer come back where there are fewer.
        explored: Share of the batch that explores, rounded to whole candidates; they are chosen last.
        seed: Of draws.

    Raises:
        ModelError: If the share is not between 0 and 1, or the size is negative.

    >>> target = TargetOutlook(np.array([2.0, 1.9, 1.8]), np.ones(3), lower=1.0,
    ...                        loadings=np.array([[1.0, 0.0], [0.99, 0.14], [0.0, 1.0]]))
    >>> prospects = Prospects(np.array(["a", "b", "c"]), (target,))
    >>> [choice.row for choice in choose_batch(prospects, STRATEGIES["probability"], 2)]  # b is a twin of a
    [0, 2]
    """
    if not 0 <= explored <= 1 or size < 0:
        raise ModelError(f"a batch of {size} with a share of {explored:g} explored", "0 or more, and a share of 0 to 1")
    exploring = round(explored * size)
    free = np.isfinite(np.sum([target.mean + target.sigma for target in prospects.targets], axis=0))
    drawn = draw_margins(prospects.targets, size, np.random.default_rng(seed)) if strategy.draws else None
    alone: dict[Purpose, NDArray[np.float64]] = {
        "exploit": strategy.value(prospects), "explore": _explained(prospects) if exploring else np.empty(0),
    }  # fmt: skip
    ranks = {purpose: _ranks(np.where(free, values, np.nan)) for purpose, values in alone.items() if len(values)}
    current, chosen = prospects, list[Choice]()
    for place in range(min(size, int(free.sum()))):
        purpose: Purpose = "exploit" if place < size - exploring else "explore"
        if purpose == "explore":
            values = _explained(current)
        else:
            values = drawn[place] if drawn is not None else strategy.value(current)
        row = _best(np.where(free, values, np.nan), prospects.ids)
        nearest, correlation = _nearest(prospects.targets, row, [choice.row for choice in chosen])
        chosen.append(
            Choice(
                row, purpose, float(values[row]), float(alone[purpose][row]), int(ranks[purpose][row]), nearest,
                correlation,
            )
        )  # fmt: skip
        free[row] = False
        current = current.imagined(row, "prediction" if exploring and drawn is not None else strategy.imagines)
    return chosen


def _explained(prospects: Prospects) -> NDArray[np.float64]:
    """Variance of all candidates that a result of each would explain, mean over the targets, shape (n,)."""
    return np.asarray(np.mean([explained_variance(target) for target in prospects.targets], axis=0))


def _best(values: NDArray[np.float64], ids: NDArray[np.str_]) -> int:
    """Place of the largest value; of equal ones that of the smallest id, and without any value likewise."""
    most = np.nanmax(values)
    equal = np.flatnonzero(values == most)
    return int(equal[np.argmin(ids[equal])])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank of each value, 1 for the largest, equal ones alike; nan last."""
    ascending = np.sort(-values[np.isfinite(values)])
    return np.searchsorted(ascending, -np.nan_to_num(values, nan=-np.inf)) + 1


def _nearest(targets: Sequence[TargetOutlook], row: int, before: Sequence[int]) -> tuple[int, float]:
    """Which of those chosen before has most in common with a candidate, and how much."""
    if not before:
        return -1, 0.0
    common = np.max([correlations(target, row)[list(before)] for target in targets], axis=0)
    place = int(np.argmax(common))
    return place, float(common[place])


def most_promising(
    values: NDArray[np.floating], ids: NDArray[np.str_], count: int
) -> NDArray[np.int64]:  # fmt: skip
    """Places of the candidates with the largest values, best first, equal ones by id; those without a value are none.

    The best of a pool are among the best of its parts, so a large pool is scored part by part.

    >>> most_promising(np.array([0.1, np.nan, 0.3, 0.3]), np.array(["a", "b", "d", "c"]), 3).tolist()
    [3, 2, 0]
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) > count > 0:
        cut = np.partition(values[known], len(known) - count)[len(known) - count]
        known = known[values[known] >= cut]  # with all that equal the last
    return np.asarray(known[np.lexsort((ids[known], -values[known]))][:count])
