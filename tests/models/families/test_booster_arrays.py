"""Boosters as flat arrays: the numbers of LightGBM itself, and no walk through a damaged tree."""

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.boosted_trees import BoostedTrees
from matloop.models.families.booster_arrays import BoosterArrays

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(600, 5)).round(1)  # many rows lie on a threshold of their own or of others
TARGET = VALUES[:, 0] * VALUES[:, 1] + RANDOM.normal(0, 0.1, 600)
SETTINGS = {"verbosity": -1, "num_leaves": 40, "min_data_in_leaf": 2, "num_threads": 1}


def grown(target: NDArray[np.float64]) -> lightgbm.Booster:
    return lightgbm.train(SETTINGS, lightgbm.Dataset(VALUES, target), 30)


BOOSTER = grown(TARGET)
TEXT = BOOSTER.model_to_string()


@pytest.mark.parametrize("booster", [BOOSTER, grown(np.full(600, 2.5))], ids=["trees", "no split"])
def test_sums_are_those_of_lightgbm_to_the_last_digit(booster: lightgbm.Booster) -> None:
    arrays = BoosterArrays.read(booster.model_to_string())
    thresholds = arrays.nodes["threshold"][:600, None] + np.array([0.0, 1e-9, -1e-9, 1.0, 0.0])
    for values in (VALUES, RANDOM.normal(size=(1037, 5)) * 3, thresholds, VALUES[:0], VALUES[:3]):
        assert arrays.predict(values).tolist() == (booster.predict(values).tolist() if len(values) else [])


def test_few_rows_and_many_are_predicted_alike() -> None:
    few, many = (BoostedTrees(boosters=2, rounds=40).fit(VALUES, TARGET) for _ in range(2))
    expected = np.concatenate([few.member_predictions(VALUES[:300]), few.member_predictions(VALUES[300:])])
    assert (many.member_predictions(VALUES) == expected).all()
    many.fit(VALUES, -TARGET)
    assert (many.member_predictions(VALUES) != expected).any(), "trees of an earlier fit are forgotten"


def changed(name: str, value: int) -> str:
    """The text with another first number in a line of its first tree."""
    before, line, after = TEXT.partition(f"\n{name}=")
    return f"{before}{line}{value} {after.partition(' ')[2]}"


@pytest.mark.parametrize(
    "text",
    [changed("left_child", 0), changed("right_child", 4000), changed("left_child", -4000), changed("split_feature", 5),
     changed("split_feature", -1), changed("decision_type", 1), changed("decision_type", 10), "",
     TEXT.replace("\nthreshold=", "\nthreshold=1 ", 1), TEXT.replace("leaf_value", "leaf", 1)],
)  # fmt: skip
def test_trees_that_cannot_be_walked_through_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match="whose trees cannot be read"):
        BoosterArrays.read(text)


def test_other_features_are_refused() -> None:
    with pytest.raises(ModelError, match="4 features"):
        BoosterArrays.read(TEXT).predict(VALUES[:, :4])
