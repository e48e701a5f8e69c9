"""Stability from a potential's energies, held against crystals left out of everything that was learnt."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import EnergySourceError
from matloop.data.packaged.materials import load_materials
from matloop.models.stability.computed_hull import computed_phases
from matloop.models.stability.hull import Hull, PhaseEnergies, packaged_references
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.packaged_stability import database_formation_energies, learn_stability
from matloop.models.stability.stability import Judgement, Stability

LIMIT = 0.05
MATERIALS = load_materials()
PACKAGED = packaged_references(MATERIALS)
KNOWN = database_formation_energies(MATERIALS)


def small_hull(rows: NDArray[np.bool_]) -> Hull:
    """Of the compositions of the packaged crystals in ``rows`` and of all elements."""
    phases = computed_phases("materials_project")
    wanted = composition_keys(MATERIALS.compositions.take(np.flatnonzero(rows)))
    chosen = np.isin(composition_keys(phases.compositions), wanted) | (phases.compositions.lengths == 1)
    return Hull(replace(phases.take(np.flatnonzero(chosen)), source="database"))


@pytest.fixture(scope="module")
def learnt() -> Stability:
    return Stability.fit(PACKAGED, KNOWN, small_hull(np.ones(len(KNOWN), bool)))


@pytest.fixture(scope="module")
def learnt_in_full() -> Stability:
    return learn_stability(PACKAGED, MATERIALS)


@pytest.fixture(scope="module")
def held_back() -> tuple[Judgement, NDArray[np.float64], NDArray[np.int64]]:
    """Predictions for a fifth of the formulas, which neither the hull nor the errors have seen, and their distances."""
    fifth = (composition_keys(MATERIALS.compositions) % 5 == 0) & (MATERIALS.compositions.lengths > 1)
    hull = small_hull(~fifth)
    rows = np.flatnonzero(fifth & np.isfinite(KNOWN) & np.isfinite(PACKAGED.energies))
    judgement = Stability.fit(PACKAGED, np.where(fifth, np.nan, KNOWN), hull).predict(PACKAGED.take(rows))
    truth = replace(PACKAGED.take(rows), source="database", energies=KNOWN[rows])
    return judgement, hull.distances(truth).energy_above_hull, rows


def test_intervals_hold_what_they_say(held_back: tuple) -> None:  # type: ignore[type-arg]
    judgement, above, rows = held_back
    assert len(rows) > 800
    for name, truth in (("energy_above_hull", np.maximum(above, 0)), ("formation_energy_per_atom", KNOWN[rows])):
        low, high = judgement.predictions[name].interval(0.9)
        # Most energies above hull are exactly zero, which both ends of an interval may share: it holds up to 98 %.
        assert 0.86 < np.mean((truth >= low - 1e-9) & (truth <= high + 1e-9)) < 0.98, name
        assert (judgement.predictions[name].sigma >= 0).all()


def test_probability_of_stability_is_what_happens(held_back: tuple) -> None:  # type: ignore[type-arg]
    judgement, above, _ = held_back
    stable = above <= LIMIT
    probability = judgement.predictions["energy_above_hull"].probability_between(-np.inf, LIMIT)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        band = (probability >= low) & (probability < high)
        assert band.sum() >= 30
        # The errors alone carry over, not how often these crystals are stable, nine of ten: more are than is promised.
        assert -0.03 < stable[band].mean() - probability[band].mean() < 0.35, (low, high)
    assert roc_auc_score(stable, probability) > 0.93


def test_known_crystals_judged_as_new_in_the_full_hull(learnt_in_full: Stability) -> None:
    rows, probability, stable = learnt_in_full.calibration_rows("energy_above_hull", -np.inf, LIMIT)
    assert len(rows) == len(set(rows.tolist())) > 4900
    said = probability > 0.5
    assert roc_auc_score(stable, probability) > 0.95
    assert abs(said.mean() - stable.mean()) < 0.03
    assert said[~stable].mean() < 0.21
    assert said[stable].mean() > 0.93


@pytest.mark.parametrize(
    ("formula", "energy", "own", "place"),
    [
        ("Mg(BS2)2", -5.3877, -0.41, 0.10),
        ("MgN", -5.1760, -0.20, 0.49),
        ("LaHfN3", -9.0619, -0.47, 0.36),
        ("BiScN3", -6.5909, 0.46, 1.25),
    ],
)  # fmt: skip
def test_what_missing_references_made_stable_is_not(
    formula: str, energy: float, own: float, place: float, learnt_in_full: Stability
) -> None:
    """CHGNet's energies of relaxed candidates; the packaged crystals lack B2S3 and other phases of these systems."""
    found = learnt_in_full.predict(PhaseEnergies.from_table([formula], [energy], [PACKAGED.source]))
    assert found.own_distances[0] == pytest.approx(own, abs=0.02)
    assert found.distances.energy_above_hull[0] == pytest.approx(place, abs=0.02)
    assert found.predictions["energy_above_hull"].probability_between(-np.inf, LIMIT)[0] < 0.5


def test_competing_phases_of_a_candidate_are_those_of_the_database(learnt_in_full: Stability) -> None:
    candidates = PhaseEnergies.from_table(["La2Ti4O11", "Na2Cl2"], [-9.2842, -3.4], [PACKAGED.source] * 2)
    found = learnt_in_full.predict(candidates)
    assert [product.formula for product in found.distances.products[0]] == ["La2Ti2O7", "TiO2"]
    assert found.own_distances[0] < -0.05 < 0.0 < found.distances.energy_above_hull[0] < 0.03
    assert found.coverage.spans_system.tolist() == [True, True]
    assert found.incomplete.tolist() == ["", ""]


def test_where_references_are_missing_value_interval_and_probability_count_it(learnt_in_full: Stability) -> None:
    """MgN that far below the hull would not be believed: what lies as deep was raised in six of ten cases."""
    candidates = PhaseEnergies.from_table(["MgN", "La2Ti4O11"], [-8.0, -9.2842], [PACKAGED.source] * 2)
    found = learnt_in_full.predict(candidates)
    above = found.predictions["energy_above_hull"]
    assert found.incomplete.tolist() == ["element_products, far_below", ""]
    probability, (low, high) = above.probability_between(-np.inf, LIMIT), above.interval(0.9)
    assert found.distances.energy_above_hull[0] < -2
    assert 0.75 < probability[0] < 0.85  # rises of unknown size put it anywhere
    assert low.tolist()[0] == 0
    assert np.isinf(high[0]), "nothing bounds how much lower the hull may be"
    assert np.isfinite(high[1])
    alone = replace(learnt_in_full, missing=None).predict(candidates).predictions["energy_above_hull"]
    assert alone.interval(0.9)[1][0] == 0
    assert alone.probability_between(-np.inf, LIMIT)[0] == 1


def test_a_crystal_far_below_the_hull_with_a_lower_sibling_is_not_called_far_below(learnt_in_full: Stability) -> None:
    energies = PACKAGED.source
    candidates = PhaseEnergies.from_table(["MgN", "MgN"], [-6.0, -5.9], [energies] * 2, ids=["low", "high"])
    apart, together = learnt_in_full.predict(candidates), learnt_in_full.predict(candidates, competing=True)
    assert all("far_below" in codes for codes in apart.incomplete)
    assert together.distances.energy_above_hull == pytest.approx([apart.distances.energy_above_hull[0], 0.1])
    assert ["far_below" in codes for codes in together.incomplete] == [True, False]


def test_formation_energies_are_near_those_computed(held_back: tuple) -> None:  # type: ignore[type-arg]
    judgement, _, rows = held_back
    assert np.abs(judgement.predictions["formation_energy_per_atom"].median - KNOWN[rows]).mean() < 0.035


def test_energies_of_another_source_are_refused(learnt: Stability) -> None:
    other = replace(PACKAGED.take(np.arange(3)), source="another potential")
    with pytest.raises(EnergySourceError):
        learnt.predict(other)
    with pytest.raises(EnergySourceError):
        Stability.fit(PACKAGED, KNOWN, learnt.hull, further=other)


def test_further_references_lower_both_hulls(learnt: Stability) -> None:
    salt = PhaseEnergies.from_table(["NaCl"], [-9.0], [PACKAGED.source], ids=["mine"])
    candidate = PhaseEnergies.from_table(["Na2Cl2"], [-3.4], [PACKAGED.source])
    assert 0 <= learnt.predict(candidate).distances.energy_above_hull[0] < 0.5
    found = Stability.fit(PACKAGED, KNOWN, learnt.hull, further=salt).predict(candidate)
    assert found.distances.energy_above_hull[0] == pytest.approx(9.0 - 3.4)
    assert found.own_distances[0] == pytest.approx(9.0 - 3.4)
    assert found.distances.products[0][0].phase_id == "mine"


def test_further_references_count_as_known_and_leave_the_elements_at_zero() -> None:
    compositions, _ = parse_formulas(["Ba2PtO3", "Ba3PtO6", "O2"], exact=True)
    further = PhaseEnergies(PACKAGED.source, compositions, np.array([-5.9, -6.1, -4.95]), ["a", "b", "oxygen"])
    learnt = learn_stability(PACKAGED, MATERIALS, further=further)
    asked, _ = parse_formulas(["BaPtO3"], exact=True)
    candidate = PhaseEnergies(PACKAGED.source, asked, np.array([-6.0]), ["candidate"])
    found = learnt.predict(candidate)
    assert found.coverage.without_energy == [()]
    assert found.coverage.known[0] + 1 == found.distances.reference_counts[0]  # its own composition does not count
    elements = learnt.hull.references.compositions.lengths == 1
    assert (learnt.hull.references.energies[elements] == 0).all()


def test_few_crystals_teach_as_far_as_they_go() -> None:
    few = PhaseEnergies.from_table(["Mg", "O2", "MgO", "MgO2"], [-1.5, -4.9, -6.0, -5.2], ["toy"] * 4)
    known = np.array([0.0, 0.0, -3.0, -2.0])
    learnt = Stability.fit(few, known, Hull(replace(few, source="database", energies=known)))
    found = learnt.predict(PhaseEnergies.from_table(["Mg2O3", "CaO"], [-5.6, -6.0], ["toy"] * 2))
    assert np.isfinite(found.predictions["energy_above_hull"].median[0])
    assert found.distances.codes.tolist() == ["", "E-HULL-ENERGY"]


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
    assert -0.5 <= low[0] <= prediction.median[0] <= high[0] <= 2.0
    assert prediction.probability_between(low[0], high[0])[0] >= 0.9 - 1e-9
    below, above = (prediction.probability_between(*ends)[0] for ends in ((-np.inf, 0.3), (0.3, np.inf)))
    assert below + above == pytest.approx(1, abs=1e-9)
    assert (prediction.probability_between(-np.inf, 0.3)[0] > 0.5) == (prediction.median[0] <= 0.3)
