"""Explanations of a small run whose targets depend on one elemental property each, by construction."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.packaged.materials import load_materials
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.data.runs.training_files import write_training_sets
from matloop.data.training.known_materials import KnownCompositions
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_json, write_table, write_text
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.campaign_file import write_campaign
from matloop.screening.explaining.element_swaps import single_swaps
from matloop.screening.ranking.ranking import diverse_choice, ranking_order
from matloop.screening.report.explanations import explanation_words
from matloop.screening.report.page import render_report
from matloop.screening.runs.run_summary import RunSummary
from matloop.screening.runs.run_view import RunView
from matloop.workflows.deciding.explanations import explain_run
from matloop.workflows.stages.campaign_featurizers import build_feature_set

NAMES = {
    "bulk_modulus_vrh": "MagpieData mean Electronegativity",
    "band_gap": "MagpieData mean AtomicWeight",
}
RANGES = {"bulk_modulus_vrh": (250.0, float("inf")), "band_gap": (-float("inf"), 4.0)}


def planted_campaign(**shortlist: Any) -> Campaign:
    return Campaign.model_validate(
        {
            "name": "planted",
            "sources": [{"ionic_substitution": {"limit": 400, "min_probability": 1e-3, "max_sites": 10}}],
            "filters": [{"exclude_elements": ["Cd", "Hg", "Pb", "Tl"]}, "exclude_radioactive", "new_compounds"],
            "targets": [
                {"property": "bulk_modulus_vrh", "goal": "at_least", "value": 250, "unit": "GPa"},
                {"property": "band_gap", "goal": "at_most", "value": 4.0, "unit": "eV", "family": "boosted_trees"},
            ],
            "surrogates": {"features": ["magpie", "density"], "keep": 60},
            "shortlist": {"size": 3, "diversity": 0.5, **shortlist},
        }
    )


def make_planted_run(folder: Path) -> None:
    """Train on targets that are elemental means, and rank the children."""
    campaign, run = planted_campaign(), RunDirectory.create(folder, "planted")
    features_of = build_feature_set(campaign.surrogates.features).featurize
    materials = load_materials().take(np.arange(0, 6317, 9))
    training = features_of(materials)
    groups = materials.groups()
    (intake,) = IonicSubstitution(limit=400, min_probability=1e-3, max_sites=10).intakes(400)
    batch = intake.batch.take(np.flatnonzero(~KnownCompositions().include(intake.batch.compositions)))
    features = features_of(batch)
    sound = np.flatnonzero(features.codes == "")
    batch, features = batch.take(sound), features.take(sound)
    surrogates, predictions, columns = {}, {}, {}
    for target in campaign.targets:
        name = target.property
        planted = training.values[:, training.names.index(NAMES[name])]
        truth = 100 * planted if name == "bulk_modulus_vrh" else planted / 15
        family = target.family or "extra_trees"
        parameters = {"trees": 60} if family == "extra_trees" else {"boosters": 3, "rounds": 150}
        surrogate = Surrogate.fit(
            name, training, truth, groups, family=family, parameters=parameters, ids=materials.ids
        )  # fmt: skip
        surrogate.save(run.model("surrogates", name))
        surrogates[name] = surrogate
        predictions[name] = surrogate.predict(features)
        columns |= {f"{name}_pred": predictions[name].median, f"{name}_lo": predictions[name].interval()[0]}
        columns |= {f"{name}_hi": predictions[name].interval()[1]}
    chance, each, *_ = JointProbability.fit(surrogates, RANGES).probabilities(predictions, RANGES)
    columns |= {f"probability_{name}": values for name, values in each.items()}
    order = ranking_order(chance, batch.ids)[:60]
    ranked = batch.with_columns(probability=chance, **columns).take(order)
    picks = diverse_choice(ranked.column("probability"), ranked.compositions, size=3, diversity=0.5)
    place = np.zeros(len(ranked), np.int64)
    place[picks] = [1, 2, 3]
    ranked = ranked.with_columns(rank=np.arange(1, len(ranked) + 1), shortlisted=place)
    write_text(run.folder / "campaign.yaml", write_campaign(campaign))
    write_training_sets(run, TrainingSets.of([target.property for target in campaign.targets]))
    write_table(run.ranked, ranked.to_arrow())
    ends = {name: tuple(None if np.isinf(end) else end for end in ends) for name, ends in RANGES.items()}
    outcomes = {"rejected": 97, "shortlisted": 3}
    summary = RunSummary(
        campaign="planted", seed=0, rows_in=100, outcomes=outcomes, funnel=(), ranges=ends, python="3.11", versions={},
        seconds={}, sessions=1, workers=1,
    )  # fmt: skip
    write_json(run.summary, summary.model_dump(mode="json"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained") / "run"
    make_planted_run(folder)
    explain_run(folder)
    return folder


@pytest.fixture
def told(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "explanations.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def ranked(folder: Path) -> CandidateBatch:
    return CandidateBatch.read_parquet(folder / "ranked.parquet")


def test_contributions_of_every_finalist_add_up(told: dict[str, Any]) -> None:
    assert [finalist["place"] for finalist in told["finalists"]] == [1, 2, 3]
    for finalist in told["finalists"]:
        for target in finalist["targets"].values():
            parts = target["contributions"]
            total = parts["base"] + sum(group["contribution"] for group in parts["groups"]) + parts["others"]
            assert total == pytest.approx(target["centre"], rel=1e-9)
            assert total + parts["calibration"] == pytest.approx(target["prediction"], rel=1e-9)


@pytest.mark.parametrize(("name", "group"), [("bulk_modulus_vrh", "electronegativity"), ("band_gap", "atomic weight")])
def test_the_planted_property_comes_first_wherever_the_prediction_moves(
    told: dict[str, Any], name: str, group: str
) -> None:
    moved = 0
    for finalist in told["finalists"]:
        parts = finalist["targets"][name]["contributions"]
        scale = abs(finalist["targets"][name]["centre"] - parts["base"])
        if scale > 0.05 * abs(parts["base"]):
            moved += 1
            assert parts["groups"][0]["group"]["en"] == group
            assert group in parts["groups"][0]["text"]["en"]
    assert moved


def test_predictions_are_those_of_the_ranking(told: dict[str, Any], ranked: CandidateBatch) -> None:
    for finalist in told["finalists"]:
        row = ranked.ids.index(finalist["candidate_id"])
        for name, target in finalist["targets"].items():
            assert target["prediction"] == pytest.approx(ranked.column(f"{name}_pred")[row])
            assert finalist["margins"][name]["probability"] == pytest.approx(ranked.column(f"probability_{name}")[row])


def test_nearest_training_compounds_carry_their_own_values(told: dict[str, Any]) -> None:
    materials = load_materials()
    names = materials.table["material_id"].to_pylist()
    features = build_feature_set(planted_campaign().surrogates.features).featurize(materials)
    for finalist in told["finalists"]:
        nearest = finalist["targets"]["bulk_modulus_vrh"]["nearest_training"]
        assert len(nearest) == 5
        assert [one["distance"] for one in nearest] == sorted(one["distance"] for one in nearest)
        for one in nearest:
            row = names.index(one["material_id"])
            assert materials.formulas[row] == one["formula"]
            planted = features.values[row, features.names.index(NAMES["bulk_modulus_vrh"])]
            assert one["value"] == pytest.approx(100 * planted)


def test_the_best_swap_gains_most_and_is_scored_by_the_surrogates(
    folder: Path, told: dict[str, Any], ranked: CandidateBatch
) -> None:
    surrogate = Surrogate.load(RunDirectory(folder).model("surrogates", "bulk_modulus_vrh"))
    own = surrogate.out_of_fold_prediction().probability_between(*RANGES["bulk_modulus_vrh"])
    highest = np.sort(own)[-20]  # no more than twenty rows reach
    features_of = build_feature_set(planted_campaign().surrogates.features).featurize
    checked = 0
    for finalist in told["finalists"]:
        swaps, made = single_swaps(ranked.take([ranked.ids.index(finalist["candidate_id"])]), KnownCompositions())
        chances = surrogate.predict(features_of(made)).probability_between(*RANGES["bulk_modulus_vrh"])
        best = finalist["swaps"]["best"]["bulk_modulus_vrh"]
        assert finalist["swaps"]["tried"] == len(swaps)
        if best is None:
            continue
        checked += 1
        row = made.formulas.index(best["formula"])
        before, after = best["targets"]["bulk_modulus_vrh"]["probability"]
        assert after == pytest.approx(min(chances[row], highest))
        assert after > before
        assert not best["known"]
        assert not set(made.compositions.take(np.array([row])).elements) & {
            ATOMIC_NUMBERS[symbol] for symbol in ("Cd", "Hg", "Pb", "Tl")
        }
    assert checked


def test_a_finalist_falls_out_below_the_stated_probability_and_a_near_miss_gets_in_above_its_own(
    told: dict[str, Any], ranked: CandidateBatch
) -> None:
    probability = ranked.column("probability")
    assert len(told["near_misses"]) == 5
    for one in [*told["finalists"], *told["near_misses"]]:
        row = ranked.ids.index(one["candidate_id"])
        for factor in (0.999, 1.001):
            trial = probability.copy()
            trial[row] = one["needed"] * factor
            picks = diverse_choice(trial, ranked.compositions, size=3, diversity=0.5)
            assert (row in picks) is (factor > 1)
    assert all(one["place"] == 0 and one["needed"] >= one["probability"] for one in told["near_misses"])


def test_near_misses_at_a_cap_are_told_the_ranking_score_that_decides(
    folder: Path, ranked: CandidateBatch, tmp_path: Path
) -> None:
    run = RunDirectory(shutil.copytree(folder, tmp_path / "capped"))
    score = ranked.column("probability").astype(float)
    highest = score[7]  # the first eight are equally probable
    columns = {"probability": np.minimum(score, highest), "ranking_score": score}
    picks = diverse_choice(columns["probability"], ranked.compositions, size=3, diversity=0.5)
    place = np.zeros(len(ranked), np.int64)
    place[picks] = [1, 2, 3]
    write_table(run.ranked, ranked.with_columns({**columns, "shortlisted": place}).to_arrow())
    told = explain_run(run.folder)
    near = [one for one in told["near_misses"] if one["needed"] == pytest.approx(one["probability"], rel=1e-12)]
    assert near
    for one in near:
        assert one["ranking_score"] == score[ranked.ids.index(one["candidate_id"])]
        assert one["ranking_score_needed"] in score[picks]
        assert one["ranking_score_needed"] >= one["ranking_score"]
    assert all(one["ranking_score_needed"] is None for one in told["near_misses"] if one not in near)
    finalists = [one for one in told["finalists"] if one["needed"] == pytest.approx(one["probability"], rel=1e-12)]
    assert finalists, [(one["needed"], one["probability"]) for one in told["finalists"]]
    first = RunView(run.folder).explanations[finalists[0]["candidate_id"]]
    assert first["ranking_score"] == score[ranked.ids.index(finalists[0]["candidate_id"])]
    assert "or if others of the same probability rank before it" in explanation_words({"x": first}, "x").cut.en


def test_with_the_probability_at_the_cut_all_targets_are_met_as_the_cut_needs(
    folder: Path, told: dict[str, Any], ranked: CandidateBatch
) -> None:
    surrogates = {name: Surrogate.load(RunDirectory(folder).model("surrogates", name)) for name in RANGES}
    joint = JointProbability.fit(surrogates, RANGES)
    checked = 0
    for one in [*told["finalists"], *told["near_misses"]]:
        each = {name: np.array([margin["probability"]]) for name, margin in one["margins"].items()}
        assert joint.of_all(each)[0] == pytest.approx(one["probability"])
        for name, margin in one["margins"].items():
            if margin["at_cut"] is not None:
                checked += 1
                found = joint.of_all({**each, name: np.array([margin["at_cut"]])})
                assert found[0] == pytest.approx(one["needed"])
    assert checked


def test_the_cut_of_a_stage_is_the_one_that_its_merge_wrote_down(folder: Path, ranked: CandidateBatch) -> None:
    names, chances = [*ranked.ids, "other"], np.append(ranked.column("probability"), np.nan)
    columns = {"candidate_id": names, "outcome": ["scored"] * len(ranked) + ["rejected"], "probability": chances}
    path = RunDirectory(folder).partition("surrogates", 0)
    path.parent.mkdir(exist_ok=True)
    write_table(path, pa.table(columns))
    (folder / "partitions" / "surrogates" / "notes.txt").write_text("not a partition")
    Manifest(folder).append("fates", stage="surrogates", merge="below-cut", files={}, counts=[], least=0.25)
    told = explain_run(folder)
    for finalist in told["finalists"]:
        (stage,) = finalist["stages"]
        assert stage["probability"] == pytest.approx(finalist["probability"])
        assert stage["cut"] == 0.25
    page = render_report(RunView(folder))
    assert "falls out below" in page


def test_the_page_tells_it_in_both_languages(folder: Path, told: dict[str, Any]) -> None:
    page = render_report(RunView(folder))
    assert "What raises and lowers each prediction" in page
    assert "出局条件" in page
    sentence = told["finalists"][0]["targets"]["bulk_modulus_vrh"]["contributions"]["groups"][0]["text"]
    assert sentence["en"] in page
    assert sentence["zh"] in page


def test_the_page_names_nonmetals_that_training_compounds_hardly_have(folder: Path, told: dict[str, Any]) -> None:
    run = RunView(folder)
    finalist = told["finalists"][0]
    finalist["targets"]["bulk_modulus_vrh"]["domain"]["hardly_seen"] = ["F", "Cl"]
    run.explanations[finalist["candidate_id"]] = finalist
    page = render_report(run)
    assert "hardly a training compound has F or Cl" in page
    assert "训练数据中几乎没有含 F、Cl 的化合物" in page


def test_names_in_explanations_stay_text(folder: Path, told: dict[str, Any]) -> None:
    hostile = "<script>alert(1)</script>"
    run = RunView(folder)
    finalist = told["finalists"][0]
    for target in finalist["targets"].values():
        target["nearest_training"][0] |= {"formula": hostile, "material_id": hostile}
        target["contributions"]["groups"][0]["text"] = {"en": hostile, "zh": hostile}
    finalist["filters"][0] |= {"stage": hostile, "text": {"en": hostile, "zh": hostile}}
    for best in filter(None, finalist["swaps"]["best"].values()):
        best |= {"old": hostile, "new": hostile, "formula": hostile}
    run.explanations[finalist["candidate_id"]] = finalist
    page = render_report(run)
    assert hostile not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_a_candidate_that_the_model_cannot_score_is_still_told_of(
    folder: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    run = RunView(folder)
    finalist = told["finalists"][0]
    finalist["targets"] = {name: {"code": "E-FEATURE-NODATA"} for name in finalist["targets"]}
    finalist["swaps"] = None
    run.explanations[finalist["candidate_id"]] = finalist
    assert "E-FEATURE-NODATA" in render_report(run)
