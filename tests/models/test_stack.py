"""The stack: weights, guard against a worse mean than the best family, honesty of its folds, files."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.optimize import minimize

from matloop.data.errors import ModelError, UnknownNameError
from matloop.models.ensembles import ExtraTrees
from matloop.models.gaussian_process import GaussianProcess
from matloop.models.registry import MODELS
from matloop.models.stack import Stack, _least_squares, _weights_or_best
from matloop.models.training import grouped_folds

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
    monkeypatch.setitem(MODELS, "memory", "tests.models.test_stack:Memory")  # type: ignore[arg-type]
    return Memory


def test_weights_are_the_constrained_optimum() -> None:
    means = TARGET[:, None] + RANDOM.normal(size=(240, 4)) * [0.2, 0.3, 0.4, 2.0] + [0, 0, 0, 1.0]
    found = minimize(
        lambda w: ((means @ w - TARGET) ** 2).sum(), np.full(4, 0.25), bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, tol=1e-12,
    )  # fmt: skip
    weights = _least_squares(means, TARGET)
    np.testing.assert_allclose(weights, found.x, atol=2e-3)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


def test_family_that_a_mixture_does_not_improve_stands_alone() -> None:
    folds = list(grouped_folds(np.arange(240)))
    # Heavy tails: least squares mixes to tame a few large errors, and the mean absolute error pays for it.
    exact = np.where(np.arange(240) % 40 == 0, TARGET + 9, TARGET)
    means = np.column_stack([exact, TARGET + RANDOM.normal(size=240)])
    assert _least_squares(means, TARGET)[1] > 0.3
    np.testing.assert_array_equal(_weights_or_best(means, TARGET, folds), [1, 0])


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
    with pytest.raises(ModelError, match="stack of 1 families"):
        Stack(families=["extra_trees"])
    with pytest.raises(ModelError, match="stack inside a stack"):
        Stack(families=["extra_trees", "stack"])
    with pytest.raises(UnknownNameError, match="did you mean 'extra_trees'"):
        Stack(families=["extra_tree", "boosted_trees"]).fit(VALUES, TARGET)
    with pytest.raises(ModelError, match="3 formulas to weigh families on"):
        Stack(families=FAMILIES).fit(VALUES, TARGET, groups=np.arange(240) % 3)
