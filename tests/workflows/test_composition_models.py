"""Composition models as features of a campaign and of a trained model: trained once, kept, copied, told on cards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.bounded_files import read_json
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import UnknownNameError
from matloop.data.packaged.computed_properties import load_computed_properties
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.packaged_tables import packaged_crystals, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.featurizers.validation import validate_featurizer
from matloop.models.surrogates.store import LIMIT_VARIABLE, SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.report.composition_words import composition_scores
from matloop.screening.runs.run_view import RunView
from matloop.workflows.modelling.trained_model import read_model
from matloop.workflows.running import composition_training
from matloop.workflows.screen import screen
from matloop.workflows.stages import composition_models
from matloop.workflows.stages.composition_models import FOLDER, composition_value, train_composition_model
from matloop.workflows.stages.scoring import ScoringTask, features_of
from matloop.workflows.train import train
from tests.workflows.conftest import SMALL, Told, campaign, results_of

NAME = "materials_project-phonon_peak"
"""The smallest of the tables; what it says of a refractive index is of no matter here."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SurrogateStore:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LIMIT_VARIABLE, "1GB")
    made = SurrogateStore.of_user()
    assert made is not None
    return made


def never(*_: object, **__: object) -> None:
    raise AssertionError("no composition model is trained")


def few_rows() -> TrainingSet:
    whole = packaged_training_set("refractive_index")
    rows = whole.rows.take(range(0, len(whole), 12))
    return TrainingSet.of_rows(
        rows, whole.values[::12], property_name="refractive_index", name="few", provenance="dft:pbe", licence="CC0"
    )


def small(**changes: Any) -> Campaign:
    stage = {"features": ["stoichiometry", {"composition_value": "phonon_peak"}], "keep": 20}
    sources = [{"ionic_substitution": {"limit": 60, "min_probability": 1e-3, "max_sites": 10}}]
    target = {**SMALL["targets"][1], "provenance": "dft:pbe"}
    return campaign(targets=[target], sources=sources, surrogates=stage, structure=stage, **changes)


def test_featurizer_holds_its_contract_and_predicts_no_composition_from_itself() -> None:
    made = composition_value("phonon_peak")
    validate_featurizer(lambda: made, batch=packaged_crystals().take(range(0, 1000, 100)))
    table = load_computed_properties("phonon_peak")
    rows = CandidateBatch.from_formulas(table["formula"].to_pylist(), exact=True).batch
    error = np.abs(made.featurize(rows).values[:, 0] - table["value"].to_numpy()).mean()
    scores = train_composition_model("phonon_peak", "materials_project").card["scores"]
    assert error == pytest.approx(scores["mae"]), "the error of compositions held out, and not of those learned"
    assert scores["mae"] < 0.5 * scores["mae_of_mean"]


def test_any_composition_gets_a_value_and_unknown_tables_are_refused() -> None:
    exotic = CandidateBatch.from_formulas(["XeF2", "PuO2", "FrCl"]).batch
    assert np.isfinite(composition_value("phonon_peak").featurize(exotic).values).all()
    with pytest.raises(UnknownNameError, match="did you mean 'phonon_peak'"):
        composition_value("phonon_peek")
    with pytest.raises(UnknownNameError, match="band_gap"):
        composition_value("phonon_peak", database="oqmd")


def test_each_table_makes_another_feature_set() -> None:
    peaks, gaps = composition_value("phonon_peak"), composition_value("band_gap")
    theirs = composition_value("band_gap", "oqmd")
    assert len({str(one.parameters) for one in (peaks, gaps, theirs)}) == 3
    assert gaps.feature_names == ("composition_value band_gap (materials_project)",)
    assert gaps.words(gaps.feature_names[0]).unit == "eV"


@pytest.mark.usefixtures("workers_there")
def test_a_run_trains_it_once_keeps_a_copy_and_says_what_it_bought(
    store: SurrogateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    first = screen(
        small(), output=tmp_path / "first", workers=2, progress=told, training_sets=[few_rows()], prepare_only=True
    )
    assert ("training composition models", 1) in told.steps
    (note,) = [note for note in told.notes if note.startswith("phonon_peak of 1,171 compositions")]
    assert "from the store" not in note
    home = RunDirectory(first.folder).composition_models / NAME
    (line,) = first.view.manifest.of_kind("composition_model")
    assert set(line["files"]) == {
        path.relative_to(first.folder).as_posix() for path in home.rglob("*") if path.is_file()
    }
    card = read_json(RunDirectory(first.folder).model("structure", "refractive_index") / "card.json", allow_nan=True)
    (model,) = card["composition_models"]["models"]
    assert model["rows"] == 1171
    assert card["licence"].endswith("Materials Project, CC BY 4.0")
    assert set(card["composition_models"]["mae"]) == {"with_models", "without_models", "ensemble"}
    view = RunView(first.folder)
    assert view.card("structure", "refractive_index").composition_models is not None
    assert {stage for stage, _ in view.cards_of_stages} == {"surrogates", "structure"}

    monkeypatch.setattr(composition_training, "train_wanted", never)
    again = Told()
    second = screen(
        small(), output=tmp_path / "second", workers=2, progress=again, training_sets=[few_rows()], prepare_only=True
    )
    assert [note for note in again.notes if note.startswith("phonon_peak") and "from the store" in note]
    assert results_of(second.folder / "models") == results_of(first.folder / "models")
    batch = CandidateBatch.from_formulas(["MgO", "GaP"]).batch
    scored = features_of(ScoringTask(small(), second.folder, {}), batch).values[:, -1]
    assert (scored == composition_value("phonon_peak").featurize(batch).values[:, 0]).all(), "the copy is the model"


def test_a_trained_model_brings_its_composition_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = train(small(), output=tmp_path / "index", training_sets=[few_rows()], stage="structure")
    before = model.predict(["MgO", "GaP"])
    assert (tmp_path / "index" / FOLDER / NAME / "card.json").is_file()
    monkeypatch.setattr(composition_models, "train_composition_model", never)
    composition_models._trained.cache_clear()
    assert read_model(tmp_path / "index").predict(["MgO", "GaP"]).equals(before)


def test_report_tells_both_errors_and_where_the_values_come_from() -> None:
    about = {"name": "compositions of Materials Project", "provenance": "dft:pbe", "licence": "CC BY 4.0"}
    model = {
        "property": "band_gap", "unit": "eV", "transform": "identity", "mae": 0.36, "mae_of_mean": 1.1, "rows": 78164,
        "training_set": about,
    }  # fmt: skip
    mae = {"with_models": 0.4, "without_models": 0.5}
    ((value, label, meaning),) = composition_scores({"composition_models": {"models": [model], "mae": mae}}, "eV")
    assert value == "0.400 eV"
    assert "composition models" in label.en
    assert "It is 0.500 eV without them" in meaning.en
    assert "78,164 compositions of Materials Project (CC BY 4.0), off by 0.360 eV" in meaning.en
    assert "dft:pbe" in meaning.zh
    assert composition_scores({}, "eV") == []
