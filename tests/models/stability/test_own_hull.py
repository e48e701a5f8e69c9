"""Candidates on the hull of computed phases, beside pymatgen's phase diagram."""

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import EnergySourceError
from matloop.models.stability.own_hull import OwnEnergies, OwnHull

PHASES = ("Na", "Fe", "O2", "Na2O", "FeO", "Fe2O3", "NaFeO2")
ENERGIES = (-1.3, -8.3, -4.9, -3.8, -7.1, -6.8, -6.2)
PLAIN = '{"functional": "GGA", "u": {}}'
PLUS_U = '{"functional": "GGA", "u": {"Fe": 5.3}}'


def own(formulas: tuple[str, ...], energies: tuple[float, ...], settings: tuple[str, ...] | None = None) -> OwnEnergies:
    compositions, _ = parse_formulas(list(formulas))
    return OwnEnergies(compositions, np.array(energies), list(formulas), settings or ("",) * len(formulas))


def test_candidates_lie_where_pymatgen_puts_them() -> None:
    entries = [PDEntry(Composition(f), e * Composition(f).num_atoms) for f, e in zip(PHASES, ENERGIES, strict=True)]
    diagram = PhaseDiagram(entries)
    formulas, energies = ("Na3FeO3", "Fe3O4", "NaFeO2", "Na5FeO4"), (-5.5, -6.9, -6.0, -7.5)
    placed = OwnHull.of(own(PHASES, ENERGIES)).place(own(formulas, energies))
    for row, (formula, energy) in enumerate(zip(formulas, energies, strict=True)):
        entry = PDEntry(Composition(formula), energy * Composition(formula).num_atoms)
        products, above = diagram.get_decomp_and_e_above_hull(entry, allow_negative=True, check_stable=False)
        assert placed.energies_above_hull[row] == pytest.approx(above, abs=1e-9)
        assert placed.formation_energies[row] == pytest.approx(diagram.get_form_energy_per_atom(entry), abs=1e-9)
        expected = {product.composition.reduced_formula: fraction for product, fraction in products.items()}
        told = [part.split(" ") for part in placed.remarks[row].split(" + ")]
        assert {formula: float(share) for share, formula, _ in told} == pytest.approx(expected, abs=0.006)
    assert placed.energies_above_hull[3] < 0


def test_candidates_without_a_place_say_why() -> None:
    hull = OwnHull.of(own(PHASES, ENERGIES, (PLAIN,) * 7))
    placed = hull.place(
        own(("NaFeO2", "NaFeO2", "NaF", "Na2O"), (-6.0, np.nan, -3.0, -3.8), (PLUS_U, "", PLAIN, PLUS_U))
    )
    assert placed.remarks == [
        "an energy of another calculation: U of Fe is 5.3 eV, and none in the hull", "no energy",
        "there is no energy of pure F", "1.00 Na2O (Na2O)",
    ]  # fmt: skip
    assert np.isnan(placed.energies_above_hull).tolist() == [True, True, True, False]
    assert np.isnan(placed.formation_energies).tolist() == [True, True, True, False]


def test_phases_of_several_calculations_form_no_hull() -> None:
    settings = (PLAIN, PLAIN, PLAIN, PLAIN, PLUS_U, PLAIN, PLAIN)
    with pytest.raises(EnergySourceError, match=r"U of Fe is none in Fe, Fe2O3, NaFeO2; 5\.3 eV in FeO"):
        OwnHull.of(own(PHASES, ENERGIES, settings))
    OwnHull.of(own(PHASES, ENERGIES, settings), corrected=True)
