"""The stack: weights of least absolute error, what its families read, honesty of its folds, files."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from matloop.data.errors import ModelError, UnknownNameError
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.gaussian_process import GaussianProcess
from matloop.models.families.mixture import least_absolute_weights
from matloop.models.families.stack import Stack
from matloop.models.grouped_folds import grouped_folds
from matloop.models.registry import MODELS

RANDOM = np.random.default_rng(8)
VALUES = RANDOM.normal(size=(240, 5))
TARGET = VALUES[:, 0] + np.sin(3 * VALUES[:, 1]) + 0.1 * RANDOM.normal(size=240)
FAMILIES = [{"extra_trees": {"trees": 30}}, {"gaussian_process": {"rounds": 5}}]


class Memory(ExtraTrees):
    """Knows the targets of all rows it was fitted on, and of no others; keeps the groups it was shown."""

    family: ClassVar[str] = "memory"
    shown: ClassVar[list[set[int]]] = []

    def __init__(self, **_: Any) -> None:
        super().__init__(trees=1, feature_share=1.0)

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> Any:
        assert groups is not None
        self.shown.append(set(groups.tolist()))
        return super().fit(values, target)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> type[Memory]:
    monkeypatch.setitem(MODELS, "memory", "tests.models.families.test_stack:Memory")  # type: ignore[arg-type]
    return Memory


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e6])
def test_weights_are_those_of_the_linear_program(size: float) -> None:
    errors = size * (RANDOM.standard_t(2, size=(240, 1)) + RANDOM.normal(size=(240, 4)) * [1, 1.2, 1.5, 4])
    # Least sum of what lies above and below: the program itself, where the stack solves its dual.
    cost = np.append(np.zeros(4), np.ones(480))
    balance = np.block([[errors / size, np.eye(240), -np.eye(240)], [np.ones(4), np.zeros(480)]])
    program = linprog(cost, A_eq=balance, b_eq=np.append(np.zeros(240), 1.0))
    weights = least_absolute_weights(errors)
    assert np.abs(errors @ weights).sum() == pytest.approx(size * program.fun, rel=1e-9)
    np.testing.assert_allclose(weights, program.x[:4], atol=1e-9)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).sum() > 1


@given(arrays(float, (30, 3), elements=st.floats(-100, 100).map(lambda x: round(x, 3))))
def test_no_other_weights_have_less_absolute_error(errors: np.ndarray) -> None:
    weights = least_absolute_weights(errors)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    others = np.vstack([np.eye(3), np.random.default_rng(0).dirichlet([0.5] * 3, size=2000)])
    reached = np.abs(errors @ weights).sum()
    assert reached <= np.abs(errors @ others.T).sum(axis=0).min() + 1e-6 * np.abs(errors).sum()


def test_a_few_large_errors_do_not_decide_the_weights() -> None:
    few = np.arange(240) % 40 == 0
    errors = np.column_stack([np.where(few, 9.0, 0.0), RANDOM.normal(size=240)])
    np.testing.assert_allclose(least_absolute_weights(errors), [1, 0], atol=1e-9)


def test_stack_of_families_that_read_parts_survives_a_file(tmp_path: Path) -> None:
    families = [{"extra_trees": {"trees": 30, "columns": [[1, 5]]}}, {"gaussian_process": {"columns": [[0, 2]]}}]
    stack = Stack(families=families, folds=2).fit(VALUES, TARGET)
    assert stack.parameters["families"] == families
    assert stack.weights["gaussian_process"] > 0.8  # only it sees both columns that decide the target
    stack.save(tmp_path)
    loaded = Stack.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(VALUES), stack.predict(VALUES))
    np.testing.assert_array_equal(loaded.importances(), stack.importances())
    with pytest.raises(ModelError, match="6 features"):  # though each family would find its columns there
        loaded.predict(np.hstack([VALUES, VALUES[:, :1]]))


def test_attention_reads_fractions_from_behind_the_columns_of_others() -> None:
    pytest.importorskip("torch")
    random = np.random.default_rng(4)
    fractions = np.zeros((120, 118))
    fractions[:, 7] = random.uniform(0.2, 0.8, 120)
    fractions[np.arange(120), random.integers(10, 16, 120)] = 1 - fractions[:, 7]
    values = np.hstack([random.normal(size=(120, 3)), fractions])
    small = {"members": 1, "width": 8, "layers": 1, "blocks": 1, "epochs": 3}
    families = [{"element_attention": {**small, "columns": [[3, None]]}}, {"extra_trees": {"columns": [[0, 3]]}}]
    stack = Stack(families=families, folds=2).fit(values, fractions[:, 7])
    assert stack.weights["element_attention"] > 0
    assert stack.importances().shape == (121,)
    np.testing.assert_array_equal(np.stack(stack.predict(values[5:7])), np.stack(stack.predict(values))[:, 5:7])


def test_contributions_of_trees_that_read_parts_are_those_of_their_columns() -> None:
    families = [
        {"extra_trees": {"trees": 9, "columns": [[0, 1]]}},
        {"boosted_trees": {"boosters": 1, "columns": [[1, 4]]}},
    ]
    stack = Stack(families=families, folds=2).fit(VALUES, TARGET)
    assert min(stack.weights.values()) > 0
    parts = stack.contributions(VALUES[:20], VALUES)
    assert parts is not None
    np.testing.assert_allclose(parts.base + parts.values.sum(axis=1), stack.predict(VALUES[:20])[0], rtol=1e-6)
    assert (np.abs(parts.values).max(axis=0) > 0).tolist() == [True] * 4 + [False] * (VALUES.shape[1] - 4)
    process = Stack(families=["extra_trees", {"gaussian_process": {"columns": [[0, 2]]}}], folds=2).fit(VALUES, TARGET)
    assert process.contributions(VALUES[:2], VALUES) is None


def test_stack_is_at_most_one_percent_worse_than_its_best_family() -> None:
    errors: dict[str, np.ndarray] = {}
    groups = np.arange(240) // 2
    for train, held in grouped_folds(groups):
        stack = Stack(families=FAMILIES).fit(VALUES[train], TARGET[train], groups=groups[train])
        trees = ExtraTrees(trees=30).fit(VALUES[train], TARGET[train])
        process = GaussianProcess(rounds=5).fit(VALUES[train], TARGET[train])
        for name, model in (("stack", stack), ("trees", trees), ("process", process)):
            miss = np.abs(model.predict(VALUES[held])[0] - TARGET[held])
            errors[name] = np.append(errors.get(name, []), miss)
    assert errors["stack"].mean() <= 1.01 * min(errors["trees"].mean(), errors["process"].mean())


def test_weights_come_from_rows_of_other_formulas_than_the_members_saw(memory: type[Memory]) -> None:
    memory.shown.clear()
    groups = np.arange(240) // 6
    copies = np.repeat(RANDOM.normal(size=(40, 5)), 6, axis=0)  # rows of a formula are alike
    target = np.repeat(RANDOM.normal(size=40), 6)  # and nothing else can be learned
    stack = Stack(families=["memory", {"gaussian_process": {"rounds": 5}}], folds=4).fit(copies, target, groups=groups)
    assert stack.weights["memory"] < 0.5  # perfect on rows it saw, useless on others
    in_folds = memory.shown[:4]
    for number in range(40):
        assert sum(number in shown for shown in in_folds) == 3


def test_spread_of_the_mixture_has_the_size_of_the_error() -> None:
    random = np.random.default_rng(2)
    fresh = random.normal(size=(400, 5))
    truth = fresh[:, 0] + np.sin(3 * fresh[:, 1]) + 0.1 * random.normal(size=400)
    mean, spread = Stack(families=FAMILIES).fit(VALUES, TARGET).predict(fresh)
    assert np.sqrt(((mean - truth) ** 2 / spread**2).mean()) == pytest.approx(1, abs=0.25)


def test_loaded_stack_keeps_its_weights(tmp_path: Path) -> None:
    stack = Stack(families=FAMILIES).fit(VALUES, TARGET)
    stack.save(tmp_path)
    assert Stack.load(tmp_path).weights == stack.weights
    assert set(stack.weights) == {"extra_trees", "gaussian_process"}


@pytest.mark.parametrize("change", [{"weights": [1.0]}, {"scales": []}, {"errors": [[1.0, 2.0]]}])
def test_file_whose_weights_do_not_fit_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    Stack(families=FAMILIES, folds=2).fit(VALUES, TARGET).save(tmp_path)
    content = json.loads((tmp_path / "stack.json").read_text())
    (tmp_path / "stack.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(ModelError, match="weight for each family"):
        Stack.load(tmp_path)


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ModelError, match="a stack of 1 families"):
        Stack(families=["extra_trees"])
    with pytest.raises(ModelError, match="stack inside a stack"):
        Stack(families=["extra_trees", "stack"])
    with pytest.raises(ModelError, match="a list of ranges"):
        Stack(families=["extra_trees", {"gaussian_process": {"columns": [3]}}])
    with pytest.raises(UnknownNameError, match="did you mean 'extra_trees'"):
        Stack(families=["extra_tree", "boosted_trees"]).fit(VALUES, TARGET)
    with pytest.raises(ModelError, match="3 formulas to weigh families on"):
        Stack(families=FAMILIES).fit(VALUES, TARGET, groups=np.arange(240) % 3)
