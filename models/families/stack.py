"""A weighted mean of several families. The weights come from predictions of rows that were held out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json
from matloop.data.errors import ModelError
from matloop.models.families.contract import Contributions, Ensemble
from matloop.models.families.making import load_ensemble, make_ensemble
from matloop.models.families.members import WrittenFamily, columns_of_members, members_by_name, read_members
from matloop.models.families.mixture import least_absolute_weights, mixed, mixed_contributions, spread_scales
from matloop.models.families.row_weights import fitted, relative_weights
from matloop.models.grouped_folds import grouped_folds

_FILE = "stack.json"
_FEWEST_GROUPS = 10
_FAMILIES = ("extra_trees", "boosted_trees", "gaussian_process")  # families that do not need torch


class Stack(Ensemble):
    """Families stacked with weights from their out-of-fold predictions (Breiman, Mach. Learn. 24, 49 (1996)).

    Every family predicts each training row from rows of other formulas. The weights are not negative, add up to 1, and
    minimise the mean absolute error of these predictions, so no single family has a smaller one. Least squares would
    improve a few rows with large errors at the expense of the others.

    The spread is that of the mixture. It contains the spread of each family, scaled to the size of its errors, and the
    distance between the means of families. Each family is fitted once for every fold and once to all rows. Families
    with weight zero are dropped.

    Args:
        families: Registered families, by default those that do not need torch. A family with settings is a mapping of
            its name to them. The setting ``columns`` selects the features that a family reads: a list of ranges
            ``[first, one after the last]`` with ``None`` for the end. If this is left out, it reads all features
            but those that only other families need, such as the atomic fractions of ``element_attention``.
        folds: Number of folds, split between formulas.
        seed: Seed of the folds, and of every family without its own seed.
    """

    family: ClassVar[str] = "stack"
    cost: ClassVar[float] = 30

    def __init__(
        self,
        *,
        families: Sequence[WrittenFamily] = _FAMILIES,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        members = read_members(families, inside=self.family)
        if folds < 2:
            raise ModelError(f"a stack with {folds} folds", "at least 2")
        self._members = [(name, {"seed": seed, **settings}) for name, settings in members]
        self.parameters: dict[str, Any] = {
            "families": [member.as_written() for member in members], "folds": folds, "seed": seed
        }  # fmt: skip
        self._fitted: list[Ensemble] = []
        self._weights, self._scales, self._errors = np.empty(0), np.empty(0), np.empty(0)

    @classmethod
    def needed_columns(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the columns that any of the families needs."""
        return columns_of_members(read_members(parameters.get("families", _FAMILIES), inside=cls.family))

    @classmethod
    def settings_by_name(cls, parameters: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Complete the settings of each family with the places of its columns."""
        members = read_members(parameters.get("families", _FAMILIES), inside=cls.family)
        return {**parameters, "families": members_by_name(members, names)}

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each family, including weights of zero."""
        names = [name for name, _ in self._members]
        return {name: float(weight) for name, weight in zip(names, self._weights, strict=True)}

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Find the weights and fit to finite features (n, k) and targets (n,).

        Raises:
            ModelError: If there are fewer than ten groups, a family cannot be fitted, or one of its columns is missing.
        """
        groups = np.arange(len(target)) if groups is None else groups
        if len(np.unique(groups)) < _FEWEST_GROUPS:
            raise ModelError(f"{len(np.unique(groups))} formulas to weigh families on", f"at least {_FEWEST_GROUPS}")
        relative = relative_weights(weights, len(target))
        folds = list(grouped_folds(groups, folds=self.parameters["folds"], seed=self.parameters["seed"]))
        means, spreads = np.empty((2, len(target), len(self._members)))
        for column, member in enumerate(self._members):
            for train, held in folds:
                own = None if relative is None else relative[train]
                ensemble = fitted(
                    make_ensemble(*member), values[train], target[train], groups=groups[train], weights=own
                )
                means[held, column], spreads[held, column] = ensemble.predict(values[held])
        errors, counts = means - target[:, None], 1.0 if relative is None else relative[:, None]
        self._weights, self._errors = least_absolute_weights(errors * counts), (np.abs(errors) * counts).mean(axis=0)
        self._scales = spread_scales(errors, spreads, counts)
        self._fitted = [
            fitted(make_ensemble(*self._members[m]), values, target, groups=groups, weights=relative)
            for m in self._used()
        ]
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict weighted mean, and standard deviation of the mixture, each (n,)."""
        self._check_fitted()
        used = self._used()
        means, spreads = np.stack([member.predict(values) for member in self._fitted], axis=1)
        return mixed(self._weights[used], self._scales[used], means, spreads)

    def importances(self) -> NDArray[np.float64]:
        """Weighted importances of the families, shape (k,), sums to 1."""
        self._check_fitted()
        shares = np.stack([member.importances() for member in self._fitted])
        return self._weights[self._used()] @ shares

    def contributions(self, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions | None:
        """Compute weighted contributions of the families; None if a family with weight has none."""
        return mixed_contributions(self._weights[self._used()], self._fitted, values, background)

    def save(self, folder: Path) -> None:
        """Write ``stack.json`` and a folder for each family with a weight above zero."""
        self._check_fitted()
        for number, member in zip(self._used(), self._fitted, strict=True):
            inside = folder / f"member_{number}"
            inside.mkdir()
            member.save(inside)
        facts = {"weights": self._weights, "scales": self._scales, "errors": self._errors}
        content = {"parameters": self.parameters, **{name: array.tolist() for name, array in facts.items()}}
        (folder / _FILE).write_text(json.dumps(content))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: If weights and families do not fit together.
        """
        content = read_json(folder / _FILE)
        stack = cls(**content["parameters"])
        stack._weights, stack._scales, stack._errors = (np.array(content[n]) for n in ("weights", "scales", "errors"))
        count = len(stack._members)
        if any(array.shape != (count,) for array in (stack._weights, stack._scales, stack._errors)):
            raise ModelError(f"{_FILE} does not give a weight for each family", "the file that save() wrote")
        for number in stack._used():
            name, settings = stack._members[number]
            stack._fitted.append(load_ensemble(name, settings, folder / f"member_{number}"))
        return stack

    def _used(self) -> NDArray[np.int64]:
        return np.flatnonzero(self._weights > 0)

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
