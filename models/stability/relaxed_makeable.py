"""P(makeable phase) of a relaxed candidate: kinship to known compounds and the verdict of potentials, as one.

Kinship says how likely a later list names a composition near its hull (:mod:`matloop.models.stability.makeable`). After
relaxing, potentials say how likely the crystal lies that near to the hull of the phases with a known energy. Neither
knows what the other does; the logarithm of the odds of the whole is a sum of theirs. A phase that a list names within
the limit lies within it, so the whole is never more probable than that the crystal lies within the limit.

The three numbers were learned from the packaged sample of relaxed candidates, all of compositions that the lists of
2017 lack, judged by CHGNet on the hull of 2017. Of these 1,160, the list of 2019 names 546 within 50 meV/atom of its
hull, and 367 of the crystals lie that near to it by SevenNet too: they are the makeable ones. Compositions that
the later list names are more frequent in the sample than among the children of substitution, so each row counts as
often as its kind occurs there. ``benchmarks/models/makeable_after_relaxing.py`` learns the numbers and measures what
they are worth on chemical systems that they were not learned from. They serve for other limits too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

INTERCEPT, OF_KINSHIP, OF_POTENTIALS = -0.86, 0.80, 0.92
"""Of the logarithms of the odds, which ``benchmarks/models/makeable_after_relaxing.py`` prints."""
HIGHEST = {0.025: 0.608, 0.05: 0.675, 0.1: 0.729}
"""The largest probability that 20 rows of the sample reach, by eV/atom above the hull, which the same program prints.

It is the smaller of two: by the three numbers, and by such numbers that saw no row of the same chemical system.
"""
ROWS = 1160
"""Rows of the sample."""
SMALLEST = 1 / 600
"""A potential's probability is a share of some 300 errors: it cannot tell less from nothing, nor more from one."""


def makeable_after_relaxing(by_kinship: NDArray[np.float64], by_potentials: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(makeable phase) of n relaxed candidates, shape (n,); what the potentials say where kinship says nothing.

    Args:
        by_kinship: P(makeable phase) of their compositions, nan where unknown, shape (n,).
        by_potentials: Probability of lying near enough to the hull by the potentials, nan where unknown, shape (n,).

    >>> makeable_after_relaxing(np.array([0.4, 0.4, 0.02, np.nan]), np.array([0.9, 0.0, 0.9, 0.9])).round(2).tolist()
    [0.7, 0.0, 0.12, 0.9]
    """
    odds = INTERCEPT + OF_KINSHIP * logit(by_kinship) + OF_POTENTIALS * bounded_log_odds(by_potentials)
    return np.asarray(np.where(np.isnan(by_kinship), by_potentials, np.minimum(expit(odds), by_potentials)))


def highest_makeable(limit: float) -> float:
    """Return the largest probability after relaxing that rows of the sample support.

    Between the limits for which it is known it is interpolated, and beyond them it is that of the nearest.

    Args:
        limit: Largest energy above the hull that is wanted, in eV/atom.
    """
    return float(np.interp(limit, list(HIGHEST), list(HIGHEST.values())))


def bounded_log_odds(by_potentials: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the odds of a potential's probability, as far as it can tell, shape (n,)."""
    return np.asarray(logit(np.clip(by_potentials, SMALLEST, 1 - SMALLEST)))
