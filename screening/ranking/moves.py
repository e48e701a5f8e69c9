"""Weights and limits moved by a fifth, one at a time: what a list of finalists must stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from matloop.screening.ranking.objectives import ObjectiveColumn
from matloop.screening.ranking.tradeoffs import ByDesirability, ByTopsis, Tradeoff

MOVED_BY = 0.2
"""Share of its value by which a weight or limit is moved up and down."""
_FACTORS = (1 - MOVED_BY, 1 + MOVED_BY)

Kind = Literal["target", "weight", "worst", "best"]
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Move:
    """A weight or limit, before and after it was moved.

    Attributes:
        kind: ``target`` for a limit of a target; ``weight``, ``worst`` or ``best`` of an objective.
        name: The property, or the objective.
        before: In the unit of the property or objective.
        after: The same, moved.
    """

    kind: Kind
    name: str
    before: float
    after: float


class MovedTarget(NamedTuple):
    """A limit of a target that was moved, and all ranges with it."""

    move: Move
    ranges: Ranges


class MovedCriterion(NamedTuple):
    """A weight or limit of an objective that was moved, and the criterion with it."""

    move: Move
    criterion: Tradeoff


def moved_targets(ranges: Mapping[str, tuple[float, float]]) -> Iterator[MovedTarget]:
    """Move each limit of each target; a limit of 0 stays, and so does one that would leave no range.

    Args:
        ranges: Wanted range by property, infinite where open.

    >>> [(moved.move.after, moved.ranges) for moved in moved_targets({"band_gap": (2.5, float("inf"))})]
    [(2.0, {'band_gap': (2.0, inf)}), (3.0, {'band_gap': (3.0, inf)})]
    """
    for name, ends in ranges.items():
        for place, before in enumerate(ends):
            for factor in _FACTORS if np.isfinite(before) and before else ():
                after = before * factor
                moved = (after, ends[1]) if place == 0 else (ends[0], after)
                if moved[0] < moved[1]:
                    yield MovedTarget(Move("target", name, before, after), {**ranges, name: moved})


def moved_criteria(criterion: Tradeoff) -> Iterator[MovedCriterion]:
    """Move each weight of a criterion with weights, and each limit of desirability."""
    kinds: tuple[Kind, ...] = ("weight",) if isinstance(criterion, ByTopsis | ByDesirability) else ()
    if isinstance(criterion, ByDesirability):
        kinds = (*kinds, "worst", "best")
    for at, objective in enumerate(criterion.objectives):
        for kind in kinds:
            before = float(getattr(objective, kind))
            for factor in _FACTORS if before else ():
                moved = replace(objective, **{kind: before * factor})  # type: ignore[arg-type]
                if kind != "weight" and not _fits(moved):
                    continue
                changed = (*criterion.objectives[:at], moved, *criterion.objectives[at + 1 :])
                move = Move(kind, objective.name, before, before * factor)
                yield MovedCriterion(move, replace(criterion, objectives=changed))


def _fits(objective: ObjectiveColumn) -> bool:
    """Whether the limits of an objective still lie in the order that it asks for."""
    if objective.is_maximized:
        return objective.best > objective.worst
    return objective.best < objective.worst
