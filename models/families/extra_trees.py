"""Extremely randomised trees. Mean and spread come from many trees grown on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.array_ensemble import ArrayEnsemble
from matloop.models.families.contract import Contributions
from matloop.models.families.row_weights import relative_weights
from matloop.models.families.tree_contributions import interventional_shapley_values
from matloop.models.families.tree_growing import grow_forest
from matloop.models.families.tree_walk import BLOCK, SIDE_BY_SIDE, to_leaves

_NODE = np.dtype([("feature", np.int32), ("threshold", np.float32), ("left", np.int32), ("right", np.int32)])

_FEW_TREES = 10


class ExtraTrees(ArrayEnsemble):
    """Extremely randomised trees (Geurts, Ernst, Wehenkel, Mach. Learn. 63, 3 (2006)).

    The trees are grown by :func:`matloop.models.families.tree_growing.grow_forest`. They are the same for any number of
    threads and, where all rows count the same, for any order of the training rows.

    The trees are stored as flat arrays. One compiled pass computes mean and spread over all trees, and the file is a
    plain ``npz``. The importance of a feature is the mean decrease of variance by it.

    Args:
        trees: Number of trees.
        feature_share: Share of features tried at each split.
        smallest_leaf: Fewest training rows in a leaf.
        seed: Seed of the randomisation.
        threads: Threads used while growing.
    """

    family: ClassVar[str] = "extra_trees"
    file: ClassVar[str] = "trees.npz"
    cost: ClassVar[float] = 0.25
    members: ClassVar[str] = "trees"

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
        self._nodes: NDArray[np.void] | None = None  # nodes of the fitted forest, packed at the first prediction

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Grow the trees on finite features (n, k) and targets (n,). Groups are ignored."""
        relative = relative_weights(weights, len(target))
        forest = grow_forest(values, target, **self.parameters, threads=self._threads, weights=relative)
        self._arrays = dict(forest._asdict())
        self._nodes = None
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict mean and standard deviation over the trees, each (n,)."""
        return _forest_moments(*self._prepared(values))

    def member_predictions(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Predict with each tree alone, shape (n, trees)."""
        return _leaf_values(*self._prepared(values))

    def _prepared(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.void]]:
        """What a compiled pass through the forest reads: features, roots and nodes."""
        a = self._fitted()
        if values.shape[1] != len(a["importances"]):
            raise ModelError(f"{values.shape[1]} features", f"the {len(a['importances'])} it was fitted on")
        if self._nodes is None:
            self._nodes = _packed_nodes(a["starts"], a["feature"], a["right"], a["threshold"])
        return np.ascontiguousarray(values, np.float32), a["starts"][:-1], self._nodes

    @classmethod
    def small(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with at most ten trees."""
        return {**parameters, "trees": min(_FEW_TREES, parameters.get("trees", _FEW_TREES))}

    def contributions(self, values: NDArray[np.float64], background: NDArray[np.float64]) -> Contributions:
        """Compute interventional TreeSHAP, which is exact for every pair of a candidate and a background row.

        The base is the mean prediction for the background (Lundberg et al., Nat. Mach. Intell. 2, 56 (2020),
        supplementary algorithm 3; Laberge and Pequignot, arXiv:2209.15123).
        """
        from scipy.special import beta

        a = self._fitted()
        # (x - 1)! z! / (x + z)! is the Shapley weight of a leaf to which x features lead and z others do not.
        depth = min(values.shape[1], int(np.diff(a["starts"]).max())) + 1
        counts = np.arange(depth + 1, dtype=float)
        weights = beta(np.maximum(counts, 1)[:, None], counts + 1)
        parts = interventional_shapley_values(
            np.ascontiguousarray(values, np.float32), np.ascontiguousarray(background, np.float32),
            a["starts"], a["feature"], a["right"], a["threshold"], weights,
        )  # fmt: skip
        return Contributions(float(self.predict(background)[0].mean()), parts, "interventional TreeSHAP")

    def _check(self) -> None:
        _check_forest(**self._arrays)


def _check_forest(
    starts: NDArray[Any], feature: NDArray[Any], right: NDArray[Any], threshold: NDArray[Any], importances: NDArray[Any]
) -> None:
    """Refuse arrays with which the compiled pass would leave a tree or never reach a leaf."""
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
    """Pack the data of each node side by side in memory. A leaf leads to itself."""
    nodes, own, leaf = np.empty(len(feature), _NODE), np.arange(len(feature)), feature < 0
    nodes["feature"], nodes["threshold"] = np.where(leaf, 0, feature), threshold
    nodes["left"] = np.where(leaf, own, own + 1)
    nodes["right"] = np.where(leaf, own, np.repeat(starts[:-1], np.diff(starts)) + right)
    return nodes


@numba.njit(cache=True, nogil=True)
def _forest_moments(values, roots, nodes):  # type: ignore[no-untyped-def]
    """Compute mean and standard deviation over trees of the leaf values of each row.

    A block of rows passes through one tree after another, so that both stay in cache. Several rows are processed at the
    same time, so that the processor does not wait for single steps.
    """
    n = len(values)
    total, squares, at = np.zeros(n), np.zeros(n), np.empty(SIDE_BY_SIDE, np.int64)
    for block in range(0, n, BLOCK):
        for root in roots:
            for first in range(block, min(block + BLOCK, n), SIDE_BY_SIDE):
                width = min(SIDE_BY_SIDE, n - first)
                to_leaves(values, first, width, root, nodes, at)
                for k in range(width):
                    leaf = np.float64(nodes[at[k]].threshold)
                    total[first + k] += leaf
                    squares[first + k] += leaf * leaf
    mean = total / len(roots)
    return mean, np.sqrt(np.maximum(squares / len(roots) - mean * mean, 0.0))


@numba.njit(cache=True, nogil=True)
def _leaf_values(values, roots, nodes):  # type: ignore[no-untyped-def]
    """The leaf value of each row in each tree, shape (n, trees)."""
    found = np.empty((len(values), len(roots)), np.float32)
    for tree in range(len(roots)):
        for row in range(len(values)):
            at = roots[tree]
            while True:
                node = nodes[at]
                below = node.left if values[row, node.feature] <= node.threshold else node.right
                if below == at:
                    break
                at = below
            found[row, tree] = nodes[at].threshold
    return found
