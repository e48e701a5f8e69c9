"""Stability from a potential's energies, held against crystals left out of everything that was learnt."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.errors import EnergySourceError
from matloop.data.packaged.materials import load_materials
from matloop.data.training.packaged_tables import labelled_table
from matloop.models.stability.hull import Hull, PhaseEnergies, packaged_references
from matloop.models.stability.stability import HullDistances, LocalPrediction, Stability

LIMIT = 0.05
TRUTH = labelled_table("materials").labels


@pytest.fixture(scope="module")
def held_back() -> tuple[dict[str, LocalPrediction], HullDistances, NDArray[np.int64]]:
    """Predictions for a fifth of the formulas, which neither the hull nor the calibration has seen."""
    packaged, materials = packaged_references(load_materials()), load_materials()
    fifth = composition_keys(materials.compositions) % 5 == 0
    known = fifth & np.isfinite(materials.column("energy_above_hull_dft")) & np.isfinite(packaged.energies)
    seen = replace(packaged, energies=np.where(fifth & (materials.compositions.lengths > 1), np.nan, packaged.energies))
    rows = np.flatnonzero(known & (materials.compositions.lengths > 1))
    predictions, distances = Stability.fit(seen, TRUTH).predict(packaged.take(rows))
    return predictions, distances, rows


@pytest.mark.parametrize("name", ["energy_above_hull", "formation_energy_per_atom"])
def test_intervals_hold_what_they_say(name: str, held_back: tuple) -> None:  # type: ignore[type-arg]
    predictions, _, rows = held_back
    truth = load_materials().column(f"{name}_dft")[rows]
    low, high = predictions[name].interval(0.9)
    assert len(rows) > 500
    # Most energies above hull are exactly zero, which both ends of an interval may share: it holds up to 95 %.
    assert 0.86 < np.mean((truth >= low - 1e-9) & (truth <= high + 1e-9)) < 0.97
    assert (predictions[name].sigma >= 0).all()


def test_probability_of_stability_is_what_happens(held_back: tuple) -> None:  # type: ignore[type-arg]
    predictions, distances, rows = held_back
    stable = load_materials().column("energy_above_hull_dft")[rows] <= LIMIT
    probability = predictions["energy_above_hull"].probability_between(-np.inf, LIMIT)
    for above, below in ((0.0, 0.3), (0.3, 0.8), (0.8, 1.01)):
        band = (probability >= above) & (probability < below)
        assert abs(stable[band].mean() - probability[band].mean()) < 0.12, (above, below)
    assert probability[stable].mean() > probability[~stable].mean() + 0.3
    assert (distances.energy_above_hull < 0).any(), "a compound that nobody knew can break the hull"


def test_formation_energies_are_near_those_computed(held_back: tuple) -> None:  # type: ignore[type-arg]
    predictions, _, rows = held_back
    truth = load_materials().column("formation_energy_per_atom_dft")[rows]
    assert np.abs(predictions["formation_energy_per_atom"].mean - truth).mean() < 0.045


def test_energies_of_another_source_are_refused() -> None:
    packaged = packaged_references(load_materials())
    with pytest.raises(EnergySourceError):
        Stability.fit(packaged, TRUTH).predict(replace(packaged.take(np.arange(3)), source="another potential"))
    with pytest.raises(EnergySourceError):
        Stability.fit(packaged, TRUTH, further=replace(packaged.take(np.arange(3)), source="another potential"))


def test_further_references_lower_the_hull() -> None:
    packaged = packaged_references(load_materials())
    salt = PhaseEnergies.from_table(["NaCl"], [-9.0], [packaged.source], ids=["mine"])
    candidate = PhaseEnergies.from_table(["Na2Cl2"], [-3.4], [packaged.source])
    _, alone = Stability.fit(packaged, TRUTH).predict(candidate)
    assert 0 <= alone.energy_above_hull[0] < 0.5
    _, distances = Stability.fit(packaged, TRUTH, further=salt).predict(candidate)
    assert distances.energy_above_hull[0] == pytest.approx(9.0 - 3.4)
    assert distances.products[0][0].phase_id == "mine"


def test_calibration_rows_are_predicted_without_themselves() -> None:
    stability = Stability.fit(packaged_references(load_materials()), TRUTH)
    rows, probability, inside = stability.calibration_rows("energy_above_hull", -np.inf, LIMIT)
    assert len(rows) == len(set(rows.tolist())) > 3900
    truth = load_materials().column("energy_above_hull_dft")[rows]
    assert (inside == (truth <= LIMIT)).all()
    assert abs(probability.mean() - inside.mean()) < 0.01
    # Where all 299 others meet the target, missing it must not lower one's own probability.
    assert (probability[~inside] <= 1).all()
    assert probability[inside].mean() > probability[~inside].mean() + 0.2


def test_own_composition_left_out() -> None:
    phases = PhaseEnergies.from_table(["Na", "Cl", "NaCl", "NaCl3"], [0.0, 0.0, -2.0, -0.5], ["model"] * 4)
    hull, salt = Hull(phases), phases.take(np.array([2]))
    assert hull.distances(salt).energy_above_hull[0] == pytest.approx(0)
    left_out = hull.distances(salt, leave_out_own_composition=True)
    # Half the atoms: two thirds of NaCl3 (all the Cl, -0.5 eV/atom) and one third of Na.
    assert left_out.energy_above_hull[0] == pytest.approx(-2.0 + 0.5 * 2 / 3)
    assert {product.formula for product in left_out.products[0]} == {"Na", "NaCl3"}


@given(st.floats(-1, 1), st.integers(0, 2**32 - 1))
def test_distribution_is_consistent(centre: float, seed: int) -> None:
    residuals = np.sort(np.random.default_rng(seed).normal(size=(1, 199)))
    prediction = LocalPrediction(np.array([centre]), residuals, np.array([""]), (-0.5, 2.0))
    low, high = prediction.interval(0.9)
    assert -0.5 <= low[0] <= prediction.mean[0] <= high[0] <= 2.0
    assert prediction.probability_between(low[0], high[0])[0] >= 0.9 - 1e-9
    below, above = (prediction.probability_between(*ends)[0] for ends in ((-np.inf, 0.3), (0.3, np.inf)))
    assert below + above == pytest.approx(1, abs=1e-9)
