"""P(a laboratory makes a compound): what was thought before, corrected by what the laboratory made and failed to make.

The logarithm of the odds of a compound is that of a prior, such as P(makeable phase), plus a correction f. A priori f
is a Gaussian process of mean zero: one part is common to all compounds, as a laboratory may be better or worse than the
prior knows, and one is shared by compounds of like composition. The likeness of two compositions is the sum over
elements of the smaller of both atomic fractions over the sum of the larger ones (the MinMax kernel, which is positive
definite: Ralaivola, Swamidass, Saigo and Baldi, Neural Networks 18, 1093 (2005)). f is its most probable value given
the outcomes (Rasmussen and Williams, Gaussian Processes for Machine Learning, algorithm 3.1).

Exact limits follow. Without outcomes nothing changes. At the most probable f, f = K w (y - p), so an attempt of weight
w moves the logarithm of the odds by at most w times the prior variance. A failure of what was thought impossible
changes nothing, and a compound that shares no element with those tried is only moved by the common part.

The two standard deviations are small, because P(makeable phase) is told well without outcomes: with larger ones the
first few outcomes made probabilities worse (``benchmarks/models/laboratory_outcomes.py``, where lists of computed
compounds stand in for a laboratory; what a real one makes and fails to make is in no packaged data).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logit

from matloop.data.candidates.compositions import Compositions
from matloop.data.errors import ModelError

COMMON, ALIKE = 0.25, 0.5
"""Standard deviations of the correction in logarithms of odds: of its common part, and of that of like compositions."""
_LEAST = 1e-6  # probabilities nearer to 0 or 1 than this are not told apart
_STEPS, _CLOSE = 100, 1e-10
_CHUNK = 100_000


@dataclass(frozen=True)
class LaboratoryOutcomes:
    """Corrects probabilities of being makeable by the outcomes of n attempts.

    Attributes:
        fractions: Atomic fractions of the compositions tried, shape (n, 119).
        pulls: By how much each attempt came out better than expected, times its weight, shape (n,).
        common: Standard deviation of the common part of the correction.
        alike: Standard deviation of the part that like compositions share.
    """

    fractions: NDArray[np.float64]
    pulls: NDArray[np.float64]
    common: float = COMMON
    alike: float = ALIKE

    @classmethod
    def fit(
        cls,
        tried: Compositions,
        prior: NDArray[np.float64],
        success: NDArray[np.float64],
        *,
        weights: NDArray[np.float64] | None = None,
        common: float = COMMON,
        alike: float = ALIKE,
    ) -> Self:
        """Find the most probable correction.

        Args:
            tried: Composition of each of n attempts.
            prior: Probability that each is makeable, without any outcome, shape (n,).
            success: 1 where it was made, 0 where not, and between where in part, shape (n,).
            weights: How much each attempt counts, shape (n,); all the same if left out.
            common: Standard deviation of the common part of the correction.
            alike: Standard deviation of the part that like compositions share.

        Raises:
            ModelError: If a prior or an outcome is no probability, or a weight is negative.
        """
        weights = np.ones(len(tried)) if weights is None else np.asarray(weights, float)
        for name, values in (("priors", prior), ("outcomes", success)):
            if not ((values >= 0) & (values <= 1)).all():
                raise ModelError(f"{name} that are no probabilities", "numbers from 0 to 1")
        if not (weights >= 0).all():
            raise ModelError("attempts of negative weight", "weights of at least zero")
        fractions = fractions_of(tried)
        covariance = common**2 + alike**2 * likeness(fractions, fractions)
        pulls = _most_probable(covariance, _log_odds(prior), np.asarray(success, float), weights)
        return cls(fractions, pulls, common, alike)

    def correction(self, compositions: Compositions) -> NDArray[np.float64]:
        """By how much outcomes change the logarithm of the odds of m compositions, shape (m,)."""
        found = np.zeros(len(compositions))
        if not len(self.pulls):
            return found
        for start in range(0, len(compositions), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(compositions)))
            alike = likeness(fractions_of(compositions.take(rows)), self.fractions)
            found[rows] = self.common**2 * self.pulls.sum() + self.alike**2 * (alike @ self.pulls)
        return found

    def probability(self, compositions: Compositions, prior: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(the laboratory makes it) of m compositions, shape (m,); nan where the prior is.

        Args:
            compositions: Elements and amounts.
            prior: Probability of being makeable without any outcome, shape (m,).

        >>> from matloop.data.candidates.formula import parse_formulas
        >>> salts, _ = parse_formulas(["NaCl", "NaBr", "MgO"])
        >>> half = np.full(3, 0.5)
        >>> failed = LaboratoryOutcomes.fit(salts.take(np.array([0])), half[:1], np.zeros(1))
        >>> failed.probability(salts, half).round(2).tolist()
        [0.46, 0.48, 0.49]
        """
        changed = expit(_log_odds(prior) + self.correction(compositions))
        return np.asarray(np.where(self.pulls.any(), changed, prior))


def fractions_of(compositions: Compositions) -> NDArray[np.float64]:
    """Atomic fraction of each element, shape (n, 119)."""
    found = np.zeros((len(compositions), 119))
    np.add.at(found, (compositions.rows, compositions.elements.astype(np.int64)), compositions.fractions)
    return found


def likeness(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Likeness of compositions by their atomic fractions: 1 for equal ones, 0 without a common element.

    Args:
        first: Atomic fractions of n compositions, shape (n, 119).
        second: Those of m compositions, shape (m, 119).

    Returns:
        Shape (n, m).
    """
    shared = np.zeros((len(first), len(second)))
    for element in np.flatnonzero(second.any(axis=0)):
        holding = np.flatnonzero(second[:, element])
        shared[:, holding] += np.minimum(first[:, element, None], second[holding, element])
    return shared / (2.0 - shared)  # fractions add up to 1, so that smaller and larger ones together give 2


def _most_probable(
    covariance: NDArray[np.float64], offset: NDArray[np.float64], success: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Weighted residuals at the most probable correction, shape (n,), by Newton's method with halved steps."""
    pulls = np.zeros(len(offset))
    score = _score(pulls, covariance, offset, success, weights)
    for _ in range(_STEPS):
        correction = covariance @ pulls
        chance = expit(offset + correction)
        width = np.sqrt(weights * chance * (1 - chance))
        wanted = width**2 * correction + weights * (success - chance)
        factor = cho_factor(np.eye(len(offset)) + width[:, None] * covariance * width)
        step = wanted - width * cho_solve(factor, width * (covariance @ wanted)) - pulls
        while (new := _score(pulls + step, covariance, offset, success, weights)) < score and np.abs(
            step
        ).max() > 1e-14:
            step = step / 2
        pulls, gained, score = pulls + step, new - score, new
        if abs(gained) < _CLOSE * (1 + abs(score)):
            break
    return pulls


def _score(
    pulls: NDArray[np.float64], covariance: NDArray[np.float64], offset: NDArray[np.float64],
    success: NDArray[np.float64], weights: NDArray[np.float64],
) -> float:  # fmt: skip
    """Logarithm of the posterior density of a correction, up to a constant."""
    correction = covariance @ pulls
    odds = offset + correction
    return float(weights @ (success * odds - np.logaddexp(0.0, odds)) - pulls @ correction / 2)


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(probability, _LEAST, 1 - _LEAST)))
