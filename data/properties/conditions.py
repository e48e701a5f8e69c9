"""Conditions of a label: what was kept while a property was measured or computed, such as temperature or pressure.

The names are a closed set, and each belongs to one physical quantity, so that ``temperature`` in bar is refused. Every
condition is stored in one unit. A model sees it on the scales on which properties depend on it most simply:

- Temperature also as 1000/T, since the logarithm of a rate of an activated process is linear in 1/T (Arrhenius,
  Z. Phys. Chem. 4, 226 (1889), doi:10.1515/zpch-1889-0416).
- Pressure, load, time and what else spans decades also as its logarithm, where every label has a value above zero.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import UnitError, unknown_name
from matloop.data.label import Label
from matloop.data.properties.units import UNITS, canonical_unit, convert

Scale = Literal["linear", "reciprocal", "log10"]
COLUMN_PREFIX = "condition_"
_KELVINS = 1000.0  # over temperature, so that the numbers are near one
_WRITTEN = re.compile(r"([+-]?\d{1,17}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,3})?)\s*([^\d\s.,+-].{0,60})")


@dataclass(frozen=True)
class Condition:
    """A quantity that a label may depend on.

    Attributes:
        name: Name in a campaign.
        unit: Unit in which it is stored.
        label: Its name in both languages.
        scale: Scale beside the linear one on which models see it; ``linear`` where there is no other.
    """

    name: str
    unit: str
    label: Label
    scale: Scale = "linear"

    @property
    def column(self) -> str:
        """Column of the values beside the rows of a training set."""
        return f"{COLUMN_PREFIX}{self.name}"

    @property
    def dimension(self) -> str:
        """What it measures."""
        return UNITS[self.unit][0]

    def convert(self, value: float, unit: str) -> float:
        """Convert a value into the unit in which the condition is stored.

        Raises:
            UnitError: If the unit measures something else.
            UnknownNameError: If the unit is unknown.
        """
        try:
            return convert(value, unit, self.unit)
        except UnitError as error:
            raise UnitError(f"{self.name} in '{unit}'", error.allowed, error.fix) from error

    def read(self, written: str) -> float:
        """Read a value that is written with its unit, in the unit in which the condition is stored.

        Raises:
            UnitError: If there is no number with a unit behind it, or the unit measures something else.
            UnknownNameError: If the unit is unknown.

        >>> CONDITIONS["temperature"].read("25 °C"), CONDITIONS["pressure"].read("1 MPa")
        (298.15, 10.0)
        """
        plain = unicodedata.normalize("NFKC", str(written)[:100]).strip().replace("−", "-")
        match = _WRITTEN.fullmatch(plain)
        if match is None:
            raise UnitError(
                f"{self.name} is '{str(written)[:40]}'", "a number with its unit", f"such as '300 {self.unit}'"
            )
        value = self.convert(float(match[1]), match[2])
        if not np.isfinite(value) or (self.scale == "reciprocal" and value <= 0):
            raise UnitError(f"{self.name} is '{str(written)[:40]}'", f"a finite value above 0 {self.unit}")
        return value

    def write(self, value: float) -> str:
        """Return a value in the unit in which the condition is stored, as people read it.

        >>> CONDITIONS["temperature"].write(298.15)
        '298.15 K'
        """
        return f"{value:.5g} {self.unit}"

    def on_scale(self, values: NDArray[np.float64] | float, scale: Scale) -> NDArray[np.float64]:
        """Convert values to a scale that models see; what has no logarithm or reciprocal becomes nan."""
        values = np.asarray(values, np.float64)
        if scale == "linear":
            return values
        with np.errstate(divide="ignore", invalid="ignore"):
            found = _KELVINS / values if scale == "reciprocal" else np.log10(values)
        return np.where(values > 0, found, np.nan)

    def feature_name(self, scale: Scale) -> str:
        """Name of the feature on a scale.

        >>> CONDITIONS["temperature"].feature_name("reciprocal")
        '1000/temperature (1/K)'
        """
        if scale == "linear":
            return f"{self.name} ({self.unit})"
        return f"1000/{self.name} (1/{self.unit})" if scale == "reciprocal" else f"log10 {self.name} ({self.unit})"


def _all(*conditions: Condition) -> Mapping[str, Condition]:
    return {one.name: one for one in conditions}


CONDITIONS: Mapping[str, Condition] = _all(
    Condition("temperature", "K", Label("temperature", "温度"), "reciprocal"),
    Condition("pressure", "bar", Label("pressure", "压力"), "log10"),
    Condition("load", "N", Label("load", "载荷"), "log10"),
    Condition("frequency", "Hz", Label("frequency", "频率"), "log10"),
    Condition("strain_rate", "1/s", Label("strain rate", "应变速率"), "log10"),
    Condition("time", "s", Label("time", "时间"), "log10"),
    Condition("current_density", "mA/cm2", Label("current density", "电流密度"), "log10"),
    Condition("current_per_mass", "mA/g", Label("current per mass", "质量电流密度"), "log10"),
    Condition("concentration", "mol/L", Label("concentration", "浓度"), "log10"),
    Condition("voltage", "V", Label("voltage", "电压")),
    Condition("electric_field", "kV/cm", Label("electric field", "电场")),
    Condition("magnetic_flux_density", "T", Label("magnetic flux density", "磁感应强度")),
    Condition("wavelength", "nm", Label("wavelength", "波长")),
    Condition("thickness", "nm", Label("thickness", "厚度"), "log10"),
    Condition("humidity", "%", Label("relative humidity", "相对湿度")),
)
"""Every condition by its name."""


def condition_named(name: str) -> Condition:
    """Return a condition by its name.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in CONDITIONS:
        raise unknown_name("condition", str(name)[:80], CONDITIONS)
    return CONDITIONS[name]


def unit_of_condition(name: str, written: str) -> str:
    """Return the spelling of a unit that a condition can have.

    Raises:
        UnknownNameError: If the condition or the unit is unknown.
        UnitError: If the unit measures something else.

    >>> unit_of_condition("temperature", "celsius")
    '°C'
    """
    condition_named(name).convert(1.0, written)
    return canonical_unit(written)


def read_conditions(written: Mapping[str, str]) -> dict[str, float]:
    """Read conditions that are written as ``name: value with unit``, each in the unit in which it is stored.

    Raises:
        UnknownNameError: If a condition or a unit is unknown.
        UnitError: If a value has no unit, or one of another quantity.

    >>> read_conditions({"temperature": "300 K"})
    {'temperature': 300.0}
    """
    return {name: condition_named(name).read(value) for name, value in written.items()}


def write_conditions(values: Mapping[str, float]) -> str:
    """Return conditions as people read them; empty where there are none.

    >>> write_conditions({"temperature": 300.0, "pressure": 1.0})
    'temperature 300 K, pressure 1 bar'
    """
    return ", ".join(f"{CONDITIONS[name].label.en} {CONDITIONS[name].write(value)}" for name, value in values.items())
