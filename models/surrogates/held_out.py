"""Scores of extrapolation: errors of a model for a chemistry that was completely left out of its training.

Grouped folds leave similar formulas in the training data, so their score measures how well a model fills gaps. The two
scores here leave whole regions out. Leave-one-cluster-out cross-validation (Meredig et al., Mol. Syst. Des. Eng. 3, 819
(2018), doi:10.1039/C8ME00012C) leaves out one cluster of the features at a time; leave-one-element-out leaves out all
compounds of an element.

Such a score takes dozens of fits. So the ensembles for it are smaller than the model, and rare elements share a fit in
which at most a fifth of the rows are left out, as in a fold. The prediction of a row never uses a row with its element.
The rows of a few other elements may be missing too, so the score tends to be too high. ``benchmarks/models/domain.py``
compares it with one full ensemble for each element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import SYMBOLS
from matloop.data.registry import lookup
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.making import make_ensemble
from matloop.models.families.part_reader import COLUMNS
from matloop.models.families.row_weights import fitted
from matloop.models.families.transfer import Transfer
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.registry import MODELS
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.domain import Domain

FEWEST_FORMULAS = 10  # with an element that is left out
CLUSTERS, CLUSTER_SEED = 10, 0
_FEWEST_TRAINED = 20  # rows that must remain for training
_LARGEST_SHARE = 1 / FOLDS  # of the rows may be left out together
_WORST = 5


class Rows(NamedTuple):
    """Training rows of a model.

    Attributes:
        values: Features, shape (m, k).
        target: Values on the scale of the model, shape (m,).
        groups: Formula group of each row, shape (m,).
        elements: Which elements each row contains, shape (m, 119).
        weights: How much each row counts in the fits, shape (m,); all the same if None.
        taught: Elements that the model behind a feature of computed values knows, shape (119,); None without one.
    """

    values: NDArray[np.float64]
    target: NDArray[np.float64]
    groups: NDArray[np.integer]
    elements: NDArray[np.bool_]
    weights: NDArray[np.float64] | None = None
    taught: NDArray[np.bool_] | None = None

    def support(self, train: NDArray[np.int64]) -> ChemicalSupport:
        """Count the formulas of some of the rows."""
        share = len(train) / len(self.target)
        return ChemicalSupport.of(self.elements[train], self.groups[train], taught=self.taught, share=share)

    def fit(self, ensemble: Ensemble, train: NDArray[np.int64]) -> Ensemble:
        """Fit an ensemble to some of the rows."""
        own = None if self.weights is None else self.weights[train]
        return fitted(ensemble, self.values[train], self.target[train], groups=self.groups[train], weights=own)


class SmallEnsemble(NamedTuple):
    """The ensemble with which the scores are computed.

    Attributes:
        family: Registered family.
        parameters: Settings of the ensemble.
        stands_in_for: Family of the model if that is a different one.
    """

    family: str
    parameters: dict[str, Any]
    stands_in_for: str | None

    @property
    def size(self) -> str:
        """Number of members as text, such as ``10 trees``; empty if the settings do not say it."""
        members = lookup("model", MODELS, self.family).members
        return f"{self.parameters[members]} {members}" if members in self.parameters else ""

    def make(self) -> Ensemble:
        """Make an unfitted ensemble."""
        return make_ensemble(self.family, self.parameters)


class ElementErrors(NamedTuple):
    """Errors for the rows of one element, predicted by an ensemble that saw none of them.

    Attributes:
        symbol: The element.
        error: Absolute error of each row, on the scale of the model.
        inside: Whether each row lies in the domain without the rows of the element.
        error_of_mean: Absolute error of predicting the mean of the other rows.
        held: Whether the 90 % interval of each row holds the truth; None where that is not known.
    """

    symbol: str
    error: NDArray[np.float64]
    inside: NDArray[np.bool_]
    error_of_mean: NDArray[np.float64]
    held: NDArray[np.bool_] | None = None


class HoldsTruth(Protocol):
    """Whether 90 % intervals hold the truth of rows that an ensemble predicted without seeing anything like them."""

    def __call__(
        self,
        rows: Rows,
        held: NDArray[np.int64],
        *,
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        remaining: Domain,
        train: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Whether each interval holds the truth, shape (h,).

        Args:
            rows: All rows.
            held: Places of the h rows that were predicted.
            mean: Their predictions, shape (h,).
            spread: Their spreads, shape (h,).
            remaining: Domain of the rows that the ensemble was fitted to.
            train: Places of these.
        """
        ...


def small_ensemble(family: str, parameters: Mapping[str, Any]) -> SmallEnsemble:
    """Return the small ensemble that a family names, or that of extra trees if it names none.

    >>> small_ensemble("extra_trees", {"trees": 200, "seed": 3}).parameters
    {'trees': 10, 'seed': 3}
    """
    if family == Transfer.family:
        return small_ensemble(parameters["of"], parameters["settings"])._replace(stands_in_for=family)
    settings = lookup("model", MODELS, family).small(parameters)
    if settings is not None:
        return SmallEnsemble(family, settings, None)
    of_trees = {name: parameters[name] for name in ("seed", COLUMNS) if name in parameters}
    return SmallEnsemble(ExtraTrees.family, ExtraTrees.small({"seed": 0, **of_trees}), family)


def held_out_scores(
    rows: Rows,
    domain: Domain,
    *,
    family: str,
    parameters: Mapping[str, Any],
    of_groups: NDArray[np.float64] | None = None,
    holds: HoldsTruth | None = None,
) -> dict[str, Any]:
    """Compute both scores for a card, with the ensemble used, as plain JSON values. They are the same in every run.

    Whether a row is inside is decided by the domain of the model without the left-out rows, with the same limit.

    Args:
        rows: Training rows of the model.
        domain: Domain of the model.
        family: Family of the model.
        parameters: Settings of the model.
        of_groups: What :func:`grouped_errors` gives for the rows, if that is known already.
        holds: Judges the intervals with elements left out; left out itself where another family stands in, whose
            spread is another one.

    Returns:
        ``leave_one_cluster_out``, ``leave_one_element_out`` and ``held_out_ensemble``, the last with its error on
        grouped folds, whose difference to that of the model is the effect of its smaller size.
    """
    small = small_ensemble(family, parameters)
    sets = element_sets(rows.elements, rows.groups)

    def remaining(train: NDArray[np.int64], _: Ensemble) -> Domain:
        return remaining_domain(domain, rows.values, train)

    holds = holds if small.stands_in_for is None else None
    errors = list(leave_elements_out(rows, sets, make=small.make, domain_of=remaining, holds=holds))
    grouped = float((grouped_errors(rows, small) if of_groups is None else of_groups).mean())
    return {
        "leave_one_cluster_out": _cluster_score(rows, clusters(domain), small),
        "leave_one_element_out": {**element_score(errors), "fits": len(sets)},
        "held_out_ensemble": {**small._asdict(), "size": small.size, "grouped_mae": grouped},
    }


def element_sets(elements: NDArray[np.bool_], groups: NDArray[np.integer]) -> list[list[int]]:
    """Group elements into sets that are left out together, beginning with the most common element.

    Each element of at least ten formulas is in one set. An element joins the first set that then occurs in no more than
    a fifth of the rows. An element that alone occurs in more rows has its own set. An element is in no set if fewer
    than twenty rows remain without it.

    Args:
        elements: Which elements each row contains, shape (m, 119).
        groups: Formula group of each row, shape (m,).

    >>> oxygen_in_half = np.zeros((40, 119), bool)
    >>> oxygen_in_half[:20, 8] = oxygen_in_half[20:30, 3] = oxygen_in_half[30:, 11] = True
    >>> element_sets(oxygen_in_half, np.arange(40))
    [[8], [3], [11]]
    """
    _, first = np.unique(groups, return_index=True)
    count = elements.sum(axis=0)
    wanted = (elements[first].sum(axis=0) >= FEWEST_FORMULAS) & (len(elements) - count >= _FEWEST_TRAINED)
    sets: list[list[int]] = []
    held: list[NDArray[np.bool_]] = []
    for number in sorted(np.flatnonzero(wanted).tolist(), key=lambda number: -count[number]):
        together = (rows | elements[:, number] for rows in held)
        place = next((k for k, rows in enumerate(together) if rows.mean() <= _LARGEST_SHARE), len(sets))
        if place == len(sets):
            sets.append([])
            held.append(np.zeros(len(elements), bool))
        sets[place].append(number)
        held[place] |= elements[:, number]
    return sets


def leave_elements_out(
    rows: Rows,
    sets: list[list[int]],
    *,
    make: Callable[[], Ensemble],
    domain_of: Callable[[NDArray[np.int64], Ensemble], Domain],
    holds: HoldsTruth | None = None,
) -> Iterator[ElementErrors]:
    """Compute errors for each element of each set, with one ensemble for each set.

    Args:
        rows: All rows.
        sets: Atomic numbers that are left out together.
        make: Makes an unfitted ensemble.
        domain_of: Makes the domain of the rows at some places, given the ensemble that was fitted to them.
        holds: Judges intervals, where there are any.
    """
    for numbers in sets:
        train = np.flatnonzero(~rows.elements[:, numbers].any(axis=1))
        ensemble = rows.fit(make(), train)
        domain, support = domain_of(train, ensemble), rows.support(train)
        for number in numbers:
            held = np.flatnonzero(rows.elements[:, number])
            values = rows.values[held]
            (mean, spread), truth = ensemble.predict(values), rows.target[held]
            near = domain.contains(values, domain.distances(values))
            yield ElementErrors(
                SYMBOLS[number], np.abs(mean - truth), near & ~support.foreign(rows.elements[held]),
                np.abs(rows.target[train].mean() - truth),
                None if holds is None
                else holds(rows, held, mean=mean, spread=spread, remaining=domain, train=train),
            )  # fmt: skip


def element_score(errors: list[ElementErrors]) -> dict[str, Any]:
    """Summarise the errors over all elements, inside and outside the domain, and for the worst elements.

    A figure without rows is None. A row counts once for each of its elements.
    """
    error = np.concatenate([one.error for one in errors] or [np.empty(0)])
    inside = np.concatenate([one.inside for one in errors] or [np.empty(0, bool)])
    of_mean = np.concatenate([one.error_of_mean for one in errors] or [np.empty(0)])
    judged: list[NDArray[Any]] = [one.held[one.inside] for one in errors if one.held is not None]
    within, beyond = _mean(error[inside]), _mean(error[~inside])
    worst = sorted(errors, key=lambda one: -one.error.mean())[:_WORST]
    return {
        "mae": _mean(error),
        "mae_of_mean": _mean(of_mean),
        "folds": len(errors),
        "rows": len(error),
        "coverage_inside": _mean(np.concatenate(judged or [np.empty(0)])),
        "mae_inside": within,
        "mae_outside": beyond,
        "outside_over_inside": beyond / within if within and beyond is not None else None,
        "share_outside": _mean(~inside),
        "worst": [
            {"element": one.symbol, "rows": len(one.error), "mae": float(one.error.mean())} for one in worst
        ],
    }  # fmt: skip


def clusters(domain: Domain, most: int = CLUSTERS) -> NDArray[np.int64]:
    """Assign training rows to a few clusters, shape (m,), with k-means in the weighted features."""
    from sklearn.cluster import KMeans

    points = domain.points.astype(float)
    count = min(most, len(np.unique(points, axis=0)))
    found = KMeans(count, n_init=3, random_state=CLUSTER_SEED).fit(points)
    return found.labels_.astype(np.int64)


def _cluster_score(rows: Rows, labels: NDArray[np.int64], small: SmallEnsemble) -> dict[str, Any]:
    """Predict each cluster without any row of the formulas in it, and compute the score."""
    found: list[tuple[NDArray[np.float64], list[str]]] = []
    for label in range(labels.max() + 1):
        held = np.flatnonzero(labels == label)
        train = np.flatnonzero(~np.isin(rows.groups, rows.groups[held]))
        if len(train) < _FEWEST_TRAINED:
            continue
        ensemble = rows.fit(small.make(), train)
        error = np.abs(ensemble.predict(rows.values[held])[0] - rows.target[held])
        found.append((error, _marks(rows.elements, held)))
    error = np.concatenate([one for one, _ in found] or [np.empty(0)])
    worst = sorted(found, key=lambda one: -one[0].mean())[:_WORST]
    return {
        "mae": _mean(error),
        "folds": len(found),
        "rows": len(error),
        "clusters": f"k-means, at most {CLUSTERS}, seed {CLUSTER_SEED}, in the weighted features of the domain",
        "worst": [{"elements": marks, "rows": len(one), "mae": float(one.mean())} for one, marks in worst],
    }


def _marks(elements: NDArray[np.bool_], held: NDArray[np.int64]) -> list[str]:
    """Return the three elements that are most over-represented among some rows."""
    excess = elements[held].mean(axis=0) - elements.mean(axis=0)
    return [SYMBOLS[number] for number in np.argsort(-excess, kind="stable")[:3] if excess[number] > 0]


def remaining_domain(domain: Domain, values: NDArray[np.float64], train: NDArray[np.int64]) -> Domain:
    """Return the domain of some of its training rows, with the same limit and features."""
    ranges = np.stack([values[train].min(axis=0), values[train].max(axis=0)])
    return replace(domain, points=domain.points[train], own=domain.own[train], ranges=ranges)


def grouped_errors(rows: Rows, small: SmallEnsemble) -> NDArray[np.float64]:
    """Return the absolute error of each row on grouped folds, by small ensembles, shape (m,)."""
    error = np.empty(len(rows.target))
    for train, held in grouped_folds(rows.groups):
        ensemble = rows.fit(small.make(), train)
        error[held] = np.abs(ensemble.predict(rows.values[held])[0] - rows.target[held])
    return error


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
