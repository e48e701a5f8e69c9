"""Candidates of one run on one hull, held against pymatgen and against what must not change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from matloop.models.stability.competition import compete, places_among_polymorphs
from matloop.models.stability.coverage import DEEPEST
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies

KNOWN = {"Mg": 0.0, "Ti": 0.0, "O": 0.0, "MgO": -3.0, "TiO2": -3.2, "MgTiO3": -3.3}


def phases(energies: dict[str, float], ids: dict[str, str] | None = None) -> PhaseEnergies:
    names = [(ids or {}).get(formula, formula) for formula in energies]
    return PhaseEnergies.from_table(list(energies), list(energies.values()), ["test"] * len(energies), ids=names)


def placed(candidates: PhaseEnergies) -> tuple[HullDistances, HullDistances]:
    found = compete(Hull(phases(KNOWN)), candidates)
    return found.alone, found.distances


def test_a_sibling_of_another_composition_decomposes_a_candidate_and_is_named() -> None:
    # Mg2TiO4 lies 10 meV/atom below MgO + MgTiO3, so Mg3TiO5 lies farther above the hull than known phases tell.
    known = Hull(phases(KNOWN))
    at = {name: -known.distances(phases({name: 0.0})).energy_above_hull[0] for name in ("Mg2TiO4", "Mg3TiO5")}
    candidates = phases({"Mg2TiO4": at["Mg2TiO4"] - 0.01, "Mg3TiO5": at["Mg3TiO5"] + 0.001}, {"Mg2TiO4": "a" * 20})
    alone, together = placed(candidates)
    assert alone.energy_above_hull == pytest.approx([-0.01, 0.001])
    assert together.energy_above_hull[0] == pytest.approx(-0.01), "a phase above its hull decomposes nobody"
    assert together.energy_above_hull[1] == pytest.approx(0.01 * 7 / 9 + 0.001)
    named = {product.formula: product.phase_id for product in together.products[1]}
    assert named == {"Mg2TiO4": "candidate aaaaaaaa", "MgO": "MgO"}


def test_the_lower_polymorph_is_not_compared_with_itself_and_the_higher_one_is_with_it() -> None:
    candidates = PhaseEnergies.from_table(["MgTi2O5", "Mg2Ti4O10"], [-3.31, -3.30], ["test"] * 2, ids=["low", "high"])
    alone, together = placed(candidates)
    assert together.energy_above_hull[0] == alone.energy_above_hull[0] < 0
    assert together.energy_above_hull[1] == pytest.approx(0.01)
    assert [tuple(product) for product in together.products[1]] == [("candidate low", "MgTi2O5", 1.0)]


def test_a_candidate_far_below_all_known_phases_does_not_put_all_others_far_above_the_hull() -> None:
    alone, together = placed(phases({"Mg2TiO4": -4.5, "Mg3TiO5": -3.0}))
    assert alone.energy_above_hull[0] < -1
    assert together.energy_above_hull[0] == alone.energy_above_hull[0]
    assert 0 < together.energy_above_hull[1] - alone.energy_above_hull[1] < 1e-9 - DEEPEST


def test_agrees_with_a_phase_diagram_of_all_phases() -> None:
    """Within the limit of depth, a distance above zero is that from the hull of all known and new phases together."""
    known = Hull(phases(KNOWN))
    formulas = ["Mg2TiO4", "Mg3TiO5", "MgTi2O5", "Mg2Ti3O8", "Ti2O3", "TiO", "Mg3O2"]
    at_hull = -known.distances(phases(dict.fromkeys(formulas, 0.0))).energy_above_hull
    shifts = np.random.default_rng(3).uniform(DEEPEST, 0.02, len(formulas))
    candidates = phases(dict(zip(formulas, at_hull + shifts, strict=True)))
    _, together = placed(candidates)
    entries = [
        PDEntry(Composition(name), energy * Composition(name).num_atoms)
        for name, energy in [*KNOWN.items(), *zip(formulas, candidates.energies, strict=True)]
    ]
    diagram = PhaseDiagram(entries)
    expected = np.array([diagram.get_e_above_hull(entry) for entry in entries[len(KNOWN) :]])
    assert (expected > 1e-6).any()
    assert (expected < 1e-6).any()
    assert np.maximum(together.energy_above_hull, 0) == pytest.approx(expected, abs=1e-9)


CANDIDATES = st.lists(
    st.tuples(
        st.sampled_from(["Mg2TiO4", "Mg3TiO5", "MgTi2O5", "MgTiO3", "TiO", "Mg3O2", "Ca2O"]),
        st.floats(-4, -2) | st.just(-3.25) | st.just(np.nan),
    ),
    min_size=1,
    max_size=9,
)


@given(CANDIDATES, st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(given_: list[tuple[str, float]], random: object) -> None:
    formulas, energies = zip(*given_, strict=True)
    ids = [f"id-{number}" for number in range(len(formulas))]
    first = PhaseEnergies.from_table(formulas, energies, ["test"] * len(formulas), ids=ids)
    order = np.arange(len(formulas))
    random.shuffle(order)  # type: ignore[attr-defined]
    alone, found = placed(first)
    _, again = placed(first.take(order))
    assert again.energy_above_hull.tobytes() == found.energy_above_hull[order].tobytes()
    assert again.products == [found.products[row] for row in order]
    number = np.isfinite(found.energy_above_hull)
    assert (number == np.isfinite(alone.energy_above_hull)).all()
    assert (found.energy_above_hull[number] >= alone.energy_above_hull[number]).all(), "competitors only raise"


def test_polymorphs_without_an_energy_come_last() -> None:
    found = PhaseEnergies.from_table(["TiO2"] * 3, [np.nan, -3.0, -3.0], ["test"] * 3, ids=["a", "c", "b"])
    places, lowest = places_among_polymorphs(found)
    assert places.tolist() == [2, 1, 0]
    assert lowest.tolist() == [2, 2, 2]
