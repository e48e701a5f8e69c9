"""Promises of hits, corrected by how earlier ones were kept.

Candidates are tried because their probability of being a hit is high. So it is too high on the whole, even where the
probabilities of all candidates are right: the winner's curse (Capen, Clapp and Campbell, J. Pet. Technol. 23, 641
(1971)). Results of candidates that were tried say by how much. The odds of probabilities as high as theirs are
multiplied by the most probable factor (:mod:`matloop.models.surrogates.recalibration`), whose prior has its median at 1
and a standard deviation of the logarithm of 1. Three rules keep the correction modest:

* it never raises a probability, since results of the best candidates say nothing in favour of others;
* probabilities below the lowest one that was tried stay as they are, unless a higher one comes out lower: nobody has
  seen what comes of them;
* without results nothing changes.

``benchmarks/models/kept_promises.py`` compares corrected and stated promises on replayed loops; its development half
decided for these rules and the width of the prior.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.recalibration import odds_factor, with_odds

WIDTH = 1.0
"""Standard deviation of the logarithm of the factor, a priori."""


class PromiseCorrection(NamedTuple):
    """What results say of the probabilities by which candidates were chosen.

    Attributes:
        factor: By which odds are multiplied, 1 at most.
        lowest: The lowest probability of a candidate that was tried; below it nothing is known.
        tried: Number of results behind it.
    """

    factor: float = 1.0
    lowest: float = 1.0
    tried: int = 0

    @classmethod
    def fit(cls, promised: NDArray[np.float64], found: NDArray[np.bool_], *, width: float = WIDTH) -> PromiseCorrection:
        """Learn from candidates that were chosen for their prospects and tried.

        Args:
            promised: Probability that was stated for each of n candidates, shape (n,).
            found: Whether each is a hit, shape (n,).
            width: Of the prior.

        >>> found = PromiseCorrection.fit(np.full(40, 0.6), np.arange(40) < 16)
        >>> found.corrected(np.array([0.8, 0.6, 0.5, 0.1])).round(2)
        array([0.66, 0.42, 0.42, 0.1 ])
        """
        if not len(promised):
            return cls()
        factor = min(odds_factor(promised, float(np.sum(found)), width=width), 1.0)
        return cls(factor, float(np.min(promised)), len(promised))

    def corrected(self, chance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities as results support them, of the same shape; nan stays."""
        least = float(with_odds(np.array([self.lowest]), self.factor)[0])
        return np.asarray(
            np.where(chance >= self.lowest, with_odds(chance, self.factor), np.minimum(chance, least)), np.float64
        )


AS_STATED = PromiseCorrection()
"""Changes nothing."""
