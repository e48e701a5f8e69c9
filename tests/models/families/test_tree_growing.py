"""Trees grown by our own code: exact limits, invariances, and scikit-learn's trees as the judge."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest
from sklearn.ensemble import ExtraTreesRegressor

from matloop.data.errors import ModelError
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.tree_growing import Forest, grow_forest

RANDOM = np.random.default_rng(4)
VALUES = np.column_stack(
    [
        RANDOM.normal(size=(160, 4)),
        RANDOM.integers(0, 3, (160, 3)),  # with ties
        np.ones((160, 2)),  # constant
        np.where(RANDOM.random((160, 2)) < 0.9, 0.0, RANDOM.random((160, 2))),  # constant in most nodes
    ]
).astype(np.float32).astype(float)  # fmt: skip
TARGET = VALUES[:, 0] ** 2 + VALUES[:, 4] * VALUES[:, 1] + 3 * VALUES[:, 9] + RANDOM.normal(size=160) * 0.3
FRESH = np.column_stack([RANDOM.normal(size=(60, 4)), VALUES[:60, 4:]]).astype(np.float32).astype(float)
SETTINGS = {"trees": 30, "feature_share": 0.4, "smallest_leaf": 1, "seed": 7}


def grow(values: NDArray[np.float64] = VALUES, target: NDArray[np.float64] = TARGET, **settings: float) -> Forest:
    return grow_forest(values, target, **{**SETTINGS, **settings})  # type: ignore[arg-type]


def assert_equal(one: Forest, other: Forest) -> None:
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def leaf_values(forest: Forest, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prediction of each tree, shape (t, n), row by row: the plain reading of the arrays."""
    predicted = np.empty((len(forest.starts) - 1, len(values)))
    for tree, start in enumerate(forest.starts[:-1]):
        for row, value in enumerate(values.astype(np.float32)):
            node = 0
            while (feature := forest.feature[start + node]) >= 0:
                node = node + 1 if value[feature] <= forest.threshold[start + node] else forest.right[start + node]
            predicted[tree, row] = forest.threshold[start + node]
    return predicted


def test_fully_grown_tree_knows_every_training_row_by_heart() -> None:
    for seed in range(5):
        forest = grow(trees=1, seed=seed)
        np.testing.assert_array_equal(leaf_values(forest, VALUES)[0], TARGET.astype(np.float32))
        assert len(forest.feature) == 2 * len(VALUES) - 1


def test_leaves_hold_the_mean_of_at_least_the_rows_asked_for() -> None:
    forest = grow(smallest_leaf=9)
    for tree in leaf_values(forest, VALUES):
        for value in np.unique(tree):
            inside = tree == value
            assert inside.sum() >= 9
            np.testing.assert_allclose(value, TARGET[inside].mean(), rtol=1e-6)


def test_one_split_reduces_variance_and_takes_the_better_of_two_features() -> None:
    noise = np.random.default_rng(1).normal(size=50)
    values = np.column_stack([noise, np.repeat([0.0, 1.0], 25)])
    forest = grow(values, values[:, 1] * 10 + noise * 0.1, feature_share=1.0, smallest_leaf=20)
    left = forest.feature[forest.starts[:-1]]
    assert (left == 1).all()
    assert np.diff(forest.starts).tolist() == [3] * 30
    np.testing.assert_array_equal(forest.importances, [0, 1])
    residual = (values[:, 1] * 10 + noise * 0.1) - leaf_values(forest, values)
    assert residual.var() < 0.02


def test_cuts_are_uniform_between_the_ends_of_a_feature() -> None:
    values = np.array([2.0, 2.5, 3.0, 10.0])[:, None]
    forest = grow(values, np.arange(4.0), trees=3000)
    cuts = forest.threshold[forest.starts[:-1]]
    assert kstest((cuts - 2) / 8, "uniform").pvalue > 0.01


@pytest.mark.parametrize(("share", "smallest_leaf"), [(0.4, 1), (1.0, 1), (0.01, 1), (0.4, 7)])
def test_forest_is_distributed_as_scikit_learns(share: float, smallest_leaf: int) -> None:
    """Means over 1,500 trees differ by their standard error, and so do sizes of trees and importances."""
    trees = 1500
    ours = grow(trees=trees, feature_share=share, smallest_leaf=smallest_leaf)
    theirs = ExtraTreesRegressor(trees, max_features=share, min_samples_leaf=smallest_leaf, random_state=0)
    theirs.fit(VALUES.astype(np.float32), TARGET)
    own = leaf_values(ours, FRESH[:25])
    other = np.stack([tree.predict(FRESH[:25].astype(np.float32)) for tree in theirs.estimators_])
    error = np.sqrt((own.var(axis=0) + other.var(axis=0)) / trees)
    apart = (own.mean(axis=0) - other.mean(axis=0)) / error
    assert (apart**2).mean() < 2
    assert abs(np.log(own.std(axis=0) / other.std(axis=0)).mean()) < 0.04
    sizes = np.array([tree.tree_.node_count for tree in theirs.estimators_])
    error_of_size = np.sqrt((sizes.var() + np.diff(ours.starts).var()) / trees)
    assert abs(np.diff(ours.starts).mean() - sizes.mean()) <= 3.5 * error_of_size
    np.testing.assert_allclose(ours.importances, theirs.feature_importances_, atol=0.03)


def test_repeated_rows_count_as_weights_do_in_scikit_learn() -> None:
    times = np.random.default_rng(2).integers(1, 4, len(VALUES))
    ours = grow(np.repeat(VALUES, times, axis=0), np.repeat(TARGET, times), trees=1500)
    theirs = ExtraTreesRegressor(1500, max_features=0.4, random_state=0).fit(VALUES, TARGET, sample_weight=times)
    own = leaf_values(ours, FRESH[:25])
    other = np.stack([tree.predict(FRESH[:25].astype(np.float32)) for tree in theirs.estimators_])
    apart = (own.mean(axis=0) - other.mean(axis=0)) / np.sqrt((own.var(axis=0) + other.var(axis=0)) / 1500)
    assert (apart**2).mean() < 2


def test_order_of_the_rows_changes_nothing() -> None:
    order = np.random.default_rng(0).permutation(len(VALUES))
    assert_equal(grow(), grow(VALUES[order], TARGET[order]))


def test_number_of_threads_changes_nothing_and_more_trees_begin_with_the_same() -> None:
    alone, more = grow(trees=12), grow(trees=40, threads=3)
    assert_equal(more, grow(trees=40, threads=2))
    end = alone.starts[-1]
    np.testing.assert_array_equal(more.threshold[:end], alone.threshold)
    assert not np.array_equal(alone.threshold, grow(trees=12, seed=8).threshold)


def test_other_units_grow_the_same_trees() -> None:
    forest = grow()
    scaled = grow(VALUES * 0.25, TARGET * 1024)
    split = forest.feature >= 0
    np.testing.assert_array_equal(scaled.feature, forest.feature)
    np.testing.assert_array_equal(scaled.threshold[split], forest.threshold[split] * np.float32(0.25))
    np.testing.assert_array_equal(scaled.threshold[~split], forest.threshold[~split] * np.float32(1024))


def test_large_mean_target_costs_no_precision() -> None:
    plain, lifted = grow(), grow(VALUES, TARGET + 2.0**30)
    assert (plain.feature == lifted.feature[: len(plain.feature)]).mean() > 0.99


@pytest.mark.parametrize("target", [np.full(160, 0.1), np.zeros(160)])
def test_constant_target_needs_no_split(target: NDArray[np.float64]) -> None:
    forest = grow(VALUES, target)
    assert forest.feature.tolist() == [-1] * 30
    assert set(forest.threshold.tolist()) == {float(np.float32(target[0]))}
    assert not forest.importances.any()


def test_constant_features_are_never_cut() -> None:
    forest = grow(feature_share=0.01)
    assert not np.isin(forest.feature, [7, 8]).any()
    assert forest.importances[7:9].tolist() == [0, 0]
    assert grow(np.ones((160, 5))).feature.tolist() == [-1] * 30


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30])
def test_targets_of_any_size_are_learned(scale: float) -> None:
    forest = grow(VALUES, TARGET * scale)
    np.testing.assert_array_equal(forest.feature, grow(VALUES, TARGET).feature)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused(bad: float) -> None:
    target = TARGET.copy()
    target[3] = bad
    with pytest.raises(ModelError, match=r"160 targets, 159 of them finite"):
        grow(VALUES, target)
    with pytest.raises(ModelError, match="0 targets"):
        grow(VALUES[:0], target[:0])


def test_forest_that_scikit_learn_grew_and_earlier_versions_saved_is_read(tmp_path: Path) -> None:
    forest = ExtraTreesRegressor(20, max_features=0.4, random_state=3).fit(VALUES.astype(np.float32), TARGET)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    feature = np.concatenate([tree.feature for tree in trees])
    split = feature >= 0
    threshold = np.concatenate([tree.threshold for tree in trees])
    single = threshold.astype(np.float32)
    down = np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)
    np.savez_compressed(
        tmp_path / "trees.npz",
        starts=np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])]),
        feature=np.where(split, feature, -1).astype(np.int16),
        right=np.where(split, np.concatenate([tree.children_right for tree in trees]), 0).astype(np.int32),
        threshold=np.where(split, down, np.concatenate([tree.value[:, 0, 0] for tree in trees])).astype(np.float32),
        importances=forest.feature_importances_,
    )
    (tmp_path / "parameters.json").write_text('{"trees": 20, "feature_share": 0.4, "smallest_leaf": 1, "seed": 3}')
    mean, _ = ExtraTrees.load(tmp_path).predict(FRESH)
    np.testing.assert_allclose(mean, forest.predict(FRESH.astype(np.float32)), rtol=1e-5, atol=1e-6)
