"""A factor on the width of all intervals, so that those of a typical hidden group hold what is promised.

Rows of all groups calibrate together. One group that fails widens the intervals of all others, and many easy rows make
those of hidden groups too narrow. Each hidden cluster or set of elements counts once here, however many rows it has:
the factor brings the median of their coverages nearest to 90 %, as far as compounds whose formula alone was held out
keep between 88 and 92 %. It narrows intervals only where those of all hidden rows together still hold 88 %: a median
does not see the groups that fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.domain_limit import FEWEST_ROWS
from matloop.models.surrogates.hidden_chemistry import OF_FORMULAS, CalibrationRows

LEVEL = 0.9
KEPT = (0.88, 0.92)
"""Coverage of held-out formulas in which it has to stay; that of hidden rows below which nothing is narrowed."""
FACTORS = tuple((np.arange(32, 53) / 40).tolist())  # 0.8 to 1.3


class Widening(NamedTuple):
    """What one factor gives, each interval calibrated without the own formula and hidden group.

    Attributes:
        factor: On the width of all intervals.
        formulas: Coverage of held-out formulas inside the domain.
        groups: Median over the hidden groups of their coverage inside the domain; None without groups of 20 rows there.
        hidden: Coverage of all hidden rows inside the domain; None without any.
    """

    factor: float
    formulas: float
    groups: float | None
    hidden: float | None

    def statement(self) -> dict[str, Any]:
        """As plain JSON values, for a card."""
        return {
            "factor": self.factor, "coverage_of_formulas": self.formulas, "median_of_groups": self.groups,
            "coverage_hidden": self.hidden,
        }  # fmt: skip

    @property
    def may_be_taken(self) -> bool:
        """Whether held-out formulas keep their coverage, and no interval is narrowed while hidden chemistry fails."""
        is_safe = self.factor >= 1 or (self.hidden or 0) >= KEPT[0]
        return KEPT[0] <= self.formulas <= KEPT[1] and is_safe


def choose_widening(
    examples: CalibrationRows, inside: NDArray[np.bool_], held: Callable[[float], NDArray[np.bool_]]
) -> Widening:
    """Choose the factor by the coverage that each has.

    Args:
        examples: Predictions of training rows.
        inside: Which of them lie inside the domain, shape (c,).
        held: Gives for a factor whether the 90 % interval of each holds the truth, calibrated without its formula and
            group, shape (c,).
    """
    neutral = _of(1.0, examples, inside, held(1.0))
    if neutral.groups is None:
        return neutral
    every = [_of(factor, examples, inside, held(factor)) for factor in FACTORS]
    kept = [one for one in every if one.may_be_taken]
    return min(kept or [neutral], key=lambda one: (abs((one.groups or 0) - LEVEL), abs(one.factor - 1)))


def _of(factor: float, examples: CalibrationRows, inside: NDArray[np.bool_], held: NDArray[np.bool_]) -> Widening:
    numbers = np.unique(examples.group[examples.hidden])
    of_groups = [held[inside & (examples.group == number)] for number in numbers]
    coverages = [float(one.mean()) for one in of_groups if len(one) >= FEWEST_ROWS]
    known = held[inside & (examples.group == OF_FORMULAS)]
    formulas = float(known.mean()) if len(known) else LEVEL
    hidden = held[inside & examples.hidden]
    median = float(np.median(coverages)) if coverages else None
    return Widening(float(factor), formulas, median, float(hidden.mean()) if len(hidden) else None)
