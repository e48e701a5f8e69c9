"""Gradient-boosted trees. Mean and spread come from several boosters, each grown on a share of the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json
from matloop.data.errors import ModelError
from matloop.models.families.contract import Contributions, Ensemble
from matloop.models.families.row_weights import relative_weights

if TYPE_CHECKING:
    from matloop.models.families.booster_arrays import BoosterArrays

_MANY = 500  # rows for which reading the trees pays


class BoostedTrees(Ensemble):
    """Gradient-boosted trees (LightGBM), several boosters on bootstrap shares of the rows.

    Args:
        boosters: Number of boosters; their disagreement is the spread.
        rounds: Trees per booster.
        learning_rate: Shrinkage.
        leaves: Largest number of leaves of a tree.
        smallest_leaf: Fewest training rows in a leaf.
        row_share: Share of rows each tree sees.
        feature_share: Share of features each tree sees.
        seed: Seed of the randomisation.
        threads: Threads used while growing.
    """

    family: ClassVar[str] = "boosted_trees"
    cost: ClassVar[float] = 5
    members: ClassVar[str] = "boosters"

    def __init__(
        self,
        *,
        boosters: int = 8,
        rounds: int = 400,
        learning_rate: float = 0.05,
        leaves: int = 31,
        smallest_leaf: int = 5,
        row_share: float = 0.7,
        feature_share: float = 0.3,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.parameters: dict[str, Any] = {
            "boosters": boosters, "rounds": rounds, "learning_rate": learning_rate, "leaves": leaves,
            "smallest_leaf": smallest_leaf, "row_share": row_share, "feature_share": feature_share, "seed": seed,
        }  # fmt: skip
        self._threads = threads
        self._boosters: list[Any] = []
        self._arrays: list[BoosterArrays] = []  # the same trees, read at the first prediction of many rows

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Grow the trees on finite features (n, k) and targets (n,). Groups are ignored."""
        import lightgbm

        p, relative = self.parameters, relative_weights(weights, len(target))
        settings = {
            "objective": "regression", "learning_rate": p["learning_rate"], "num_leaves": p["leaves"],
            "min_data_in_leaf": p["smallest_leaf"], "feature_fraction": p["feature_share"],
            "num_threads": self._threads, "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        self._boosters, self._arrays = [], []
        for member in range(p["boosters"]):
            random = np.random.default_rng([p["seed"], member])
            rows = random.permutation(len(target))[: max(int(p["row_share"] * len(target)), 1)]
            rows.sort()
            own = None if relative is None else relative[rows]
            data = lightgbm.Dataset(values[rows], target[rows], weight=own, params={"verbosity": -1})
            seed = int(random.integers(2**31))
            self._boosters.append(lightgbm.train({**settings, "seed": seed}, data, num_boost_round=p["rounds"]))
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict mean and standard deviation over the boosters, each (n,)."""
        members = self.member_predictions(values)
        return members.mean(axis=1), members.std(axis=1)

    def member_predictions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict with each booster alone, shape (n, boosters)."""
        known = self._fitted()[0].num_feature()
        if values.shape[1] != known:
            raise ModelError(f"{values.shape[1]} features", f"the {known} it was fitted on")
        if len(values) >= _MANY and not self._arrays:
            from matloop.models.families.booster_arrays import BoosterArrays

            self._arrays = [BoosterArrays.read(booster.model_to_string()) for booster in self._fitted()]
        if self._arrays:
            return np.stack([arrays.predict(values) for arrays in self._arrays]).T
        return np.stack([b.predict(values, num_threads=self._threads) for b in self._fitted()]).T

    def importances(self) -> NDArray[np.float64]:
        """Gain of each feature, shape (k,), sums to 1."""
        gain = sum(booster.feature_importance("gain") for booster in self._fitted())
        return np.asarray(gain / max(gain.sum(), 1e-300))

    @classmethod
    def small(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with one booster."""
        return {**parameters, "boosters": 1}

    def contributions(
        self,
        values: NDArray[np.float64],
        background: NDArray[np.float64],  # not needed: the trees store how many rows went each way
    ) -> Contributions:
        """Compute path-dependent TreeSHAP with LightGBM, averaged over the boosters. The base is their expectation."""
        members = np.mean([booster.predict(values, pred_contrib=True, num_threads=1) for booster in self._fitted()], 0)
        base = float(members[0, -1]) if len(members) else float("nan")
        return Contributions(base, np.ascontiguousarray(members[:, :-1]), "path-dependent TreeSHAP")

    def save(self, folder: Path) -> None:
        """Write one LightGBM text file per booster and ``parameters.json``."""
        for member, booster in enumerate(self._fitted()):
            booster.save_model(folder / f"booster_{member}.txt")
        (folder / "parameters.json").write_text(json.dumps(self.parameters))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        import lightgbm

        ensemble = cls(**read_json(folder / "parameters.json"))
        count = ensemble.parameters["boosters"]
        ensemble._boosters = [lightgbm.Booster(model_file=folder / f"booster_{member}.txt") for member in range(count)]
        return ensemble

    def _fitted(self) -> list[Any]:
        if not self._boosters:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
        return self._boosters
