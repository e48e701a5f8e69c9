"""Energies are compared only where nothing says that they come from several calculations."""

import json
from typing import Any

import pytest

from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import EnergySourceError
from matloop.data.own_labels.one_calculation import check_one_calculation
from matloop.data.readers.entry_settings import read_settings

FORMULAS = ["Fe", "O2", "Fe2O3", "NaCl"]


def check(*parameters: dict[str, Any], corrected: bool = False) -> dict[str, str]:
    settings = [read_settings({"parameters": each}) for each in parameters]
    compositions, _ = parse_formulas(FORMULAS[: len(settings)])
    places = [f"a.json ({number})" for number in range(1, len(settings) + 1)]
    return check_one_calculation(settings, compositions, places, corrected=corrected)


GGA: dict[str, Any] = {"run_type": "GGA"}
PLUS_U: dict[str, Any] = {"run_type": "GGA+U", "hubbards": {"Fe": 5.3, "O": 0.0}}


def test_what_one_calculation_says_together() -> None:
    functional = {"the functional": "GGA", "U of Fe": "none", "U of O": "none"}
    both = {"the pseudopotential of Fe": "PBE Fe_pv", "the pseudopotential of O": "PBE O"}
    with_fe, with_both = {"potcar_symbols": ["PBE Fe_pv"]}, {"potcar_symbols": ["PBE Fe_pv", "PBE O"]}
    spec = {"potcar_spec": [{"titel": "PAW_PBE O 08Apr2002", "hash": "x"}]}
    assert check(GGA, GGA, GGA, {}) == functional
    assert check({**GGA, **with_fe}, GGA, {**GGA, **with_both}) == {**functional, **both}
    assert check({"potcar_symbols": ["PAW_PBE Fe_pv"]}, spec, with_both) == both
    assert check({**PLUS_U, "hubbards": {"Fe": 5.3}}, GGA, PLUS_U)["U of Fe"] == "5.3 eV"
    assert check({}, {}, {"run_type": 3, "hubbards": "no", "potcar_symbols": [None, ""]}, {"parameters": None}) == {}


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (
            (GGA, {"run_type": "r2SCAN"}),
            r"functional is GGA in a\.json \(1\), a\.json \(2\); R2SCAN in a\.json \(3\)",
        ),
        ((GGA, PLUS_U), r"U of Fe is none in a\.json \(1\); 5\.3 eV in a\.json \(3\)"),
        (
            ({"potcar_symbols": ["PBE O"]}, {"potcar_symbols": ["PBE Fe_pv", "PBE O_s"]}),
            r"the pseudopotential of O is PBE O in a\.json \(2\); PBE O_s in a\.json \(3\)",
        ),
    ],
)
def test_several_calculations_are_refused_with_their_rows(others: tuple[dict[str, Any], ...], told: str) -> None:
    with pytest.raises(EnergySourceError, match=told):
        check(GGA, *others)


def test_corrections_bring_energies_with_u_and_without_together() -> None:
    check(GGA, GGA, PLUS_U, corrected=True)
    with pytest.raises(EnergySourceError, match="U of Fe"):
        check({**PLUS_U, "hubbards": {"Fe": 4}}, GGA, PLUS_U, corrected=True)
    with pytest.raises(EnergySourceError, match="functional"):
        check(GGA, {"run_type": "SCAN"}, PLUS_U, corrected=True)


def test_settings_are_read_without_dates() -> None:
    parameters = {"run_type": "PBE_U", "potcar_symbols": ["PAW_PBE Si 05Jan2001"]}
    read = json.loads(read_settings({"parameters": parameters}))
    assert read == {"functional": "PBE", "pseudopotentials": {"Si": "PBE Si"}}
    assert read_settings({"parameters": []}) == read_settings({}) == ""
