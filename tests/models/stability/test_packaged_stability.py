"""What the packaged phases, crystals and the sample of candidates teach."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.relaxed_children import load_relaxed_children
from matloop.models.potentials.contract import GGA_AND_U
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.error_distribution import ErrorDistribution
from matloop.models.stability.hull import packaged_references
from matloop.models.stability.packaged_stability import (
    database_formation_energies,
    errors_of_candidates,
    known_phases,
    place_candidates,
    sample_energies,
)

CRYSTALS = load_materials()
KNOWN = database_formation_energies(CRYSTALS)


@pytest.fixture(scope="module")
def elements() -> dict[str, ElementalReferences]:
    return {
        name: ElementalReferences.fitted(packaged_references(CRYSTALS, name), KNOWN, corrected=GGA_AND_U)
        for name in ("chgnet", "sevennet")
    }


@pytest.fixture(scope="module")
def errors(elements: dict[str, ElementalReferences]) -> ErrorDistribution:
    found = errors_of_candidates(elements["chgnet"], CRYSTALS)
    assert found is not None
    return found


def test_labels_are_brought_to_the_scale_of_the_phases() -> None:
    labels = CRYSTALS.column("formation_energy_per_atom_dft").astype(float)
    same = np.abs(KNOWN - labels) < 0.05
    assert same[np.isfinite(labels)].mean() > 0.97
    niobium = CRYSTALS.compositions.element_mask()[:, 41] & same & (CRYSTALS.compositions.lengths > 1)
    # The database computed niobium anew in between: its compounds bind more weakly by some 0.07 eV per atom of it.
    fractions = np.bincount(
        CRYSTALS.compositions.rows,
        np.where(CRYSTALS.compositions.elements == 41, CRYSTALS.compositions.fractions, 0),
    )
    assert np.median(((KNOWN - labels) / np.maximum(fractions, 1e-9))[niobium]) == pytest.approx(0.07, abs=0.02)
    assert np.isfinite(KNOWN).sum() > 5000


def test_few_new_candidates_lie_below_the_hull(elements: dict[str, ElementalReferences]) -> None:
    sample = load_relaxed_children()
    new = sample.filter(pc.invert(sample["listed"]))
    below = {
        name: (place_candidates(sample_energies(new, name), elements[name]).energy_above_hull < 0).mean()
        for name in elements
    }
    assert below["sevennet"] < below["chgnet"] < 0.25


def test_candidates_lie_higher_than_chgnet_says(errors: ErrorDistribution) -> None:
    assert len(errors.predicted) == 384
    assert 0.015 < np.median(errors.residuals) < 0.04
    candidate, _ = parse_formulas(["SrTiO3", "CaS"])
    prediction = errors.around("energy_above_hull", np.array([0.03, 0.03]), candidate, np.array(["", ""]))
    assert (prediction.probability_between(-np.inf, 0.05) < 0.6).all()
    prediction = errors.around("energy_above_hull", np.array([-0.02, -0.02]), candidate, np.array(["", ""]))
    assert (prediction.probability_between(-np.inf, 0.05) > 0.75).all()


def test_a_potential_without_a_sample_has_no_errors_of_candidates(elements: dict[str, ElementalReferences]) -> None:
    assert errors_of_candidates(elements["sevennet"], CRYSTALS) is None
    assert errors_of_candidates(replace(elements["chgnet"], source="chgnet-0.4"), CRYSTALS) is None


def test_the_hull_knows_the_phases_of_its_database_and_names_others() -> None:
    candidates, _ = parse_formulas(["La2Ti4O11", "Mg(BS2)2"])
    found = known_phases().coverage(candidates)
    assert found.known[0] > 40
    assert found.shares[0] > 0.9
    assert found.spans_system.tolist()[0]
    assert found.without_energy[1] == ("Mg149B",)
