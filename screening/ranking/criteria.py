"""Criteria: what puts candidates in order. Stages and merges ask a criterion and know nothing of what it looks at."""

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
        name: Told as the source of what it decides, and part of what decides a result.
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
        """Rows from best to worst, whatever order they come in; rows without a finite score are left out.

        Args:
            table: Scored candidates, with ``candidate_id`` and what stages have added to them.
        """
        ...

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """What each row is ordered by, as far as one number tells it, shape (n,); not finite where it cannot rank."""
        ...


@dataclass(frozen=True)
class MostProbable:
    """The most probable to meet all targets first; equals are ordered by id.

    >>> table = pa.table({"candidate_id": ["c", "b", "a"], "probability": [0.2, 0.9, 0.2]})
    >>> MostProbable().order(table).tolist()
    [1, 2, 0]
    """

    name: str = "most probable"
    holds_in_parts: bool = True

    def order(self, table: pa.Table) -> NDArray[np.int64]:
        """Rows from most to least probable."""
        return ranking_order(self.scores(table), table[Column.CANDIDATE_ID].to_pylist())

    def scores(self, table: pa.Table) -> NDArray[np.float64]:
        """Probability of meeting all targets, shape (n,)."""
        return np.asarray(table[Column.PROBABILITY].to_numpy(), np.float64)


MOST_PROBABLE = MostProbable()
"""The criterion of every campaign so far."""
