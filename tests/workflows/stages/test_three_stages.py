"""A run whose survivors are scored by their crystals and relaxed with a potential."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.candidates.reasons import BELOW_CUT, EQUAL_CRYSTAL, EXPLODED
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import probability_of
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from matloop.models.stability.hull import packaged_references
from matloop.models.stability.relaxed_makeable import highest_makeable, makeable_after_relaxing
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.language.text import percent
from matloop.workflows.running import reference_phases
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.progress import SilentProgress
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.stages import potential as potential_stage
from matloop.workflows.stages.fates import SCORED, Ending
from matloop.workflows.stages.potential import relax_partition
from matloop.workflows.stages.scoring import ScoringTask
from tests.strategies import batch_of
from tests.workflows.conftest import campaign, files_of

pytest.importorskip("chgnet")

STABLE = {"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"}
INDEX = {"property": "refractive_index", "goal": "window", "lower": 1.5, "upper": 3.0, "unit": "1"}
THREE_STAGES: dict[str, Any] = {
    "name": "three_stages",
    "targets": [STABLE, INDEX],
    "surrogates": {"features": ["valence_orbital"], "keep": 40},
    "structure": {"features": ["valence_orbital", "density"], "keep": 5},
    "potential": {"steps": 3, "largest_force": 0.5, "competitors": 2},
    "shortlist": {"size": 2},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScreeningRun:
    return screen(campaign(**THREE_STAGES), output=tmp_path_factory.mktemp("runs") / "three")


def partitions(run: ScreeningRun, stage: str) -> pa.Table:
    return pa.concat_tables(
        [pq.read_table(path) for path in files_of(RunDirectory(run.folder).partitions / stage)],
        promote_options="permissive",
    )


def test_survivors_go_from_stage_to_stage(run: ScreeningRun) -> None:
    first, second, third = (partitions(run, stage) for stage in ("surrogates", "structure", "potential"))
    funnel = {stage.stage: stage for stage in run.summary.funnel}
    # Of equal crystals among the best of the first stage only the most probable goes on.
    equal = sum(lost.rows for lost in funnel["ranking"].lost if lost.code == EQUAL_CRYSTAL)
    assert equal < 5
    for before, after, keep, merged in ((first, second, 40, equal), (second, third, 5, 0)):
        scored = before.filter(pa.compute.is_in(before["code"], pa.array(["", BELOW_CUT])))
        order = np.lexsort((scored["candidate_id"].to_pylist(), -scored["probability"].to_numpy()))[:keep]
        best, went_on = {scored["candidate_id"][row].as_py() for row in order}, set(after["candidate_id"].to_pylist())
        assert went_on <= best
        assert len(went_on) == after.num_rows == keep - merged
    assert funnel["ranking"].rows_out == 40 - equal
    assert funnel["structure"].rows_out == 5
    assert sum(run.summary.outcomes.values()) == run.summary.rows_in


def test_ranked_are_the_relaxed_crystals(run: ScreeningRun) -> None:
    ranked, third = run.ranked, partitions(run, "stability")
    scored = third.filter(pa.compute.equal(third["outcome"], SCORED))
    assert sorted(ranked.ids) == sorted(scored["candidate_id"].to_pylist())
    relaxed = partitions(run, "potential")
    handed_on = relaxed.filter(pa.compute.equal(relaxed["outcome"], SCORED))["candidate_id"].to_pylist()
    assert set(third["candidate_id"].to_pylist()) <= set(handed_on)
    assert (np.diff(ranked.column("probability")) <= 0).all()
    change = ranked.column("relaxation_volume_change")
    assert ranked.crystals is not None
    assert (np.abs(change) > 1e-6).any()
    # The hull decides about stability.
    distance, probability = (ranked.column(name) for name in ("hull_distance", "probability_energy_above_hull"))
    incomplete = np.array([bool(text) for text in ranked.table["hull_incomplete"].to_pylist()])
    assert incomplete[distance < -0.03].all()
    assert (probability[(distance < 0) & ~incomplete] > 0.7).all()
    assert (probability[distance > 0.2] < 0.3).all()
    # So does kinship to known compounds.
    together = makeable_after_relaxing(ranked.column("makeable_probability").astype(float), probability)
    supported = np.minimum(together, highest_makeable(0.05))
    np.testing.assert_allclose(ranked.column("probability_makeable_phase"), supported, rtol=1e-5)
    text = run.report.read_text(encoding="utf-8")
    assert "above the hull of" in text
    assert "energy by chgnet" in text
    assert "not relaxed" not in text


def test_a_card_tells_value_interval_and_probability_of_one_distribution(run: ScreeningRun) -> None:
    html, cards = run.report.read_text("utf-8"), run.ranked.column("shortlisted") > 0
    value, low, high = (run.ranked.column(f"energy_above_hull_{end}") for end in ("pred", "lo", "hi"))
    chance, makeable = (run.ranked.column(f"probability_{name}") for name in ("energy_above_hull", "makeable_phase"))
    assert ((low <= value) & (value <= high)).all()
    assert ((chance > 0.5) == (value <= 0.05)).all()
    assert (makeable <= chance).all()
    shown = re.findall(r'<div class="target">.*?target-chance">(.*?)</span>', html, re.DOTALL)[
        :: len(THREE_STAGES["targets"])
    ]
    place = np.argsort(run.ranked.column("shortlisted")[cards])
    assert [text.replace("&lt;", "<").replace("&gt;", ">") for text in shown] == [
        percent(share) for share in chance[cards][place]
    ]
    told = re.findall(r'class="makeable"><span lang="en">P\(makeable phase\)</span>.*?<b>(.*?)</b>', html)
    assert [text.replace("&lt;", "<") for text in told] == [percent(share) for share in makeable[cards][place]]


def test_known_phases_that_compete_are_relaxed_for_the_hull_of_the_potential(run: ScreeningRun) -> None:
    table = pq.read_table(RunDirectory(run.folder).competitors)
    assert 1 <= table.num_rows <= 2
    packaged = set(composition_keys(load_materials().compositions).tolist())
    compositions, _ = parse_formulas(table["formula"].to_pylist())
    assert not packaged & set(composition_keys(compositions).tolist()), "packaged crystals have an energy already"
    systems = [set(elements) for elements in run.ranked.to_arrow()["elements"].to_pylist()]
    present = compositions.element_mask()
    for row in range(len(compositions)):
        assert any(set(np.flatnonzero(present[row])) <= elements for elements in systems)
    (line,) = Manifest(run.folder).of_kind("competitors")
    assert list(line["files"]) == ["competitors.parquet"]


def test_surrogates_of_both_stages_are_kept(run: ScreeningRun) -> None:
    names = {path.relative_to(run.folder / "models").as_posix() for path in run.folder.glob("models/*/*/card.json")}
    assert names == {f"{s}/{t['property']}/card.json" for s in ("surrogates", "structure") for t in (STABLE, INDEX)}


@pytest.fixture
def task(run: ScreeningRun) -> Callable[..., ScoringTask]:
    """The last scoring stage's task in a folder with the finished run's models."""

    def made(folder: Path, **changes: Any) -> ScoringTask:
        again = RunDirectory.create(folder, "unused")
        again.models.rmdir()
        again.models.symlink_to(run.folder / "models")
        ranges = {"energy_above_hull": (-np.inf, 0.05), "refractive_index": (1.5, 3.0)}
        return ScoringTask(campaign(**{**THREE_STAGES, **changes}), folder, ranges, "structure")

    return made


def survivors(rows: list[int]) -> CandidateBatch:
    batch = load_materials().take(rows)
    probability = np.linspace(0.9, 0.5, len(rows))
    return batch.with_columns(
        origin=batch.table["material_id"], known=np.ones(len(rows), bool), probability=probability
    )


def test_a_relaxation_that_fails_takes_no_other_with_it(
    task: Callable[..., ScoringTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = np.flatnonzero(load_materials().crystals.site_counts <= 3)[:3].tolist()
    clean = relax_partition(task(tmp_path / "clean"), Intake(survivors(small), []))
    assert sum(clean.counts.values()) == 3

    def tight(**given: Any) -> RelaxationLimits:
        return RelaxationLimits(**given, volume_ratio=(0.5, 0.6))

    monkeypatch.setattr(potential_stage, "RelaxationLimits", tight)
    exploded = relax_partition(task(tmp_path / "exploded"), Intake(survivors(small), []))
    assert exploded.counts == {Ending("potential", "rejected", EXPLODED): 3}
    assert exploded.best.num_rows == 0


def test_what_compositions_say_still_counts_after_relaxing(
    task: Callable[..., ScoringTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crystal that is no insulator by its composition, half the time, is half as probable however it relaxes."""
    small = np.flatnonzero(load_materials().crystals.site_counts <= 3)[:2].tolist()
    before = relax_partition(task(tmp_path / "before"), Intake(survivors(small), [])).best

    def half(given: ScoringTask, predictions: dict[str, Prediction], batch: CandidateBatch) -> dict[str, Prediction]:
        assert given.ranges.keys() == predictions.keys()
        return {name: replace(one, insulator=np.full(len(batch), 0.5)) for name, one in predictions.items()}

    monkeypatch.setattr(potential_stage, "with_composition", half)
    after = relax_partition(task(tmp_path / "after"), Intake(survivors(small), [])).best
    column = probability_of(INDEX["property"])
    np.testing.assert_allclose(after[column].to_numpy(), before[column].to_numpy() / 2, rtol=1e-5)


def test_a_relaxation_cut_short_by_time_does_not_rank(task: Callable[..., ScoringTask], tmp_path: Path) -> None:
    small = np.flatnonzero(load_materials().crystals.site_counts <= 3)[:1].tolist()
    hurried = {"steps": 100, "largest_force": 1e-9, "seconds": 1e-3}
    result = relax_partition(task(tmp_path / "hurried", potential=hurried), Intake(survivors(small), []))
    assert result.counts == {Ending("potential", "quarantined", "E-POTENTIAL-TIMEOUT"): 1}


def test_candidates_without_crystal_are_coded(task: Callable[..., ScoringTask], tmp_path: Path) -> None:
    batch = batch_of("NaCl", "ZnS").with_columns(origin=["a", "b"], known=[True, True])
    result = relax_partition(task(tmp_path / "bare"), Intake(batch, []))
    assert result.counts == {Ending("potential", "quarantined", "E-POTENTIAL-CRYSTAL"): 2}


def test_further_references_are_evaluated_once_and_used(
    run: ScreeningRun, workers: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References of the campaign reach the hull under the ids of their source."""
    chosen: Campaign = campaign(**THREE_STAGES)
    potential = chosen.potential
    assert potential is not None
    few = load_materials().take([10, 11, 12])

    class Few:
        name = "few"

        def count(self) -> int:
            return 3

        def intakes(self, size: int) -> Any:
            yield Intake(few, [])

    monkeypatch.setattr(reference_phases, "sources_of", lambda entries: [Few()])
    stage = potential.model_copy(update={"references": campaign(sources=["embedded"]).sources})
    run_directory = RunDirectory.create(tmp_path / "run", "x")
    engine = Engine(workers, run_directory, Manifest(run_directory.folder), SilentProgress(), 2)
    reference_phases.provide_references(chosen.model_copy(update={"potential": stage}), engine)
    table = pq.read_table(engine.run.references)
    assert table["id"].to_pylist() == few.ids
    expected = packaged_references(load_materials()).energies[[10, 11, 12]]
    relaxed = table["energy_per_atom"].to_numpy()
    assert (relaxed <= expected + 2e-5).all(), "relaxing lowers energies"
    assert np.allclose(relaxed, expected, atol=0.02)
    assert table["code"].to_pylist() == ["", "", ""]
    assert not any(table["packaged"].to_pylist())
