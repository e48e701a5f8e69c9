"""Learning curves, what more labels would buy, and random folds beside grouped ones."""

import json
from typing import Any

import numpy as np
import pytest

from matloop.models.surrogates.held_out import Rows, grouped_errors, small_ensemble
from matloop.models.surrogates.learning_curve import CurvePoint, learning_curve, small_points
from matloop.models.surrogates.random_split import random_split

ROWS = 500


def rows_of(groups: np.ndarray) -> Rows:
    values = np.random.default_rng(2).normal(size=(len(groups), 3))
    return Rows(values, 3 * values[:, 0], groups, np.zeros((len(groups), 119), bool))


def noisy_point(rows: float, power: float, *, scale: float = 1.0) -> CurvePoint:
    """Absolute errors of a normal distribution whose width is a power of the number of rows."""
    random = np.random.default_rng(int(rows))
    return CurvePoint(rows, scale * rows**-power * np.abs(random.normal(size=ROWS)))


def curve_of(power: float, *, scale: float = 1.0) -> dict[str, Any]:
    model = [noisy_point(share * ROWS, power) for share in (0.5, 0.8)]
    small = [noisy_point(share * ROWS, power, scale=scale) for share in (0.2, 0.4, 0.6, 0.8)]
    all_rows = ROWS**-power * np.sqrt(2 / np.pi)
    return learning_curve(model, small, np.arange(ROWS) // 2, of_all=all_rows, size="10 trees")


@pytest.mark.parametrize("power", [0.1, 0.3])
def test_a_known_power_law_is_found_and_extrapolated(power: float) -> None:
    curve = curve_of(power)
    assert curve["exponent"]["low"] <= power <= curve["exponent"]["high"]
    assert curve["exponent"]["median"] == pytest.approx(power, abs=0.1)
    for more in curve["more"]:
        truth = (ROWS + more["labels"]) ** -power * np.sqrt(2 / np.pi)
        assert more["low"] <= truth <= more["high"] <= curve["mae"]
    assert [more["labels"] for more in curve["more"]] == [50, ROWS]
    assert curve["more"][1]["low"] < curve["more"][0]["low"] < curve["mae"]


def test_points_of_the_small_ensemble_are_scaled_to_the_model() -> None:
    curve = curve_of(0.3, scale=2.0)
    assert [point["rows"] for point in curve["points"]] == [100, 200, 250, 300, 400]
    assert [point["ensemble"] for point in curve["points"]] == ["10 trees", "10 trees", "model", "10 trees", "model"]
    assert [point["mae"] for point in curve["points"]] == pytest.approx(
        [point["mae"] for point in curve_of(0.3)["points"]]
    )
    assert all(point["low"] < point["mae"] < point["high"] for point in curve["points"])
    assert json.loads(json.dumps(curve, allow_nan=False)) == curve


def test_more_labels_buy_nothing_where_more_rows_did_not_help() -> None:
    flat = [CurvePoint(share * ROWS, np.ones(ROWS)) for share in (0.5, 0.8)]
    curve = learning_curve(flat, [], np.arange(ROWS), of_all=1.0, size="")
    assert [point["ensemble"] for point in curve["points"]] == ["model", "model"]
    assert all((more["low"], more["high"]) == (1.0, 1.0) for more in curve["more"])
    perfect = [point._replace(error=np.zeros(ROWS)) for point in flat]
    assert learning_curve(perfect, perfect, np.arange(ROWS), of_all=0.0, size="")["more"][0]["high"] == 0


class Seen:
    """Remembers which rows it was fitted to; the first feature of a row is its place."""

    fits: list[set[int]] = []  # noqa: RUF012  # of all that were made

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray) -> "Seen":
        self.groups = set((values[:, 0].astype(int) // 2).tolist())
        Seen.fits.append(self.groups)
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not self.groups & set((values[:, 0].astype(int) // 2).tolist())
        return np.full(len(values), float(len(self.groups))), np.zeros(len(values))


def test_points_with_fewer_rows_come_from_formulas_that_are_not_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seen, "fits", [])
    rows = Rows(np.arange(200.0)[:, None], np.zeros(200), np.arange(200) // 2, np.zeros((200, 119), bool))
    small: Any = type("Small", (), {"make": staticmethod(Seen)})()
    points = small_points(rows, small, np.ones(200))
    assert [point.rows for point in points] == [40, 80, 120, 160]
    assert [set(point.error.tolist()) for point in points[:3]] == [{20.0}, {40.0}, {60.0}]
    assert all(few <= more <= most for few, more, most in zip(*(Seen.fits[k : k + 5] for k in (0, 5, 10)), strict=True))
    assert [point.rows for point in small_points(rows_of(np.arange(60)), small_ensemble("extra_trees", {}), np.ones(60))] == [24, 36, 48]  # fmt: skip  # noqa: E501


def test_random_folds_are_easier_only_where_rows_share_a_formula() -> None:
    small = small_ensemble("extra_trees", {})
    alone = rows_of(np.arange(80))
    of_groups = grouped_errors(alone, small)
    found = random_split(alone, small, of_groups)
    assert found == {"mae": of_groups.mean(), "grouped_mae": of_groups.mean(), "rows_with_siblings": 0}
    pairs = Rows(*(np.repeat(array, 2, axis=0) for array in alone[:4]))
    found = random_split(pairs, small, grouped_errors(pairs, small))
    assert found["mae"] < 0.7 * found["grouped_mae"]
    assert found["rows_with_siblings"] == 160
