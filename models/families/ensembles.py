"""Tree ensembles: a mean and a spread per candidate from many trees grown on the same rows.

Both families are saved as plain arrays or text and read back without running any code from the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.array_ensemble import ArrayEnsemble

_NODE = np.dtype([("feature", np.int32), ("threshold", np.float32), ("left", np.int32), ("right", np.int32)])
_BLOCK, _SIDE_BY_SIDE = 512, 8  # rows


class Ensemble(Protocol):
    """A regressor that also says how much its members disagree.

    Attributes:
        family: Name in the registry.
        parameters: What it was set up with; plain JSON values.
    """

    family: ClassVar[str]
    parameters: dict[str, Any]

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
    ) -> Self:
        """Learn from features (n, k) and targets (n,); all finite.

        Args:
            values: Features.
            target: What to learn.
            groups: Formula group of each row, shape (n,), for families that split the rows themselves and may not
                separate a group; each row is a group of its own where left out.
        """
        ...

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation over the members, each (n,)."""
        ...

    def importances(self) -> NDArray[np.float64]:
        """Share of each feature in the fit, shape (k,), sums to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted ensemble into a folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        ...


class ExtraTrees(ArrayEnsemble):
    """Extremely randomised trees (Geurts, Ernst, Wehenkel, Mach. Learn. 63, 3 (2006)), grown by scikit-learn.

    Kept as flat arrays: mean and spread over all trees come from one compiled pass, and the file is a plain ``npz``. A
    feature's importance is the mean decrease of variance by it.

    Args:
        trees: Number of trees.
        feature_share: Share of features tried at each split.
        smallest_leaf: Fewest training rows in a leaf.
        seed: Seed of the randomisation.
        threads: Threads used while growing.
    """

    family: ClassVar[str] = "extra_trees"
    file: ClassVar[str] = "trees.npz"

    def __init__(
        self,
        *,
        trees: int = 200,
        feature_share: float = 0.2,
        smallest_leaf: int = 1,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        super().__init__(trees=trees, feature_share=feature_share, smallest_leaf=smallest_leaf, seed=seed)
        self._threads = threads
        self._nodes: NDArray[np.void] | None = None  # of the fitted forest, packed at the first prediction

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
    ) -> Self:
        """Grow on features (n, k) and targets (n,); all finite. Groups make no difference."""
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(
            n_estimators=self.parameters["trees"],
            max_features=self.parameters["feature_share"],
            min_samples_leaf=self.parameters["smallest_leaf"],
            random_state=self.parameters["seed"],
            n_jobs=self._threads,
        ).fit(values.astype(np.float32), target)
        trees = [estimator.tree_ for estimator in forest.estimators_]
        split = [tree.children_left >= 0 for tree in trees]
        # scikit-learn grows depth first: a left child directly follows its parent, so only right children are stored,
        # and a leaf's value takes the place of the threshold it does not need.
        self._arrays = {
            "starts": np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])]).astype(np.int64),
            "feature": np.concatenate([np.where(s, t.feature, -1) for t, s in zip(trees, split, strict=True)]).astype(
                np.int16
            ),
            "right": np.concatenate(
                [np.where(s, t.children_right, 0) for t, s in zip(trees, split, strict=True)]
            ).astype(np.int32),
            "threshold": np.concatenate(
                [np.where(s, _rounded_down(t.threshold), t.value[:, 0, 0]) for t, s in zip(trees, split, strict=True)]
            ).astype(np.float32),
            "importances": forest.feature_importances_,
        }
        self._nodes = None
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation over the trees, each (n,)."""
        a = self._fitted()
        if values.shape[1] != len(a["importances"]):
            raise ModelError(f"{values.shape[1]} features", f"the {len(a['importances'])} it was fitted on")
        if self._nodes is None:
            self._nodes = _packed_nodes(a["starts"], a["feature"], a["right"], a["threshold"])
        return _forest_moments(np.ascontiguousarray(values, np.float32), a["starts"][:-1], self._nodes)

    def _check(self) -> None:
        _check_forest(**self._arrays)


class BoostedTrees:
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

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
    ) -> Self:
        """Grow on features (n, k) and targets (n,); all finite. Groups make no difference."""
        import lightgbm

        p = self.parameters
        settings = {
            "objective": "regression", "learning_rate": p["learning_rate"], "num_leaves": p["leaves"],
            "min_data_in_leaf": p["smallest_leaf"], "feature_fraction": p["feature_share"],
            "num_threads": self._threads, "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        self._boosters = []
        for member in range(p["boosters"]):
            random = np.random.default_rng([p["seed"], member])
            rows = random.permutation(len(target))[: max(int(p["row_share"] * len(target)), 1)]
            rows.sort()
            data = lightgbm.Dataset(values[rows], target[rows], params={"verbosity": -1})
            seed = int(random.integers(2**31))
            self._boosters.append(lightgbm.train({**settings, "seed": seed}, data, num_boost_round=p["rounds"]))
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation over the boosters, each (n,)."""
        known = self._fitted()[0].num_feature()
        if values.shape[1] != known:
            raise ModelError(f"{values.shape[1]} features", f"the {known} it was fitted on")
        members = np.stack([b.predict(values, num_threads=self._threads) for b in self._fitted()])
        return members.mean(axis=0), members.std(axis=0)

    def importances(self) -> NDArray[np.float64]:
        """Gain of each feature, shape (k,), sums to 1."""
        gain = sum(booster.feature_importance("gain") for booster in self._fitted())
        return np.asarray(gain / max(gain.sum(), 1e-300))

    def save(self, folder: Path) -> None:
        """Write one LightGBM text file per booster and ``parameters.json``."""
        for member, booster in enumerate(self._fitted()):
            booster.save_model(folder / f"booster_{member}.txt")
        (folder / "parameters.json").write_text(json.dumps(self.parameters))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        import lightgbm

        ensemble = cls(**json.loads((folder / "parameters.json").read_text()))
        count = ensemble.parameters["boosters"]
        ensemble._boosters = [lightgbm.Booster(model_file=folder / f"booster_{member}.txt") for member in range(count)]
        return ensemble

    def _fitted(self) -> list[Any]:
        if not self._boosters:
            raise ModelError("an ensemble that was never fitted", "an ensemble after fit() or load()")
        return self._boosters


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Thresholds in single precision that send every single-precision feature the same way as the exact ones."""
    single = thresholds.astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)


def _check_forest(
    starts: NDArray[Any], feature: NDArray[Any], right: NDArray[Any], threshold: NDArray[Any], importances: NDArray[Any]
) -> None:
    """Refuse arrays under which the compiled pass would leave a tree or never reach a leaf."""
    sizes = np.diff(starts)
    sound = starts[0] == 0 and (sizes > 0).all() and len(feature) == len(right) == len(threshold) == starts[-1]
    if sound:
        node = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        split = feature >= 0
        inside = (right > node + 1) & (right < np.repeat(sizes, sizes))
        sound = bool((inside | ~split).all() and (feature < len(importances)).all())
    if not sound:
        raise ModelError("trees.npz does not describe trees", "the file that save() wrote", "train again")


def _packed_nodes(
    starts: NDArray[Any], feature: NDArray[Any], right: NDArray[Any], threshold: NDArray[Any]
) -> NDArray[np.void]:
    """What a step through a tree reads, side by side in memory; a leaf leads to itself."""
    nodes, own, leaf = np.empty(len(feature), _NODE), np.arange(len(feature)), feature < 0
    nodes["feature"], nodes["threshold"] = np.where(leaf, 0, feature), threshold
    nodes["left"] = np.where(leaf, own, own + 1)
    nodes["right"] = np.where(leaf, own, np.repeat(starts[:-1], np.diff(starts)) + right)
    return nodes


@numba.njit(cache=True, nogil=True)
def _forest_moments(values, roots, nodes):  # type: ignore[no-untyped-def]
    """Mean and standard deviation over trees of the leaf values each row falls into.

    A block of rows goes through one tree after the other, so that both stay in cache, and several rows go side by side,
    so that the processor need not wait for one step before it begins another.
    """
    n = len(values)
    total, squares, at = np.zeros(n), np.zeros(n), np.empty(_SIDE_BY_SIDE, np.int64)
    for block in range(0, n, _BLOCK):
        for root in roots:
            for first in range(block, min(block + _BLOCK, n), _SIDE_BY_SIDE):
                width = min(_SIDE_BY_SIDE, n - first)
                at[:] = root
                moved = True
                while moved:
                    moved = False
                    for k in range(width):
                        node = nodes[at[k]]
                        below = node.left if values[first + k, node.feature] <= node.threshold else node.right
                        moved |= below != at[k]
                        at[k] = below
                for k in range(width):
                    leaf = np.float64(nodes[at[k]].threshold)
                    total[first + k] += leaf
                    squares[first + k] += leaf * leaf
    mean = total / len(roots)
    return mean, np.sqrt(np.maximum(squares / len(roots) - mean * mean, 0.0))
