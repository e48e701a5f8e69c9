"""Rounds of labelling: how many evaluations until a share of the best is found, against drawing at random?

Each round trains on all labels known so far and labels the most probable rows next. The goal is the top share of all
rows, which no model knows. The probability is that of reaching the value at which the top share of the *first* labels
begins, because these were drawn at random, unlike those of later rounds.

Acceleration factor: mean number of evaluations to find a share of the best in random order, over the number needed
here. Enhancement factor: share of the best found here over the share a random order finds with as many evaluations
(both after Rohr et al., Chem. Sci. 11, 2696 (2020)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.workflows.bench.discovery_settings import DiscoverySettings, ranked, within
from matloop.workflows.bench.labelled import ReplayData

SHARES = (0.25, 0.5, 0.75)  # of the best, to be found


class Replay(NamedTuple):
    """Results of the rounds of one seed.

    Attributes:
        pool: Rows that had no label at first.
        best: How many of them are among the top share of all rows.
        evaluated: Rows labelled after each round, all rounds together, starting with 0.
        found: How many of the best are among them.
        evaluations: Evaluations to find each of ``SHARES`` of the best; nan where the rounds ended before.
        acceleration: Acceleration factor at each of ``SHARES``; nan likewise.
        enhancement: Enhancement factor after each round but the zeroth; nan where there is nothing to find.
    """

    pool: int
    best: int
    evaluated: NDArray[np.int64]
    found: NDArray[np.int64]
    evaluations: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    enhancement: NDArray[np.float64]


def replay(
    data: ReplayData,
    settings: DiscoverySettings,
    *,
    train: NDArray[np.int64],
    pool: NDArray[np.int64],
    ends: tuple[float, float],
    seed: int,
) -> Replay:
    """Label the pool in rounds.

    Args:
        data: All rows.
        settings: Batch, rounds, top share, direction and model.
        train: Rows labelled from the start.
        pool: The others.
        ends: Range that the top share of the first labels lies in.
        seed: Of the models.
    """
    best = within(data.target, settings.ends(data.target))
    # Two crystals of one formula are two candidates; rows of one candidate are labelled together.
    candidates = np.unique(data.training.rows.ids, return_inverse=True)[1]
    evaluated = [0]
    order: list[int] = []
    left = pool
    for _ in range(settings.rounds):
        if len(left) == 0:
            break
        known = np.concatenate([train, np.array(order, np.int64)])
        surrogate = settings.model.fit(data, known, seed=seed)
        probability = surrogate.predict(data.features.take(left)).probability_between(*ends)
        order.extend(next_batch(left[ranked(probability)], candidates, settings.batch))
        evaluated.append(len(order))
        left = np.setdiff1d(left, order)
    return measure(best[np.array(order, np.int64)], np.array(evaluated), pool=len(pool), best=int(best[pool].sum()))


def next_batch(rows: NDArray[np.int64], groups: NDArray[np.integer], size: int) -> list[int]:
    """The first rows of a ranking with all others of their candidates, until there are at least ``size``.

    >>> next_batch(np.array([4, 0, 2, 1]), np.array([7, 8, 9, 9, 8]), 3)
    [4, 1, 0]
    """
    own = groups[rows]
    chosen: list[int] = []
    for group in dict.fromkeys(own.tolist()):
        if len(chosen) >= size:
            break
        chosen.extend(rows[own == group].tolist())
    return chosen


def measure(is_best: NDArray[np.bool_], evaluated: NDArray[np.int64], *, pool: int, best: int) -> Replay:
    """Compute acceleration and enhancement of an order of evaluations.

    A random order has evaluated h (n + 1) / (m + 1) of n rows, on average, when it meets the h-th of the m best.

    Args:
        is_best: Whether each evaluated row is one of the best, in the order of evaluation.
        evaluated: Number of rows evaluated at the end of each round, starting with 0.
        pool: Rows that could be evaluated, n.
        best: How many of them are among the best, m.

    >>> done = measure(np.array([True, False, True]), np.array([0, 3]), pool=99, best=4)
    >>> done.evaluations.tolist(), done.acceleration.tolist(), done.enhancement.tolist()
    ([1.0, 3.0, nan], [20.0, 13.333333333333334, nan], [16.5])
    """
    places = np.flatnonzero(is_best) + 1.0
    needed = [int(np.ceil(share * best - 1e-9)) for share in SHARES]
    reached = [places[count - 1] if 0 < count <= len(places) else np.nan for count in needed]
    at_random = np.array(needed) * (pool + 1) / (best + 1)
    found = np.concatenate([[0], np.cumsum(is_best)])[evaluated]
    evaluations = np.array(reached, float)
    share_found = found[1:] / best if best else np.full(len(found) - 1, np.nan)
    return Replay(
        pool, best, evaluated, found, evaluations, at_random / evaluations, share_found / (evaluated[1:] / pool)
    )
