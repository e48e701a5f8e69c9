"""Acquisition functions over the smallest margin of all targets: how promising is each candidate?

Each takes the outlook of every target and returns one number a candidate, larger is better, nan where a target has no
prediction. ``best`` is the smallest margin of the best material that is known; 0 asks for nothing but meeting all
targets. All are vectorised and hold a few arrays of n numbers, so pools are scored part by part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.models.acquisition.outlook import TargetOutlook

CONFIDENCE = 2.0
"""Standard deviations of the upper confidence bound."""
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)
_CERTAIN, _IMPOSSIBLE = 5.0, 6.0  # standard deviations


def probability_of_improvement(
    targets: Sequence[TargetOutlook], best: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:  # fmt: skip
    """Probability that every margin is larger than ``best``, shape (n,) (Kushner, J. Basic Eng. 86, 97 (1964)).

    Args:
        targets: Outlook of each target.
        best: One margin for all candidates, or one for each, shape (n,).

    >>> target = TargetOutlook(np.array([1.0, 2.0]), np.array([1.0, 1.0]), lower=1.0)
    >>> probability_of_improvement([target]).round(4), probability_of_improvement([target, target]).round(4)
    (array([0.5   , 0.8413]), array([0.25  , 0.7079]))
    """
    return np.asarray(np.prod([target.chance_of_margin(best) for target in targets], axis=0))


def expected_improvement(targets: Sequence[TargetOutlook], best: float = 0.0) -> NDArray[np.float64]:
    """Expected amount by which the smallest margin exceeds ``best``, shape (n,): E[max(min margin - best, 0)].

    One target has a closed form. Of several it is the integral over u > best of the probability that every margin
    exceeds u, by Gauss-Legendre quadrature where that probability is neither 1 nor 0.

    >>> target = TargetOutlook(np.array([0.0]), np.array([1.0]), lower=0.0)
    >>> expected_improvement([target]).round(3), expected_improvement([target, target]).round(3)
    (array([0.399]), array([0.117]))
    """
    if len(targets) == 1:
        return targets[0].expected_excess(best)
    centres = [target.margin(target.mean) for target in targets]
    widths = [target.sigma / target.spread for target in targets]
    surely = np.min([centre - _CERTAIN * width for centre, width in zip(centres, widths, strict=True)], axis=0)
    at_most = np.min([target.optimistic_margin(_IMPOSSIBLE) for target in targets], axis=0)
    start = np.maximum(surely, best)
    end = np.maximum(at_most, start)
    integral = np.zeros(len(targets[0]))
    for middle, half in _pieces(start, end, centres):
        for node, weight in zip(_NODES, _NODE_WEIGHTS, strict=True):
            integral += float(weight) * half * probability_of_improvement(targets, middle + half * float(node))
    return np.asarray(start - best + integral)


def _pieces(
    start: NDArray[np.float64], end: NDArray[np.float64], centres: Sequence[NDArray[np.float64]]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Cut each interval at the narrowest predicted margin: middles and half lengths of its two parts, each (n,)."""
    cut = np.clip(np.min(centres, axis=0), start, end)
    return [((start + cut) / 2, (cut - start) / 2), ((cut + end) / 2, (end - cut) / 2)]


def upper_confidence_bound(targets: Sequence[TargetOutlook], *, width: float = CONFIDENCE) -> NDArray[np.float64]:
    """Smallest margin if every target turns out better by ``width`` standard deviations, shape (n,).

    Of one target that is the upper confidence bound (Srinivas et al., IEEE Trans. Inf. Theory 58, 3250 (2012)); the
    smallest over several is a scalarisation after Chebyshev (as in arXiv:1805.12168).

    >>> upper_confidence_bound([TargetOutlook(np.array([1.0, 0.0]), np.array([0.1, 1.0]), lower=0.0)])
    array([1.2, 2. ])
    """
    return np.asarray(np.min([target.optimistic_margin(width) for target in targets], axis=0))


def draw_margins(
    targets: Sequence[TargetOutlook], count: int, random: np.random.Generator
) -> NDArray[np.float64]:  # fmt: skip
    """Draw truths that the models hold possible and return the smallest margin in each, shape (count, n).

    A draw is joint: candidates whose errors have something in common rise and fall together. The candidate with the
    largest margin in a draw is one by Thompson sampling (Thompson, Biometrika 25, 285 (1933); batches of independent
    draws after Kandasamy et al., AISTATS 2018).

    Args:
        targets: Outlook of each target.
        count: Number of draws.
        random: Source of chance.
    """
    smallest = np.full((count, len(targets[0])), np.inf)
    for target in targets:
        shared = target.loadings if target.loadings.size else np.zeros((len(target), 1))
        own = np.sqrt(np.maximum(np.square(target.sigma) - np.square(shared).sum(axis=1), 0.0))
        common = random.standard_normal((count, shared.shape[1])) @ shared.T
        drawn = target.mean + common + own * random.standard_normal((count, len(target)))
        smallest = np.minimum(smallest, target.margin(drawn))
    return smallest
