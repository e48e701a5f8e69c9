"""All relaxed candidates of a run are judged together: siblings, polymorphs, and nothing that depends on parts."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.reasons import POLYMORPH
from matloop.models.stability.competition import compete
from matloop.models.stability.coverage import KnownPhases
from matloop.models.stability.hull import Hull, PhaseEnergies
from matloop.models.stability.relaxed_makeable import highest_makeable
from matloop.models.stability.stability import Judgement
from matloop.workflows.stages import stability as module
from matloop.workflows.stages.fates import SCORED, Ending
from matloop.workflows.stages.scoring import ScoringTask, StageTables
from matloop.workflows.stages.stability import judge_together
from tests.workflows.conftest import campaign

STABLE: dict[str, Any] = {"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"}
KNOWN = {"Mg": 0.0, "Ti": 0.0, "O": 0.0, "MgO": -3.0, "TiO2": -3.2, "MgTiO3": -3.3}
REFERENCES = PhaseEnergies.from_table(list(KNOWN), list(KNOWN.values()), ["test"] * len(KNOWN))


@dataclass
class Certain:
    """A prediction whose probability falls from 1 at the hull to 0 at 0.1 eV/atom."""

    median: np.ndarray
    codes: np.ndarray
    met: np.ndarray | None = None
    wanted: tuple[float, float] | None = None

    @property
    def in_domain(self) -> np.ndarray:
        return np.isfinite(self.median)

    @property
    def sigma(self) -> np.ndarray:
        return np.zeros(len(self.median))

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        return self.median, self.median

    def probability_between(self, lower: float, upper: float) -> np.ndarray:
        return np.clip(1 - 10 * self.median, 0, 1) if self.met is None else self.met


class OnTheHull:
    """Stability by a hull of energies that are formation energies already."""

    elements = SimpleNamespace(corrections=np.zeros(119))

    def predict(self, candidates: PhaseEnergies, *, competing: bool = False) -> Judgement:
        assert competing
        hull = Hull(REFERENCES)
        found = compete(hull, candidates).distances
        prediction: Any = Certain(found.energy_above_hull, found.codes)
        coverage = KnownPhases(hull, REFERENCES.compositions).coverage(candidates.compositions)
        missing = np.full(len(candidates.ids), "", dtype=object)
        return Judgement({"energy_above_hull": prediction}, found, found.energy_above_hull, coverage, missing)


@pytest.fixture(scope="module", autouse=True)
def hull() -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "stability_of", lambda *_: OnTheHull())
    patch.setattr(module, "mixed_opinions", lambda first, _: first.predictions)
    patch.setattr(
        module, "energies_of",
        lambda batch, _: PhaseEnergies("test", batch.compositions, batch.column("relaxation_energy"), batch.ids),
    )  # fmt: skip
    yield
    patch.undo()


def relaxed(*candidates: tuple[str, float]) -> CandidateBatch:
    """Candidates with energies and the probability of meeting the other targets; equal compositions have own ids."""
    n, different = len(candidates), sorted({formula for formula, _ in candidates})
    rows = [different.index(formula) for formula, _ in candidates]
    table = CandidateBatch.from_formulas(different).batch.take(rows).to_arrow()
    table = table.set_column(
        table.column_names.index("candidate_id"), "candidate_id", [[f"{number:020d}" for number in range(n)]]
    )
    return CandidateBatch.from_arrow(table).with_columns(
        origin=[""] * n, relaxation_energy=np.array([energy for _, energy in candidates]),
        probability=np.linspace(0.9, 0.5, n), ranking_score=np.linspace(0.9, 0.5, n), capped_targets=[""] * n,
        in_domain=np.ones(n, bool),
    )  # fmt: skip


def judged(batch: CandidateBatch) -> StageTables:
    chosen = campaign(targets=[STABLE], potential={"steps": 1}, structure={"features": ["density"], "keep": 20})
    return judge_together(
        ScoringTask(chosen, Path("unused"), {"energy_above_hull": (-np.inf, 0.05)}, "structure"), Intake(batch, [])
    )


def test_of_one_composition_the_two_lowest_go_on() -> None:
    tables = judged(relaxed(("MgTi2O5", -3.30), ("MgTi2O5", -3.26), ("MgTi2O5", -3.29), ("Mg2TiO4", -3.1)))
    assert tables.counts == {
        Ending("stability", "scored"): 3, Ending("stability", "rejected", POLYMORPH, limit="2"): 1,
    }  # fmt: skip
    (ended,) = [row for row in tables.fates.to_pylist() if row["outcome"] != SCORED]
    assert (ended["candidate_id"][-1], ended["source"][-1]) == ("1", "0")
    assert float(ended["value"]) == pytest.approx(0.04)
    assert ended["hull_distance"] == pytest.approx(0.04)
    assert ended["hull_products"] == "1.00 MgTi2O5 (candidate 00000000)"
    assert [name[-1] for name in tables.best["candidate_id"].to_pylist()] == ["0", "2", "3"]


def test_the_probability_of_all_targets_is_that_of_the_others_times_that_of_stability() -> None:
    batch = relaxed(("Mg2TiO4", -3.09), ("Mg3TiO5", -3.11))
    best = judged(batch).best.sort_by("candidate_id")
    own = best["probability_energy_above_hull"].to_numpy()
    assert best["probability"].to_numpy().tolist() == (batch.column("probability") * own).tolist()
    assert own[0] == 0
    assert 0.1 < own[1] < 0.9


def test_kinship_outweighs_a_slightly_better_place_on_the_hull() -> None:
    batch = relaxed(("Mg3TiO5", -3.11), ("MgTi2O5", -3.25)).with_columns(probability=np.ones(2))
    alone = judged(batch).best.sort_by("candidate_id")
    best = judged(batch.with_columns(makeable_probability=np.array([0.6, 0.02]))).best.sort_by("candidate_id")
    by_potential = best["probability_energy_above_hull"].to_numpy()
    assert alone["probability"].to_numpy() == pytest.approx(np.minimum(by_potential, highest_makeable(0.05)))
    assert alone["capped_targets"].to_pylist() == ["", "energy_above_hull"]
    assert by_potential[1] > highest_makeable(0.05)
    assert best["probability"].to_numpy().tolist() == best["probability_makeable_phase"].to_numpy().tolist()
    assert np.argmax(alone["probability"].to_numpy()) == 1
    first, second = best["probability"].to_numpy()
    assert first > 0.3 > 0.15 > second


def test_a_candidate_without_a_place_on_the_hull_is_quarantined() -> None:
    tables = judged(relaxed(("Mg2TiO4", np.nan), ("CaO", -3.0), ("CaO", -2.9), ("CaO", -2.8)))
    assert tables.counts == {
        Ending("stability", "quarantined", "E-HULL-ENERGY"): 1, Ending("stability", "quarantined", "E-HULL-ELEMENT"): 3,
    }  # fmt: skip


FOUND = st.lists(
    st.tuples(st.sampled_from(["Mg2TiO4", "MgTi2O5", "Mg3TiO5", "TiO", "CaO"]), st.floats(-3.6, -2.6)),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=25)
@given(FOUND, st.randoms(use_true_random=False))
def test_every_candidate_has_one_end_whatever_their_order(found: list[tuple[str, float]], random: Any) -> None:
    batch = relaxed(*found)
    order = np.arange(len(batch))
    random.shuffle(order)
    first, again = judged(batch), judged(batch.take(order))
    assert sorted(first.fates["candidate_id"].to_pylist()) == sorted(batch.ids)
    assert first.fates.sort_by("candidate_id").equals(again.fates.sort_by("candidate_id"))
    assert first.best.equals(again.best)
    going = first.fates.filter(np.array(first.fates["outcome"].to_pylist()) == SCORED)
    assert sorted(first.best["candidate_id"].to_pylist()) == sorted(going["candidate_id"].to_pylist())
