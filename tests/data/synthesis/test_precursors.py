"""Facts about precursors that can be checked without their source, and some that the law states."""

import re

import pytest

from matloop.data.element_facts.element_lists import element_list
from matloop.data.errors import SynthesisError, UnknownNameError
from matloop.data.synthesis.precursors import find_precursor, load_precursors

ALL = list(load_precursors().values())


@pytest.mark.parametrize("precursor", ALL, ids=lambda precursor: precursor.formula)
def test_each_line_is_well_formed(precursor) -> None:
    digits = precursor.cas.replace("-", "")
    weighted = sum(place * int(digit) for place, digit in enumerate(reversed(digits)))
    assert weighted % 10 == int(digits[-1])  # the check digit of a CAS number
    assert precursor.molar_mass > 6
    assert bool(precursor.hazards) == bool(precursor.annex_vi_index)
    assert all(re.fullmatch(r"H[234][0-9]{2}[A-Za-z]{0,2}", statement) for statement in precursor.hazards)
    assert re.fullmatch(r"([0-9]{3}-[0-9]{3}-[0-9]{2}-[0-9X])?", precursor.annex_vi_index)


@pytest.mark.parametrize("precursor", [one for one in ALL if one.annex_vi_index], ids=lambda one: one.formula)
def test_index_numbers_have_their_check_digit(precursor) -> None:
    # Annex VI, 1.1.1.1: the last digit is the checksum of the others as in an ISBN of ten digits.
    digits = precursor.annex_vi_index.replace("-", "")
    total = sum(place * int(digit) for place, digit in enumerate(digits[:-1], 1)) % 11
    assert digits[-1] == ("X" if total == 10 else str(total))


def test_salts_of_groups_follow_the_entry_of_the_group() -> None:
    numbers = {
        re.search(r"[0-9]{3}-[0-9]{3}-[0-9]{2}-.", entry.act)[0] for entry in element_list("eu_toxic_groups").entries
    }
    used = {precursor.annex_vi_index for precursor in ALL}
    assert {"056-002-00-7", "082-001-00-6", "081-002-00-9"} <= used & numbers


def test_a_precursor_is_found_however_it_is_written() -> None:
    assert find_precursor("FeC2O4·2H2O").formula == find_precursor("FeC2O4.2H2O").formula == "FeC2O4.2H2O"
    assert find_precursor("CO3Li2").formula == "Li2CO3"
    with pytest.raises(UnknownNameError):
        find_precursor("BaTiO3")
    with pytest.raises(SynthesisError):
        find_precursor("=cmd()")


@pytest.mark.parametrize(
    ("formula", "index", "statements"),
    [
        ("Pb", "082-013-00-1", {"H360FD", "H362"}),
        ("Te", "052-001-00-0", {"H360Df", "H362"}),
        ("Na2S", "016-009-00-8", {"H302", "H311", "H314", "H400"}),
        ("CaS", "016-004-00-0", {"H315", "H319", "H335", "H400"}),
        ("BaS", "016-002-00-X", {"H302", "H332", "H400"}),
        ("CdSe", "034-002-00-8", {"H301", "H331", "H373", "H400", "H410"}),
    ],
)
def test_entries_that_are_no_entries_of_groups(formula: str, index: str, statements: set[str]) -> None:
    precursor = find_precursor(formula)
    assert precursor.annex_vi_index == index
    assert statements <= set(precursor.hazards)
