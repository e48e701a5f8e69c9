"""The properties matloop knows: the only place where a property's unit, labels and bounds are written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from matloop.data.errors import unknown_name
from matloop.data.properties.columns import Suffix, property_column

Transform = Literal["identity", "log10"]


@dataclass(frozen=True)
class Property:
    """One material property.

    Attributes:
        name: Column stem; columns are ``name_dft``, ``name_pred`` and so on.
        symbol: Short symbol used on axes.
        unit: Unit of every column of this property.
        label_en: English label.
        label_zh: Chinese label.
        description: What the number is and how it is obtained.
        lower: Smallest physically possible value; predictions are clipped there.
        upper: Largest plausible value; a larger input is held back as a likely unit mistake.
        transform: Scale on which surrogates learn it unless a campaign says otherwise: the logarithm of what is
            positive and spread over decades, or has a long tail.
    """

    name: str
    symbol: str
    unit: str
    label_en: str
    label_zh: str
    description: str
    lower: float
    upper: float
    transform: Transform = "identity"

    def column(self, suffix: Suffix) -> str:
        """Column name of this property from one provenance.

        >>> PROPERTIES["band_gap"].column("pred")
        'band_gap_pred'
        """
        return property_column(self.name, suffix)

    @property
    def label(self) -> str:
        """English label with the unit, as written on an axis."""
        return self.label_en if self.unit == "1" else f"{self.label_en} ({self.unit})"


_ALL = (
    Property(
        "formation_energy_per_atom", "ΔHf", "eV/atom", "formation energy", "形成能",
        "PBE energy of formation from the elements at 0 K, per atom.", -6.0, 6.0,
    ),
    Property(
        "energy_above_hull", "Ehull", "eV/atom", "energy above hull", "凸包以上能量",
        "PBE energy above the convex hull of competing phases; 0 is stable at 0 K.", 0.0, 6.0,
    ),
    Property(
        "band_gap", "Eg", "eV", "band gap", "带隙",
        "PBE (Kohn-Sham) band gap; typically 30-50 % below experiment.", 0.0, 20.0,
    ),
    Property(
        "refractive_index", "n", "1", "refractive index", "折射率",
        "Static refractive index, square root of the mean eigenvalue of the electronic dielectric tensor (DFPT, PBE).",
        1.0, 50.0, "log10",
    ),
    Property(
        "bulk_modulus_vrh", "K", "GPa", "bulk modulus", "体积模量",
        "Voigt-Reuss-Hill average bulk modulus (PBE).", 0.0, 1000.0, "log10",
    ),
    Property(
        "shear_modulus_vrh", "G", "GPa", "shear modulus", "剪切模量",
        "Voigt-Reuss-Hill average shear modulus (PBE).", 0.0, 1000.0, "log10",
    ),
    Property(
        "piezoelectric_modulus", "e_max", "C/m2", "piezoelectric modulus", "压电模量",
        "Largest modulus over all directions, shear terms counted once as published (DFPT, PBE).", 0.0, 100.0,
    ),
    Property(
        "seebeck_p", "S_p", "uV/K", "Seebeck coefficient, p-type", "塞贝克系数 (p 型)",
        "Mean Seebeck coefficient at 300 K and 1e18 holes/cm3, constant relaxation time.", -3000.0, 3000.0,
    ),
    Property(
        "seebeck_n", "S_n", "uV/K", "Seebeck coefficient, n-type", "塞贝克系数 (n 型)",
        "Mean Seebeck coefficient at 300 K and 1e18 electrons/cm3, constant relaxation time.", -3000.0, 3000.0,
    ),
)  # fmt: skip

PROPERTIES: dict[str, Property] = {prop.name: prop for prop in _ALL}
"""Property name -> definition."""

_OF_BENCHMARKS = (
    Property(
        "yield_strength", "σy", "MPa", "yield strength", "屈服强度",
        "Measured yield strength of steels.", 0.0, 10_000.0,
    ),
    Property(
        "exfoliation_energy", "Eexf", "meV/atom", "exfoliation energy", "剥离能",
        "Energy to lift one layer off a layered crystal (OptB88vdW).", 0.0, 10_000.0,
    ),
    Property(
        "phonon_peak", "ω", "1/cm", "highest phonon peak", "最高声子峰",
        "Frequency of the last peak of the phonon density of states (DFPT, PBEsol).", 0.0, 10_000.0,
    ),
    Property(
        "perovskite_formation_energy", "ΔHf", "eV", "formation energy of a perovskite cell", "钙钛矿晶胞形成能",
        "RPBE energy of formation of the five-atom cell.", -50.0, 50.0,
    ),
)  # fmt: skip

BENCHMARK_PROPERTIES: dict[str, Property] = {prop.name: prop for prop in _OF_BENCHMARKS}
"""Properties of published benchmarks, of which no data are packaged."""


def property_named(name: str) -> Property:
    """The property of that name.

    Raises:
        UnknownNameError: With the nearest known name.

    >>> property_named("band_gap").unit
    'eV'
    """
    if name in BENCHMARK_PROPERTIES:
        return BENCHMARK_PROPERTIES[name]
    if name not in PROPERTIES:
        raise unknown_name("property", name, PROPERTIES)
    return PROPERTIES[name]
