"""Whether a surrogate predicts candidates with an element that none of its training rows has: decided by evidence.

Ensembles read elemental properties, so an element without rows is described by properties that its neighbours in the
periodic table share. Whether that carries over differs from property to property. Each card tells it: all compounds of
an element are left out in turn (:mod:`matloop.models.surrogates.held_out`), and their errors and the share of intervals
that hold are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import require_elements

FEWEST_ELEMENTS = 5  # left out in turn; fewer are no evidence for others
LEAST_COVERAGE = 0.85  # of 90 % intervals inside the domain, with elements left out
_NOBLE_GASES = require_elements("He Ne Ar Kr Xe Rn Og".split())


@dataclass(frozen=True)
class UnseenElements:
    """What a surrogate does with candidates that have an element without training rows.

    Attributes:
        predicted: Whether they get a number; if not, the code ``E-MODEL-ELEMENT``.
        in_domain: Whether those near the training rows count as inside the domain.
    """

    predicted: bool
    in_domain: bool

    @classmethod
    def from_scores(cls, scores: Mapping[str, Any]) -> Self:
        """Decide by the scores on a card.

        They are predicted where enough elements were left out to tell how wide their intervals must be. They count as
        inside the domain if the error was below that of predicting the mean, and the intervals of such rows inside it
        held at least 85 %. That share is of ensembles like the model's own, from which a few sets of elements were
        hidden; where there are none, of the small ensembles of the error. Where nothing is known, neither.

        >>> UnseenElements.from_scores(
        ...     {"leave_one_element_out": {"folds": 30, "mae": 0.09, "mae_of_mean": 0.3, "coverage_inside": 0.8}}
        ... )
        UnseenElements(predicted=True, in_domain=False)
        >>> UnseenElements.from_scores({})
        UnseenElements(predicted=False, in_domain=False)
        """
        found = scores.get("leave_one_element_out") or {}
        error, of_mean = found.get("mae"), found.get("mae_of_mean")
        if error is None or of_mean is None or found["folds"] < FEWEST_ELEMENTS:
            return cls(predicted=False, in_domain=False)
        own = scores.get("unseen_elements_inside")
        coverage = found.get("coverage_inside") if own is None else own["coverage_90"]
        holds = coverage is not None and coverage >= LEAST_COVERAGE
        return cls(predicted=True, in_domain=holds and error < of_mean)

    def refused(self, elements: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each candidate gets no number, shape (n,). A noble gas without training rows never gives one.

        Args:
            elements: Which elements each candidate contains, shape (n, 119).
            known: Elements of the training rows, shape (119,).
        """
        unseen = elements & ~known
        return np.asarray(unseen[:, _NOBLE_GASES].any(axis=1) if self.predicted else unseen.any(axis=1))

    def outside(self, elements: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each candidate lies outside the domain because of its elements, shape (n,)."""
        unseen = np.asarray((elements & ~known).any(axis=1))
        return np.zeros(len(elements), bool) if self.in_domain else unseen
