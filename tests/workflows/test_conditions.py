"""Ionic conductivities of forty salts at five temperatures: a campaign asks for them at one."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from matloop.data.errors import ModelError
from matloop.data.properties.catalogue import using
from matloop.screening.runs.run_view import RunView
from matloop.workflows.cli import app
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.predict import predict
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.train import train

TEMPERATURES = (300.0, 350.0, 400.0, 450.0, 500.0)
METALS, ANIONS = ("Li", "Na", "K", "Rb", "Ag"), ("F", "Cl", "Br", "I", "O", "S", "Se", "Te")
SIGMA: dict[str, Any] = {
    "name": "ionic_conductivity", "unit": "S/cm", "lower": 0, "upper": 1e6, "scale": "log10",
    "label_en": "ionic conductivity", "label_zh": "离子电导率",
}  # fmt: skip


def conductivity(metal: str, anion: str, kelvins: float) -> float:
    """In S/cm, with an activation energy that falls with the metal and the anion."""
    barrier = 0.6 - 0.02 * ANIONS.index(anion) - 0.05 * METALS.index(metal)
    return float(1e3 * np.exp(-barrier / (8.617333262e-5 * kelvins)))


def write_labels(folder: Path) -> None:
    rows = [
        (
            f"{metal}{'' if anion in ANIONS[:4] else 2}{anion}", kelvins - 273.15,
            1e3 * conductivity(metal, anion, kelvins),
        )
        for metal in METALS
        for anion in ANIONS
        for kelvins in TEMPERATURES
    ]  # fmt: skip
    with (folder / "sigma.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("formula", "T (°C)", "sigma (mS/cm)"), *rows])


def text_of(at: str = "{temperature: 300 K}", **options: Any) -> str:
    labels = {
        "path": "sigma.csv", "property": "ionic_conductivity", "column": "sigma (mS/cm)", "source": "exp",
        "conditions": {"temperature": {"column": "T (°C)", **options}},
    }  # fmt: skip
    source = {"composition_enumeration": {"elements": ["Li", "Na", "Ag", "I", "Br", "S"], "most_elements": 2}}
    asked = f", at: {at}" if at else ""
    return (
        f"name: sigma\nproperties:\n  - {json.dumps(SIGMA)}\ndata:\n  - table: {json.dumps(labels)}\n"
        f"sources:\n  - {json.dumps(source)}\ntargets:\n"
        f"  - {{property: ionic_conductivity, goal: maximize, unit: S/cm{asked}}}\n"
        "surrogates: {features: [valence_orbital, stoichiometry], keep: 200}\nshortlist: {size: 5, explore: true}\n"
    )


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> ScreeningRun:
    """A run that asks for conductivities at 500 K."""
    folder = tmp_path_factory.mktemp("conditions")
    write_labels(folder)
    (folder / "campaign.yaml").write_text(text_of("{temperature: 500 K}"), "utf-8")
    return screen(folder / "campaign.yaml", output=folder / "run", workers=1)


def test_a_campaign_asks_for_the_property_at_a_temperature(hot: ScreeningRun, tmp_path: Path) -> None:
    shutil.copy(hot.folder.parent / "sigma.csv", tmp_path)
    (tmp_path / "campaign.yaml").write_text(text_of("{temperature: 300 K}"), "utf-8")
    model = train(tmp_path / "campaign.yaml", output=tmp_path / "model", store=False)
    assert model.surrogate.asked == {"temperature": 300.0}
    with using(model.catalogue):
        features = model.features.featurize(hot.ranked)
        cold, again = (
            model.surrogate.at({"temperature": kelvins}).predict(features).median for kelvins in (300.0, 500.0)
        )
    warm = hot.ranked.column("ionic_conductivity_pred")
    np.testing.assert_allclose(again, warm)
    assert len(warm) > 10
    assert (warm > 10 * cold).all()


def test_rows_are_predicted_at_their_own_conditions(hot: ScreeningRun, tmp_path: Path) -> None:
    folder = hot.folder.parent
    model = train(folder / "campaign.yaml", output=tmp_path / "model", store=False)
    (tmp_path / "t.csv").write_text(
        "formula,Temperature (°C)\nLiI,77\n?,77\nLiI,\nLiI,500\nAgI,226.85\nLiI,227\n", "utf-8"
    )
    predict(model, tmp_path / "t.csv", tmp_path / "p.parquet")
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["code"] for row in rows] == ["", "E-FORMULA-SYNTAX", "E-MODEL-CONDITION", "E-MODEL-CONDITION", "", ""]
    assert rows[0]["condition_temperature"] == pytest.approx(350.15)
    assert 10 * rows[0]["ionic_conductivity_pred"] < rows[5]["ionic_conductivity_pred"]
    (tmp_path / "plain.csv").write_text("formula\nLiI\n", "utf-8")
    for at, kelvins in (({}, 500.0), ({"temperature": "350 K"}, 350.0)):
        predict(model, tmp_path / "plain.csv", tmp_path / "q.parquet", at=at)
        (row,) = pq.read_table(tmp_path / "q.parquet").to_pylist()
        assert row["condition_temperature"] == kelvins
    predict(model, tmp_path / "t.csv", tmp_path / "p.parquet", at={"temperature": "400 K"})
    assert set(pq.read_table(tmp_path / "p.parquet")["condition_temperature"].to_pylist()) == {400.0, None}
    done = CliRunner().invoke(
        app, ["predict", str(tmp_path / "model"), str(tmp_path / "plain.csv"), "--output", str(tmp_path / "c.csv"),
              "--at", "temperature=700K"],
    )  # fmt: skip
    assert isinstance(done.exception, ModelError)
    shown = CliRunner(env={"COLUMNS": "250"}).invoke(app, ["models", str(tmp_path / "model")]).stdout
    assert "labels with temperature 300 K to 500 K, predicts at 500 K unless asked otherwise" in shown


def test_the_best_of_the_training_data_is_that_at_the_temperature(hot: ScreeningRun) -> None:
    best = RunView(hot.folder).ranges["ionic_conductivity"][0]
    values = [conductivity(metal, anion, 500) for metal in METALS for anion in ANIONS]
    assert best == pytest.approx(np.quantile(values, 0.95), rel=1e-6)


def test_the_run_lists_the_conditions_of_its_labels(hot: ScreeningRun) -> None:
    with (hot.folder / "training_rows.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {float(row["temperature (K)"]) for row in rows} == set(TEMPERATURES)


def test_finalists_are_explained_with_their_conditions(hot: ScreeningRun) -> None:
    (finalist, *_) = RunView(hot.folder).explanations.values()
    groups = finalist["targets"]["ionic_conductivity"]["contributions"]["groups"]
    told = {group["group"]["en"]: group["contribution"] for group in groups}
    assert told["conditions"] > 0


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (text_of(""), "targets.0.at", "temperature from 300 K to 500 K, and no temperature asked for"),
        (text_of("{temperature: 700 K}"), "targets.0.at", "nothing was learned beyond them"),
        (text_of("{pressure: 1 bar}"), "targets.0.at", "a pressure, which its labels do not state"),
        (text_of("{temperature: 300}"), "targets.0.at", "a number with its unit"),
        (text_of("{temperature: 300 bar}"), "targets.0.at", "temperature in 'bar'"),
        (text_of("300 K"), "targets.0.at", "such as {temperature: 300 K}"),
        (text_of(**{"from": 70, "to": 80}), "targets.0.at", "its labels do not state"),
        (text_of(unit="bar"), "data.0", "temperature in 'bar'"),
    ],
)
def test_a_problem_stands_at_its_place(text: str, place: str, words: str, tmp_path: Path) -> None:
    write_labels(tmp_path)
    (tmp_path / "campaign.yaml").write_text(text, "utf-8")
    found = [(problem.where, problem.message) for problem in validate(tmp_path / "campaign.yaml")[1]]
    assert any(where.startswith(place) and words in message for where, message in found), found


def test_a_filtered_condition_asks_for_nothing(tmp_path: Path) -> None:
    write_labels(tmp_path)
    (tmp_path / "campaign.yaml").write_text(text_of("", **{"from": 70, "to": 80}), "utf-8")
    assert validate(tmp_path / "campaign.yaml")[1] == []
