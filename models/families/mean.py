"""The mean of several families."""

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
from matloop.models.families.members import Member, WrittenFamily, columns_of_members, members_by_name, read_members
from matloop.models.families.mixture import mixed, mixed_contributions
from matloop.models.families.row_weights import fitted, relative_weights

_FILE = "mean.json"
_FAMILIES = ("extra_trees", "boosted_trees", "gaussian_process")  # families that do not need torch


class Mean(Ensemble):
    """The mean of the predictions of several families, each of which is fitted once.

    Families make different errors, which the mean partly cancels: its squared error is at most the mean of theirs
    (Krogh and Vedelsby, NeurIPS 7, 231 (1995)). Nothing is fitted twice to find weights, as in a
    :class:`~matloop.models.families.stack.Stack`; whoever has compared the families may give them.

    The spread is that of a mixture: its variance is the mean of the variances of the families and the variance of their
    predictions together.

    Args:
        families: Registered families, by default those that do not need torch. A family with settings is a mapping of
            its name to them. The setting ``columns`` selects the features that a family reads: a list of ranges
            ``[first, one after the last]`` with ``None`` for the end. If this is left out, it reads all features
            but those that only other families need, such as the atomic fractions of ``element_attention``.
        weights: Weight of each family, positive; they are scaled to add up to 1. All the same if left out.
        seed: Seed of every family without its own seed.

    Raises:
        ModelError: If there are fewer than two families, or not one positive weight for each.
    """

    family: ClassVar[str] = "mean"
    cost: ClassVar[float] = 30

    def __init__(
        self,
        *,
        families: Sequence[WrittenFamily] = _FAMILIES,
        weights: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        members = read_members(families, inside=self.family)
        self._members = [Member(name, {"seed": seed, **settings}) for name, settings in members]
        self._shares = np.array([1.0] * len(members) if weights is None else weights, np.float64)
        if self._shares.shape != (len(members),) or not (np.isfinite(self._shares) & (self._shares > 0)).all():
            raise ModelError(f"weights {weights} for {len(members)} families", "one positive number for each")
        self._shares /= self._shares.sum()
        self.parameters: dict[str, Any] = {
            "families": [member.as_written() for member in members],
            "weights": None if weights is None else list(weights), "seed": seed,
        }  # fmt: skip
        self._fitted: list[Ensemble] = []

    @classmethod
    def needed_columns(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the columns that any of the families needs."""
        return columns_of_members(read_members(parameters.get("families", _FAMILIES), inside=cls.family))

    @classmethod
    def settings_by_name(cls, parameters: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Complete the settings of each family with the places of its columns."""
        members = read_members(parameters.get("families", _FAMILIES), inside=cls.family)
        return {**parameters, "families": members_by_name(members, names)}

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Fit every family to finite features (n, k) and targets (n,).

        Raises:
            ModelError: If a family cannot be fitted, or one of its columns is missing.
        """
        relative = relative_weights(weights, len(target))
        self._fitted = [
            fitted(make_ensemble(*member), values, target, groups=groups, weights=relative) for member in self._members
        ]
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the weighted mean, and the standard deviation of the mixture, each (n,)."""
        self._check_fitted()
        means, spreads = np.stack([member.predict(values) for member in self._fitted], axis=1)
        return mixed(self._shares, np.ones(len(self._fitted)), means, spreads)

    def importances(self) -> NDArray[np.float64]:
        """Weighted importances of the families, shape (k,), sums to 1."""
        self._check_fitted()
        return self._shares @ np.stack([member.importances() for member in self._fitted])

    def contributions(self, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions | None:
        """Compute weighted contributions of the families; None if one of them has none."""
        return mixed_contributions(self._shares, self._fitted, values, background)

    def save(self, folder: Path) -> None:
        """Write ``mean.json`` and a folder for each family."""
        self._check_fitted()
        for number, member in enumerate(self._fitted):
            inside = folder / f"member_{number}"
            inside.mkdir()
            member.save(inside)
        (folder / _FILE).write_text(json.dumps({"parameters": self.parameters}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        mean = cls(**read_json(folder / _FILE)["parameters"])
        mean._fitted = [
            load_ensemble(family, settings, folder / f"member_{number}")
            for number, (family, settings) in enumerate(mean._members)
        ]
        return mean

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
