"""What a property must be: checked where it is defined, with a message that says how to mend it."""

import re
from typing import Any

import pytest

from matloop.data.errors import PropertyError, UnknownNameError
from matloop.data.properties.definition import Property

HARDNESS: dict[str, Any] = {
    "name": "hardness", "symbol": "H", "unit": "GPa", "label_en": "hardness", "label_zh": "硬度",
    "lower": 0.0, "upper": 200.0,
}  # fmt: skip


def test_a_sound_property_is_defined() -> None:
    hardness = Property(**HARDNESS, transform="log10")
    assert hardness.label == "hardness (GPa)"
    assert hardness.column("selected_lo") == "hardness_selected_lo"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Vickers hardness"}, "an identifier of small letters"),
        ({"name": "1st_gap"}, "an identifier of small letters"),
        ({"name": "before_relaxing"}, "would have a column probability_before_relaxing"),
        ({"unit": "Gpa/cm³"}, "unknown unit"),
        ({"unit": "g/cc"}, "has unit 'g/cc'. Allowed: g/cm3"),
        ({"label_en": " "}, "has label_en"),
        ({"label_zh": ""}, "has label_zh"),
        ({"label_zh": "硬\u202e度"}, "has label_zh"),
        ({"symbol": ""}, "has symbol"),
        ({"lower": 200.0}, "lower < upper"),
        ({"upper": float("nan")}, "lower < upper"),
        ({"transform": "sqrt"}, "Allowed: identity, log10"),
        ({"transform": "log10", "lower": -1.0}, "a lower bound of at least 0"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_way_out(change: dict[str, Any], message: str) -> None:
    with pytest.raises((PropertyError, UnknownNameError), match=re.escape(message)):
        Property(**HARDNESS | change)
