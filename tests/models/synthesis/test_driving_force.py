"""Driving forces against what is known of the reactions, and against the hull itself."""

import pytest

from matloop.data.synthesis.amounts import read_amounts
from matloop.data.synthesis.gases import entropy_term
from matloop.data.synthesis.precursors import find_precursor
from matloop.data.synthesis.routes import route_from
from matloop.models.synthesis.competing_phases import competing_phases
from matloop.models.synthesis.driving_force import driving_force, takes_up_oxygen
from matloop.models.synthesis.phase_hull import packaged_phase_hull

HULL = packaged_phase_hull()


def force_of(target: str, *precursors: str, temperature: float = 1000.0):
    found = [find_precursor(name) for name in precursors]
    route = route_from(target, found)
    assert route is not None
    amounts = read_amounts(target)
    energy = HULL.listed_energy(amounts)
    assert energy is not None
    return driving_force(route.reaction, found, amounts, energy, hull=HULL, temperature=temperature)


def test_energy_from_oxides_is_that_of_the_listed_phases() -> None:
    force = force_of("BaTiO3", "BaO", "TiO2")
    by_hand = sum(
        sign * (HULL.listed_energy(read_amounts(formula)) or 0.0)
        for formula, sign in (("BaTiO3", 1), ("BaO", -1), ("TiO2", -1))
    )
    assert force.as_written == pytest.approx(by_hand / 5)
    assert force.of_residues == pytest.approx(by_hand / 5)
    assert force.as_written_hot == force.as_written  # no gas


def test_barium_carbonate_needs_heat() -> None:
    # The reaction is endothermic, and the entropy of carbon dioxide drives it above some hundred degrees.
    force = force_of("BaTiO3", "BaCO3", "TiO2")
    assert force.as_written is not None
    assert force.as_written > 0
    assert force.as_written_hot == pytest.approx(force.as_written - entropy_term("CO2", 1000) / 5)
    assert force.as_written_hot < 0
    assert not force.uphill


def test_elements_in_a_tube_may_run_away_and_carbonates_do_not() -> None:
    # Ampoules with copper, indium and selenium burst where they are heated fast; calcining barium carbonate takes heat.
    assert force_of("CuInSe2", "Cu", "In", "Se").self_heating
    assert force_of("Na3PS4", "Na", "P", "S").self_heating
    assert not force_of("Na3PS4", "Na2S", "P2S5").self_heating
    assert not force_of("BaTiO3", "BaO", "TiO2").self_heating
    assert not force_of("BaTiO3", "BaCO3", "TiO2").self_heating
    burning = force_of("TbAlO3", "Tb4O7", "Al")  # Tb4O7 has no energy of its own
    assert burning.as_written is None
    assert burning.self_heating
    assert not burning.decomposes
    assert not burning._replace(decomposes=True).self_heating  # decomposing takes heat that residues do not count
    assert force_of("LiFePO4", "Li2CO3", "FeC2O4.2H2O", "NH4H2PO4").decomposes


def test_a_listed_phase_far_above_the_hull_is_not_the_substance_that_is_bought() -> None:
    # The hydrate exists, and dehydrating it takes heat; by the listed energy the reaction would give off 3.4 eV/atom.
    force = force_of("BaTiO3", "Ba(OH)2.8H2O", "TiO2")
    assert force.without_energy == ("Ba(OH)2.8H2O",)
    assert not force.self_heating
    assert HULL.energy_of_substance(read_amounts("Yb2O3")) is None
    assert HULL.energy_of_substance(read_amounts("BaO")) == HULL.listed_energy(read_amounts("BaO"))


def test_precursors_without_energy_are_named() -> None:
    force = force_of("Bi2O3", "Bi(NO3)3.5H2O")
    assert force.as_written is None
    assert force.without_energy == ("Bi(NO3)3.5H2O",)
    assert force.of_residues == pytest.approx(0.0, abs=1e-9)


def test_copper_takes_up_oxygen_below_its_known_limit() -> None:
    # 4 CuO = 2 Cu2O + O2 reaches 1 bar near 1100 degrees Celsius (Chase, JANAF 1998); PBE corrections shift it.
    assert takes_up_oxygen(read_amounts("Cu2O"), hull=HULL, temperature=800)
    assert not takes_up_oxygen(read_amounts("CuO"), hull=HULL, temperature=800)
    assert not takes_up_oxygen(read_amounts("Cu2O"), hull=HULL, temperature=2500)


@pytest.mark.parametrize(("formula", "oxidises"), [("LiFePO4", True), ("BaTiO3", False), ("Y3Al5O12", False)])
def test_what_is_fired_in_argon_takes_up_oxygen(formula: str, oxidises: bool) -> None:
    assert takes_up_oxygen(read_amounts(formula), hull=HULL, temperature=1000) is oxidises


def test_barium_orthotitanate_forms_before_the_titanate() -> None:
    # A. Beauger, J. C. Mutin and J. C. Niepce, J. Mater. Sci. 18, 3543 (1983): BaTiO3 is made by way of Ba2TiO4.
    precursors = [find_precursor("BaCO3"), find_precursor("TiO2")]
    (found,) = competing_phases(precursors, read_amounts("BaTiO3"), hull=HULL, temperature=1000, oxygen=True)
    assert found.formula == "Ba2TiO4"
    assert found.driving_force < 0


def test_two_oxides_that_form_nothing_have_no_competitor() -> None:
    precursors = [find_precursor("MgO"), find_precursor("NiO")]
    (found,) = competing_phases(precursors, read_amounts("Mg3NiO4"), hull=HULL, temperature=1000, oxygen=False)
    assert found.formula == "" or found.driving_force < -1e-3
