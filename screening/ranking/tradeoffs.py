"""Criteria that weigh objectives against each other: TOPSIS, desirability, Pareto fronts, chance of being unbeaten."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.properties.columns import Column
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.ranking.criteria import MOST_PROBABLE, Criterion
from matloop.screening.ranking.desirability import desirability_of_values, overall_desirability
from matloop.screening.ranking.non_dominated import non_dominated_probability
from matloop.screening.ranking.objectives import ObjectiveColumn, gains, objectives_of
from matloop.screening.ranking.pareto import NOT_COMPARED, pareto_fronts
from matloop.screening.ranking.ranking import ranking_order
from matloop.screening.ranking.topsis import topsis_closeness


@dataclass(frozen=True)
class Tradeoff(ABC):
    """Orders candidates by a score of their objectives, equal ones by the probability of all targets and then by id.

    Attributes:
        objectives: What is weighed against each other.
        seed: Of random numbers, where the score needs any.
        name: Name of the criterion.
        holds_in_parts: Whether the score of a candidate depends on no other one.
    """

    objectives: tuple[ObjectiveColumn, ...]
    seed: int = 0
    name: str = ""
    holds_in_parts: bool = False

    def order(self, table: pa.Table) -> NDArray[np.int64]:
        """Rows from the best to the worst."""
        return ordered_by(self.scores(table), table)

    @abstractmethod
    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Score from 0 to 1 of each candidate, nan where an objective is not known, shape (n,)."""

    def _values(self, table: pa.Table) -> NDArray[np.float64]:
        return np.column_stack([objective.values(table) for objective in self.objectives])

    @property
    def _weights(self) -> list[float]:
        return [objective.weight for objective in self.objectives]


def ordered_by(scores: NDArray[np.float64], table: pa.Table) -> NDArray[np.int64]:
    """Rows with a finite score, the largest first; equal ones by the probability of all targets and then by id.

    Args:
        scores: Of n candidates, shape (n,).
        table: The candidates.
    """
    known = Column.PROBABILITY in table.column_names
    among_equal = np.asarray(table[Column.PROBABILITY].to_numpy(), np.float64) if known else np.zeros(len(scores))
    return ranking_order(scores, table[Column.CANDIDATE_ID].to_pylist(), among_equal=np.nan_to_num(among_equal))


@dataclass(frozen=True)
class ByTopsis(Tradeoff):
    """Score: closeness to the best values among the candidates (:mod:`matloop.screening.ranking.topsis`)."""

    name: str = "topsis"

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Closeness to the ideal."""
        maximized = [objective.is_maximized for objective in self.objectives]
        return topsis_closeness(self._values(table), weights=self._weights, maximized=maximized)


@dataclass(frozen=True)
class ByDesirability(Tradeoff):
    """Score: mean of how desirable each value is (:mod:`matloop.screening.ranking.desirability`)."""

    name: str = "desirability"
    holds_in_parts: bool = True

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Overall desirability."""
        each = desirability_of_values(
            self._values(table),
            worst=[objective.worst for objective in self.objectives],
            best=[objective.best for objective in self.objectives],
            shape=[objective.shape for objective in self.objectives],
        )
        return overall_desirability(each, weights=self._weights)


@dataclass(frozen=True)
class ByParetoFront(Tradeoff):
    """Score: one over the number of the Pareto front (:mod:`matloop.screening.ranking.pareto`); weights do not count.

    >>> by_front = ByParetoFront((ObjectiveColumn("n", "n"), ObjectiveColumn("price", "price", is_maximized=False)))
    >>> table = pa.table({"candidate_id": ["a", "b", "c"], "n": [2.0, 3.0, 1.9], "price": [1.0, 9.0, None]})
    >>> by_front.scores(table).tolist(), by_front.order(table).tolist()
    ([1.0, 1.0, nan], [0, 1])
    """

    name: str = "pareto"

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """One over the number of the front."""
        fronts = pareto_fronts(gains(self.objectives, table))
        return np.where(fronts == NOT_COMPARED, np.nan, 1.0 / np.maximum(fronts, 1))


@dataclass(frozen=True)
class ByNonDominated(Tradeoff):
    """Score: probability that no other candidate beats it (:mod:`matloop.screening.ranking.non_dominated`)."""

    name: str = "non_dominated"

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Probability of standing on the first front."""
        deviations = np.column_stack([objective.deviations(table) for objective in self.objectives])
        ids = table[Column.CANDIDATE_ID].to_pylist()
        return non_dominated_probability(gains(self.objectives, table), deviations, ids, seed=self.seed)


TRADEOFFS: Mapping[str, type[Tradeoff]] = {
    "topsis": ByTopsis,
    "desirability": ByDesirability,
    "pareto": ByParetoFront,
    "non_dominated": ByNonDominated,
}
"""Criteria by their name in a campaign, but for the probability of meeting all targets."""


def criterion_of(campaign: Campaign) -> Criterion:
    """The criterion by which a campaign orders the candidates that passed every stage.

    Raises:
        UnknownNameError: For an objective that does not exist.
        UnitError: If limits of an objective are in a unit of another quantity.
    """
    chosen = TRADEOFFS.get(campaign.ranking.criterion)
    return MOST_PROBABLE if chosen is None else chosen(objectives_of(campaign), campaign.seed)
