"""The trees of a LightGBM booster as flat arrays, and a compiled pass that predicts many rows with them.

LightGBM takes one row through all trees, and trees of some hundred leaves do not stay in the cache of a processor. Here
a block of rows goes through one tree after another. The leaf values are added in the order of the trees, as LightGBM
adds them, so that both predict the same to the last digit.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.tree_walk import BLOCK, SIDE_BY_SIDE, to_leaves

_NODE = np.dtype([("threshold", np.float64), ("feature", np.int32), ("left", np.int32), ("right", np.int32)])

_ZERO = float(np.float32(1e-35))  # LightGBM takes numbers up to this for zero
_PLAIN = 2  # decision types without this bit alone mark categories, or a way of their own for missing values


class BoosterArrays(NamedTuple):
    """The trees of a booster.

    Attributes:
        roots: First node of each tree, shape (trees,).
        nodes: Splits, and leaves, which lead to themselves and hold their value as threshold.
        features: Number of features.
    """

    roots: NDArray[np.int64]
    nodes: NDArray[np.void]
    features: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the text of a booster that learned from finite numbers, as ``Booster.model_to_string`` writes it.

        Raises:
            ModelError: If its trees cannot be walked through like this.
        """
        try:
            head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
            features = int(_fields(head)["max_feature_idx"]) + 1
            parts = [_tree_nodes(_fields(tree), features) for tree in trees]
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(
                "a booster whose trees cannot be read", "one that LightGBM wrote", "train again"
            ) from error
        starts = np.cumsum([0, *map(len, parts)])
        nodes = np.concatenate([np.empty(0, _NODE), *parts])
        for name in ("left", "right"):
            nodes[name] += np.repeat(starts[:-1], np.diff(starts)).astype(np.int32)
        return cls(starts[:-1], nodes, features)

    def predict(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of the leaf values of each row of finite features (n, k), shape (n,)."""
        if values.shape[1] != self.features:
            raise ModelError(f"{values.shape[1]} features", f"the {self.features} it was fitted on")
        plain = np.where(np.abs(values) <= _ZERO, 0.0, np.asarray(values, np.float64))
        return np.asarray(_sums(np.ascontiguousarray(plain), self.roots, self.nodes))


def _fields(text: str) -> dict[str, str]:
    """Lines ``name=value``."""
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def _tree_nodes(fields: dict[str, str], features: int) -> NDArray[np.void]:
    """Splits of a tree, then its leaves.

    Raises:
        ValueError: If it does not lead every row of numbers to a leaf.
    """
    leaves = np.fromstring(fields["leaf_value"], sep=" ")
    splits = len(leaves) - 1
    nodes = np.empty(splits + len(leaves), _NODE)
    own = np.arange(len(nodes))
    nodes["left"], nodes["right"], nodes["feature"] = own, own, 0
    nodes["threshold"][splits:] = leaves
    if not splits:
        return nodes
    nodes["threshold"][:splits] = np.fromstring(fields["threshold"], sep=" ")
    nodes["feature"][:splits] = np.fromstring(fields["split_feature"], int, sep=" ")
    sound = (np.fromstring(fields["decision_type"], int, sep=" ") & ~_PLAIN == 0).all()
    for name in ("left", "right"):
        below = np.fromstring(fields[f"{name}_child"], int, sep=" ")
        below = np.where(below < 0, splits + ~below, below)  # LightGBM counts leaves by their complement
        sound &= ((below > own[:splits]) & (below < len(nodes))).all()
        nodes[name][:splits] = below
    if not sound or not ((nodes["feature"] >= 0) & (nodes["feature"] < features)).all():
        raise ValueError
    return nodes


@numba.njit(cache=True, nogil=True)
def _sums(values, roots, nodes):  # type: ignore[no-untyped-def]
    """Add up the leaf values of each row; several rows go side by side, so that the processor waits for none."""
    n = len(values)
    total, at = np.zeros(n), np.empty(SIDE_BY_SIDE, np.int64)
    for block in range(0, n, BLOCK):
        for root in roots:
            for first in range(block, min(block + BLOCK, n), SIDE_BY_SIDE):
                width = min(SIDE_BY_SIDE, n - first)
                to_leaves(values, first, width, root, nodes, at)
                for k in range(width):
                    total[first + k] += nodes[at[k]].threshold
    return total
