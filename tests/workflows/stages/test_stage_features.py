"""Features that a family needs and a campaign does not name: added, read by that family alone, and kept with models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import SYMBOLS
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.models.families.element_attention import ElementAttention
from matloop.models.registry import MODELS
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.stages.stage_features import settings_in_stage, stage_entries, stage_feature_set
from matloop.workflows.stages.training import fit_surrogate
from matloop.workflows.train import train
from tests.workflows.conftest import campaign


class TinyAttention(ElementAttention):
    family = "tiny_attention"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"members": 1, "width": 8, "layers": 1, "blocks": 1, "epochs": 2, **settings})


@pytest.fixture(autouse=True)
def small_families(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(MODELS, "tiny_attention", "tests.workflows.stages.test_stage_features:TinyAttention")  # type: ignore[arg-type]
    monkeypatch.setitem(MODELS, "few_trees", "tests.workflows.bench.few_trees:FewTrees")  # type: ignore[arg-type]


def of(family: Any, *features: str) -> Campaign:
    target = {"property": "refractive_index", "goal": "window", "lower": 1.5, "upper": 3.0, "unit": "1"}
    stage = {"features": list(features) or ["valence_orbital", "stoichiometry"], "family": family, "keep": 60}
    return campaign(targets=[{**target, "provenance": "dft:pbe"}], surrogates=stage)


def few_rows() -> TrainingSet:
    whole = packaged_training_set("refractive_index")
    rows = whole.rows.take(range(0, len(whole), 8))
    return TrainingSet.of_rows(
        rows, whole.values[::8], property_name="refractive_index", name="few", provenance="dft:pbe", licence="CC0"
    )


def names_of(campaign: Campaign) -> list[str]:
    return [entry.name for entry in stage_entries(campaign, "surrogates")]


def test_fractions_are_added_only_where_a_family_needs_them_and_they_are_missing() -> None:
    assert names_of(of("few_trees")) == ["valence_orbital", "stoichiometry"]
    assert names_of(of("tiny_attention")) == ["element_fraction", "valence_orbital", "stoichiometry"]
    assert names_of(of(["few_trees", "tiny_attention"]))[0] == "element_fraction"
    assert names_of(of("tiny_attention", "stoichiometry", "element_fraction")) == ["stoichiometry", "element_fraction"]


def test_other_families_read_what_the_campaign_names() -> None:
    both = of(["few_trees", "tiny_attention"])
    assert settings_in_stage(both, "surrogates", "tiny_attention") == {}
    assert settings_in_stage(both, "surrogates", "few_trees") == {"columns": [[118, None]]}
    named = of(["few_trees", "tiny_attention"], "element_fraction", "stoichiometry")
    assert settings_in_stage(named, "surrogates", "few_trees") == {}
    assert settings_in_stage(of("few_trees"), "surrogates", "few_trees") == {}


def test_trees_are_the_same_with_and_without_columns_for_others() -> None:
    rows = few_rows()
    alone, beside = of("few_trees"), of(["few_trees", "tiny_attention"])
    first = fit_surrogate(alone, "surrogates", alone.targets[0], training=rows)
    chosen = fit_surrogate(beside, "surrogates", beside.targets[0], training=rows)
    assert chosen.card["family"] == "few_trees"
    assert {trial["candidate"] for trial in chosen.card["choice"]["tried"]} == {"few_trees", "tiny_attention"}
    assert {trial["outcome"] for trial in chosen.card["choice"]["tried"]} == {"tried"}
    np.testing.assert_allclose(chosen.training.mean, first.training.mean, rtol=1e-9)
    assert tuple(chosen.card["feature_names"][:118]) == SYMBOLS[1:]
    assert not chosen.domain.weight[:118].any()
    new = CandidateBatch.from_formulas(["MgO", "BaTiO3", "ZnS"]).batch
    ours = first.predict(stage_feature_set(alone, "surrogates").featurize(new))
    theirs = chosen.predict(stage_feature_set(beside, "surrogates").featurize(new))
    np.testing.assert_allclose(ours.centre, theirs.centre, rtol=1e-9)
    np.testing.assert_array_equal(ours.in_domain, theirs.in_domain)


def test_model_of_such_a_family_is_trained_stored_and_used_on_formulas(tmp_path: Path) -> None:
    rows = few_rows()
    model = train(of("tiny_attention"), output=tmp_path / "model", training_sets=[rows])
    assert next(featurizer.name for featurizer in model.features.featurizers) == "element_fraction"
    assert json.loads((tmp_path / "model" / "model.json").read_text())["features"][0] == "element_fraction"
    found = model.predict(["MgO", "BaTiO3"])
    assert np.isfinite(found["refractive_index_pred"]).all()
    again = train(of("tiny_attention"), output=tmp_path / "again", training_sets=[rows])  # from the store
    assert again.predict(["MgO", "BaTiO3"]).equals(found)


def test_columns_for_others_are_part_of_the_key_of_a_stored_model() -> None:
    rows = few_rows()
    alone, beside = of("few_trees"), of(["few_trees", "tiny_attention"])
    keys = {store_key(one, "surrogates", one.targets[0], training=rows) for one in (alone, beside)}
    assert len(keys) == 2
