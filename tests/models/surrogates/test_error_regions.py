"""Where the errors of a model are."""

import json

import numpy as np
import pytest

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.models.surrogates.error_regions import CLASSES, chemistry_classes, error_regions


def element_mask(*compounds: str) -> np.ndarray:
    mask = np.zeros((len(compounds), 119), bool)
    for row, compound in enumerate(compounds):
        mask[row, [ATOMIC_NUMBERS[symbol] for symbol in compound.split()]] = True
    return mask


@pytest.mark.parametrize(
    ("compound", "name"),
    [
        ("Pb I C N H", "organic compounds"), ("Bi O Cl", "oxyhalides"), ("Ca C O", "oxides"), ("Cu S O", "oxides"),
        ("Na Al F", "halides"), ("Zn S", "chalcogenides"), ("Ga As", "pnictides"), ("Fe Se As", "chalcogenides"),
        ("Ni Al", "metals and intermetallics"), ("Fe", "metals and intermetallics"),
        ("Ti C", "carbides, silicides, borides, hydrides"), ("Si", "carbides, silicides, borides, hydrides"),
    ],
)  # fmt: skip
def test_chemistry_classes(compound: str, name: str) -> None:
    assert CLASSES[chemistry_classes(element_mask(compound))[0]] == name


def test_errors_by_element_class_and_range() -> None:
    count = 120
    elements = element_mask(*["Mg O" if row % 2 else "Na Cl" for row in range(count)])
    elements[0, ATOMIC_NUMBERS["Og"]] = True
    target = np.arange(float(count))
    mean = target + np.where(np.arange(count) % 2, 1.0, -0.5)
    found = error_regions(target, mean, elements=elements, groups=np.arange(count) // 2, transform="identity")
    assert {one["name"] for one in found["elements"]} == {"Mg", "O", "Na", "Cl"}, "one formula is too few"
    assert found["chemistry"] == [
        {"name": "oxides", "rows": 60, "formulas": 60, "mae": 1.0, "bias": 1.0},
        {"name": "halides", "rows": 60, "formulas": 60, "mae": 0.5, "bias": -0.5},
    ]
    assert [one["rows"] for one in found["ranges"]] == [24] * 5
    assert [one["high"] for one in found["ranges"][:-1]] == [one["low"] for one in found["ranges"][1:]]
    assert (found["ranges"][0]["low"], found["ranges"][-1]["high"]) == (0.0, 119.0)
    assert all(one["mae"] == 0.75 for one in found["ranges"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("target", [np.zeros(30), np.repeat([0.0, 0.0, 2.0], 50), np.arange(30.0)])
def test_every_row_lies_in_one_range_and_equal_values_in_the_same(target: np.ndarray) -> None:
    rows = len(target)
    found = error_regions(
        target, target + 1, elements=element_mask(*["Si"] * rows), groups=np.arange(rows), transform="log10"
    )["ranges"]
    assert sum(one["rows"] for one in found) == rows
    assert len(found) <= (5 if rows >= 100 else 3)
    assert found[0]["low"] == pytest.approx(10 ** target.min())
    assert found[-1]["high"] == pytest.approx(10 ** target.max())
