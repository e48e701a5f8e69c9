"""How wide predictive distributions are: difficulty and calibration, from held-out formulas and hidden chemistry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.calibration import Calibration, bin_edges
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.difficulty import Difficulty
from matloop.models.surrogates.domain import Distances, Domain
from matloop.models.surrogates.domain_limit import decide_limit, evidence_at_limits
from matloop.models.surrogates.held_out import Rows
from matloop.models.surrogates.hidden_chemistry import (
    OF_FORMULAS,
    OF_TWINS,
    CalibrationRows,
    calibration_distance,
    novelty,
)
from matloop.models.surrogates.training import CrossFitted, cross_fitted, scores
from matloop.models.surrogates.widening import LEVEL, choose_widening

_TAILS = (0.05, 0.95)  # of 90 % intervals


@dataclass(frozen=True)
class Intervals:
    """What turns mean and spread of an ensemble into predictive distributions.

    Attributes:
        difficulty: Estimates for which candidates predictions are hard, from features and how new the candidate is.
        calibration: Distribution of residuals by distance to the training data.
        support: Training formulas with the elements of a candidate.
    """

    difficulty: Difficulty
    calibration: Calibration
    support: ChemicalSupport

    @classmethod
    def fit(cls, rows: Rows, domain: Domain, examples: CalibrationRows, *, shrinkage: float) -> FittedIntervals:
        """Learn from training rows as ensembles predicted them that saw nothing like them.

        Args:
            rows: Training rows.
            domain: Their domain, with the widest limit.
            examples: Their predictions.
            shrinkage: Size of errors of the final model relative to those with formulas held out. Errors with whole
                groups hidden do not shrink: no more rows of the other chemistry are learned in the end. Those of
                twins do not either: the ensemble had nearly all rows.
        """
        values = np.column_stack([rows.values[examples.row], examples.novelty])
        target, mean, distance = rows.target[examples.row], examples.mean, examples.distance
        folds = list(examples.folds(rows.groups))
        adjusted = Difficulty.out_of_fold(values, mean, examples.spread, target, folds)

        def crossed(factor: float, edges: NDArray[np.float64]) -> CrossFitted:
            return cross_fitted(
                target, mean, adjusted, folds, distance=distance, edges=edges, factor=factor, hidden=examples.hidden
            )

        def held(factor: float) -> NDArray[np.bool_]:
            return crossed(factor, edges).central <= LEVEL

        edges = bin_edges(distance, own=domain.own, limit=domain.limit)
        domain = decide_limit(domain, examples, held(1.0))
        edges = bin_edges(distance, own=domain.own, limit=domain.limit)
        widening = choose_widening(examples, examples.inside(domain.limit), held)
        shrinkages = np.where(examples.group == OF_FORMULAS, shrinkage, 1.0) * widening.factor
        calibration = Calibration.fit(
            target, mean, adjusted, distance, shrinkage=shrinkages, edges=edges, hidden=examples.hidden
        )
        evidence = evidence_at_limits(domain, examples, held(widening.factor))
        said = {
            "distance_bins": calibration.statement(), "domain_limit": evidence, "widening": widening.statement()
        }  # fmt: skip
        difficulty, final = Difficulty.fit(values, mean, examples.spread, target), crossed(widening.factor, edges)
        inside = examples.inside(domain.limit)
        apart = {
            "hidden_chemistry": examples.hidden, "unseen_elements_inside": examples.unseen & inside,
            "same_features": examples.group == OF_TWINS,
        }  # fmt: skip
        return FittedIntervals(
            cls(difficulty, calibration, rows.support(np.arange(len(rows.target)))), domain,
            said, adjusted[: len(rows.target)], final.median[: len(rows.target)],
            distance[: len(rows.target)],
            scores(target, final, known=examples.group == OF_FORMULAS, apart=apart),
        )  # fmt: skip

    def novelty(
        self,
        domain: Domain,
        values: NDArray[np.float64],
        elements: NDArray[np.bool_],
        *,
        distances: Distances,
    ) -> NDArray[np.float64]:
        """Describe how new candidates are to the training rows, shape (n, 6).

        Args:
            domain: Domain of the training rows.
            values: Features of the candidates, shape (n, k).
            elements: Which elements each contains, shape (n, 119).
            distances: To the training rows.
        """
        return novelty(domain, self.support, values, elements, distances=distances)

    def scale(
        self,
        values: NDArray[np.float64],
        novelty: NDArray[np.float64],
        *,
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the width of the predictive distribution of each candidate on the scale of the model, shape (n,).

        Args:
            values: Features, shape (n, k).
            novelty: How new each candidate is, shape (n, 6).
            mean: Prediction, shape (n,).
            spread: Spread of the ensemble, shape (n,).
        """
        return self.difficulty.adjust(np.column_stack([values, novelty]), mean, spread) + self.calibration.floor

    def hold_without(
        self,
        rows: Rows,
        held: NDArray[np.int64],
        *,
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        remaining: Domain,
        train: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Whether the 90 % intervals of rows that were left out of an ensemble hold their truth, shape (h,).

        See :class:`matloop.models.surrogates.held_out.HoldsTruth`. Difficulty and calibration are those of all rows.
        """
        values, elements = rows.values[held], rows.elements[held]
        distances = remaining.near(values)
        support = rows.support(train)
        new = novelty(remaining, support, values, elements, distances=distances)
        bins = self.calibration.bins(calibration_distance(support, elements, distances=distances))
        scale = self.scale(values, new, mean=mean, spread=spread)
        low, high = (mean + scale * self.calibration.quantile(tail)[bins] for tail in _TAILS)
        truth = rows.target[held]
        return (low <= truth) & (truth <= high)


class FittedIntervals(NamedTuple):
    """Intervals, and what was found while they were learned.

    Attributes:
        intervals: The intervals.
        domain: The domain with the limit that the evidence supports.
        evidence: Entries of a card for that, for the width of the intervals and for the bins of their calibration.
        spread: Of each training row, adjusted by a forest that saw no row of its formula, shape (m,).
        median: Of the distribution of each row, calibrated without its formula, shape (m,).
        distance: Of each row to rows of other formulas, by which residuals are binned, shape (m,).
        scores: Of predictions and intervals, see :func:`matloop.models.surrogates.training.scores`.
    """

    intervals: Intervals
    domain: Domain
    evidence: dict[str, Any]
    spread: NDArray[np.float64]
    median: NDArray[np.float64]
    distance: NDArray[np.float64]
    scores: dict[str, Any]
