"""Scoring of partitions in this process, with the surrogates of the finished run."""

import json
import pickle
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.reasons import (
    CHOSEN,
    NOT_RANKABLE,
    OUTSIDE_DOMAIN,
    REPEATED,
)
from matloop.data.errors import PlugInFailedError, RunError, UnknownNameError
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.known_materials import TRAINING_SETS, KnownCompositions
from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entry
from matloop.screening.filters.contract import Filter, Verdict
from matloop.screening.filters.elements import EXCLUDED_ELEMENT
from matloop.screening.filters.known_compounds import KNOWN_COMPOUND
from matloop.screening.ranking.ranking import ranking_order
from matloop.workflows.running.candidate_parts import with_known
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.stages import scoring as module
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.fates import SCORED, SHORTLISTED, Ending, FateCounts
from matloop.workflows.stages.funnel import funnel
from matloop.workflows.stages.scoring import (
    ScoringTask,
    StageTables,
    build_filters,
    lost_partition,
    score_partition,
    surrogate_of,
)
from tests.strategies import batch_of
from tests.workflows.conftest import SMALL, campaign

RANGES = {"piezoelectric_modulus": (2.0, float("inf")), "refractive_index": (1.5, 3.0)}


def task_in(folder: Path, finished: ScreeningRun, **changes: Any) -> ScoringTask:
    run = RunDirectory.create(folder, "unused")
    run.models.rmdir()
    run.models.symlink_to(finished.folder / "models")
    chosen: Campaign = campaign(**changes)
    return ScoringTask(chosen, folder, {target.property: RANGES[target.property] for target in chosen.targets})


@pytest.fixture(scope="module")
def children() -> CandidateBatch:
    (intake,) = IonicSubstitution(limit=400, min_probability=1e-3, max_sites=10).intakes(400)
    return with_known(intake, KnownCompositions()).batch


@pytest.fixture
def task(tmp_path: Path, finished: ScreeningRun) -> ScoringTask:
    return task_in(tmp_path / "run", finished)


def with_origin(*formulas: str) -> CandidateBatch:
    return batch_of(*formulas).with_columns(
        origin=list(formulas), known=np.zeros(len(formulas), bool), known_to=[""] * len(formulas)
    )


def outcomes(result: StageTables) -> dict[str, tuple[str, str, str]]:
    table = result.fates
    return dict(
        zip(
            table["formula"].to_pylist(),
            zip(*(table[k].to_pylist() for k in ("outcome", "stage", "code")), strict=True),
            strict=True,
        )
    )


def best_of(task: ScoringTask, results: list[StageTables]) -> pa.Table:
    merged = pa.concat_tables([result.best for result in results])
    order = ranking_order(merged["probability"].to_numpy(), merged["candidate_id"].to_pylist())
    return merged.take(pa.array(order[: task.campaign.surrogates.keep])).combine_chunks()


@pytest.mark.parametrize("size", [1, 37, 400])
def test_same_best_and_counts_for_any_partition_size(size: int, task: ScoringTask, children: CandidateBatch) -> None:
    few = children.take(range(0, 400, 4)) if size == 1 else children
    whole = score_partition(task, Intake(few, []))
    parts = [score_partition(task, Intake(part, [])) for part in few.slices(size)]
    assert sum((part.counts for part in parts), Counter()) == whole.counts
    assert best_of(task, parts).equals(best_of(task, [whole]))
    assert pa.concat_tables([part.fates for part in parts]).equals(whole.fates)


def test_shuffled_rows_give_the_same_best(task: ScoringTask, children: CandidateBatch) -> None:
    shuffled = children.take(np.random.default_rng(0).permutation(len(children)))
    results = [score_partition(task, Intake(batch, [])) for batch in (children, shuffled)]
    assert results[0].best.equals(results[1].best)
    assert results[0].counts == results[1].counts


def test_every_row_has_one_outcome(task: ScoringTask) -> None:
    batch = with_origin("CdS", "UO2", "NaCl", "Og2", "HeNe", "ZnS")
    known = [False, False, True, False, False, False]
    batch = batch.with_columns(known=known, known_to=[TRAINING_SETS if one else "" for one in known])
    refused = [Refused(1, "r1", "Fe0", "E-FORMULA-AMOUNT", "detail")]
    repeats = [Refused(0, "c1", "ZnO", REPEATED)]
    result = score_partition(task, Intake(batch, [*refused, *repeats]))
    assert outcomes(result) == {
        "CdS": ("rejected", "filter exclude_elements", EXCLUDED_ELEMENT),
        "UO2": ("rejected", "filter exclude_radioactive", EXCLUDED_ELEMENT),
        "NaCl": ("rejected", "filter new_compounds", KNOWN_COMPOUND),
        "Og": ("rejected", "filter exclude_radioactive", EXCLUDED_ELEMENT),
        "HeNe": ("quarantined", "surrogates", "E-MODEL-ELEMENT"),
        "ZnS": (SCORED, "ranking", ""),
        "Fe0": ("quarantined", "intake", "E-FORMULA-AMOUNT"),
        "ZnO": ("rejected", "intake", REPEATED),
    }
    assert sum(result.counts.values()) == 8
    assert result.best["formula"].to_pylist() == ["ZnS"]


def test_the_first_filter_that_rejects_is_named(tmp_path: Path, finished: ScreeningRun) -> None:
    task = task_in(tmp_path / "run", finished, filters=["exclude_radioactive", {"exclude_elements": ["U"]}])
    result = score_partition(task, Intake(with_origin("UO2"), []))
    assert outcomes(result)["UO2"][1] == "filter exclude_radioactive"


def test_every_row_is_told_once_in_the_funnel(
    tmp_path: Path, finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a filter is named twice, or is called otherwise in the registry than by itself."""
    monkeypatch.setitem(module.FILTERS, "without_gallium", "matloop.screening.filters.elements:ExcludeElements")
    filters: list[Any] = [{"exclude_elements": ["Cd"]}, {"exclude_elements": ["Pb"]}, {"without_gallium": ["Ga"]}]
    task = task_in(tmp_path / "run", finished, filters=filters)
    result = score_partition(task, Intake(with_origin("CdS", "CdTe", "PbS", "GaN", "ZnS"), []))
    counts = result.counts
    assert outcomes(result)["PbS"] == ("rejected", "filter 2 exclude_elements", EXCLUDED_ELEMENT)
    counts[Ending("ranking", "rejected", "R-LAST")] = counts.pop(Ending("ranking", SCORED))
    stages = {stage.stage: (stage.rows_in, stage.rows_out) for stage in funnel(task.campaign, counts, 5)}
    assert list(stages)[1:5] == [
        "filter exclude_elements", "filter 2 exclude_elements", "filter without_gallium", "features",
    ]  # fmt: skip
    assert list(stages.values())[1:5] == [(5, 3), (3, 2), (2, 1), (1, 1)]
    assert stages["shortlist"] == (0, 0)


def test_a_funnel_that_does_not_end_in_the_shortlist_is_refused() -> None:
    unknown = Ending("a stage nobody knows", "rejected", "R-WHY")
    counts = Counter({Ending("shortlist", SHORTLISTED, CHOSEN): 2, unknown: 1})
    with pytest.raises(RunError, match="the funnel leaves 3 rows and 2 are shortlisted"):
        funnel(campaign(), counts, 3)
    del counts[unknown]
    assert funnel(campaign(), counts, 2)[-1].rows_out == 2


@pytest.mark.parametrize("formulas", [(), ("CdS", "HgS")])
def test_nothing_to_score(formulas: tuple[str, ...], task: ScoringTask) -> None:
    refused = [Refused(0, "r1", "?", "E-FORMULA-SYNTAX")]
    result = score_partition(task, Intake(with_origin(*formulas), refused))
    assert sum(result.counts.values()) == len(formulas) + 1
    assert result.best.num_rows == 0


def ranked(counts: FateCounts) -> int:
    return sum(n for ending, n in counts.items() if ending.stage == "ranking")


def test_candidates_outside_the_domain_rank_only_where_wanted(
    tmp_path: Path, finished: ScreeningRun, children: CandidateBatch
) -> None:
    careful, daring = (
        task_in(tmp_path / str(explore), finished, shortlist={"size": 5, "explore": explore}, filters=[])
        for explore in (False, True)
    )
    result, explored = (score_partition(task, Intake(children, [])) for task in (careful, daring))
    outside = result.counts[Ending("domain", "rejected", OUTSIDE_DOMAIN)]
    assert outside > 0
    assert not [key for key in explored.counts if key[0] == "domain"]
    assert ranked(explored.counts) == ranked(result.counts) + outside
    assert pa.compute.all(result.best["in_domain"]).as_py()


class Broken:
    """A surrogate whose numbers are not finite although it reports no code."""

    def __init__(self, *centres: float) -> None:
        self.centres = np.array(centres)

    def predict(self, features: Any) -> Prediction:
        n = len(features)
        calibration = Calibration(0.1, np.linspace(-2, 2, 101))
        codes, yes = np.full(n, ""), np.ones(n, bool)
        return Prediction(self.centres[:n], np.ones(n), yes, codes, calibration, "identity", (-10.0, 10.0))


def test_a_score_that_is_no_number_never_ranks(task: ScoringTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_surrogate", lambda files, conditions: Broken(np.nan, 2.5, np.nan, 2.4))
    monkeypatch.setattr(module, "joint_probability_of", lambda task: JointProbability())
    batch = with_origin("ZnS", "GaAs", "AlN", "MgO")
    result = score_partition(task, Intake(batch, []))
    assert sorted(result.best["formula"].to_pylist()) == ["GaAs", "MgO"]
    assert np.isfinite(result.best["probability"].to_numpy()).all()
    assert sum(result.counts.values()) == 4
    assert result.counts[Ending("ranking", "rejected", NOT_RANKABLE)] == 2


class Failing(Filter):
    """A filter of another package with a mistake in it."""

    name = "failing"

    def judge(self, batch: CandidateBatch) -> Verdict:
        raise ValueError("boom \x1b[2J")


def test_a_filter_that_fails_is_named(task: ScoringTask, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = task.campaign.model_copy(update={"filters": campaign(filters=["new_compounds"]).filters})
    monkeypatch.setattr(module, "build_filters", lambda _: [Failing()])
    with pytest.raises(PlugInFailedError) as caught:
        score_partition(replace(task, campaign=chosen), Intake(with_origin("ZnS"), []))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made here, as on the way from a worker
    assert str(again).startswith("E-PLUG-IN-FAILED: filter new_compounds (")
    assert "failed with ValueError: boom" in str(again)
    assert "\x1b" not in str(again)


def test_r26_what_a_worker_keeps_goes_by_content_not_by_path(task: ScoringTask, tmp_path: Path) -> None:
    """A worker may outlive a run whose folder is then used again."""
    name, other = "refractive_index", "piezoelectric_modulus"
    first, second = surrogate_of(task, name), surrogate_of(task, other)
    moved = replace(task, folder=tmp_path / "moved")
    source, target = RunDirectory(task.folder), RunDirectory(moved.folder).model(task.stage, name)
    shutil.copytree(source.model(task.stage, name), target)
    assert surrogate_of(moved, name) is first  # the same files elsewhere
    shutil.rmtree(target)
    shutil.copytree(source.model(task.stage, other), target)
    assert surrogate_of(moved, name) is second  # other files in the same place


def test_work_travels_between_processes(task: ScoringTask, children: CandidateBatch) -> None:
    call = (task, Intake(children.take(range(5)), [Refused(0, "r1", "?", "E-FORMULA-SYNTAX")]))
    again = pickle.loads(pickle.dumps(call))  # noqa: S301 - made here
    assert again[0] == task
    results = [score_partition(*made) for made in (call, again)]
    assert results[0].counts == results[1].counts
    assert results[0].best.equals(results[1].best)


def test_what_ends_every_worker_is_quarantined(task: ScoringTask) -> None:
    refused = [Refused(0, "r1", "?", "E-FORMULA-SYNTAX")]
    result = lost_partition(task, Intake(with_origin("ZnS", "AlN"), refused))
    assert outcomes(result)["ZnS"] == outcomes(result)["AlN"] == ("quarantined", "features", "E-GUARD-CRASH")
    assert sum(result.counts.values()) == 3
    assert result.best.num_rows == 0


def test_features_and_filters_by_name() -> None:
    entries = (Entry(name="magpie"), Entry(name="matminer", options={"featurizer": "BandCenter"}))
    assert len(build_feature_set(entries).feature_names) == 133
    assert [filter_.name for filter_ in build_filters(campaign())] == [
        "exclude_elements", "exclude_radioactive", "new_compounds",
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="did you mean 'magpie'"):
        build_feature_set((Entry(name="magpi"),))
    with pytest.raises(UnknownNameError, match="did you mean 'new_compounds'"):
        build_filters(campaign(filters=["new_compound"]))


def test_cards_carry_the_seed_and_the_family(finished: ScreeningRun) -> None:
    for target in SMALL["targets"]:
        card = json.loads(
            (finished.folder / "models" / "surrogates" / target["property"] / "card.json").read_text("utf-8")
        )
        assert card["family"] == "extra_trees"
        assert card["parameters"]["seed"] == 0
        assert card["rows_trained"] > 900
        assert card["scores"]["mae"] < card["scores"]["mae_of_mean"]
