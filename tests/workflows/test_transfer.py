"""A campaign that transfers measured labels from computed ones: from the file to the report, and a model to predict."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from matloop.data.errors import TrainingSetError
from matloop.data.properties.conditions import condition_named
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.screening.report.page import render_report
from matloop.screening.runs.run_view import RunView
from matloop.workflows.cli import app
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.predict import predict
from matloop.workflows.resume import fork, resume
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.shortlist_cells import shortlist_cells
from matloop.workflows.stages.training import fit_surrogate
from matloop.workflows.train import train
from tests.workflows.conftest import Told, campaign

TRANSFER = {"from": "dft:pbe", "to": "exp"}
TARGET = {"property": "band_gap", "goal": "at_least", "value": 4.0, "unit": "eV", "transfer": TRANSFER}
LABELS = {"path": "labels.csv", "property": "band_gap", "column": "Eg (eV)", "source": "exp"}


def measured_of(values: np.ndarray) -> np.ndarray:
    return 1.3 * values + 0.4


def write_labels(folder: Path) -> None:
    """Forty measured gaps that are a straight line of the computed ones."""
    packaged = packaged_training_set("band_gap")
    rows = range(0, len(packaged), len(packaged) // 40)
    measured = measured_of(packaged.values)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        found = [(packaged.rows.formulas[row], float(measured[row])) for row in rows]
        csv.writer(file).writerows([("formula", "Eg (eV)"), *found])


def text_of(*, target: dict[str, Any] = TARGET, data: tuple[Any, ...] = ({"table": LABELS}, "embedded")) -> str:
    source = {"composition_enumeration": {"elements": ["Ga", "Zn", "N", "O"], "most_elements": 3}}
    return (
        f"name: lifted\ndata: {json.dumps(data)}\nsources:\n  - {json.dumps(source)}\n"
        f"targets:\n  - {json.dumps(target)}\n"
        "surrogates: {features: [stoichiometry, valence_orbital], keep: 40}\nshortlist: {size: 5}\n"
    )


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory, told: Told) -> ScreeningRun:
    folder = tmp_path_factory.mktemp("lifted")
    write_labels(folder)
    (folder / "campaign.yaml").write_text(text_of(), "utf-8")
    return screen(folder / "campaign.yaml", output=folder / "run", workers=1, progress=told)


def test_a_run_says_what_measured_rows_bought(lifted: ScreeningRun, told: Told) -> None:
    assert len(lifted.shortlist) == 5
    note = next(note for note in told.notes if "grouped MAE" in note)
    assert "measured rows alone" in note
    assert "dft:pbe and a line" in note
    html = render_report(RunView(lifted.folder))
    assert "mean absolute error with transfer from dft:pbe" in html
    assert "由 dft:pbe 迁移后、校准之前的平均绝对误差" in html
    assert "of measured values lie in the 90 % intervals" in html
    assert "computed value" in html, "the computed value is among what explains a prediction"


def test_the_computed_prediction_stands_beside_the_measured_one(lifted: ScreeningRun) -> None:
    best = lifted.shortlist.iloc[0]
    assert best["band_gap_pred"] > best["band_gap_computed"] + 0.2
    assert "on the scale of computed values" in render_report(RunView(lifted.folder))
    with (lifted.folder / "shortlist.csv").open(encoding="utf-8-sig", newline="") as file:
        (first, *_) = csv.DictReader(file)
    assert float(first["band_gap on the computed scale (eV)"]) == pytest.approx(best["band_gap_computed"], rel=1e-3)
    _, rows = shortlist_cells(lifted.shortlist, ["band_gap"])
    assert f"computed {best['band_gap_computed']:.3g}" in rows[0][-1]


def test_report_cites_both_sets_of_labels(lifted: ScreeningRun) -> None:
    html = render_report(RunView(lifted.folder))
    assert "labels.csv" in html
    assert "Petousis" in html


def test_a_run_goes_on_and_forks_without_the_file_of_its_labels(lifted: ScreeningRun, tmp_path: Path) -> None:
    (lifted.folder.parent / "labels.csv").rename(tmp_path / "away.csv")
    try:
        resume(lifted.folder, workers=1)
        again = fork(lifted.folder, tmp_path / "fork", workers=1)
    finally:
        (tmp_path / "away.csv").rename(lifted.folder.parent / "labels.csv")
    assert again.shortlist["candidate_id"].tolist() == lifted.shortlist["candidate_id"].tolist()
    before, now = (json.loads(RunDirectory(run.folder).identity.read_text("utf-8")) for run in (lifted, again))
    assert now["training_sets"] == before["training_sets"]
    assert now["training_sets"]["band_gap (transfer)"]["provenance"] == "dft:pbe"


def test_a_trained_model_predicts_measured_values_on_its_own(lifted: ScreeningRun, tmp_path: Path) -> None:
    model = train(lifted.folder.parent / "campaign.yaml", output=tmp_path / "model", with_probability=False)
    names = ["MgO", "ZnO", "GaN"]
    (tmp_path / "in.csv").write_text("\n".join(["formula", *names]))
    predict(model.folder, tmp_path / "in.csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        found = [float(row["band_gap_pred"]) for row in csv.DictReader(file)]
    surrogate = model.surrogate
    assert surrogate.computed is not None
    assert surrogate.card["transfer"]["mae"]["transfer"] < surrogate.card["transfer"]["mae"]["computed_only"]
    assert found[0] > found[1] > 0
    printed = CliRunner().invoke(app, ["models", str(model.folder)])
    assert printed.exit_code == 0, printed.output
    assert "with transfer, and with either kind" in " ".join(printed.output.split())


def test_validate_prints_what_is_transferred(lifted: ScreeningRun) -> None:
    printed = CliRunner().invoke(app, ["validate", str(lifted.folder.parent / "campaign.yaml")])
    assert "rows of exp (labels.csv) and 1,056 rows of dft:pbe (materials) to transfer from" in printed.output


def problems(folder: Path, text: str) -> list[tuple[str, str]]:
    write_labels(folder)
    (folder / "campaign.yaml").write_text(text, "utf-8")
    return [(problem.where, problem.message) for problem in validate(folder / "campaign.yaml")[1]]


PBE = {"table": {**LABELS, "source": "dft:pbe"}}
EXP = {"table": LABELS}


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (text_of(data=(EXP,)), "targets.0.transfer", "labels of dft:pbe too"),
        (text_of(data=("embedded",)), "targets.0.transfer", "labels of exp too"),
        (text_of(data=(EXP, PBE), target={**TARGET, "transfer": None}), "targets.0.provenance", "never mixed"),
        (text_of(target={**TARGET, "transfer": {"from": "exp:a", "to": "exp"}}), "targets.0.transfer", "same labels"),
        (text_of(target={**TARGET, "transfer": {"from": "PBE", "to": "exp"}}), "targets.0.transfer.from", "dft:FUNCT"),
        (text_of(target={**TARGET, "transfer": {"from": "dft"}}), "targets.0.transfer.to", "required"),
        (text_of(target={**TARGET, "provenance": "dft"}), "targets.0", "leave it out"),
    ],
)
def test_a_problem_stands_at_its_place(text: str, where: str, words: str, tmp_path: Path) -> None:
    found = problems(tmp_path, text)
    assert where in [place for place, _ in found], found
    assert any(words in message for place, message in found if place == where), found


def lab(name: str, provenance: str, count: int, *, offset: float) -> TrainingSet:
    packaged = packaged_training_set("band_gap")
    rows = packaged.rows.take(np.arange(count))
    return TrainingSet.of_rows(
        rows, packaged.values[:count] + offset, property_name="band_gap", name=name, provenance=provenance,
        licence="CC0",
    )  # fmt: skip


def test_training_sets_of_two_labs_are_handed_over(tmp_path: Path) -> None:
    first, second = lab("ours", "exp:a", 30, offset=0.0), lab("theirs", "exp:b", 120, offset=1.0)
    target = {**TARGET, "transfer": {"from": "exp:b", "to": "exp:a"}}
    model = train(
        campaign(targets=[target]), output=tmp_path / "model", training_sets=[second, first], store=False,
        with_probability=False,
    )  # fmt: skip
    assert model.surrogate.card["rows_trained"] == 30
    assert model.surrogate.card["transfer"]["rows"] == 120
    assert model.surrogate.card["training_set"]["provenance"] == "exp:a"
    with pytest.raises(TrainingSetError, match="a second training set of band_gap"):
        train(
            campaign(targets=[{**target, "transfer": None, "provenance": "exp:a"}]), output=tmp_path / "other",
            training_sets=[second, first],
        )  # fmt: skip


def test_labels_under_several_conditions_are_not_transferred() -> None:
    ours, theirs = lab("ours", "exp", 30, offset=0.0), lab("theirs", "dft:pbe", 50, offset=0.1)
    chosen = campaign(targets=[TARGET])
    column = condition_named("temperature").column
    warm = replace(ours, rows=ours.rows.with_columns({column: np.linspace(300.0, 500.0, 30)}))
    with pytest.raises(TrainingSetError, match="whose labels 'ours' differ in temperature"):
        fit_surrogate(chosen, "surrogates", chosen.targets[0], training=warm, helping=theirs)


def test_the_store_knows_what_a_surrogate_was_transferred_from() -> None:
    chosen = campaign(targets=[TARGET])
    (target,), ours = chosen.targets, lab("ours", "exp", 30, offset=0.0)
    keys = {
        store_key(chosen, "surrogates", target, training=ours, helping=helping)
        for helping in (None, lab("theirs", "dft:pbe", 50, offset=0.1), lab("theirs", "dft:pbe", 60, offset=0.1))
    }
    assert len(keys) == 3
