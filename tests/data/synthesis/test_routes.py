"""Routes: bounded in number and time, each cation from one precursor, none where there is none."""

import time

import pytest

from matloop.data.errors import SynthesisError
from matloop.data.synthesis.atmospheres import atmospheres_for
from matloop.data.synthesis.precursors import find_precursor
from matloop.data.synthesis.routes import MOST_SETS, find_routes, route_from


def test_a_target_of_eight_elements_takes_little_time() -> None:
    formula = "La0.4Sr0.2Ba0.2Ca0.2Fe0.5Co0.3Mn0.2O3"
    find_routes("BaTiO3")  # compiles the reader of formulas
    start = time.process_time()
    found = find_routes(formula)
    assert time.process_time() - start < 10
    assert found.routes
    assert found.sets <= MOST_SETS * len(atmospheres_for({"O": 1}))
    first = {precursor.formula for precursor in found.routes[0].precursors}
    assert {"La2O3", "SrCO3", "BaCO3"} <= first


def test_points_grow_along_the_list() -> None:
    totals = [route.total for route in find_routes("LiCoO2").routes]
    assert totals == sorted(totals)
    assert len(totals) > 10


def test_no_cation_comes_from_two_precursors() -> None:
    for route in find_routes("LiFePO4").routes:
        for cation in ("Li", "Fe", "P"):
            assert sum(cation in precursor.amounts for precursor in route.precursors) == 1


def test_an_element_without_precursor_is_named() -> None:
    found = find_routes("PuO2F")
    assert not found.routes
    assert found.lacking == ("Pu",)


def test_the_target_is_no_precursor_of_itself() -> None:
    assert all(
        "AlPO4" not in route.reaction.equation().split(" -> ")[0].split() for route in find_routes("AlPO4").routes
    )
    assert find_routes("AlPO4").routes


def test_chosen_precursors_are_all_used_or_nothing_is() -> None:
    chosen = [find_precursor(name) for name in ("Li2CO3", "FeC2O4.2H2O", "NH4H2PO4")]
    route = route_from("LiFePO4", chosen, oxidises=True)
    assert route is not None
    assert route.atmosphere == "inert"
    assert route.reaction.equation() == (
        "Li2CO3 + 2 FeC2O4.2H2O + 2 NH4H2PO4 -> 2 LiFePO4 + 2 NH3 + 3 CO2 + 7 H2O + 2 CO"
    )
    assert route_from("LiFePO4", [*chosen, find_precursor("TiO2")]) is None


@pytest.mark.parametrize("formula", ["", "Ba(TiO3", "=HYPERLINK(1)", "Xx2", "../BaO"])
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(SynthesisError):
        find_routes(formula)
