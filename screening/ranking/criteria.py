"""Criteria put candidates in order. Stages and merges use a criterion without knowing what it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.properties.columns import Column
from matloop.screening.ranking.ranking import ranking_order


class Criterion(Protocol):
    """Orders candidates.

    Attributes:
        name: Stands as the source in the fates that it decides; it is part of the identity of a result.
        holds_in_parts: Whether the best of all are always among the best of each part, so that parts may be cut.
    """

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def holds_in_parts(self) -> bool:
        """Whether parts may be cut."""
        ...

    def order(self, table: pa.Table) -> NDArray[np.int64]:
        """Order rows from best to worst, whatever their order in the table; rows without a finite score are omitted.

        Args:
            table: Scored candidates, with ``candidate_id`` and what stages have added to them.
        """
        ...

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Return the score by which each row is ordered, shape (n,); it is not finite if the row cannot rank."""
        ...


@dataclass(frozen=True)
class MostProbable:
    """Put the candidates that most probably meet all targets first.

    Candidates whose probability is equal because it is capped are ordered by ``ranking_score``, where the table has it,
    and equal ones by id.

    >>> table = pa.table({"candidate_id": ["c", "b", "a"], "probability": [0.2, 0.9, 0.2]})
    >>> MostProbable().order(table).tolist()
    [1, 2, 0]
    >>> MostProbable().order(table.append_column("ranking_score", [[0.5, 0.9, 0.3]])).tolist()
    [1, 0, 2]
    """

    name: str = "most probable"
    holds_in_parts: bool = True

    def order(self, table: pa.Table) -> NDArray[np.int64]:
        """Rows from most to least probable."""
        scores = self.scores(table)
        beyond = table[Column.RANKING_SCORE].to_numpy() if Column.RANKING_SCORE in table.column_names else scores
        return ranking_order(scores, table[Column.CANDIDATE_ID].to_pylist(), among_equal=beyond)

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Probability of meeting all targets, shape (n,)."""
        return np.asarray(table[Column.PROBABILITY].to_numpy(), np.float64)


MOST_PROBABLE = MostProbable()
"""The criterion of every stage, and of the shortlist where a campaign names no other."""


def merits(ranked: pa.Table) -> NDArray[np.float64]:
    """Score with which each ranked candidate competes for the shortlist, shape (n,).

    Args:
        ranked: The ranked candidates, with ``tradeoff_score`` where a criterion weighed objectives.
    """
    column = Column.TRADEOFF_SCORE if Column.TRADEOFF_SCORE in ranked.column_names else Column.PROBABILITY
    return np.asarray(ranked[column].to_numpy(), np.float64)
