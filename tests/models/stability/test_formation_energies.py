"""Formation energies from the packaged energies of each potential, judged on compositions that the fit has not seen."""

import numpy as np
import pytest

from matloop.data.packaged.materials import load_materials
from matloop.models.potentials.chgnet import CHGNetPotential
from matloop.models.potentials.contract import corrected_elements
from matloop.models.potentials.sevennet import SevenNetPotential
from matloop.models.stability.formation_energies import FormationEnergyFit, held_out_formation_energies
from matloop.models.stability.hull import packaged_references
from matloop.models.stability.packaged_stability import database_formation_energies

KNOWN = database_formation_energies(load_materials())


def fit_of(name: str, potential: type) -> FormationEnergyFit:
    corrected = corrected_elements(potential.__new__(potential))
    return FormationEnergyFit.of(packaged_references(load_materials(), name), KNOWN, corrected=corrected)


def test_corrections_bring_chgnet_closer_to_the_phases_of_the_database() -> None:
    fit = fit_of("chgnet", CHGNetPotential)
    assert fit.error == pytest.approx(0.0279, abs=0.001)
    assert fit.error_uncorrected == pytest.approx(0.0296, abs=0.001)
    assert fit.crystals > 5000


def test_corrections_bring_sevennet_close_to_density_functional_theory() -> None:
    fit = fit_of("sevennet", SevenNetPotential)
    assert fit.error < 0.012
    assert fit.error_uncorrected > 2 * fit.error
    assert {symbol: round(value, 1) for symbol, value in fit.corrections.items() if symbol in ("Fe", "Mn")} == {
        "Fe": 2.7, "Mn": 1.7,
    }  # fmt: skip


def test_a_crystal_is_judged_by_others_of_other_composition() -> None:
    materials = load_materials()
    phases = packaged_references(materials)
    one = int(np.flatnonzero(np.isfinite(KNOWN))[0])
    spoiled = KNOWN.copy()
    spoiled[[formula == materials.formulas[one] for formula in materials.formulas]] += 1000
    before, after = (held_out_formation_energies(phases, known)[one] for known in (KNOWN, spoiled))
    assert after == pytest.approx(before, abs=1e-9)


def test_too_few_compositions_for_folds_give_no_error() -> None:
    phases = packaged_references(load_materials()).take(np.arange(3))
    fit = FormationEnergyFit.of(phases, np.zeros(3), corrected=())
    assert np.isnan(fit.error)
    assert fit.crystals == 3
