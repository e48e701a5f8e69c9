"""Families chosen within a budget, and probabilities by classifiers, through the stages of a campaign."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.packaged.materials import load_materials
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_sets import TrainingSets
from matloop.featurizers.base import FeatureSet
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.stage_settings import FAMILIES_TO_CHOOSE_FROM
from matloop.workflows.cli import main
from matloop.workflows.commands.model_scores import print_scores
from matloop.workflows.deciding.selection_evidence import known_rows
from matloop.workflows.deciding.swap_effects import one_row
from matloop.workflows.stages import training
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.scoring import (
    ScoringTask,
    features_of,
    joint_probability_of,
    score_partition,
    surrogate_of,
)
from matloop.workflows.stages.stage_features import stage_feature_set
from matloop.workflows.stages.training import train_surrogate

PIEZO: dict[str, Any] = {"property": "piezoelectric_modulus", "goal": "maximize", "unit": "C/m2"}
INDEX: dict[str, Any] = {"property": "refractive_index", "goal": "at_least", "value": 2.2, "unit": "1"}
CHEAP: dict[str, Any] = {
    "name": "cheap",
    "sources": [{"ionic_substitution": {"limit": 300, "min_probability": 1e-3, "max_sites": 10}}],
    "targets": [PIEZO, {**INDEX, "probability": "classifier"}],
    "surrogates": {"features": ["stoichiometry"], "keep": 60},
    "shortlist": {"size": 5, "diversity": 0.5},
}
SMALL_FAMILIES = ["few_trees", "stump"]


@pytest.fixture(scope="module", autouse=True)
def families() -> Any:
    from matloop.models.registry import MODELS

    patch = pytest.MonkeyPatch()
    for name, attribute in (("few_trees", "FewTrees"), ("stump", "Stump")):
        patch.setitem(MODELS, name, f"tests.workflows.bench.few_trees:{attribute}")  # type: ignore[arg-type]
    yield
    patch.undo()


def cheap(**changes: Any) -> Campaign:
    return Campaign.model_validate({**CHEAP, **changes})


def train(campaign: Campaign, folder: Path, *names: str) -> dict[tuple[str, str], dict[str, Any]]:
    run = RunDirectory.create(folder, "unused")
    return {
        (stage, target.property): train_surrogate(
            campaign, stage, target, training=packaged_training_set(target.property), folder=run.folder
        )
        for stage in names or ("surrogates",)
        for target in campaign.targets
    }


def stage_of(**changes: Any) -> dict[str, Any]:
    return {**CHEAP["surrogates"], **changes}


class Scored:
    """A trained campaign whose second target has a classifier, and children it scored."""

    def __init__(self, folder: Path) -> None:
        self.campaign = cheap()
        self.cards = train(self.campaign, folder)
        best = self.cards["surrogates", "piezoelectric_modulus"]["best_of_training"]
        self.ranges = {target.property: target.range(tuple(best)) for target in self.campaign.targets}
        self.task = ScoringTask(self.campaign, folder, self.ranges)
        (intake,) = IonicSubstitution(limit=300, min_probability=1e-3, max_sites=10).intakes(300)
        self.children = intake.batch


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return Scored(tmp_path_factory.mktemp("runs") / "scored")


def test_the_best_of_a_list_is_trained_and_its_card_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = cheap(targets=[PIEZO], surrogates=stage_of(family=SMALL_FAMILIES))
    card = train(campaign, tmp_path / "run")["surrogates", "piezoelectric_modulus"]
    assert card["family"] == card["choice"]["winner"] == "few_trees"
    assert {trial["family"]: trial["outcome"] for trial in card["choice"]["tried"]} == dict.fromkeys(
        SMALL_FAMILIES, "tried"
    )
    assert card["choice"]["budget"]["seconds"] is None
    assert card["parameters"]["seed"] == 0
    loaded = Surrogate.load(tmp_path / "run" / "models" / "surrogates" / "piezoelectric_modulus")
    assert loaded.card == card
    assert not (loaded.training.ids == "").any()
    print_scores(tmp_path / "run")
    shown = " ".join(capsys.readouterr().out.split())
    assert "few_trees had the least mean absolute error over 5 folds" in shown
    assert "Families tried, by nested cross-validation" in shown


def test_time_out_of_budget_leaves_the_cheapest(tmp_path: Path) -> None:
    campaign = cheap(targets=[PIEZO], surrogates=stage_of(family=["extra_trees", "stack"], budget="1s"))
    card = train(campaign, tmp_path / "run")["surrogates", "piezoelectric_modulus"]
    assert card["family"] == "extra_trees"
    assert [trial["outcome"] for trial in card["choice"]["tried"]] == ["tried", "out of budget"]
    assert card["choice"]["budget"]["seconds"] == 1
    assert "did not fit into the budget of 1 s" in card["choice"]["reason"]


def test_each_choice_gets_its_share_of_the_budget(tmp_path: Path) -> None:
    targets = [{**PIEZO, "family": "stump"}, {**INDEX, "family": SMALL_FAMILIES}]
    cards = train(cheap(targets=targets, surrogates=stage_of(budget="30s", family="stump")), tmp_path / "run")
    assert "choice" not in cards["surrogates", "piezoelectric_modulus"]
    assert cards["surrogates", "refractive_index"]["choice"]["budget"]["seconds"] == 30


def test_a_single_family_is_trained_without_choosing(scored: Scored) -> None:
    assert all("choice" not in card for card in scored.cards.values())
    assert "probability" not in scored.cards["surrogates", "piezoelectric_modulus"]


def test_the_card_of_a_classifier(
    scored: Scored, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    card = scored.cards["surrogates", "refractive_index"]
    found = card["probability"]
    assert found["wanted"] == [2.2, None]
    assert found["rows"] == card["rows_trained"]
    assert found["scores"]["brier"] < found["scores"]["brier_of_share"]
    assert sum(rows for _, _, rows in found["scores"]["reliability"]) == found["rows"]
    on_disk = RunDirectory(scored.task.folder).model("surrogates", "refractive_index") / "card.json"
    assert json.loads(on_disk.read_text("utf-8")) == card
    print_scores(scored.task.folder)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{found['scores']['brier']:.3f} ({found['scores']['brier_of_share']:.3f})" in shown


def test_candidates_are_ranked_by_the_classifier(scored: Scored) -> None:
    table = score_partition(scored.task, Intake(scored.children, [])).fates
    told = {name: table[name].to_numpy() for name in table.column_names if name.startswith(("prob", "refr"))}
    features = features_of(scored.task, scored.children)
    surrogate = surrogate_of(scored.task, "refractive_index")
    expected = surrogate.predict(features)
    assert surrogate.classifier is not None
    rows = np.flatnonzero(expected.codes == "")
    columns = {
        "probability_refractive_index": surrogate.classifier.classifier.probability(features.values[rows]),
        "refractive_index_pred": expected.median[rows],
        "refractive_index_lo": expected.interval()[0][rows],
        "probability": told["probability_refractive_index"][rows] * told["probability_piezoelectric_modulus"][rows],
    }
    for name, values in columns.items():
        np.testing.assert_allclose(told[name][rows], values, rtol=1e-6)  # kept in single precision


def test_known_crystals_get_probabilities_of_classifiers_that_never_saw_them(scored: Scored) -> None:
    known = known_rows(scored.task, TrainingSets.of(list(scored.task.ranges)))
    surrogate = surrogate_of(scored.task, "refractive_index")
    assert surrogate.classifier is not None
    place = {name: row for row, name in enumerate(load_materials().ids)}
    rows = [place[name] for name in surrogate.training.ids.tolist()]
    own = surrogate.classifier.out_of_fold
    supported = np.minimum(own, np.sort(own)[-20])  # no more than twenty rows reach
    np.testing.assert_array_equal(known.probability["refractive_index"][rows], supported)
    met = known.met["refractive_index"][rows]
    brier = np.mean((own - met) ** 2)
    assert brier == pytest.approx(surrogate.card["probability"]["scores"]["brier"])


def test_one_candidate_keeps_its_probability(scored: Scored) -> None:
    features = features_of(scored.task, scored.children.take(range(20)))
    whole = {name: surrogate_of(scored.task, name).predict(features) for name in scored.ranges}
    joint = joint_probability_of(scored.task)
    chances = joint.probabilities(whole, scored.ranges)
    alone = joint.probabilities({name: one_row(each, 7) for name, each in whole.items()}, scored.ranges)
    assert alone.of_all.tolist() == [chances.of_all[7]]


def test_targets_known_of_the_same_crystals_are_met_together_as_often_as_promised(tmp_path: Path) -> None:
    gap: dict[str, Any] = {"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV"}
    campaign = cheap(targets=[INDEX, gap, PIEZO])
    best = train(campaign, tmp_path / "run")["surrogates", "piezoelectric_modulus"]["best_of_training"]
    ranges = {target.property: target.range(tuple(best)) for target in campaign.targets}
    task = ScoringTask(campaign, tmp_path / "run", ranges)
    together, alone = joint_probability_of(task).groups
    assert together.names == ("refractive_index", "band_gap")
    assert together.met < together.promised  # what refracts more than predicted has a narrower gap than predicted
    assert together.odds < 1 == alone.odds
    assert joint_probability_of(task, without=["band_gap"]).groups[0].odds == 1
    (intake,) = IonicSubstitution(limit=300, min_probability=1e-3, max_sites=10).intakes(300)
    table = score_partition(task, intake).fates
    chance = {name: table[f"probability_{name}"].to_numpy() for name in ranges}
    found, independent = table["probability"].to_numpy(), np.prod(list(chance.values()), axis=0)
    np.testing.assert_allclose(found, joint_probability_of(task).of_all(chance), rtol=1e-5)
    open_still = (independent > 1e-6) & (chance["refractive_index"] * chance["band_gap"] < 1 - 1e-6)
    assert open_still.any()
    assert (found[open_still] < independent[open_still]).all()  # odds below one make it less likely


class Partly:
    """Features that every third crystal lacks."""

    def __init__(self, features: FeatureSet) -> None:
        self.features, self.featurizers = features, features.featurizers

    def featurize(self, batch: CandidateBatch) -> FeatureMatrix:
        found = self.features.featurize(batch)
        codes = np.where(np.arange(len(batch)) % 3 == 0, "E-FEATURE-FAILED", found.codes)
        return FeatureMatrix(found.values, found.names, found.fingerprint, found.elements, codes)


def test_every_stage_wants_the_range_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Percentiles of the second stage's own rows are others, and its classifier would be asked for what it is not."""
    campaign = cheap(
        targets=[{**PIEZO, "probability": "classifier", "family": "few_trees"}],
        structure={"features": ["density"], "keep": 10},
    )

    def made(of: Campaign, stage: str, **_: Any) -> Any:
        features = stage_feature_set(of, stage)
        return Partly(features) if stage == "structure" else features

    monkeypatch.setattr(training, "stage_feature_set", made)
    cards = train(campaign, tmp_path / "run", "surrogates", "structure")
    first, second = (cards[stage, "piezoelectric_modulus"] for stage in ("surrogates", "structure"))
    assert first["rows_trained"] > second["rows_trained"]
    assert first["best_of_training"] != second["best_of_training"]
    assert first["probability"]["wanted"] == second["probability"]["wanted"] == [first["best_of_training"][1], None]
    ranges = {"piezoelectric_modulus": campaign.targets[0].range(tuple(first["best_of_training"]))}
    task = ScoringTask(campaign, tmp_path / "run", ranges, "structure")
    features = build_feature_set(campaign.scoring_stages["structure"].features).featurize(
        load_materials().take(range(9))
    )
    prediction = surrogate_of(task, "piezoelectric_modulus").predict(features)
    assert np.isfinite(prediction.probability_between(*ranges["piezoelectric_modulus"])).any()


YAML = """\
name: cheap
sources: [embedded]
targets:
  - {property: piezoelectric_modulus, goal: maximize, unit: C/m2}
surrogates: {features: [stoichiometry], keep: 60}
structure: {features: [density], family: [extra_trees, stack], keep: 20}
shortlist: {size: 5}
"""


def screened(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> tuple[Any, Any]:
    """What ``matloop screen`` is to run, and how it ended."""
    handed: list[Any] = []

    def stop(campaign: Any, **_: Any) -> None:
        handed.append(campaign)
        raise KeyboardInterrupt

    (folder / "cheap.yaml").write_text(YAML)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("matloop.workflows.screen.screen", stop)
    monkeypatch.setattr(sys, "argv", ["matloop", "screen", "cheap.yaml", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return (handed or [None])[0], ended.value.code


def test_a_budget_on_the_command_line_is_that_of_all_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, _ = screened(monkeypatch, tmp_path, "--budget", "5m")
    assert [stage.budget for stage in campaign.scoring_stages.values()] == [150, 150]
    assert campaign.surrogates.family == FAMILIES_TO_CHOOSE_FROM
    assert campaign.structure.family == ("extra_trees", "stack")
    plain, _ = screened(monkeypatch, tmp_path)
    assert [stage.budget for stage in plain.scoring_stages.values()] == [None, None]
    assert plain.surrogates.family == "extra_trees"


def test_a_budget_without_unit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert screened(monkeypatch, tmp_path, "--budget", "300") == (None, 1)
    assert capsys.readouterr().err.startswith("matloop: E-UNIT: a duration of '300'")
