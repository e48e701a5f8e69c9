"""A run that learns from labels of its own: no word of the packaged data where they did not teach."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.errors import RunChangedError, TrainingSetError
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.label_noise import LabelNoise
from matloop.data.training.packaged_tables import labelled_table, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.screening.report.surrogates import scores_of
from matloop.workflows.resume import fork, resume, unchanged
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.stages.training import train_surrogate
from tests.workflows.conftest import SMALL, campaign

CITATION = "N. Obody, Films we measured (2026)"
NEW = ["Ga7N9", "Zn7O9"]
MEASURED = [SMALL["targets"][0], {**SMALL["targets"][1], "provenance": "exp"}]


@pytest.fixture(scope="module")
def films() -> TrainingSet:
    """Labels of a test's own for formulas of packaged crystals and for two that nobody knows."""
    formulas = sorted(set(labelled_table("materials").rows.formulas))[::40] + NEW
    values = 1.4 + np.array([len(formula) for formula in formulas]) / 10
    return TrainingSet.of_formulas(
        formulas, values, property_name="refractive_index", name="our films", provenance="exp", licence="CC0",
        citation=CITATION,
    )  # fmt: skip


@pytest.fixture(scope="module")
def own_run(films: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> ScreeningRun:
    folder = tmp_path_factory.mktemp("runs") / "own"
    return screen(campaign(targets=MEASURED), output=folder, workers=2, partition_rows=300, training_sets=[films])


def card_of(run: ScreeningRun, name: str) -> dict[str, Any]:
    return json.loads((RunDirectory(run.folder).model("surrogates", name) / "card.json").read_text("utf-8"))


def test_card_says_whose_data_they_were(films: TrainingSet, tmp_path: Path) -> None:
    chosen = campaign()
    card = train_surrogate(chosen, "surrogates", chosen.targets[1], training=films, folder=tmp_path)
    assert card["training_set"] == films.about
    assert card["training_set"]["citation"] == CITATION
    assert "CC0" in card["licence"]
    assert card["rows_trained"] == len(films)
    assert "Materials Project" not in json.dumps(card)


def test_run_learns_from_own_and_packaged_labels(own_run: ScreeningRun, films: TrainingSet) -> None:
    own, packaged = card_of(own_run, "refractive_index"), card_of(own_run, "piezoelectric_modulus")
    assert own["training_set"]["sha256"] == films.sha256
    assert "Materials Project" not in json.dumps(own)
    assert packaged["training_set"] == packaged_training_set("piezoelectric_modulus").about
    assert packaged["licence"] == "Apache-2.0; training data: Materials Project data, CC BY 4.0"


def test_report_and_explanations_name_own_rows(own_run: ScreeningRun, films: TrainingSet) -> None:
    assert CITATION in own_run.report.read_text("utf-8")
    told = json.loads(RunDirectory(own_run.folder).explanations.read_text("utf-8"))
    near = [row for one in told["finalists"] for row in one["targets"]["refractive_index"]["nearest_training"]]
    assert near
    assert {row["formula"] for row in near} <= set(films.rows.formulas)


def test_run_goes_on_and_forks_with_the_sets_it_began_with(
    own_run: ScreeningRun, films: TrainingSet, tmp_path: Path
) -> None:
    assert resume(own_run.folder).folder == own_run.folder
    _, identity = unchanged(RunDirectory(own_run.folder))
    assert identity["training_sets"]["refractive_index"] == films.about
    forked = fork(own_run.folder, tmp_path / "fork")
    assert card_of(forked, "refractive_index") == card_of(own_run, "refractive_index")
    lines = (forked.folder / "manifest.jsonl").read_text("utf-8").splitlines()
    assert sum('"candidates"' in line for line in lines) == 8, "the candidates are those of the first run"


def test_changed_training_rows_stop_a_run(own_run: ScreeningRun, tmp_path: Path) -> None:
    import shutil

    copy = RunDirectory(shutil.copytree(own_run.folder, tmp_path / "copy"))
    kept = json.loads(copy.identity.read_text("utf-8"))
    kept["training_sets"]["refractive_index"]["sha256"] = "0" * 64
    copy.identity.write_text(json.dumps(kept), "utf-8")
    (copy.folder / "manifest.jsonl").unlink()  # which would tell that the identity was edited
    with pytest.raises(RunChangedError, match=r"training_sets\.refractive_index\.sha256"):
        unchanged(copy)


def test_set_without_a_target_is_refused_before_anything_is_written(films: TrainingSet, tmp_path: Path) -> None:
    targets = [{"property": "band_gap", "goal": "at_least", "value": 1.0, "unit": "eV"}]
    with pytest.raises(TrainingSetError, match="refractive_index"):
        screen(campaign(targets=targets), output=tmp_path / "run", training_sets=[films])
    assert not (tmp_path / "run").exists()


def test_labels_of_another_provenance_than_the_target_names_are_refused(films: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(TrainingSetError, match="write 'provenance: exp' in the target"):
        screen(campaign(), output=tmp_path / "run", training_sets=[films])
    with pytest.raises(TrainingSetError, match="'materials' has piezoelectric_modulus with provenance dft:pbe"):
        screen(campaign(targets=[{**SMALL["targets"][0], "provenance": "dft:r2scan"}]), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rows_count_by_their_weights(films: TrainingSet, tmp_path: Path) -> None:
    chosen, weighted = campaign(), replace(films, weights=np.arange(1.0, len(films) + 1))
    doubled = replace(films, weights=np.full(len(films), 2.0))
    plain, equal, other = (
        train_surrogate(chosen, "surrogates", chosen.targets[1], training=training, folder=tmp_path / name)
        for name, training in (("plain", films), ("doubled", doubled), ("weighted", weighted))
    )
    assert equal["scores"] == plain["scores"]
    assert other["scores"]["mae"] != plain["scores"]["mae"]


def test_noise_of_the_labels_weighs_rows_and_stands_on_the_card(films: TrainingSet, tmp_path: Path) -> None:
    errors = np.where(np.arange(len(films)) % 2, 0.01, 2.0)
    chosen, noisy = campaign(), replace(films, noise=LabelNoise(errors, 0.4, 12))
    plain, found = (
        train_surrogate(chosen, "surrogates", chosen.targets[1], training=training, folder=tmp_path / name)
        for name, training in (("plain", films), ("noisy", noisy))
    )
    assert "label_noise" not in plain
    assert found["scores"]["mae"] != plain["scores"]["mae"]
    told = next(score for score in scores_of(found, "1") if score.label.en == "noise of the labels")
    assert "12 repeats of compounds scatter by 0.400" in told.meaning.en
    assert "0.400" in told.meaning.zh
