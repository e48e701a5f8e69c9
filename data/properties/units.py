"""Units: one closed table, so that no text from a file is ever evaluated.

A general unit parser reads ``at%`` as a pressure, refuses ``eV/atom`` and hangs on ``9**9**9``. The units that
laboratories write are listed here with their dimension and the factor to that dimension's base unit. Products of powers
are compared factor by factor, so that ``W m-1 K-1`` is ``W/(m K)``; no other text is a unit.
"""

from __future__ import annotations

import math
import re
import unicodedata

from matloop.data.errors import UnitError, unknown_name

# unit -> (dimension, factor to the dimension's base unit). Base units come first in each group.
UNITS: dict[str, tuple[str, float]] = {
    "1": ("dimensionless", 1.0),
    "%": ("dimensionless", 0.01),
    "ppm": ("dimensionless", 1e-6),
    "at%": ("share of atoms", 1.0),
    "mol%": ("share of substance", 1.0),
    "wt%": ("share of mass", 1.0),
    "vol%": ("share of volume", 1.0),
    # energy and voltage
    "eV": ("energy per electron", 1.0),
    "meV": ("energy per electron", 1e-3),
    "eV/atom": ("energy per atom", 1.0),
    "meV/atom": ("energy per atom", 1e-3),
    "kJ/(mol atom)": ("energy per atom", 0.010364269656262175),  # CODATA 2018: 1 eV = 96.48533212 kJ/mol
    "kJ/mol": ("energy per mole", 1.0),
    "J/m2": ("energy per area", 1.0),
    "mJ/m2": ("energy per area", 1e-3),
    "kJ/m2": ("energy per area", 1e3),
    "eV/Å2": ("energy per area", 16.02176634),
    "meV/Å2": ("energy per area", 0.01602176634),
    "V": ("voltage", 1.0),
    "mV": ("voltage", 1e-3),
    # prices
    "USD/kg": ("price by mass", 1.0),
    "USD/mol": ("price by substance", 1.0),
    # mechanics
    "GPa": ("pressure", 1.0),
    "MPa": ("pressure", 1e-3),
    "kPa": ("pressure", 1e-6),
    "kbar": ("pressure", 0.1),
    "bar": ("pressure", 1e-4),
    "atm": ("pressure", 1.01325e-4),
    "psi": ("pressure", 6.894757293168361e-6),
    "N/mm2": ("pressure", 1e-3),
    "HV": ("pressure", 9.80665e-3),  # ISO 6507-1: kilogram-force per square millimetre
    "Pa": ("pressure", 1e-9),
    "HRC": ("Rockwell hardness C", 1.0),
    "HB": ("Brinell hardness", 1.0),
    "MPa m0.5": ("fracture toughness", 1.0),
    "N": ("force", 1.0),
    "mN": ("force", 1e-3),
    "kN": ("force", 1e3),
    "kgf": ("force", 9.80665),
    "gf": ("force", 9.80665e-3),
    "g": ("mass", 1.0),
    "mg": ("mass", 1e-3),
    "kg": ("mass", 1e3),
    "g/cm3": ("density", 1.0),
    "kg/m3": ("density", 1e-3),
    "mPa s": ("viscosity", 1.0),
    "Pa s": ("viscosity", 1e3),
    # vibration, time and temperature
    "1/cm": ("wavenumber", 1.0),
    "s": ("time", 1.0),
    "ms": ("time", 1e-3),
    "us": ("time", 1e-6),
    "ns": ("time", 1e-9),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "1/s": ("frequency", 1.0),
    "1/h": ("frequency", 1 / 3600),
    "Hz": ("frequency", 1.0),
    "kHz": ("frequency", 1e3),
    "MHz": ("frequency", 1e6),
    "GHz": ("frequency", 1e9),
    "THz": ("frequency", 1e12),
    "K/min": ("rate of temperature", 1.0),
    "°C/min": ("rate of temperature", 1.0),
    "K/h": ("rate of temperature", 1 / 60),
    "K/s": ("rate of temperature", 60.0),
    "K": ("temperature", 1.0),
    "°C": ("temperature", 1.0),
    "°F": ("temperature", 5 / 9),
    # lengths, areas and volumes
    "Å": ("length", 1.0),
    "nm": ("length", 10.0),
    "pm": ("length", 0.01),
    "um": ("length", 1e4),
    "mm": ("length", 1e7),
    "cm": ("length", 1e8),
    "m": ("length", 1e10),
    "Å3/atom": ("volume per atom", 1.0),
    "nm3/atom": ("volume per atom", 1e3),
    "m2/g": ("area per mass", 1.0),
    "cm3/g": ("volume per mass", 1.0),
    "deg": ("angle", 1.0),
    # charge, current and fields
    "S/cm": ("electrical conductivity", 1.0),
    "mS/cm": ("electrical conductivity", 1e-3),
    "uS/cm": ("electrical conductivity", 1e-6),
    "S/m": ("electrical conductivity", 0.01),
    "mS/m": ("electrical conductivity", 1e-5),
    "ohm cm": ("electrical resistivity", 1.0),
    "ohm m": ("electrical resistivity", 100.0),
    "mohm cm": ("electrical resistivity", 1e-3),
    "uohm cm": ("electrical resistivity", 1e-6),
    "C/m2": ("polarisation", 1.0),
    "uC/cm2": ("polarisation", 0.01),
    "pC/N": ("piezoelectric coefficient", 1.0),
    "pm/V": ("piezoelectric coefficient", 1.0),
    "kV/mm": ("electric field", 1.0),
    "kV/cm": ("electric field", 0.1),
    "MV/m": ("electric field", 1.0),
    "MV/cm": ("electric field", 100.0),
    "A/cm2": ("current density", 1.0),
    "mA/cm2": ("current density", 1e-3),
    "A/g": ("current per mass", 1.0),
    "mA/g": ("current per mass", 1e-3),
    "mAh/g": ("charge per mass", 1.0),
    "Ah/kg": ("charge per mass", 1.0),
    "mAh/cm2": ("charge per area", 1.0),
    "F/g": ("capacitance per mass", 1.0),
    "F/cm2": ("capacitance per area", 1.0),
    "mF/cm2": ("capacitance per area", 1e-3),
    "F/cm3": ("capacitance per volume", 1.0),
    "Wh/kg": ("energy per mass", 1.0),
    "kJ/kg": ("energy per mass", 1 / 3.6),
    "J/g": ("energy per mass", 1 / 3.6),
    "Wh/L": ("energy per volume", 1.0),
    "J/cm3": ("energy per volume", 1 / 3.6),
    "kJ/m3": ("energy per volume", 1 / 3600),
    "MJ/m3": ("energy per volume", 1 / 3.6),
    "W/kg": ("power per mass", 1.0),
    "W/cm2": ("power per area", 1.0),
    "mW/cm2": ("power per area", 1e-3),
    "cm2/(V s)": ("mobility", 1.0),
    "m2/(V s)": ("mobility", 1e4),
    "cm2/s": ("diffusion coefficient", 1.0),
    "m2/s": ("diffusion coefficient", 1e4),
    "mm2/s": ("diffusion coefficient", 0.01),
    # heat
    "W/(m K)": ("thermal conductivity", 1.0),
    "mW/(m K)": ("thermal conductivity", 1e-3),
    "W/(cm K)": ("thermal conductivity", 100.0),
    "1/K": ("thermal expansion", 1.0),
    "1e-6/K": ("thermal expansion", 1e-6),
    "J/(mol K)": ("molar heat capacity", 1.0),
    "J/(g K)": ("heat capacity per mass", 1.0),
    "J/(kg K)": ("heat capacity per mass", 1e-3),
    "uV/K": ("Seebeck coefficient", 1.0),
    "V/K": ("Seebeck coefficient", 1e6),
    "mV/K": ("Seebeck coefficient", 1e3),
    "uW/(cm K2)": ("power factor", 1.0),
    "mW/(m K2)": ("power factor", 10.0),
    "uW/(m K2)": ("power factor", 0.01),
    "W/(m K2)": ("power factor", 1e4),
    "1e15/(ohm m s)": ("conductivity per relaxation time", 1.0),
    "1e9 W/(K2 m s)": ("power factor per relaxation time", 1.0),
    "1e9 W/(K m s)": ("electronic thermal conductivity per relaxation time", 1.0),
    # magnetism
    "T": ("magnetic flux density", 1.0),
    "mT": ("magnetic flux density", 1e-3),
    "A/m": ("magnetic field", 1.0),
    "kA/m": ("magnetic field", 1e3),
    "Oe": ("magnetic field", 1e3 / (4 * math.pi)),
    "emu/g": ("magnetisation per mass", 1.0),
    "A m2/kg": ("magnetisation per mass", 1.0),
    "muB": ("magnetic moment", 1.0),
    "muB/atom": ("magnetic moment per atom", 1.0),
    # light
    "cd/m2": ("luminance", 1.0),
    "cd/A": ("luminous efficacy per current", 1.0),
    "lm/W": ("luminous efficacy", 1.0),
    # membranes, sorption and catalysis
    "L/(m2 h)": ("flux through a membrane", 1.0),
    "L/(m2 h bar)": ("permeance of a membrane", 1.0),
    "GPU": ("permeance to a gas", 1.0),
    "barrer": ("permeability to a gas", 1.0),
    "mmol/g": ("substance per mass", 1.0),
    "mol/kg": ("substance per mass", 1.0),
    "mg/g": ("mass per mass", 1.0),
    "g/kg": ("mass per mass", 1.0),
    "mol/L": ("concentration", 1.0),
    "mmol/L": ("concentration", 1e-3),
    "g/L": ("mass concentration", 1.0),
    "mg/L": ("mass concentration", 1e-3),
    "mmol/(g h)": ("rate per mass", 1.0),
    "umol/(g h)": ("rate per mass", 1e-3),
}
_ZERO: dict[str, float] = {"°C": 273.15, "°F": 273.15 - 32 * 5 / 9}
"""Where the zero of a unit lies, in the base unit of its dimension."""
_MENDS = {
    ("kJ/mol", "energy per atom"): "divide values of a mole of formula units by the atoms of each formula, and write "
    "kJ/(mol atom), the unit of a mole of atoms",
}  # fmt: skip
"""How to mend a value in a unit that is often taken for one of another dimension."""

# Other spellings people write, after Unicode normalisation (NFKC), without spaces.
ALIASES: dict[str, str] = {
    "": "1",
    "-": "1",
    "dimensionless": "1",
    "a.u.": "1",
    "percent": "%",
    "%RH": "%",
    "degF": "°F",
    "at.%": "at%",
    "atom%": "at%",
    "mol.%": "mol%",
    "mole%": "mol%",
    "wt.%": "wt%",
    "mass%": "wt%",
    "w/w%": "wt%",
    "vol.%": "vol%",
    "ev/at": "eV/atom",
    "eV/at": "eV/atom",
    "eV/at.": "eV/atom",
    "ev": "eV",
    "kJ/molatom": "kJ/(mol atom)",
    "kJ/molatoms": "kJ/(mol atom)",
    "kJ/molofatoms": "kJ/(mol atom)",
    "kJ/(molofatoms)": "kJ/(mol atom)",
    "kJ/g-atom": "kJ/(mol atom)",
    "g/cc": "g/cm3",
    "A": "Å",
    "angstrom": "Å",
    "Angstrom": "Å",
    "micron": "um",
    "A3/atom": "Å3/atom",
    "angstrom^3/atom": "Å3/atom",
    "degC": "°C",
    "deg.C": "°C",
    "oC": "°C",  # also with the sign of masculine ordinals
    "\u030aC": "°C",  # a ring above
    "degreeC": "°C",
    "celsius": "°C",
    "Celsius": "°C",
    "kelvin": "K",
    "Kelvin": "K",
    "°": "deg",
    "degree": "deg",
    "degrees": "deg",
    "ppm/K": "1e-6/K",
    "10^-6/K": "1e-6/K",
    "10-6/K": "1e-6/K",
    "10-6K-1": "1e-6/K",
    "1e-6K-1": "1e-6/K",
    "kgf/mm2": "HV",
    "Hv": "HV",
    "HBW": "HB",
    "MPam1/2": "MPa m0.5",
    "MPa*m^0.5": "MPa m0.5",
    "MPa·m^0.5": "MPa m0.5",
    "MPa·m1/2": "MPa m0.5",
    "MPa√m": "MPa m0.5",
    "LMH": "L/(m2 h)",
    "LMH/bar": "L/(m2 h bar)",
    "Barrer": "barrer",
    "nit": "cd/m2",
    "nits": "cd/m2",
    "sec": "s",
    "hr": "h",
    "hour": "h",
    "hours": "h",
    "μB": "muB",
    "M": "mol/L",
    "mM": "mmol/L",
    "cP": "mPa s",
    "sqm/g": "m2/g",
    "W/mK": "W/(m K)",
    "mW/mK": "mW/(m K)",
    "cm2/Vs": "cm2/(V s)",
    "cm^2/Vs": "cm2/(V s)",
    "J/molK": "J/(mol K)",
    "J/gK": "J/(g K)",
    "J/kgK": "J/(kg K)",
    "uW/cmK2": "uW/(cm K2)",
    "mW/mK2": "mW/(m K2)",
    "μB/atom": "muB/atom",
    "10^-6K^-1": "1e-6/K",
    "MPa·m1⁄2": "MPa m0.5",
}
_FACTOR = re.compile(r"(%|[A-Za-zÅ°Ω]{1,7}%?)\^?([+-]?[0-9](?:\.5)?)?")
_MANY = 12  # factors of a unit
_SAME = {
    "Ω": "ohm",
    "Ohm": "ohm",
    "l": "L",
    "hr": "h",
    "sec": "s",
    "mho": "S",
    "siemens": "S",
    "degC": "°C",
    "A": "A",
    "atoms": "atom",
}
_PREFIXED = {f"{prefix}{name}": f"{prefix}ohm" for prefix in "muk" for name in ("Ω", "Ohm", "ohm")}


def canonical_unit(text: str) -> str:
    """The table's spelling of a unit.

    Args:
        text: Unit as written; superscripts, micro signs and spaces are accepted.

    Raises:
        UnknownNameError: If the unit is not in the table.

    >>> canonical_unit("g/cm³"), canonical_unit(" eV / atom ")
    ('g/cm3', 'eV/atom')
    """
    plain = unicodedata.normalize("NFKC", text[:_LONGEST]).strip().replace("−", "-").replace("μ", "u")
    compact = plain.replace(" ", "")
    for known in (plain, compact, plain.replace("u", "μ"), compact.replace("u", "μ")):
        if known in UNITS:
            return known
        if known in ALIASES:
            return ALIASES[known]
    factors = _factors(plain)
    if len(text) > _LONGEST or factors not in _BY_FACTORS:
        raise unknown_name("unit", text, UNITS)
    return _BY_FACTORS[factors]


def _factors(text: str) -> _Factors:
    """Return the factors of a unit with their powers; empty where the text is no product of powers.

    Everything behind a slash divides, up to the next multiplication sign unless there are brackets, as people mean
    ``W/m/K``, ``W/(m K)``, ``W m-1 K-1`` and ``W·m^-1·K^-1``.

    >>> sorted(_factors("W m^-1 K^-1")), _factors("9**9**9")
    ([('K', -1.0), ('W', 1.0), ('m', -1.0)], frozenset())
    """
    powers: dict[str, float] = {}
    sign, bracket, at, count = 1, False, 0, 0
    while at < len(text):
        character = text[at]
        at += 1
        if character in " ·*." and text[at - 2 : at] != "**":
            continue
        if character == "/" and not bracket:
            sign = -1
        elif character == "(" and sign == -1 and not bracket:
            bracket = True
        elif character == ")" and bracket:
            bracket, sign = False, 1
        elif (match := _FACTOR.match(text, at - 1)) and count < _MANY:
            name = _PREFIXED.get(match[1], _SAME.get(match[1], match[1]))
            powers[name] = powers.get(name, 0.0) + sign * float(match[2] or 1)
            at, count = match.end(), count + 1
            sign = sign if bracket else 1
        elif character == "1" and text[at : at + 1] == "/":
            continue
        else:
            return frozenset()
    return frozenset((name, power) for name, power in powers.items() if power)


_Factors = frozenset[tuple[str, float]]
_LONGEST = 60  # characters of a unit
_BY_FACTORS = {factors: unit for unit in reversed(UNITS) if (factors := _factors(unit))}


def measure_alike(unit: str, other: str) -> bool:
    """Whether two units measure the same.

    >>> measure_alike("mS/cm", "S/m"), measure_alike("kJ/mol", "eV/atom")
    (True, False)
    """
    return UNITS[canonical_unit(unit)][0] == UNITS[canonical_unit(other)][0]


def convert(value: float, unit: str, to: str) -> float:
    """Convert a value between two units of one dimension.

    Args:
        value: Number in ``unit``.
        unit: Unit of ``value``.
        to: Unit wanted.

    Returns:
        The number in ``to``.

    Raises:
        UnitError: If the two units measure different things.
        UnknownNameError: If one is not in the table.

    >>> convert(50, "meV/atom", "eV/atom")
    0.05
    """
    source, target = canonical_unit(unit), canonical_unit(to)
    (source_dimension, source_factor), (target_dimension, target_factor) = UNITS[source], UNITS[target]
    if source_dimension != target_dimension:
        same = [name for name, (dimension, _) in UNITS.items() if dimension == target_dimension]
        raise UnitError(
            f"unit '{unit}' measures {source_dimension}, not {target_dimension}",
            ", ".join(same),
            _MENDS.get((source, target_dimension), f"write the value in '{target}'"),
        )
    if source == target:
        return value
    in_base = value * source_factor + _ZERO.get(source, 0.0)
    return (in_base - _ZERO.get(target, 0.0)) / target_factor
