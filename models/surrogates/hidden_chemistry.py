"""Predictions of training rows by ensembles that saw nothing like them, for intervals that hold on other chemistry.

Held-out formulas have relatives in training; a candidate may have none. So rows are predicted a second time by
ensembles from which their whole cluster of similar crystals was hidden (k-means, as in leave-one-cluster-out
cross-validation, Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018)). Rows of both kinds calibrate the intervals
together. How new a row was to the ensemble that predicted it (its distance to the rows that ensemble was fitted to, and
how many formulas of these have its elements) tells which of them a candidate resembles: the learned difficulty reads
it, and residuals are binned by the distance. Calibration on rows grouped by what they resemble is Mondrian conformal
prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, section 4.5); rows of hidden
clusters stand for candidates of a chemistry that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.contract import Ensemble
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.held_out import Rows, clusters, remaining_domain
from matloop.models.surrogates.training import scores

HIDDEN_CLUSTERS = 5
NOVELTY_COLUMNS = 5
FEWEST_ROWS = 200  # of fewer, clusters are too small to stand for a chemistry


class CalibrationRows(NamedTuple):
    """Training rows as predicted by ensembles that saw no row of their formula: all m once, then again by cluster.

    Attributes:
        row: Place of each among the training rows, shape (c,).
        mean: Prediction, shape (c,).
        spread: Spread of the ensemble, shape (c,).
        novelty: How new the row was to the ensemble, see :func:`novelty`, shape (c, 5).
        distance: Distance to the rows the ensemble was fitted to, or for the first m to all of other formulas, (c,).
        hidden: Whether its whole cluster was hidden, shape (c,).
    """

    row: NDArray[np.int64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    novelty: NDArray[np.float64]
    distance: NDArray[np.float64]
    hidden: NDArray[np.bool_]

    def scores(self, rows: Rows, adjusted: NDArray[np.float64]) -> dict[str, Any]:
        """Score the predictions, with the spread as the calibration ``adjusted`` it, shape (c,)."""
        target, groups = rows.target[self.row], rows.groups[self.row]
        return scores(target, self.mean, adjusted, groups, self.distance, hidden=self.hidden)


def novelty(
    domain: Domain,
    support: ChemicalSupport,
    values: NDArray[np.float64],
    elements: NDArray[np.bool_],
    *,
    distance: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Describe how new rows are to an ensemble, shape (n, 5).

    The columns are the logarithm of the distance in units of the domain's limit, the importance of the features that
    are extrapolated, and the three of :meth:`ChemicalSupport.features`.

    Args:
        domain: Of the rows the ensemble was fitted to.
        support: Likewise.
        values: Features, shape (n, k).
        elements: Which elements each row contains, shape (n, 119).
        distance: Of each row to the rows the ensemble was fitted to, shape (n,).
    """
    relative = np.log(np.maximum(distance, 1e-6 * domain.limit) / domain.limit) if domain.limit > 0 else distance
    return np.column_stack([relative, domain.extrapolated(values), support.features(elements)])


def calibration_rows(
    rows: Rows,
    domain: Domain,
    make: Callable[[], Ensemble],
    *,
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> CalibrationRows:
    """Gather the out-of-fold predictions of all rows, and predict them again with their clusters hidden.

    Args:
        rows: All m training rows; fewer than 200 are not predicted again.
        domain: Of all of them.
        make: Makes an unfitted ensemble.
        mean: Out-of-fold prediction of each row, by the default grouped folds, shape (m,).
        spread: Its spread, shape (m,).
    """
    known = np.empty((len(mean), NOVELTY_COLUMNS))
    for train, held in grouped_folds(rows.groups):
        known[held] = _novelty_without(rows, domain, train, held, distance=domain.own[held])
    whole = np.arange(len(mean))
    parts = [CalibrationRows(whole, mean, spread, known, domain.own, np.zeros(len(mean), bool))]
    labels = clusters(domain, HIDDEN_CLUSTERS) if len(mean) >= FEWEST_ROWS else np.empty(0, np.int64)
    for label in np.unique(labels):
        held = np.flatnonzero(labels == label)
        train = np.flatnonzero(~np.isin(rows.groups, rows.groups[held]))
        if len(train) < FEWEST_ROWS // 2 or np.ptp(rows.target[train]) == 0:
            continue
        predicted, its_spread = rows.fit(make(), train).predict(rows.values[held])
        distance = remaining_domain(domain, rows.values, train).distances(rows.values[held])
        new = _novelty_without(rows, domain, train, held, distance=distance)
        parts.append(CalibrationRows(held, predicted, its_spread, new, distance, np.ones(len(held), bool)))
    return CalibrationRows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _novelty_without(
    rows: Rows, domain: Domain, train: NDArray[np.int64], held: NDArray[np.int64], *, distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Describe how new held rows are to an ensemble of the others."""
    support = ChemicalSupport.of(rows.elements[train], rows.groups[train])
    remaining = remaining_domain(domain, rows.values, train)
    return novelty(remaining, support, rows.values[held], rows.elements[held], distance=distance)
