"""Formation energies and hull distances of computed phases, beside pymatgen's phase diagram."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import EnergySourceError
from matloop.models.stability.computed_entries import energies_above_hull, formation_energies

ELEMENTS = ("Li", "Fe", "P", "O2", "O", "Fe4")
COMPOUNDS = (
    "Li2O", "FeO", "Fe2O3", "Fe3O4", "Li3P", "LiFeO2", "FeP", "Fe2P", "P2O5", "LiPO3", "Li3PO4", "FePO4", "LiFePO4",
    "LiFeP", "Li4P2O7", "LiFePO4", "FeO", "Li5FeO4",
)  # fmt: skip


def phases(formulas: tuple[str, ...]) -> Compositions:
    return parse_formulas(list(formulas))[0]


def energies(formulas: tuple[str, ...], *, seed: int) -> NDArray[np.float64]:
    """Total energies in eV/atom as a density functional might give them."""
    random = np.random.default_rng(seed)
    return np.array(
        [-3 - 5 * Composition(f).get_atomic_fraction("O") + random.normal(0, 0.3) - (f in COMPOUNDS) for f in formulas]
    )


@pytest.mark.parametrize("seed", range(3))
def test_energies_agree_with_the_phase_diagram_of_pymatgen(seed: int) -> None:
    formulas = ELEMENTS + COMPOUNDS
    values = energies(formulas, seed=seed)
    entries = [
        PDEntry(Composition(f), e * Composition(f).num_atoms) for f, e in zip(formulas, values.tolist(), strict=True)
    ]
    diagram = PhaseDiagram(entries)
    formation, above = (derive(phases(formulas), values) for derive in (formation_energies, energies_above_hull))
    np.testing.assert_allclose(formation.values, [diagram.get_form_energy_per_atom(e) for e in entries], atol=1e-9)
    np.testing.assert_allclose(above.values, [diagram.get_e_above_hull(e) for e in entries], atol=1e-9)
    assert set(formation.codes) == set(above.codes) == {""}
    assert (above.values == 0).sum() == len(diagram.stable_entries)


def test_phases_of_an_element_without_energy_are_named() -> None:
    formulas = ("Li", "O2", "Li2O", "LiF", "FeF2")
    found = energies_above_hull(phases(formulas), energies(formulas, seed=0))
    assert found.codes.tolist() == ["", "", "", "E-HULL-ELEMENT", "E-HULL-ELEMENT"]
    assert found.details[3:] == ["there is no energy of pure F", "there is no energy of pure F, Fe"]
    assert found.remarks == ["no energy of pure F, Fe, so that 2 rows teach nothing"]
    with pytest.raises(EnergySourceError, match=r"2 phases without one of pure Li, F, Fe.*add the elements"):
        energies_above_hull(phases(formulas[3:]), energies(formulas[3:], seed=0))


def test_a_hull_of_few_phases_is_said_to_be_a_lower_bound() -> None:
    formulas = ("Li", "O2", "P", "Li3PO4")
    found = energies_above_hull(phases(formulas), energies(formulas, seed=0))
    assert found.remarks == [
        "1 row have few competing phases in the file; their energy above the hull is a lower bound"
    ]
