"""Units: one closed table, so that no text from a file is ever evaluated.

A general unit parser reads ``at%`` as a pressure, refuses ``eV/atom`` and hangs on ``9**9**9``. Screening needs a few
dozen units; they are listed here with their dimension and the factor to that dimension's base unit.
"""

from __future__ import annotations

import unicodedata

from matloop.data.errors import UnitError, unknown_name

# unit -> (dimension, factor to the dimension's base unit). Base units come first in each group.
UNITS: dict[str, tuple[str, float]] = {
    "1": ("dimensionless", 1.0),
    "%": ("dimensionless", 0.01),
    "eV": ("energy per electron", 1.0),
    "meV": ("energy per electron", 1e-3),
    "eV/atom": ("energy per atom", 1.0),
    "meV/atom": ("energy per atom", 1e-3),
    "kJ/mol": ("energy per atom", 0.010364269656262175),  # CODATA 2018: 1 eV per atom = 96.48533212 kJ/mol
    "GPa": ("pressure", 1.0),
    "MPa": ("pressure", 1e-3),
    "kbar": ("pressure", 0.1),
    "Pa": ("pressure", 1e-9),
    "g/cm3": ("density", 1.0),
    "kg/m3": ("density", 1e-3),
    "1/cm": ("wavenumber", 1.0),
    "Å": ("length", 1.0),
    "nm": ("length", 10.0),
    "pm": ("length", 0.01),
    "Å3/atom": ("volume per atom", 1.0),
    "nm3/atom": ("volume per atom", 1e3),
    "C/m2": ("polarisation", 1.0),
    "uV/K": ("Seebeck coefficient", 1.0),
    "V/K": ("Seebeck coefficient", 1e6),
    "1e15/(ohm m s)": ("conductivity per relaxation time", 1.0),
    "1e9 W/(K2 m s)": ("power factor per relaxation time", 1.0),
    "1e9 W/(K m s)": ("electronic thermal conductivity per relaxation time", 1.0),
}

# Other spellings people write, after Unicode normalisation (NFKC), without spaces.
ALIASES: dict[str, str] = {
    "": "1",
    "dimensionless": "1",
    "percent": "%",
    "ev/at": "eV/atom",
    "eV/at": "eV/atom",
    "eV/at.": "eV/atom",
    "g/cc": "g/cm3",
    "g/cm^3": "g/cm3",
    "kg/m^3": "kg/m3",
    "cm-1": "1/cm",
    "cm^-1": "1/cm",
    "cm−1": "1/cm",  # NFKC turns the superscript minus into a minus sign
    "A": "Å",
    "angstrom": "Å",
    "A3/atom": "Å3/atom",
    "Å^3/atom": "Å3/atom",
    "angstrom^3/atom": "Å3/atom",
    "C/m^2": "C/m2",
    "μV/K": "uV/K",  # NFKC folds the micro sign to the Greek letter
}


def canonical_unit(text: str) -> str:
    """The table's spelling of a unit.

    Args:
        text: Unit as written; superscripts, micro signs and spaces are accepted.

    Raises:
        UnknownNameError: If the unit is not in the table.

    >>> canonical_unit("g/cm³"), canonical_unit(" eV / atom ")
    ('g/cm3', 'eV/atom')
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain in UNITS:
        return plain
    compact = plain.replace(" ", "")
    if compact in UNITS:
        return compact
    if compact in ALIASES:
        return ALIASES[compact]
    raise unknown_name("unit", text, UNITS)


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
            f"write the value in '{target}'",
        )
    return value if source == target else value * source_factor / target_factor
