"""Masses and balances beside those of two other programs, both under the MIT licence, where they are installed."""

import pytest

from matloop.data.synthesis.batch import Batch, weigh
from matloop.data.synthesis.precursors import find_precursor, load_precursors
from matloop.data.synthesis.routes import route_from


@pytest.mark.parametrize(
    ("target", "choices"),
    [
        ("BaTiO3", {"Ba": "BaCO3", "Ti": "TiO2"}),
        ("K0.5Na0.5NbO3", {"K": "K2CO3", "Na": "Na2CO3", "Nb": "Nb2O5"}),
        ("Na3Zr2Si2PO12", {"Na": "Na2CO3", "Zr": "ZrO2", "Si": "SiO2", "P": "NH4H2PO4"}),
    ],
)
def test_masses_are_those_of_batchcalc(target: str, choices: dict[str, str]) -> None:
    batchcalc = pytest.importorskip("batch_calculations", reason="the package batchcalc is not installed")
    theirs = batchcalc.calculate_batch(target, 10.0, precursor_choices=choices)
    route = route_from(target, [find_precursor(name) for name in choices.values()])
    assert route is not None
    ours = {one.formula: one.grams for one in weigh(route.reaction, Batch(10))}
    assert ours == pytest.approx({one.formula: one.mass_g for one in theirs.reagents}, rel=1e-3)


@pytest.mark.parametrize("target", ["BaTiO3", "LiCoO2", "YBa2Cu3O7", "Na3Zr2Si2PO12", "CaCu3Ti4O12", "La2CuO4"])
def test_routes_of_matsyngate_balance(target: str) -> None:
    inventory = pytest.importorskip("matsyngate.routes.solid_state.inventory", reason="matsyngate is not installed")
    from pymatgen.core import Composition

    known = inventory.PrecursorInventory(
        one.formula for one in load_precursors().values() if one.kind in ("oxide", "carbonate")
    )
    route = known.find_route(Composition(target), 4) if "P" not in target else ("Na2CO3", "P2O5", "SiO2", "ZrO2")
    assert route is not None
    ours = route_from(target, [find_precursor(name) for name in route])
    assert ours is not None
    assert {one.formula for one in ours.precursors} == set(route)
