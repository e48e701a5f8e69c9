"""What a hull says that it does not know."""

from matloop.data.candidates.formula import parse_formulas
from matloop.models.stability.coverage import (
    ELEMENT_PRODUCTS,
    FAR_BELOW,
    MOST_NAMES,
    Coverage,
    KnownPhases,
    incomplete_references,
)
from matloop.models.stability.hull import Hull, PhaseEnergies

ENERGIES = {"Mg": 0.0, "B": 0.0, "S": 0.0, "MgS": -1.7, "MgB2": -0.2, "La": 0.0, "O2": 0.0, "La2O3": -3.8}


def hull_of(energies: dict[str, float]) -> Hull:
    return Hull(PhaseEnergies.from_table(list(energies), list(energies.values()), ["database"] * len(energies)))


def coverage_of(candidates: list[str], known: list[str]) -> Coverage:
    return KnownPhases(hull_of(ENERGIES), parse_formulas(known)[0]).coverage(parse_formulas(candidates)[0])


def test_known_compositions_without_an_energy_are_named_in_the_order_given() -> None:
    found = coverage_of(["Mg(BS2)2", "La2MgO4"], ["B2S3", "MgS", "Mg2S2", "B4S6", "BS2", "MgO", "B"])
    # Of Mg-B-S: MgS and MgB2 have an energy, B2S3 and BS2 have none; multiples and elements do not count.
    assert found.without_energy == [("B2S3", "BS2"), ("MgO",)]
    assert found.known.tolist() == [4, 2]
    assert found.shares.tolist() == [0.5, 0.5]


def test_the_own_composition_is_no_competing_phase() -> None:
    found = coverage_of(["La2O3", "B2S3"], ["B2S3", "La2O3"])
    assert found.known.tolist() == [0, 0]
    assert found.shares.tolist() == [0.0, 0.0]
    assert found.spans_system.tolist() == [False, False]


def test_only_references_span_a_system() -> None:
    found = coverage_of(["MgB4", "Mg(BS2)2"], ["MgBS", "Mg2BS3"])
    assert found.spans_system.tolist() == [True, False]


def test_few_of_many_are_named() -> None:
    found = coverage_of(["Mg(BS2)2"], [f"B{k}S" for k in range(1, 30)])
    assert found.without_energy[0] == tuple(f"B{k}S" if k > 1 else "BS" for k in range(1, MOST_NAMES + 1))
    assert found.known[0] == 2 + 29


def test_elements_among_products_and_deep_places_show_missing_references() -> None:
    hull = hull_of(ENERGIES)
    formulas, energies = ["Mg(BS2)2", "La2O3", "LaO", "MgB2", "Mg"], [-1.5, -3.79, -3.0, -0.24, -0.1]
    candidates = PhaseEnergies.from_table(formulas, energies, ["database"] * 5)
    found = incomplete_references(candidates.compositions, hull.distances(candidates)).tolist()
    # An element is no compound: it decomposes into itself.
    assert found == [f"{ELEMENT_PRODUCTS}, {FAR_BELOW}", "", ELEMENT_PRODUCTS, FAR_BELOW, FAR_BELOW]
