import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import UnitError, UnknownNameError
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.data.properties.units import ALIASES, UNITS, canonical_unit, convert

units = st.sampled_from(sorted(UNITS))


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (1.0, "eV/atom", "kJ/(mol atom)", constants.e * constants.N_A / 1e3),
        (1.0, "kJ/mol atoms", "meV/atom", 1e6 / (constants.e * constants.N_A)),
        (1.0, "kbar", "GPa", 1e3 * constants.bar / constants.giga),
        (1.0, "GPa", "Pa", constants.giga),
        (2.0, "MPa", "kbar", 2 * constants.mega / (1e3 * constants.bar)),
        (1.0, "g/cm3", "kg/m3", constants.gram / constants.centi**3),
        (1.0, "nm", "Å", constants.nano / constants.angstrom),
        (1.0, "Å", "pm", constants.angstrom / constants.pico),
        (1.0, "nm3/atom", "Å3/atom", (constants.nano / constants.angstrom) ** 3),
        (1.0, "V/K", "uV/K", 1 / constants.micro),
        (50.0, "%", "1", 0.5),
        (1.0, "eV", "meV", 1 / constants.milli),
        (1.0, "eV/Å2", "J/m2", constants.e / constants.angstrom**2),
        (1.0, "HV", "MPa", constants.kgf / constants.milli**2 / constants.mega),
        (1.0, "atm", "Pa", constants.atm),
        (1.0, "psi", "kPa", constants.psi / constants.kilo),
        (25.0, "°C", "K", constants.convert_temperature(25.0, "C", "K")),
        (300.0, "K", "°C", constants.convert_temperature(300.0, "K", "C")),
        (1.0, "mS/cm", "S/m", 0.1),
        (1.0, "Wh/L", "kJ/m3", constants.hour / constants.kilo / constants.liter),
        (1.0, "C/m2", "uC/cm2", constants.centi**2 / constants.micro),
        (1.0, "ohm m", "ohm cm", 1 / constants.centi),
    ],
)
def test_conversion_agrees_with_codata(value: float, unit: str, to: str, expected: float) -> None:
    assert convert(value, unit, to) == pytest.approx(expected, rel=1e-9)


@given(units, units, st.floats(-1e6, 1e6))
def test_conversion_there_and_back(unit: str, to: str, value: float) -> None:
    if UNITS[unit][0] == UNITS[to][0]:
        assert convert(convert(value, unit, to), to, unit) == pytest.approx(value, rel=1e-12, abs=1e-10)
    else:
        with pytest.raises(UnitError) as caught:
            convert(value, unit, to)
        assert to in caught.value.allowed.split(", ")


@given(units, st.floats(allow_nan=False))
def test_same_unit_leaves_the_value_bit_for_bit(unit: str, value: float) -> None:
    assert convert(value, unit, unit) == value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Å³/atom", "Å3/atom"),
        ("\u212b", "Å"),  # the angstrom sign
        ("A\u030a", "Å"),  # a letter and a ring
        ("µV/K", "uV/K"),
        ("\u03bcV/K", "uV/K"),
        (" g / cm³ ", "g/cm3"),
        ("ｅＶ", "eV"),
        ("", "1"),
        ("percent", "%"),
        ("C/m²", "C/m2"),
        ("S cm⁻¹", "S/cm"),
        ("S·cm^-1", "S/cm"),
        ("mS cm-1", "mS/cm"),
        ("W m-1 K-1", "W/(m K)"),
        ("W/m/K", "W/(m K)"),
        ("W/mK", "W/(m K)"),
        ("mAh g-1", "mAh/g"),
        ("F g-1", "F/g"),
        ("cd m-2", "cd/m2"),
        ("wt.%", "wt%"),
        ("at %", "at%"),
        ("℃", "°C"),
        ("ºC", "°C"),
        ("˚C", "°C"),
        ("oC", "°C"),
        ("deg. C", "°C"),
        ("L m-2 h-1 bar-1", "L/(m2 h bar)"),
        ("L/(m²·h·bar)", "L/(m2 h bar)"),
        ("Ω·cm", "ohm cm"),
        ("\u2126 m", "ohm m"),  # the ohm sign
        ("μΩ cm", "uohm cm"),
        ("cm²/(V·s)", "cm2/(V s)"),
        ("μW cm-1 K-2", "uW/(cm K2)"),
        ("MPa m^0.5", "MPa m0.5"),
        ("MPa·m½", "MPa m0.5"),
        ("kgf/mm²", "HV"),
        ("ppm/K", "1e-6/K"),
    ],
)
def test_other_spellings(written: str, meant: str) -> None:
    assert canonical_unit(written) == meant


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_lead_to_the_table_and_hide_nothing(alias: str) -> None:
    assert canonical_unit(alias) == ALIASES[alias]
    assert ALIASES[alias] in UNITS
    assert alias not in UNITS


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "eV/atoms**99",
        "__import__('os')",
        "GPa; rm",
        "MeV",
        "\0",
        "9" * 10**6,
        "m/" * 10**5,
        "(((((",
        "S//cm)",
    ],
)
def test_hostile_and_foreign_text_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(UnknownNameError):
        canonical_unit(text)
    assert time.process_time() - start < 2.0


def test_near_miss_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'GPa'"):
        canonical_unit("Gpa")


@given(st.text())
def test_any_text_is_a_unit_or_a_coded_error(text: str) -> None:
    with contextlib.suppress(UnknownNameError):
        assert canonical_unit(text) in UNITS


def test_wrong_dimension_says_which_units_would_do() -> None:
    with pytest.raises(UnitError, match=r"E-UNIT: unit 'eV' measures energy per electron, not pressure.*GPa, MPa"):
        convert(1.0, "eV", "GPa")


def test_energy_per_electron_is_not_energy_per_atom() -> None:
    with pytest.raises(UnitError):
        convert(1.0, "eV", "eV/atom")


def test_units_of_all_properties_and_packaged_columns_are_in_the_table(materials: CandidateBatch) -> None:
    used = {prop.unit for prop in PACKAGED_PROPERTIES.values()}
    for schema in (materials.table.schema, load_transport().schema):
        used |= {field.metadata[b"unit"].decode() for field in schema}
    assert used <= set(UNITS)


@pytest.mark.parametrize("written", ["kJ/mol atoms", "kJ/(mol·atom)", "kJ mol⁻¹ atom⁻¹", "kJ/mol of atoms"])
def test_a_mole_of_atoms_is_no_mole_of_formulas(written: str) -> None:
    assert canonical_unit(written) == "kJ/(mol atom)"
    assert convert(-40.0, "kJ mol-1", "kJ/mol") == -40.0
    with pytest.raises(UnitError, match=r"and write kJ/\(mol atom\)"):
        convert(-411.0, "kJ/mol", "eV/atom")
