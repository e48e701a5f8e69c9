"""Predictions of training rows by ensembles that saw nothing like them, for intervals that hold on other chemistry.

Held-out formulas have relatives in training; a candidate may have none. So rows are predicted again by ensembles from
which a whole group of rows was hidden: a cluster of similar crystals (k-means, as in leave-one-cluster-out
cross-validation, Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018)), or all compounds of a few elements. Rows of all
kinds calibrate the intervals together. How new a row was to the ensemble that predicted it (its distance to the rows
that ensemble was fitted to, and how many formulas of these have its elements) tells which of them a candidate
resembles: the learned difficulty reads it, and residuals are binned by the distance. Calibration on rows grouped by
what they resemble is Mondrian conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
2005, section 4.5); rows of hidden groups stand for candidates of a chemistry that nobody has seen.

Clusters alone make intervals too wide for a new element in a familiar kind of compound, held-out formulas alone too
narrow (``docs/measurements.md``).

A candidate may also have the very features of a training row: another polymorph, where features are those of the
composition. Trees have learned the label of that row by heart and agree on it, whatever the other one is. So one of
several rows with the same features, a twin, is predicted again by an ensemble that saw the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.contract import Ensemble
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.domain import EXTRAPOLATED, Distances, Domain
from matloop.models.surrogates.held_out import Rows, clusters, element_sets, remaining_domain

HIDDEN_CLUSTERS = 5
HIDDEN_ELEMENT_SETS = 5
NOVELTY_COLUMNS = 6
_EXTRAPOLATED_COLUMN, _RAREST_COLUMN = 1, 3  # of these
OF_FORMULAS, OF_TWINS = -1, -2
"""In place of the number of a hidden group: only the formula was hidden, or not even that."""
_TWIN_ROUNDS, _TWIN_SEED = 2, 0
_FEWEST_TWINS = 20  # features that several rows have; fewer tell little of how these differ
_NEAREST = 1e-9  # distance of rows with equal features
FEWEST_ROWS = 200  # of fewer, clusters are too small to stand for a chemistry
_FEWEST_OTHERS = FEWEST_ROWS // 2  # rows of other formulas than those of a hidden group


class CalibrationRows(NamedTuple):
    """Training rows as predicted by ensembles that did not see them: all m once, then again by group and as twins.

    Attributes:
        row: Place of each among the training rows, shape (c,).
        mean: Prediction, shape (c,).
        spread: Spread of the ensemble, shape (c,).
        novelty: How new the row was to the ensemble, see :func:`novelty`, shape (c, 6).
        distance: Distance by which residuals are binned, see :func:`calibration_distance`, to the rows the ensemble was
            fitted to, or for the first m to all of other formulas, shape (c,).
        group: Number of the cluster or set of elements that was hidden with it; :data:`OF_FORMULAS` for the first m,
            and :data:`OF_TWINS` where the ensemble saw rows with the same features, shape (c,).
    """

    row: NDArray[np.int64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    novelty: NDArray[np.float64]
    distance: NDArray[np.float64]
    group: NDArray[np.int64]

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Whether a whole group of rows was hidden with it, shape (c,)."""
        return self.group >= 0

    def folds(self, groups: NDArray[np.integer]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield training and held-out examples of each fold: a fifth of the formulas and a fifth of the hidden groups.

        A hidden group is held out as a whole, since its errors are alike. Nothing is trained on an example whose
        formula is held out. Where that would leave less than 100 examples, as for all oxides together with all
        sulfides of rows that are little else, the formulas and each group have a fold of their own.

        Args:
            groups: Formula group of each training row, shape (m,).
        """
        formulas, number = groups[self.row], self.group % FOLDS
        known = np.flatnonzero(~self.hidden)
        for fold, (_, held) in enumerate(grouped_folds(formulas[known])):
            number[known[held]] = fold
        for fold in range(FOLDS):
            together = number == fold
            train = ~np.isin(formulas, formulas[together])
            if train.sum() >= _FEWEST_OTHERS:
                yield np.flatnonzero(train), np.flatnonzero(together)
                continue
            for group in np.unique(self.group[together]):
                held = together & (self.group == group)
                yield np.flatnonzero(~np.isin(formulas, formulas[held])), np.flatnonzero(held)

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """Whether it has an element that no row had to which its ensemble was fitted, shape (c,)."""
        return self.hidden & (self.novelty[:, _RAREST_COLUMN] == 0)

    def inside(self, limit: float) -> NDArray[np.bool_]:
        """Whether each example lies inside the domain with a limit, shape (c,)."""
        return (self.distance <= limit) & (self.novelty[:, _EXTRAPOLATED_COLUMN] <= EXTRAPOLATED)


def novelty(
    domain: Domain,
    support: ChemicalSupport,
    values: NDArray[np.float64],
    elements: NDArray[np.bool_],
    *,
    distances: Distances,
) -> NDArray[np.float64]:
    """Describe how new rows are to an ensemble, shape (n, 6).

    The columns are the logarithm of the mean distance to the nearest rows, the importance of the features that are
    extrapolated, the logarithm of the distance to the nearest row, and the three of :meth:`ChemicalSupport.features`.

    Args:
        domain: Of the rows the ensemble was fitted to.
        support: Likewise.
        values: Features, shape (n, k).
        elements: Which elements each row contains, shape (n, 119).
        distances: To the rows the ensemble was fitted to.
    """
    mean, nearest = (np.log(np.maximum(one, _NEAREST)) for one in distances)
    return np.column_stack([mean, domain.extrapolated(values), nearest, support.features(elements)])


def calibration_distance(
    support: ChemicalSupport, elements: NDArray[np.bool_], *, distances: Distances
) -> NDArray[np.float64]:
    """Return the distance of new rows by which residuals are binned, shape (n,).

    It is the mean distance to the nearest rows, but 0 where the features are those of one of them, which an ensemble
    knows by heart though another material may have them too, and infinite for compounds of a nonmetal that these rows
    hardly have: they lie outside the domain and do not calibrate those inside.

    Args:
        support: Of the rows the ensemble was fitted to.
        elements: Which elements each row contains, shape (n, 119).
        distances: To the rows the ensemble was fitted to.
    """
    known = np.where(distances.nearest == 0, 0.0, distances.mean)
    return np.where(support.foreign(elements), np.inf, known)


def calibration_rows(
    rows: Rows,
    domain: Domain,
    make: Callable[[], Ensemble],
    *,
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> CalibrationRows:
    """Gather the out-of-fold predictions of all rows, and predict rows again with groups hidden, and as twins.

    Args:
        rows: All m training rows; of fewer than 200 no group is hidden.
        domain: Of all of them.
        make: Makes an unfitted ensemble.
        mean: Out-of-fold prediction of each row, by the default grouped folds, shape (m,).
        spread: Its spread, shape (m,).
    """
    parts = [_without_formulas(rows, domain, mean=mean, spread=spread)]
    for number, held in enumerate(_hidden_groups(rows, domain)):
        train = np.flatnonzero(~np.isin(rows.groups, rows.groups[held]))
        if len(train) >= _FEWEST_OTHERS and np.ptp(rows.target[train]) > 0:
            parts.append(_predicted_by(train, held, rows, domain, make, group=number))
    for held in _twins(domain.points):
        train = np.delete(np.arange(len(mean)), held)
        parts.append(_predicted_by(train, held, rows, domain, make, group=OF_TWINS))
    return CalibrationRows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _without_formulas(
    rows: Rows, domain: Domain, *, mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> CalibrationRows:
    """Describe the out-of-fold predictions of all rows."""
    known, distance = np.empty((len(mean), NOVELTY_COLUMNS)), np.empty(len(mean))
    for train, held in grouped_folds(rows.groups):
        nearest = remaining_domain(domain, rows.values, train).near(rows.values[held]).nearest
        distances = Distances(domain.own[held], nearest)
        known[held], distance[held] = _novelty_without(rows, domain, train, held, distances=distances)
    return CalibrationRows(np.arange(len(mean)), mean, spread, known, distance, np.full(len(mean), OF_FORMULAS))


def _predicted_by(
    train: NDArray[np.int64],
    held: NDArray[np.int64],
    rows: Rows,
    domain: Domain,
    make: Callable[[], Ensemble],
    *,
    group: int,
) -> CalibrationRows:
    """Predict some rows by an ensemble of others."""
    mean, spread = rows.fit(make(), train).predict(rows.values[held])
    distances = remaining_domain(domain, rows.values, train).near(rows.values[held])
    new, distance = _novelty_without(rows, domain, train, held, distances=distances)
    return CalibrationRows(held, mean, spread, new, distance, np.full(len(held), group))


def _twins(points: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Draw one of the rows (m, k) of each point that several have, twice.

    >>> [held.tolist() for held in _twins(np.array([[0.0], [1.0], [1.0], [2.0]], np.float32))]
    []
    >>> [len(held) for held in _twins(np.arange(30, dtype=np.float32).repeat(2)[:, None])]
    [30, 30]
    """
    place = np.unique(points, axis=0, return_inverse=True)[1].ravel()
    order = np.random.default_rng(_TWIN_SEED).permutation(len(points))
    order = order[np.argsort(place[order], kind="stable")]
    _, first, counts = np.unique(place[order], return_index=True, return_counts=True)
    several = first[counts > 1]
    return [order[several + turn] for turn in range(_TWIN_ROUNDS)] if len(several) >= _FEWEST_TWINS else []


def _hidden_groups(rows: Rows, domain: Domain) -> list[NDArray[np.int64]]:
    """Find which rows are hidden together: each cluster, and the compounds of a few sets of elements, common and rare.

    Sets of elements are spread evenly from the most common to the rarest.
    """
    if len(rows.target) < FEWEST_ROWS:
        return []
    labels, sets = clusters(domain, HIDDEN_CLUSTERS), element_sets(rows.elements, rows.groups)
    places = np.linspace(0, len(sets) - 1, min(HIDDEN_ELEMENT_SETS, len(sets))).round().astype(int)
    of_elements = [np.flatnonzero(rows.elements[:, sets[place]].any(axis=1)) for place in places]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)] + of_elements


def _novelty_without(
    rows: Rows, domain: Domain, train: NDArray[np.int64], held: NDArray[np.int64], *, distances: Distances
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Describe how new held rows are to an ensemble of the others; also return their distances for calibration."""
    support = rows.support(train)
    remaining = remaining_domain(domain, rows.values, train)
    elements = rows.elements[held]
    new = novelty(remaining, support, rows.values[held], elements, distances=distances)
    return new, calibration_distance(support, elements, distances=distances)
