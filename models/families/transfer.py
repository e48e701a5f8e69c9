"""Learn measured values from features and, in their last column, from what a model of computed values predicts.

Measured values are few and computed values many, and the difference between them is simpler than either. So three
members predict the measured value: a straight line in the computed value; the line and, on top of it, a family that
learns the difference to the line from features and computed value; and a family that learns the measured value from the
features alone (the first two are the delta learning of Ramakrishnan et al., J. Chem. Theory Comput. 11, 2087 (2015),
doi:10.1021/acs.jctc.5b00099). Which of them is best depends on the number of measured rows, so they are mixed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json
from matloop.data.errors import ModelError
from matloop.data.registry import lookup
from matloop.models.families.contract import Contributions, Ensemble
from matloop.models.families.making import load_ensemble, make_ensemble
from matloop.models.families.mixture import mixed, spread_scales
from matloop.models.families.row_weights import fitted, relative_weights
from matloop.models.grouped_folds import grouped_folds
from matloop.models.registry import MODELS

MEMBERS = ("line", "difference", "measured")
"""What predicts the measured value: the line, the line and a learned difference, and measured rows without the line."""

_FILE = "transfer.json"
_FOLDS = 5
_WEIGHING_ROWS = 4000  # suffice for three weights
_WEIGHING_MEMBERS = 50  # of a forest; its errors in the folds are compared, and used for nothing else
_DRAWS = 100
_LEAST_WEIGHT = 0.02  # a member with less is left out
_ROUNDS = 4  # of reweighing; the weights hardly change after the third


class Line(NamedTuple):
    """A straight line from computed to measured values.

    Attributes:
        slope: Measured units for each computed unit.
        offset: Measured value at a computed value of zero.
    """

    slope: float
    offset: float

    @classmethod
    def fit(
        cls, computed: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> Line:
        """Fit by least squares, with the strength of one more row towards a slope of 1.

        Args:
            computed: Computed values, shape (n,).
            target: Measured values, shape (n,).
            weights: How much each row counts, with mean 1, shape (n,); all the same if left out.

        >>> line = Line.fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))
        >>> round(line.slope, 6), round(line.offset, 6)
        (1.0, 1.0)
        """
        counts = np.ones(len(target)) if weights is None else weights
        centre, middle = float(np.average(computed, weights=counts)), float(np.average(target, weights=counts))
        apart = computed - centre
        variance = float(np.average(apart**2, weights=counts))
        slope = 1.0
        if variance > 0:
            slope = (float((counts * apart) @ (target - middle)) + variance) / (float(counts @ apart**2) + variance)
        return cls(slope, middle - slope * centre)

    def predict(self, computed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return measured values, shape (n,)."""
        return self.slope * computed + self.offset


class Transfer(Ensemble):
    """Mixes a line, a learned difference and a model of measured values alone; see the text of this module.

    The weights are not negative and add up to 1. They minimise the absolute error of inner grouped folds, averaged over
    100 draws of the formulas (Bayesian bootstrap, Rubin, Ann. Statist. 9, 130 (1981)), so that few rows give no member
    all the weight by chance. They are found from at most 4,000 rows, drawn by whole formulas, and forests of 50 trees.

    The last column of the features is the computed value. That of a training row must come from a model that saw no
    computed value of its formula.

    Args:
        of: Registered family of the two members that are no line.
        settings: Its settings.
        seed: Seed of folds and draws.
    """

    family: ClassVar[str] = "transfer"

    def __init__(self, *, of: str = "extra_trees", settings: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        self.parameters: dict[str, Any] = {"of": of, "settings": dict(settings or {}), "seed": seed}
        self._columns = 0
        self._line = Line(1.0, 0.0)
        self._level = np.zeros(3)  # error of the line, variance of the line, variance of the difference
        self._weights, self._scales = np.empty(0), np.empty(0)
        self._fitted: dict[str, Ensemble] = {}

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each member, by its name in :data:`MEMBERS`."""
        return dict(zip(MEMBERS, self._weights.tolist(), strict=True))

    @property
    def line(self) -> Line:
        """The line of all training rows."""
        return self._line

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Find the weights of members and fit them to finite features (n, k + 1) and targets (n,).

        Raises:
            ModelError: If there are fewer than five groups, or the family cannot be fitted.
        """
        relative = relative_weights(weights, len(target))
        groups = np.arange(len(target)) if groups is None else groups
        if len(np.unique(groups)) < _FOLDS:
            raise ModelError(f"{len(np.unique(groups))} formulas to weigh members on", f"at least {_FOLDS}")
        some = _drawn(groups, _WEIGHING_ROWS, self.parameters["seed"])
        means, spreads = np.empty((2, len(some), len(MEMBERS)))
        small = self._small_settings()
        for train, held in grouped_folds(groups[some], folds=_FOLDS, seed=self.parameters["seed"]):
            rows = some[train]
            own = None if relative is None else relative[rows]
            part = self._members_of(values[rows], target[rows], groups[rows], weights=own, settings=small)
            means[held], spreads[held] = part._predictions(values[some[held]])
        errors = means - target[some, None]
        counts = np.ones(len(some)) if relative is None else relative[some]
        shares = _bagged_weights(errors, groups[some], counts=counts, seed=self.parameters["seed"])
        shares[shares < _LEAST_WEIGHT] = 0.0
        whole = self._members_of(
            values, target, groups, weights=relative, settings=self.parameters["settings"], only=shares > 0
        )
        self._columns = values.shape[1]
        self._line, self._level, self._fitted = whole._line, whole._level, whole._fitted
        self._weights, self._scales = shares / shares.sum(), spread_scales(errors, spreads, counts[:, None])
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict mean, and standard deviation of the mixture, each (n,)."""
        self._check_fitted()
        means, spreads = self._predictions(values)
        used = np.flatnonzero(self._weights > 0)
        return mixed(self._weights[used], self._scales[used], means.T[used], spreads.T[used])

    def importances(self) -> NDArray[np.float64]:
        """Importances of the members by their weights, shape (k + 1,), sums to 1.

        All the importance of the line is that of the computed value. The difference shares it with the line by their
        variances over the training rows.
        """
        self._check_fitted()
        computed, total = np.zeros((2, self._columns))
        computed[-1] = 1.0
        for name, weight in self.weights.items():
            if not weight:
                continue
            own = computed
            if name == "measured":
                own = np.append(self._fitted[name].importances(), 0.0)
            if name == "difference":
                own = self._fitted[name].importances()
                of_line = self._level[1] / max(self._level[1] + self._level[2], 1e-300)
                own = of_line * computed + (1 - of_line) * own
            total += weight * own
        return total / total.sum()

    def contributions(self, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions | None:
        """Compute weighted contributions of the members; None if the family has none."""
        self._check_fitted()
        base, parts, method = 0.0, np.zeros_like(values), "weighted members of a transfer"
        for name, weight in self.weights.items():
            if weight and name != "measured":
                centre = float(background[:, -1].mean())
                base += weight * float(self._line.predict(np.array([centre]))[0])
                parts[:, -1] += weight * self._line.slope * (values[:, -1] - centre)
            if weight and name != "line":
                count = _columns_of(name, values)
                own = self._fitted[name].contributions(values[:, :count], background[:, :count])
                if own is None:
                    return None
                base, method = base + weight * own.base, own.method
                parts[:, :count] += weight * own.values
        return Contributions(base, parts, method)

    def save(self, folder: Path) -> None:
        """Write ``transfer.json`` and a folder for each fitted family."""
        self._check_fitted()
        for name, ensemble in self._fitted.items():
            inside = folder / name
            inside.mkdir()
            ensemble.save(inside)
        facts = {"weights": self._weights, "scales": self._scales, "level": self._level, "line": np.array(self._line)}
        content = {"parameters": self.parameters, "columns": self._columns}
        content |= {name: array.tolist() for name, array in facts.items()}
        (folder / _FILE).write_text(json.dumps(content))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: If weights and members do not fit together.
        """
        content = read_json(folder / _FILE)
        ensemble = cls(**content["parameters"])
        ensemble._columns = int(content["columns"])
        names = ("weights", "scales", "level")
        ensemble._weights, ensemble._scales, ensemble._level = (np.array(content[name], float) for name in names)
        if any(len(content[name]) != len(MEMBERS) for name in names) or len(content["line"]) != 2:
            raise ModelError(f"{_FILE} does not give a weight for each member", "the file that save() wrote")
        ensemble._line = Line(*map(float, content["line"]))
        family, settings = ensemble.parameters["of"], ensemble.parameters["settings"]
        for name, weight in ensemble.weights.items():
            if weight > 0 and name != "line":
                ensemble._fitted[name] = load_ensemble(family, settings, folder / name)
        return ensemble

    def _small_settings(self) -> dict[str, Any]:
        """Settings of the family with at most 50 members."""
        settings = self.parameters["settings"]
        members = lookup("model", MODELS, self.parameters["of"]).members
        count = make_ensemble(self.parameters["of"], settings).parameters.get(members)
        return settings if count is None else {**settings, members: min(count, _WEIGHING_MEMBERS)}

    def _members_of(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        groups: NDArray[np.integer],
        *,
        weights: NDArray[np.float64] | None,
        settings: Mapping[str, Any],
        only: NDArray[np.bool_] | None = None,
    ) -> Transfer:
        """Fit the members to some rows, all of them or only those asked for, without weights."""
        members = Transfer(**{**self.parameters, "settings": settings})
        members._line = Line.fit(values[:, -1], target, weights)
        on_line = members._line.predict(values[:, -1])
        rest = target - on_line
        members._level = np.array([np.sqrt((rest**2).mean()), on_line.var(), rest.var()])
        wanted = dict(zip(MEMBERS, np.ones(len(MEMBERS), bool) if only is None else only, strict=True))
        for name, learned in (("difference", rest), ("measured", target)):
            if wanted[name]:
                part = values[:, : _columns_of(name, values)]
                made = make_ensemble(self.parameters["of"], settings)
                members._fitted[name] = fitted(made, part, learned, groups=groups, weights=weights)
        return members

    def _predictions(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict by each member, mean and spread, each (n, 3); nan by a member that was not fitted."""
        means, spreads = np.full((2, len(values), len(MEMBERS)), np.nan)
        on_line = self._line.predict(values[:, -1])
        means[:, 0], spreads[:, 0] = on_line, max(float(self._level[0]), 1e-12)
        for name, ensemble in self._fitted.items():
            column = MEMBERS.index(name)
            means[:, column], spreads[:, column] = ensemble.predict(values[:, : _columns_of(name, values)])
            if name == "difference":
                means[:, column] += on_line
        return means, spreads

    def _check_fitted(self) -> None:
        if not len(self._weights):
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")


def _columns_of(name: str, values: NDArray[np.float64]) -> int:
    """Return the number of columns that a member reads, the first ones: all, or all but the computed value."""
    return values.shape[1] - (name == "measured")


def _drawn(groups: NDArray[np.integer], most: int, seed: int) -> NDArray[np.int64]:
    """Draw whole groups of rows at random up to about a number of rows; all rows if there are no more."""
    if len(groups) <= most:
        return np.arange(len(groups))
    number = np.unique(groups, return_inverse=True)[1]
    place = np.random.default_rng(seed).permutation(number.max() + 1)[number]
    upto = np.cumsum(np.bincount(place))[place]
    return np.flatnonzero((upto <= most) | (place < _FOLDS))


def _bagged_weights(
    errors: NDArray[np.float64], groups: NDArray[np.integer], *, counts: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Find weights of the columns of errors (n, f) with a small absolute error, averaged over draws, shape (f,).

    In each draw each group has a random weight beside the ``counts`` (n,) of its rows. The absolute error is minimised
    by least squares, with rows weighted by the inverse of their present error.

    >>> rows = np.random.default_rng(0).normal(size=(400, 2))
    >>> bool(_bagged_weights(rows * [1.0, 3.0], np.arange(400), counts=np.ones(400), seed=0)[0] > 0.8)
    True
    """
    number = np.unique(groups, return_inverse=True)[1]
    draws = np.random.default_rng(seed).exponential(size=(_DRAWS, number.max() + 1))[:, number]
    products = (errors[:, :, None] * errors[:, None, :]).reshape(len(errors), -1)
    weights = np.full(errors.shape[1], 1 / errors.shape[1])
    least = 0.1 * max(float(np.median(np.abs(errors))), 1e-12)
    for _ in range(_ROUNDS):
        inverse = counts / np.maximum(np.abs(errors @ weights), least)
        squares = ((draws * inverse) @ products).reshape(_DRAWS, *[errors.shape[1]] * 2)
        weights = _least_squares(squares).mean(axis=0)
    return weights


def _least_squares(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find weights, not negative and adding up to 1, of the least quadratic form of each matrix (d, f, f), (d, f).

    The few members allow every choice of those with weight to be tried; that with the least value is the solution.
    """
    count = squares.shape[1]
    squares = squares + 1e-9 * np.trace(squares, axis1=1, axis2=2)[:, None, None] * np.eye(count) + 1e-300
    best, least = np.zeros(squares.shape[:2]), np.full(len(squares), np.inf)
    for size in range(1, count + 1):
        for chosen in map(list, itertools.combinations(range(count), size)):
            within = squares[:, chosen][:, :, chosen]
            solved = np.linalg.solve(within, np.ones((len(squares), size, 1)))[:, :, 0]
            found = solved / solved.sum(axis=1, keepdims=True)
            value = np.einsum("di,dij,dj->d", found, within, found)
            better = (found >= 0).all(axis=1) & (value < least)
            best[better] = 0.0
            best[np.ix_(better, chosen)] = found[better]
            least[better] = value[better]
    return best
