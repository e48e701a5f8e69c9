import math

import pytest

from matloop.data.errors import UnitError
from matloop.data.own_labels.label_cells import has_factor, read_label, unit_at_end, unit_in_header, unit_of_column
from matloop.data.remarks import Remark


@pytest.mark.parametrize(
    ("text", "value", "uncertainty"),
    [
        ("1.2", 1.2, math.nan),
        (" 1.2 ", 1.2, math.nan),
        ("'1.2", 1.2, math.nan),
        ("1,5", 1.5, math.nan),
        ("1 234", 1234, math.nan),
        ("12 345.5", 12345.5, math.nan),
        (".5", 0.5, math.nan),
        ("5.", 5, math.nan),
        ("0.009657485408543163", 0.009657485408543163, math.nan),  # as programs write it
        ("−3", -3, math.nan),  # the minus sign of typesetters
        ("３．５", 3.5, math.nan),
        ("1.2e-3", 1.2e-3, math.nan),
        ("1.2×10-3", 1.2e-3, math.nan),
        ("1.2 × 10⁻³", 1.2e-3, math.nan),
        ("1.2*10^3", 1200, math.nan),
        ("~5", 5, math.nan),
        ("1.2±0.1", 1.2, 0.1),
        ("1.2 +/- 0.1", 1.2, 0.1),
        ("1.23(4)", 1.23, 0.04),
        ("123(4)", 123, 4),
        ("1.23(4)e-3", 1.23e-3, 4e-5),
        ("1.23(4)×10⁻³", 1.23e-3, 4e-5),
        ("(1.2±0.1)×10⁻³", 1.2e-3, 1e-4),
        ("(1.2 ± 0.1) × 10³ S/m", 12000, 1000),
        ("(1.2 +/- 0.1)", 1.2, 0.1),
        ("3.1±0.2 mS/cm", 3.1, 0.2),
        ("12 S/m", 120, math.nan),
        ("12 S cm-1", 12000, math.nan),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, value: float, uncertainty: float) -> None:
    found = read_label(text, "mS/cm", "mS/cm")
    assert found.code == ""
    assert found.value == pytest.approx(value)
    assert found.uncertainty == pytest.approx(uncertainty, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E-LABEL-EMPTY"),
        ("n/a", "E-LABEL-EMPTY"),
        ("NaN", "E-LABEL-EMPTY"),
        ("-", "E-LABEL-EMPTY"),
        ("无", "E-LABEL-EMPTY"),
        ("<0.1", "E-LABEL-LIMIT"),
        ("≥ 5", "E-LABEL-LIMIT"),
        ("> 5 mS/cm", "E-LABEL-LIMIT"),
        ("3 eV", "E-LABEL-UNIT"),
        ("5 %", "E-LABEL-UNIT"),
        ("5 (n=3)", "E-LABEL-UNIT"),
        ("1.2 to 1.5", "E-LABEL-UNIT"),
        ("1 5", "E-LABEL-UNIT"),
        ("1.2-1.5", "E-LABEL-NUMBER"),
        ("1,234", "E-LABEL-NUMBER"),
        ("1,2,3", "E-LABEL-NUMBER"),
        ("2024-01-02", "E-LABEL-NUMBER"),
        ("#DIV/0!", "E-LABEL-NUMBER"),
        ("TRUE", "E-LABEL-NUMBER"),
        ("inf", "E-LABEL-NUMBER"),
        ("1e400", "E-LABEL-NUMBER"),
        ("1_000", "E-LABEL-NUMBER"),
        ("=1+1", "E-LABEL-NUMBER"),
        ("9" * 100, "E-LABEL-NUMBER"),
        ("1.23¹", "E-LABEL-NUMBER"),  # a footnote
        ("4.5②", "E-LABEL-NUMBER"),
        ("10³", "E-LABEL-NUMBER"),
        ("1.2±0.1×10⁻³", "E-LABEL-NUMBER"),
        ("1.2±0.1 x 10^-3", "E-LABEL-NUMBER"),
        ("1.2x103", "E-LABEL-NUMBER"),  # 1200 with a lost superscript, or 123.6
        ("<(1.2±0.1)e-3", "E-LABEL-LIMIT"),
    ],
)
def test_what_is_no_value_has_a_code(text: str, code: str) -> None:
    found = read_label(text, "mS/cm", "S/cm")
    assert found.code == code
    assert math.isnan(found.value)


def test_an_error_is_a_difference_of_temperatures() -> None:
    found = read_label("25±1", "°C", "K")
    assert (found.value, found.uncertainty) == (298.15, pytest.approx(1.0))


def test_a_unit_of_another_quantity_is_refused() -> None:
    with pytest.raises(UnitError):
        read_label("1", "GPa", "S/cm")


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("sigma (mS/cm)", "mS/cm"),
        ("κ (W/(m K))", "W/(m K)"),
        ("Eg [eV]", "eV"),
        ("Tc / K", "K"),
        ("conductivity, S/cm", "S/cm"),
        ("硬度（GPa）", "GPa"),
        ("paper (1)", ""),
        ("value", ""),
        ("mass (of sample)", ""),
        ("sigma / mS cm-1", "mS/cm"),
        ("σ/mS cm⁻¹", "mS/cm"),
        ("sigma (mS/cm) at 25 °C", "mS/cm"),
        ("sigma (mS/cm), RT", "mS/cm"),
        ("mS/cm", "mS/cm"),
        ("bulk modulus (K) of films", ""),
        ("c/a", ""),
    ],
)
def test_the_unit_in_a_column_name(header: str, unit: str) -> None:
    assert unit_in_header(header) == unit


@pytest.mark.parametrize(
    "value", [1 / 300, 1.2345678901234567e-4, -0.04731177320717306, 2 / 3, 1.5e-12, 123456.78901234567]
)
def test_numbers_of_full_precision_are_read(value: float) -> None:
    assert read_label(repr(value), "eV", "eV").value == value


@pytest.mark.parametrize("text", ["1.2±5%", "1.2 ± 5 %", "5 1"])
def test_a_share_of_the_value_is_no_error_and_two_numbers_are_no_value(text: str) -> None:
    assert read_label(text, "1", "1").code == "E-LABEL-NUMBER"
    assert read_label("20±5%", "%", "%") == (20.0, 5.0, "", Remark())


@pytest.mark.parametrize("header", ["sigma (10^-3 S/cm)", "sigma ×10³ (S/cm)", "sigma (x10-3 S/cm)", "n (1e20)"])
def test_a_power_of_ten_in_a_column_name_is_noticed(header: str) -> None:
    assert has_factor(header)
    assert not has_factor("thermal expansion (10^-6/K)")


@pytest.mark.parametrize(
    ("header", "alike", "unit"),
    [
        ("sigma mS/cm", "S/cm", "mS/cm"),
        ("sigma in mS cm^-1", "S/cm", "mS/cm"),
        ("band_gap_meV", "eV", "meV"),
        ("sigma (mS/cm)", "S/cm", "mS/cm"),
        ("sigma GPa", "S/cm", ""),
        ("Tc K", "K", ""),  # or potassium
        ("modulus at 10 kbar", "GPa", ""),
        ("time min", "s", ""),
        ("mS cm-1 of sample", "S/cm", ""),
    ],
)
def test_a_unit_at_the_end_of_a_column_name_counts_where_it_is_sure(header: str, alike: str, unit: str) -> None:
    assert unit_of_column(header, alike) == unit


def test_a_unit_that_may_be_something_else_is_noticed() -> None:
    assert unit_at_end("modulus at 10 kbar") == ("kbar", False)
    assert unit_at_end("conductivity") == unit_at_end("mS/cm") == ("", False)
