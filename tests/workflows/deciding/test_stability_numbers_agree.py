"""The numbers that are told of stability agree with each other, on energies of real relaxed candidates."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.relaxed_children import load_relaxed_children
from matloop.models.potentials.contract import GGA_AND_U
from matloop.models.stability.hull import packaged_references
from matloop.models.stability.packaged_stability import learn_stability, sample_energies
from matloop.workflows.stages import stability as module
from matloop.workflows.stages.makeable import makeable_phases
from matloop.workflows.stages.scoring import ScoringTask
from matloop.workflows.stages.stability import judge_together
from tests.workflows.conftest import campaign

LIMIT = 0.05
STABLE: dict[str, Any] = {"property": "energy_above_hull", "goal": "at_most", "value": LIMIT, "unit": "eV/atom"}


def with_siblings(energies: np.ndarray) -> np.ndarray:
    """Rows of the sample: a hundred, the deepest, and every crystal with a sibling."""
    formulas = load_relaxed_children()["formula"].to_pylist()
    twins = [row for row, formula in enumerate(formulas) if formulas.count(formula) > 1]
    return np.unique([*range(100), *twins, *np.argsort(energies)[:20].tolist()])


@pytest.fixture(scope="module")
def told() -> pa.Table:
    """What the stability stage says of the packaged relaxed candidates, which it judges together."""
    sample = load_relaxed_children()
    learnt = learn_stability(packaged_references(load_materials()), load_materials(), corrected=GGA_AND_U)
    phases = sample_energies(sample, "chgnet")
    rows = with_siblings(learnt.hull.distances(learnt.formation_energies(phases)).energy_above_hull)
    phases = phases.take(rows)
    n, names = len(rows), sorted(set(phases.ids))
    table = CandidateBatch.from_formulas(names).batch.take([names.index(name) for name in phases.ids]).to_arrow()
    place = table.column_names.index("candidate_id")
    table = table.set_column(place, "candidate_id", [[f"{number:020d}" for number in range(n)]])
    batch = CandidateBatch.from_arrow(table).with_columns(
        origin=[""] * n, probability=np.ones(n), ranking_score=np.ones(n), capped_targets=[""] * n,
        in_domain=np.ones(n, bool), makeable_probability=makeable_phases(phases.compositions, LIMIT),
        relaxation_energy=phases.energies,
    )  # fmt: skip
    chosen = campaign(targets=[STABLE], potential={"steps": 1}, structure={"features": ["density"], "keep": 20})
    task = ScoringTask(chosen, Path("unused"), {"energy_above_hull": (-np.inf, LIMIT)}, "structure")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "stability_of", lambda *_: learnt)
        patch.setattr(module, "energies_of", lambda *_: phases)
        tables = judge_together(task, Intake(batch, []))
    return tables.best


def column(told: pa.Table, name: str) -> np.ndarray:
    return np.asarray(told[name].to_numpy())


def test_value_interval_and_probability_are_of_one_distribution(told: pa.Table) -> None:
    value, low, high, chance = (
        column(told, name) for name in
        ("energy_above_hull_pred", "energy_above_hull_lo", "energy_above_hull_hi", "probability_energy_above_hull")
    )  # fmt: skip
    assert len(value) > 100
    assert ((low <= value) & (value <= high)).all()
    assert ((chance > 0.5) == (value <= LIMIT)).all()
    assert 0.2 < (chance > 0.5).mean() < 0.8
    assert (chance[high == 0] > 0.9).all()


def test_a_makeable_phase_is_never_more_probable_than_a_small_energy_above_the_hull(told: pa.Table) -> None:
    chance, makeable = column(told, "probability_energy_above_hull"), column(told, "probability_makeable_phase")
    assert (makeable <= chance).all()
    assert (makeable < chance - 0.1).any()
    np.testing.assert_array_equal(makeable, column(told, "probability"))


def test_what_may_be_missing_keeps_the_interval_open_and_is_said_of_deep_candidates_alone(told: pa.Table) -> None:
    distance, high = column(told, "hull_distance"), column(told, "energy_above_hull_hi")
    codes = told["hull_incomplete"].to_pylist()
    far = np.array(["far_below" in text for text in codes])
    assert far.any()
    np.testing.assert_array_equal(far, distance < -0.03)
    assert np.isinf(high[distance < -0.3]).all()
    assert np.isfinite(high[distance > 0]).all()
    assert (high[far] > 0).all(), "no interval ends on the hull where a phase may be missing"
    products = told["hull_products"].to_pylist()
    beaten = np.array(["(candidate" in text for text in products])
    assert beaten.any()
    assert not far[beaten].any()
