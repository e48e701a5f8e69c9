"""Every registered family of ensembles holds its contract, and the contract check notices when one does not."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from matloop.data.errors import ModelError, UnknownNameError
from matloop.data.registry import lookup
from matloop.models.families.contract import Contributions
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.validation import validate_ensemble
from matloop.models.registry import MODELS

SMALL: dict[str, dict[str, Any]] = {
    "extra_trees": {"trees": 60},
    "boosted_trees": {"boosters": 3, "rounds": 40},
    "gaussian_process": {"rows": 200, "tuning_rows": 80, "rounds": 10},
    "deep_ensemble": {"members": 2, "width": 24, "blocks": 1, "epochs": 25},
    "element_attention": {"members": 2, "width": 16, "layers": 1, "blocks": 1, "epochs": 25},
    "mean": {
        "families": [
            {"extra_trees": {"trees": 20}},
            {"gaussian_process": {"rows": 200, "tuning_rows": 50, "rounds": 5}},
        ],
    },
    "stack": {
        "families": [
            {"extra_trees": {"trees": 20}},
            {"gaussian_process": {"rows": 200, "tuning_rows": 50, "rounds": 5}},
        ],
        "folds": 2,
    },
}
RANDOM = np.random.default_rng(9)
VALUES = RANDOM.normal(size=(300, 6)) * 10.0 ** np.arange(-3, 3)
FRESH = VALUES * 1.1
TARGET = VALUES[:, 3] * 2 + np.abs(VALUES[:, 2]) * 50 + RANDOM.normal(size=300)


class Case(NamedTuple):
    """A family set up small, and rows it can learn from."""

    make: Callable[[], Any]
    values: np.ndarray
    fresh: np.ndarray
    target: np.ndarray


def compositions() -> tuple[np.ndarray, np.ndarray]:
    """Fractions of one to four of ten elements beside two more columns, and a target that both decide."""
    random = np.random.default_rng(5)
    fractions = np.zeros((600, 118))
    for row in fractions:
        row[3 + random.permutation(10)[: random.integers(1, 5)]] = 1
    fractions *= random.integers(1, 4, fractions.shape)
    fractions /= fractions.sum(axis=1, keepdims=True)
    values = np.hstack([fractions, random.normal(size=(600, 2))])
    return values, fractions @ np.arange(118.0) + values[:, -1]


@pytest.fixture(params=sorted(MODELS))
def case(request: pytest.FixtureRequest) -> Case:
    family = lookup("model", MODELS, request.param)
    assert family.family == request.param
    if request.param in ("deep_ensemble", "element_attention"):
        pytest.importorskip("torch")

    def make() -> Any:
        return family(**SMALL.get(request.param, {}))

    if request.param == "element_attention":
        values, target = compositions()
        return Case(make, values[:300], values[300:], target[:300])
    return Case(make, VALUES, FRESH, TARGET)


def test_family_holds_its_contract(case: Case) -> None:
    of_compositions = case.values.shape[1] > 118
    validate_ensemble(case.make, sample=(case.values[:200], case.target[:200]) if of_compositions else None)


def test_saved_and_loaded_family_gives_the_same_numbers(case: Case, tmp_path: Path) -> None:
    ensemble = case.make().fit(case.values, case.target)
    ensemble.save(tmp_path)
    loaded = type(ensemble).load(tmp_path)
    for ours, theirs in zip(loaded.predict(case.fresh), ensemble.predict(case.fresh), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(loaded.importances(), ensemble.importances())
    assert loaded.parameters == ensemble.parameters
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80"]  # no pickle


def test_rows_are_predicted_one_by_one(case: Case) -> None:
    ensemble = case.make().fit(case.values, case.target)
    rows = case.fresh[:100]
    whole = np.stack(ensemble.predict(rows))
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(np.stack(ensemble.predict(rows[order])), whole[:, order])
    singles = [np.stack(ensemble.predict(rows[row : row + 1])) for row in range(100)]
    np.testing.assert_array_equal(np.hstack(singles), whole)


def test_no_rows_get_no_predictions(case: Case) -> None:
    mean, spread = case.make().fit(case.values, case.target).predict(case.fresh[:0])
    assert mean.shape == spread.shape == (0,)


def test_seed_changes_the_numbers(case: Case) -> None:
    ensemble = case.make().fit(case.values, case.target)
    other = type(ensemble)(**{**ensemble.parameters, "seed": 1}).fit(case.values, case.target)
    assert not np.array_equal(other.predict(case.fresh)[0], ensemble.predict(case.fresh)[0])


def test_other_number_of_features_is_refused(case: Case) -> None:
    ensemble = case.make().fit(case.values, case.target)
    with pytest.raises(ModelError, match=r"E-MODEL: \d+ features"):
        ensemble.predict(case.values[:, :-1])


def test_unfitted_ensemble_says_so(case: Case, tmp_path: Path) -> None:
    for use in (lambda e: e.predict(case.values), lambda e: e.importances(), lambda e: e.save(tmp_path)):
        with pytest.raises(ModelError, match="never fitted"):
            use(case.make())


def test_thresholds_in_single_precision_split_neighbouring_values() -> None:
    low = np.float32(2)
    high = np.nextafter(low, np.float32(3))
    values = np.where(np.arange(100) % 2, float(high), float(low))[:, None]
    mean, spread = ExtraTrees(trees=50, feature_share=1.0).fit(values, (values[:, 0] > 2) * 1.0).predict(values[:2])
    assert mean.tolist() == [0.0, 1.0]
    assert spread.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("right", lambda a: np.where(a > 0, 10**6, a)),  # leaves its tree
        ("right", lambda a: np.where(a > 0, 0, a)),  # goes round in circles
        ("feature", lambda a: np.where(a >= 0, 99, a)),  # a feature that is not there
        ("feature", lambda a: np.zeros_like(a)),  # no leaves
        ("starts", lambda a: a[:-1]),
        ("starts", lambda a: a[::-1]),
        ("threshold", lambda a: a[:-5]),
    ],
)
def test_forest_that_would_lead_out_of_its_arrays_is_refused(name: str, change: Any, tmp_path: Path) -> None:
    ExtraTrees(trees=5).fit(VALUES, TARGET).save(tmp_path)
    with np.load(tmp_path / "trees.npz") as saved:
        arrays = dict(saved)
    arrays[name] = change(arrays[name])
    np.savez_compressed(tmp_path / "trees.npz", **arrays)
    with pytest.raises(ModelError, match="does not describe trees"):
        ExtraTrees.load(tmp_path)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    ExtraTrees(trees=5).fit(VALUES, TARGET).save(tmp_path)
    np.savez_compressed(tmp_path / "trees.npz", starts=np.array([{"any": "object"}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        ExtraTrees.load(tmp_path)
    (tmp_path / "trees.npz").write_bytes(pickle.dumps({"starts": [0]}))
    with pytest.raises(ValueError, match="pickle"):
        ExtraTrees.load(tmp_path)


class Broken(ExtraTrees):
    """Small and sound, until a test overrides something."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**{"trees": 20, **parameters})


class Unstable(Broken):
    def predict(self, values: np.ndarray) -> Any:
        mean, spread = super().predict(values)
        return mean + RANDOM.normal(), spread


class Negative(Broken):
    def predict(self, values: np.ndarray) -> Any:
        mean, spread = super().predict(values)
        return mean, spread - 1


class Single(Broken):
    def predict(self, values: np.ndarray) -> Any:
        return tuple(x.astype(np.float32) for x in super().predict(values))


class Batchwise(Broken):
    def predict(self, values: np.ndarray) -> Any:
        mean, spread = super().predict(values)
        return mean - mean.mean(), spread


class Lazy(Broken):
    def predict(self, values: np.ndarray) -> Any:
        return np.full(len(values), 1e3), np.ones(len(values))


class Forgetful(Broken):
    @classmethod
    def load(cls, folder: Path) -> Any:
        ensemble = super().load(folder)
        ensemble._arrays["threshold"] = ensemble._arrays["threshold"] * np.float32(1.1)
        return ensemble


class Unsure(Broken):
    def importances(self) -> np.ndarray:
        return np.ones(6)


class Meddling(Broken):
    def predict(self, values: np.ndarray) -> Any:
        found = super().predict(values)
        values += 1e-9
        return found


class Partial(Broken):
    def contributions(self, values: np.ndarray, background: np.ndarray) -> Any:
        parts = super().contributions(values, background)
        return Contributions(parts.base, parts.values[:, :-1], parts.method)


class Inexact(Broken):
    def contributions(self, values: np.ndarray, background: np.ndarray) -> Any:
        parts = super().contributions(values, background)
        return Contributions(parts.base + 0.1, parts.values, parts.method)


class Gratis(Broken):
    cost = 0


class Shrunk(Broken):
    @classmethod
    def small(cls, parameters: Any) -> Any:
        return {**parameters, "leaves": 3}


@pytest.mark.parametrize(
    ("family", "clause"),
    [
        (Meddling, "changes the features"),
        (Partial, "contributions have shape"),
        (Inexact, "do not add up"),
        (Gratis, "cost is 0"),
        (Shrunk, "settings of its small relative"),
        (Unstable, "same seed"),
        (Negative, "spread is negative"),
        (Single, "another type"),
        (Batchwise, "a row alone"),
        (Lazy, "no better than the mean"),
        (Forgetful, "after being saved"),
        (Unsure, "importances"),
    ],
)
def test_contract_check_names_the_broken_clause(family: type[Broken], clause: str) -> None:
    validate_ensemble(Broken)
    with pytest.raises(ModelError, match=clause):
        validate_ensemble(family)


def test_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'extra_trees'"):
        lookup("model", MODELS, "extra_tree")
