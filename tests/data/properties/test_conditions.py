"""Conditions of labels: a closed set of quantities, read with their units."""

import numpy as np
import pytest

from matloop.data.errors import UnitError, UnknownNameError
from matloop.data.properties.conditions import CONDITIONS, condition_named, read_conditions, unit_of_condition
from matloop.data.properties.units import UNITS


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("temperature", "300 K", 300.0),
        ("temperature", "25°C", 298.15),
        ("temperature", "−10 ℃", 263.15),
        ("temperature", "77 °F", 298.15),
        ("pressure", "1e5 Pa", 1.0),
        ("load", "9.80665 N", 9.80665),
        ("load", "1 kgf", 9.80665),
        ("current_density", "1 A/cm²", 1000.0),
        ("humidity", "40 %RH", 40.0),
        ("time", "2 h", 7200.0),
    ],
)
def test_values_are_read_with_their_units(name: str, written: str, value: float) -> None:
    assert read_conditions({name: written}) == {name: pytest.approx(value)}


@pytest.mark.parametrize("written", ["300", "K", "", "300 bar", "about 300 K", "-5 K", "0 K", "1e999 K", "300 K 400 K"])
def test_other_texts_are_refused(written: str) -> None:
    with pytest.raises((UnitError, UnknownNameError)):
        condition_named("temperature").read(written)


def test_unknown_conditions_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'temperature'"):
        condition_named("temperature_")
    with pytest.raises(UnitError, match="temperature in 'bar'"):
        unit_of_condition("temperature", "bar")


def test_every_condition_has_a_unit_and_words() -> None:
    for name, condition in CONDITIONS.items():
        assert (name, condition.unit in UNITS) == (condition.name, True)
        assert all(condition.label)


def test_scales_of_models() -> None:
    kelvins = condition_named("temperature")
    np.testing.assert_allclose(kelvins.on_scale(np.array([250.0, 500.0]), "reciprocal"), [4, 2])
    assert np.isnan(condition_named("pressure").on_scale(0.0, "log10"))
