"""A card says whether a surrogate of the energy above the hull orders crystals, and whether it beats saying 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from matloop.models.surrogates.hull_order import area_under_curve, hull_order_statement

OXIDES = np.zeros((6, 119), bool)
OXIDES[:4, 8] = True
TRUTH = np.array([0.0, 0.0, 0.04, 0.3, 0.0, 0.2])


def statement(mean: np.ndarray, *, name: str = "energy_above_hull") -> dict[str, object]:
    found = hull_order_statement(name, "identity", TRUTH, mean, OXIDES)
    entry: dict[str, object] = found.get("hull_order", {})
    return entry


def test_a_perfect_order_and_a_reversed_one() -> None:
    assert statement(TRUTH) == {
        "near": 0.05, "rows": 6, "rows_near": 4, "auc": 1.0, "auc_of_oxides": 1.0, "rows_of_oxides": 4, "mae": 0.0,
        "mae_of_zero": pytest.approx(0.09),
    }  # fmt: skip
    assert statement(-TRUTH)["auc"] == 0.0


def test_a_prediction_below_the_hull_counts_as_on_it() -> None:
    assert statement(TRUTH - 0.5)["mae"] == pytest.approx(0.09)


def test_other_properties_and_rows_of_one_kind_have_no_statement() -> None:
    assert statement(TRUTH, name="band_gap") == {}
    assert hull_order_statement("energy_above_hull", "identity", np.zeros(6), TRUTH, OXIDES) == {}


@given(st.integers(0, 2**32 - 1))
def test_the_area_is_that_of_another_library(seed: int) -> None:
    random = np.random.default_rng(seed)
    yes, score = random.random(40) < 0.5, random.integers(0, 10, 40).astype(float)
    yes[:2] = True, False
    assert area_under_curve(yes, score) == pytest.approx(roc_auc_score(yes, score))
