"""Models by composition: no composition is predicted from its own value, and a saved model predicts the same."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import ModelError
from matloop.models.surrogates.composition_model import FOLDS, CompositionModel, composition_folds

ABOUT = {"name": "made up", "property": "band_gap", "provenance": "dft:pbe", "licence": "CC0"}


def table(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(300, 4))
    return values, 2 + values[:, 0] - values[:, 1] ** 2, random.integers(0, FOLDS, 300)


def fitted(target: NDArray[np.float64] | None = None) -> CompositionModel:
    values, own, folds = table()
    return CompositionModel.fit(values, own if target is None else target, folds, about=ABOUT)


def test_a_fold_is_one_of_reduced_compositions_and_folds_are_about_equal() -> None:
    formulas = [f"Na{i}Cl{j}" for i in range(1, 40) for j in range(1, 40)]
    folds = composition_folds(parse_formulas(formulas)[0])
    doubled = composition_folds(parse_formulas([f"Cl{2 * j}Na{2 * i}" for i in range(1, 40) for j in range(1, 40)])[0])
    assert (folds == doubled).all()
    shares = np.bincount(folds, minlength=FOLDS) / len(folds)
    assert np.abs(shares - 1 / FOLDS).max() < 0.05


def test_no_prediction_depends_on_a_value_of_its_own_fold() -> None:
    values, target, folds = table()
    changed = np.where(folds == 1, target + 100.0, target)
    before = fitted().predict(values, folds)
    after = fitted(changed).predict(values, folds)
    assert (before[folds == 1] == after[folds == 1]).all()
    assert (np.abs(before - after)[folds != 1] > 1).mean() > 0.9


def test_card_says_how_good_it_is_beside_the_mean_and_where_values_come_from() -> None:
    card = fitted().card
    assert card["scores"]["mae"] < 0.5 * card["scores"]["mae_of_mean"]
    assert card["rows_trained"] == 300
    assert card["training_set"] == ABOUT
    assert card["licence"] == "CC0"


def test_saved_model_predicts_the_same_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    values, _, folds = table(1)
    fitted().save(tmp_path / "model")
    loaded = CompositionModel.load(tmp_path / "model")
    assert (loaded.predict(values, folds) == fitted().predict(values, folds)).all()
    assert loaded.card == fitted().card
    arrays = dict(np.load(tmp_path / "model" / "golden.npz"))
    np.savez(tmp_path / "model" / "golden.npz", **{**arrays, "predictions": arrays["predictions"] + 1})
    with pytest.raises(ModelError, match="other numbers"):
        CompositionModel.load(tmp_path / "model")


def test_rows_without_finite_features_get_no_number_and_empty_folds_are_refused() -> None:
    values, target, folds = table()
    values[0, 0] = np.nan
    assert np.isnan(fitted().predict(values, folds)[0])
    with pytest.raises(ModelError, match="folds"):
        CompositionModel.fit(values[1:], target[1:], np.zeros(299, int), about=ABOUT)
