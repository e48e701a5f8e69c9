"""Intervals, and the expected share of misses, for candidates that were selected by their predictions.

Candidates are at the top of a ranking partly because of errors. So intervals that hold for all candidates hold less
often there. There are two remedies, which use calibration rows that were predicted and ranked as if they were new:

* :func:`selection_conditional` calibrates on the rows that the same rule would have picked in place of a candidate
  (Jin and Ren, J. R. Stat. Soc. B 87, 1239 (2025), arXiv:2403.03868).
* :func:`conformal_selection` returns the largest set whose expected share of misses stays below a limit (Jin and
  Candès, J. Mach. Learn. Res. 24(244), 1 (2023)).

Both are exact when calibration rows and candidates are exchangeable and are scored by the same model. Out-of-fold rows
are scored by models that saw fewer rows than the one which scores candidates; that errs on the safe side as a rule
(``benchmarks/models/shortlist.py`` measures it) but is no theorem. Candidates from another chemistry than the
calibration rows are not exchangeable with them: no promise is made outside the applicability domain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.surrogates.calibration import tail_value


class SelectionRule(Protocol):
    """A rule that picks candidates by their score; a score that is not a number is never picked."""

    def selected(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each candidate is picked, shape (n,)."""
        ...

    def in_place_of_one(
        self, calibration_scores: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether each calibration row (m,) would be picked in the place of any one picked candidate."""
        ...


@dataclass(frozen=True)
class Best:
    """Pick the ``count`` highest scores.

    A calibration row that takes the place of a picked candidate meets the same rivals. It is picked if it beats the
    best rival that was left out, whichever picked candidate it replaces. A row that only equals that rival does not
    count.

    >>> Best(2).in_place_of_one(np.array([0.2, 0.5, 0.9]), np.array([0.8, 0.1, 0.3, 0.7]))
    array([False,  True,  True])
    """

    count: int

    def selected(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each candidate is picked, shape (n,); of equal scores the earlier one."""
        known = np.where(np.isnan(scores), -np.inf, scores)
        mask = np.zeros(len(scores), bool)
        mask[np.argsort(-known, kind="stable")[: self.count]] = True
        return mask & ~np.isnan(scores)

    def in_place_of_one(
        self, calibration_scores: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether each calibration row (m,) beats the best candidate that was left out."""
        known = scores[~np.isnan(scores)]
        rival = -np.inf if len(known) <= self.count else -np.partition(-known, self.count)[self.count]
        return calibration_scores > rival


@dataclass(frozen=True)
class AtLeast:
    """Pick every score of at least ``threshold``.

    The rule is exact for a threshold that was set beforehand. It is an approximation if the threshold is the lowest
    score of a list that was cut in another way (spread over chemistry, or by :func:`conformal_selection`).
    """

    threshold: float

    def selected(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each candidate is picked, shape (n,)."""
        return scores >= self.threshold

    def in_place_of_one(
        self, calibration_scores: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether each calibration row (m,) reaches the threshold; the candidates do not matter."""
        return calibration_scores >= self.threshold


class SelectedErrors(NamedTuple):
    """The relative errors between which the truth of a picked candidate lies.

    Attributes:
        lower: Lower end, in the unit of the relative errors.
        upper: Upper end.
        rows: Number of calibration rows it rests on.
        exact: Whether all of them would have been picked. If not, the rows next in rank were added, and the interval
            promises less than its level.
    """

    lower: float
    upper: float
    rows: int
    exact: bool


def selection_conditional(
    errors: NDArray[np.float64],
    calibration_scores: NDArray[np.float64],
    scores: NDArray[np.float64],
    rule: SelectionRule,
    *,
    level: float = 0.9,
) -> SelectedErrors:
    """Compute the equal-tailed range of the relative errors of picked candidates.

    Calibration rows that the rule would have picked in place of a picked candidate are exchangeable with it, given that
    it was picked; the range is that of split conformal prediction on those rows alone (Jin and Ren, section 3). Where
    they are too few for the level (19 for 90 %), the rows ranked next are added up to that number.

    Args:
        errors: Relative error of each calibration row
            (:meth:`matloop.models.surrogates.prediction.Prediction.relative_error`), shape (m,). For several targets,
            call once per target with the same scores of the rows it is known for.
        calibration_scores: Scores of the calibration rows, each predicted as a new one, shape (m,).
        scores: Scores of all n candidates; nan for those that could not be selected.
        rule: The rule that picked the candidates.
        level: Probability that the truth lies inside.

    Raises:
        ModelError: If there are fewer calibration rows than the level needs.
    """
    needed = math.ceil(2 / (1 - level) - 1e-9) - 1
    known = np.flatnonzero(np.isfinite(errors) & ~np.isnan(calibration_scores))
    if len(known) < needed:
        raise ModelError(
            f"{len(known)} calibration rows with an error and a score",
            f"at least {needed} for intervals at {level:.0%}",
            "add labelled rows or ask for a lower level",
        )
    picked = known[rule.in_place_of_one(calibration_scores[known], scores)]
    exact = len(picked) >= needed
    if not exact:
        picked = known[np.argsort(-calibration_scores[known], kind="stable")[:needed]]
    reference = np.sort(errors[picked])
    tail = (1 - level) / 2
    return SelectedErrors(tail_value(reference, tail), tail_value(reference, 1 - tail), len(picked), exact)


class Evidence(NamedTuple):
    """What calibration rows tell about meeting one target, or several at once.

    Attributes:
        calibration_scores: Score of each calibration row predicted as a new one (its probability, say), shape (m,).
        met: Whether its truth meets the target, or all targets where the truth of all is known, shape (m,).
        scores: The same score of each candidate, nan where not predicted, shape (n,).
    """

    calibration_scores: NDArray[np.float64]
    met: NDArray[np.bool_]
    scores: NDArray[np.float64]


class Chosen(NamedTuple):
    """A set of candidates, and the evidence for each of them.

    Attributes:
        mask: Whether each candidate is in the set, shape (n,).
        p_values: Conformal p-value of each candidate, shape (n,); 1 where not predicted.
    """

    mask: NDArray[np.bool_]
    p_values: NDArray[np.float64]


def conformal_selection(evidence: Sequence[Evidence], *, max_false_discovery: float) -> Chosen:
    """Choose the largest set of candidates whose expected share of misses is at most a limit.

    The p-value of a candidate is the share of calibration rows that miss the target and yet score at least as high, the
    candidate counted in. The set is cut by the procedure of Benjamini and Hochberg (J. R. Stat. Soc. B 57, 289 (1995)).

    With one piece of evidence (one target, or rows on which the truth of all targets is known) the expected share of
    misses is at most the limit, for any model, if rows and candidates are exchangeable. With several, a candidate's
    p-value is the largest of its p-values times their number (at most 1): whichever target the candidate misses, so
    small a value has no more than its own probability. The step from there to the share of misses assumes that p-values
    are positively dependent, as they are for one target; it is not proved for several.

    From n candidates and m rows nothing can be chosen unless at least n / (m + 1) / limit of them (times the number of
    pieces of evidence) stand out: few calibration rows cannot vouch for a handful among very many.

    Args:
        evidence: For one target, or for all targets jointly; or one for each target.
        max_false_discovery: Limit on the expected share of misses, between 0 and 1.

    Raises:
        ModelError: If there is no evidence, or the limit is not between 0 and 1.

    >>> rows = Evidence(np.linspace(0, 1, 99), np.linspace(0, 1, 99) > 0.5, np.array([0.9, 0.1, 0.8, np.nan]))
    >>> conformal_selection([rows], max_false_discovery=0.1).mask
    array([ True, False,  True, False])
    """
    if not evidence or not 0 < max_false_discovery < 1:
        raise ModelError(
            f"{len(evidence)} pieces of evidence and a share of misses of {max_false_discovery}",
            "at least one, and a share between 0 and 1",
        )
    each = np.stack([_p_values(*piece) for piece in evidence])
    p_values = np.minimum(len(evidence) * each.max(axis=0), 1.0)
    tested = np.logical_and.reduce([~np.isnan(piece.scores) for piece in evidence])
    ranked = np.sort(p_values[tested])
    limits = max_false_discovery * np.arange(1, len(ranked) + 1) / max(len(ranked), 1)
    passed = np.flatnonzero(ranked <= limits)
    cut = limits[passed[-1]] if len(passed) else -1.0
    return Chosen(tested & (p_values <= cut), p_values)


def _p_values(
    calibration_scores: NDArray[np.float64], met: NDArray[np.bool_], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    rows = ~np.isnan(calibration_scores)
    misses = np.sort(calibration_scores[rows & ~met])
    as_high = len(misses) - np.searchsorted(misses, scores, side="left")
    return np.where(np.isnan(scores), 1.0, (1 + as_high) / (1 + rows.sum()))
