"""What cards and reports say of learning curves, random folds and where the errors are."""

from typing import Any

import pytest

from matloop.models.surrogates.error_regions import CLASSES
from matloop.screening.report.error_words import (
    _CLASSES_ZH,
    learning_words,
    region_cells,
    regions_by_chemistry,
    regions_by_range,
    split_words,
    worst_elements,
)

REGIONS: dict[str, Any] = {
    "elements": [
        {"name": "O", "rows": 80, "formulas": 70, "mae": 0.2, "bias": 0.01},
        {"name": "Fe", "rows": 20, "formulas": 20, "mae": 0.5, "bias": -0.31},
    ],
    "chemistry": [{"name": "oxides", "rows": 80, "formulas": 70, "mae": 0.2, "bias": 0.014}],
    "ranges": [{"low": 0.0, "high": 1.5, "rows": 50, "formulas": 50, "mae": 0.1, "bias": 0.05}],
}


def curve(low: float, high: float, *, rows: int = 400) -> dict[str, Any]:
    more = [{"labels": labels, "mae": (low + high) / 2, "low": low, "high": high} for labels in (50, rows)]
    return {"mae": 0.21, "rows": rows, "more": more}


@pytest.mark.parametrize(
    ("low", "high", "english", "chinese"),
    [
        (
            0.19,
            0.2,
            "50 more labels of this kind would on average lower the error expected with all present rows from 0.210 to "
            "0.190–0.200 eV.",
            "误差平均将从 0.210",
        ),
        (
            0.19,
            0.21,
            "50 more labels of this kind might on average lower the error expected with all present rows from 0.210 to "
            "0.190–0.210 eV.",
            "误差平均可能从",
        ),
        (0.2095, 0.21, "50 more labels of this kind would change the error by less than 1 %.", "误差变化不到 1 %。"),
    ],
)
def test_what_more_labels_would_buy(low: float, high: float, english: str, chinese: str) -> None:
    words = learning_words(curve(low, high), "eV")
    assert words.en.startswith(english)
    assert "Twice as many labels (400 more)" in words.en
    assert chinese in words.zh


def test_random_folds_in_words() -> None:
    words = split_words({"mae": 0.18, "grouped_mae": 0.2, "rows_with_siblings": 1200})
    assert "10 % lower than on grouped folds (0.180 against 0.200). 1,200 rows" in words.en
    assert "低 10 %（0.180，对照 0.200）" in words.zh
    assert "10 % higher" in split_words({"mae": 0.22, "grouped_mae": 0.2, "rows_with_siblings": 2}).en
    assert "formula of its own" in split_words({"mae": 0.2, "grouped_mae": 0.2, "rows_with_siblings": 0}).en


def test_regions_in_words() -> None:
    assert set(_CLASSES_ZH) == set(CLASSES)
    (oxides,), (low,) = regions_by_chemistry(REGIONS), regions_by_range(REGIONS, "eV")
    assert oxides.label == ("oxides", "氧化物")
    assert region_cells(oxides)[1:] == ["80", "0.200", "+0.014"]
    assert low.label == ("0 to 1.50 eV", "0 至 1.50 eV")
    assert [region.label.en for region in worst_elements(REGIONS)] == ["Fe", "O"]
    assert region_cells(worst_elements(REGIONS)[0])[-1] == "−0.310"
