"""Weights of rows decide between rows that contradict each other; the contract of families tests equal weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.errors import RowWeightsError
from matloop.data.registry import lookup
from matloop.models.families.contract import Ensemble
from matloop.models.families.part_reader import PartReader
from matloop.models.families.row_weights import fitted, relative_weights
from matloop.models.families.tree_growing import grow_forest
from matloop.models.registry import MODELS
from matloop.models.surrogates.training import out_of_fold

SMALL: dict[str, dict[str, Any]] = {
    "extra_trees": {"trees": 40},
    "boosted_trees": {"boosters": 2, "rounds": 40},
    "gaussian_process": {"tuning_rows": 60, "rounds": 8},
    "deep_ensemble": {"members": 2, "width": 16, "blocks": 1, "epochs": 20},
    "element_attention": {"members": 2, "width": 16, "layers": 1, "blocks": 1, "epochs": 20},
    "stack": {
        "families": [{"extra_trees": {"trees": 10}}, {"boosted_trees": {"boosters": 1, "rounds": 20}}],
        "folds": 2,
    },
    "mean": {"families": [{"extra_trees": {"trees": 20}}, {"boosted_trees": {"boosters": 2, "rounds": 40}}]},
}
RANDOM = np.random.default_rng(3)
PAIRS = np.array([(a, b) for a in range(3, 12) for b in range(12, 23)])
FRACTIONS = np.zeros((len(PAIRS), 118))
FRACTIONS[np.arange(len(PAIRS)), PAIRS[:, 0]] = 0.3
FRACTIONS[np.arange(len(PAIRS)), PAIRS[:, 1]] = 0.7
VALUES = np.hstack([FRACTIONS, RANDOM.normal(size=(len(PAIRS), 2))])
TARGET = PAIRS[:, 0] - 0.5 * PAIRS[:, 1] + 0.05 * RANDOM.normal(size=len(PAIRS))
# Each row occurs three times, with the truth once and with a value far above it twice.
THREEFOLD, GROUPS = np.repeat(VALUES, 3, axis=0), np.repeat(np.arange(len(VALUES)), 3)
CONTRADICTING = np.repeat(TARGET, 3) + np.tile([0.0, 6.0, 6.0], len(TARGET))
TRUST = np.tile([1.0, 0.02, 0.02], len(TARGET))


def made(name: str) -> Ensemble:
    if name in ("deep_ensemble", "element_attention"):
        pytest.importorskip("torch")
    family: Ensemble = lookup("model", MODELS, name)(**SMALL[name])
    return family


@pytest.mark.parametrize("name", sorted(MODELS))
def test_rows_of_little_weight_hardly_count(name: str) -> None:
    plain = made(name).fit(THREEFOLD, CONTRADICTING, groups=GROUPS).predict(VALUES)[0]
    trusting = made(name).fit(THREEFOLD, CONTRADICTING, groups=GROUPS, weights=TRUST).predict(VALUES)[0]
    assert np.abs(trusting - TARGET).mean() < 0.5 * np.abs(plain - TARGET).mean()


def test_a_reader_of_columns_hands_weights_on() -> None:
    reader = PartReader("extra_trees", columns=[[0, 118]], settings={"trees": 20})
    trusting = reader.fit(THREEFOLD, CONTRADICTING, weights=TRUST).predict(VALUES)[0]
    assert np.abs(trusting - TARGET).mean() < 1


def test_a_weighted_process_keeps_its_noise_in_its_file(tmp_path: Path) -> None:
    process = made("gaussian_process").fit(VALUES, TARGET, weights=np.arange(1.0, 100))
    process.save(tmp_path)
    np.testing.assert_array_equal(type(process).load(tmp_path).predict(VALUES)[1], process.predict(VALUES)[1])


def test_every_tree_has_whole_copies_of_rows_and_each_row_its_share_of_them() -> None:
    values = np.arange(200.0)[:, None]
    weights = np.where(np.arange(200) % 2, 1.0, 0.1)
    forest = grow_forest(values, values[:, 0], trees=200, feature_share=1, smallest_leaf=1, seed=0, weights=weights)
    leaves = forest.threshold[forest.feature < 0]
    shares = np.bincount(leaves.astype(int), minlength=200) / 200
    assert (shares[1::2] == 1).all()
    assert shares[::2].mean() == pytest.approx(0.1, abs=0.01)


def test_trees_with_weights_do_not_depend_on_threads() -> None:
    forests = [
        grow_forest(VALUES, TARGET, trees=6, feature_share=0.4, smallest_leaf=1, seed=1, threads=threads,
                    weights=np.arange(1.0, 100))
        for threads in (1, 3)
    ]  # fmt: skip
    for ours, theirs in zip(*forests, strict=True):
        np.testing.assert_array_equal(ours, theirs)


class Plain(Ensemble):
    """A family of another package, written before there were weights."""

    family = "plain"

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> Any:
        self.mean = target.mean()
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(values), self.mean), np.ones(len(values))


def test_a_family_without_weights_is_used_for_equal_ones_and_refused_for_others() -> None:
    rows = (np.zeros((40, 1)), np.arange(40.0), np.arange(40))
    out_of_fold(Plain, *rows, weights=np.full(40, 3.0))
    with pytest.raises(RowWeightsError, match=r"E-MODEL-WEIGHTS: .*plain.*boosted_trees, deep_ensemble"):
        out_of_fold(Plain, *rows, weights=np.arange(1.0, 41))


@pytest.mark.parametrize("weights", [np.ones(3), np.array([1.0, 0.0]), np.array([1.0, np.nan])])
def test_weights_that_are_no_positive_numbers_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(RowWeightsError, match="one positive number per row"):
        relative_weights(weights, 2)
    with pytest.raises(RowWeightsError):
        fitted(Plain(), np.zeros((2, 1)), np.zeros(2), groups=None, weights=weights)
