"""Which candidates to label next: the most probable ones, some that the models know least about, or a draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.workflows.bench.discovery_settings import ranked

EXPLORED = 0.25
"""Share of each batch that ``explore`` spends on what the models know least about."""


class Judged(NamedTuple):
    """What the models say of n candidates without a label.

    Attributes:
        probability: Of meeting all targets, without caps, nan where a model gave no prediction, shape (n,).
        uncertainty: Mean over the targets of the predictive width over the spread of the labels; infinite where a model
            gave no prediction, shape (n,).
    """

    probability: NDArray[np.float64]
    uncertainty: NDArray[np.float64]


Strategy = Callable[[Judged, int, np.random.Generator], NDArray[np.int64]]
"""Picks so many of n candidates, by what the models say of them and by chance."""


def greedy(judged: Judged, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The most probable candidates.

    >>> greedy(Judged(np.array([0.1, 0.3, np.nan]), np.zeros(3)), 2, np.random.default_rng(0)).tolist()
    [1, 0]
    """
    return ranked(judged.probability)[:size]


def explore(judged: Judged, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The most probable candidates, and for a share of the batch those that the models know least about.

    A candidate without a prediction comes first among these: an element that no label has is what is known least.

    >>> explore(Judged(np.array([0.4, 0.3, 0.2, np.nan]), np.array([1, 2, 3, np.inf])), 3, np.random.default_rng(0))
    array([0, 1, 3])
    """
    spent = max(round(EXPLORED * size), 1)
    first = ranked(judged.probability)[: size - spent]
    # Equal uncertainties, such as those of candidates without a prediction, are taken in an order of chance.
    order = np.lexsort((random.random(len(judged.uncertainty)), -judged.uncertainty))
    rest = order[~np.isin(order, first)]
    return np.concatenate([first, rest[:spent]])


def thompson(judged: Judged, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Candidates that are hits in one draw of the truth from what the models hold possible, then the most probable.

    A target is met or not, so a draw of the truth is a draw with the probability of meeting all targets (Thompson,
    Biometrika 25, 285 (1933)).
    """
    probability = np.nan_to_num(judged.probability, nan=0.0)
    drawn = np.flatnonzero(random.random(len(probability)) < probability)
    drawn = random.permutation(drawn)[:size]
    others = ranked(judged.probability)
    return np.concatenate([drawn, others[~np.isin(others, drawn)][: size - len(drawn)]])


STRATEGIES: Mapping[str, Strategy] = {"greedy": greedy, "explore": explore, "thompson": thompson}
RANDOM = "random"
"""The rival of every strategy: an order of chance, which needs no model."""
