"""Phases that compete with a compound, and which of their crystals is drawn."""

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.training.packaged_tables import packaged_crystals
from matloop.screening.dossier.competing_phases import CompetingPhase, with_crystals
from matloop.workflows.dossiers.decomposition import competitions_of


def test_a_compound_decomposes_into_the_oxides_that_make_it() -> None:
    """BaTiO3 from BaO and TiO2, or nearer neighbours of it in the system; shares are of atoms."""
    (found,) = competitions_of(CandidateBatch.from_formulas(["BaTiO3"]).batch)
    assert sum(phase.share for phase in found.phases) == pytest.approx(1)
    assert all(set("BaTiO") >= set("".join(c for c in phase.formula if c.isalpha())) for phase in found.phases)
    assert "BaTiO3" not in [phase.formula for phase in found.phases]
    assert 0 < found.with_energy <= found.known


@pytest.mark.parametrize(
    ("formula", "space_group"), [("Al2O3", 167), ("ZnO", 186), ("AlF3", 167), ("NaCl", 225), ("MgO", 225)]
)
def test_the_polymorph_that_is_drawn_is_the_one_that_forms(formula: str, space_group: int) -> None:
    """Corundum, wurtzite, rhombohedral aluminium fluoride, and rock salts."""
    from matloop.models.stability.hull import packaged_references

    crystals = packaged_crystals()
    energies = packaged_references(crystals, "sevennet").energies
    (phase,) = with_crystals([CompetingPhase(formula, 1.0, 0.0)], crystals, energies)
    assert phase.crystal is not None
    assert phase.crystal.table["space_group_number"][0].as_py() == space_group


def test_a_phase_without_a_known_crystal_has_none() -> None:
    crystals = packaged_crystals()
    (phase,) = with_crystals([CompetingPhase("CsAl7S39", 1.0, 0.0)], crystals, np.zeros(len(crystals)))
    assert (phase.crystal, phase.material_id) == (None, "")
