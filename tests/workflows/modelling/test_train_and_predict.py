"""A model of its own: trained from a campaign or a table, used on any input, read without trust."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.db import connect
from typer.testing import CliRunner

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import (
    CampaignError,
    DamagedFileError,
    FingerprintError,
    InputFileError,
    MatloopError,
    ModelError,
    RunError,
)
from matloop.data.properties.catalogue import catalogue
from matloop.data.runs.manifest import key_of
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.models.surrogates.store import LIMIT_VARIABLE, SurrogateStore
from matloop.models.surrogates.supported_probability import highest_supported
from matloop.screening.substitution.kept_property import read_kept_property
from matloop.workflows.cli import app, main
from matloop.workflows.modelling.input_rows import _ROWS
from matloop.workflows.modelling.trained_model import TrainedModel, read_model
from matloop.workflows.predict import predict
from matloop.workflows.running import insulator_training
from matloop.workflows.stages import scoring
from matloop.workflows.substituting.property_outlook import property_outlooks
from matloop.workflows.train import campaign_of_packaged_table, train
from tests.workflows.conftest import SMALL, campaign
from tests.workflows.stages.test_insulators import few_labels

MIXED = "id,compound,note\n007,NaCl,=1+1\n008,Fe0,-3\n009,SrTiO3,\n010,Og2,x\n011,BaTiO3,\n"


def few_rows() -> TrainingSet:
    whole = packaged_training_set("refractive_index")
    rows = whole.rows.take(range(0, len(whole), 12))
    return TrainingSet.of_rows(
        rows, whole.values[::12], property_name="refractive_index", name="few", provenance="dft:pbe", licence="CC0"
    )


def few() -> Any:
    return campaign(targets=[{**SMALL["targets"][1], "provenance": "dft:pbe"}])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("models") / "index"
    return train(few(), output=folder, training_sets=[few_rows()])


def test_rows_and_columns_stay_where_they_were(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(MIXED)
    written = predict(
        model.folder, tmp_path / "t.csv", tmp_path / "p.parquet", formula_column="compound", id_column="id"
    )
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == [
        "id", "compound", "note", "candidate_id", "code", "refractive_index_pred", "refractive_index_sigma",
        "refractive_index_lo", "refractive_index_hi", "refractive_index_unit", "in_domain",
        "probability_refractive_index",
    ]  # fmt: skip
    assert table["id"].to_pylist() == ["007", "008", "009", "010", "011"]
    assert table["code"].to_pylist() == ["", "E-FORMULA-AMOUNT", "", "E-FEATURE-NODATA", ""]
    batch = CandidateBatch.from_formulas(["NaCl", "SrTiO3", "BaTiO3"]).batch
    expected = model.surrogate.predict(model.features.featurize(batch))
    good = table.filter(pa.compute.equal(table["code"], ""))
    assert good["refractive_index_pred"].to_pylist() == expected.median.tolist()
    assert good["refractive_index_lo"].to_pylist() == expected.interval(0.9)[0].tolist()
    known = model.surrogate.out_of_fold_prediction().probability_between(1.5, 3.0)
    claimed = np.minimum(expected.probability_between(1.5, 3.0), highest_supported(known))
    assert good["probability_refractive_index"].to_pylist() == claimed.tolist()
    for row in table.to_pylist():
        assert all((row[name] is None) == (row["code"] != "") for name in table.column_names[5:])
    assert written.lines()[0].endswith("5 rows, 2 refused")
    assert written.refused.total() == 2


def test_formulas_are_predicted_as_rows_of_a_file_are(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(MIXED)
    predict(model, tmp_path / "t.csv", tmp_path / "p.parquet", formula_column="compound")
    written = pq.read_table(tmp_path / "p.parquet").drop_columns(["id", "compound", "note"])
    found = pa.Table.from_pandas(model.predict(["NaCl", "Fe0", "SrTiO3", "Og2", "BaTiO3"]))
    assert found["formula"].to_pylist() == ["NaCl", "Fe0", "SrTiO3", "Og2", "BaTiO3"]
    for name in written.column_names:
        assert found[name].to_pylist() == written[name].to_pylist(), name


def test_a_long_table_keeps_its_order(model: TrainedModel, tmp_path: Path) -> None:
    count = _ROWS + 7
    formulas = [f"Sr{1 + row % 97}Ti{1 + row // 97 % 90}O3" if row % 100 else "?" for row in range(count)]
    table = pa.table({"formula": formulas, "place": np.arange(count)})
    pq.write_table(table, tmp_path / "t.parquet")
    written = predict(model, tmp_path / "t.parquet", tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["place"]) for row in rows] == list(range(count))
    assert [row["formula"] for row in rows] == formulas
    assert [at for at, row in enumerate(rows) if row["code"]] == list(range(0, count, 100))
    assert written.rows == count
    assert float(rows[-1]["refractive_index_pred"]) > 1


def test_the_input_is_never_written_over(model: TrainedModel, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("formula\nNaCl\n", "utf-8")
    with pytest.raises(MatloopError, match=r"t\.csv"):
        predict(model, table, table)
    assert table.read_text("utf-8") == "formula\nNaCl\n"


def test_crystals_of_files_and_databases(model: TrainedModel, tmp_path: Path) -> None:
    crystals = [
        Atoms("NaCl", [[0, 0, 0], [2.8, 2.8, 2.8]], cell=[5.6] * 3, pbc=True),
        Atoms("CsI", [[0, 0, 0], [2.3, 2.3, 2.3]], cell=[4.6] * 3, pbc=True),
    ]
    with connect(tmp_path / "c.db") as database:
        for crystal in crystals:
            database.write(crystal)
    (tmp_path / "files").mkdir()
    for number, crystal in enumerate(crystals):
        crystal.write(tmp_path / "files" / f"{number}.cif")
    values = []
    for place in ("c.db", "files"):
        predict(model, tmp_path / place, tmp_path / "p.parquet")
        table = pq.read_table(tmp_path / "p.parquet")
        assert table.column_names[:2] == ["origin", "formula"]
        assert table["formula"].to_pylist() == ["NaCl", "CsI"]
        values.append(table["refractive_index_pred"].to_pylist())
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("text", "name", "error", "message"),
    [
        ("formula,code\nNaCl,x\n", "p.csv", InputFileError, "column 'code'"),
        ("formula\nNaCl\n", "p.txt", RunError, "names no format"),
        ("formula\nNaCl\n", "gone/p.csv", RunError, "no folder"),
        ("compound\nNaCl\n", "p.csv", InputFileError, "formula"),
    ],
)
def test_what_cannot_be_predicted(
    text: str, name: str, error: type[Exception], message: str, model: TrainedModel, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(error, match=message):
        predict(model, tmp_path / "t.csv", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a model says of itself, with a check that is right."""
    said = json.loads((folder / "model.json").read_text("utf-8"))
    del said["check"]
    change(said)
    (folder / "model.json").write_text(json.dumps({**said, "check": key_of(**said)}), "utf-8")


def test_a_model_of_other_versions_names_the_difference(model: TrainedModel, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model.folder, tmp_path / "m"))
    rewritten(folder, lambda said: said["versions"].update(numpy="1.0.0"))
    (note,) = read_model(folder).notes
    assert note.startswith("numpy: 1.0.0 -> ")
    (tmp_path / "t.csv").write_text("formula\nNaCl\n")
    assert note in predict(folder, tmp_path / "t.csv", tmp_path / "p.csv").lines()[-1]
    rewritten(folder, lambda said: said.update(features=["magpie"]))
    with pytest.raises(FingerprintError, match=r"numpy: 1\.0\.0 -> "):
        read_model(folder)
    rewritten(folder, lambda said: said.update(format=2, versions={"matloop": "9.0"}))
    with pytest.raises(ModelError, match=r"written by matloop 9\.0"):
        read_model(folder)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda folder: (folder / "model.json").write_text("[]"), DamagedFileError),
        (lambda folder: (folder / "trees.npz").write_bytes(b"x"), DamagedFileError),
        (lambda folder: (folder / "trees.npz").unlink(), DamagedFileError),
        (lambda folder: rewritten(folder, lambda said: said["files"].update({"../x": "0"})), DamagedFileError),
        (lambda folder: rewritten(folder, lambda said: said["property"].update(upper=7.0)), ModelError),
        (lambda folder: rewritten(folder, lambda said: said["property"].update(name="x y")), DamagedFileError),
        (lambda folder: rewritten(folder, lambda said: said.update(more=1)), DamagedFileError),
        (lambda folder: (folder / "model.json").unlink(), ModelError),
    ],
)
def test_a_changed_model_is_refused(
    change: Callable[[Path], object], error: type[Exception], model: TrainedModel, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(model.folder, tmp_path / "m"))
    change(folder)
    with pytest.raises(error):
        read_model(folder)


def test_a_model_carries_a_property_of_its_own(tmp_path: Path) -> None:
    rows = few_rows()
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["formula", "x"])
        writer.writerows(zip(rows.rows.formulas, rows.values.tolist(), strict=True))
    brightness = {"name": "brightness", "unit": "cd/m2", "lower": 0, "upper": 1e4, "label_en": "brightness"}
    labels = {"path": str(tmp_path / "labels.csv"), "property": "brightness", "column": "x", "source": "exp"}
    chosen = campaign(
        properties=[brightness],
        data=[{"table": labels}],
        targets=[{"property": "brightness", "goal": "at_least", "value": 2, "unit": "cd/m2", "provenance": "exp"}],
        sources=[{"table": str(tmp_path / "labels.csv")}],
    )
    train(chosen, output=tmp_path / "m")
    (tmp_path / "t.csv").write_text("formula\nNaCl\n")
    predict(tmp_path / "m", tmp_path / "t.csv", tmp_path / "p.parquet")
    (row,) = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert row["brightness_unit"] == "cd/m2"
    assert row["brightness_lo"] < row["brightness_pred"] < row["brightness_hi"]
    assert "brightness" not in catalogue(), "other work in this process does not know it"


def test_training_uses_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: TrainedModel) -> None:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LIMIT_VARIABLE, "1GB")
    train(few(), output=tmp_path / "first", training_sets=[few_rows()])
    store = SurrogateStore.of_user()
    assert store is not None
    assert len(store.entries()) == 1
    monkeypatch.setattr(scoring.Surrogate, "fit", None)
    train(few(), output=tmp_path / "second", training_sets=[few_rows()])
    folders = (model.folder, tmp_path / "first", tmp_path / "second")
    contents = [{path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in folders]
    assert contents[0] == contents[1] == contents[2]


def test_what_is_trained_must_be_clear(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="2 targets"):
        train(campaign(), output=tmp_path / "m")
    with pytest.raises(CampaignError, match="no target of the campaign"):
        train(campaign(), output=tmp_path / "m", property_name="band_gap")
    with pytest.raises(CampaignError, match="'structure'"):
        train(few(), output=tmp_path / "m", stage="structure")
    with pytest.raises(RunError, match="exists"):
        train(few(), output=tmp_path)
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    rows = few_rows()
    lines = [f"{formula},{value}" for formula, value in zip(rows.rows.formulas, rows.values.tolist(), strict=True)]
    Path("labels.csv").write_text("\n".join(["compound,n", *lines]))
    options = ["--property", "refractive_index", "--column", "n", "--formula", "compound", "--feature", "stoichiometry"]
    trained = CliRunner().invoke(app, ["train", "--data", "labels.csv", *options, "--output", "m"])
    assert trained.exit_code == 0, trained.output
    shown = CliRunner().invoke(app, ["models", "m"])
    assert shown.exit_code == 0
    assert trained.stdout.endswith(shown.stdout)
    assert trained.stdout.startswith(f"labels.csv: {len(rows)} of {len(rows)} rows teach refractive_index")
    assert "features: stoichiometry" in shown.stdout
    assert "grouped by reduced formula" in shown.stdout
    done = CliRunner().invoke(app, ["predict", "m", "labels.csv", "--output", "p.csv", "--formula-column", "compound"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"p.csv: refractive index of {len(rows)} rows, 0 refused")
    assert "probability" not in Path("p.csv").read_text("utf-8-sig").splitlines()[0]
    for wrong in (["train", "--output", "m2"], ["train", "--data", "labels.csv", "--output", "m2"]):
        assert CliRunner().invoke(app, wrong).exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "measured_hardness", "--unit", "eV"], "--unit with the packaged table measured_hardness"),
        (["--data", "measured_hardness", "--source", "dft:pbe"], "--source with the packaged table"),
        (["--data", "materials", "--column", "n", "--formula", "f"], "--column and --formula with the packaged table"),
        (["optical_window", "--unit", "eV", "--feature", "magpie"], "--unit and --feature with a campaign"),
        (["--data", "measured_hardnes"], "did you mean 'measured_hardness'"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["matloop", "train", *words, "--output", "m"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert told in capsys.readouterr().err


def test_a_packaged_table_of_measured_labels_trains_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--feature", "stoichiometry", "--output", "hard"]
    trained = CliRunner().invoke(app, ["train", "--data", "measured_hardness", *options])
    assert trained.exit_code == 0, trained.output
    model = read_model("hard")
    assert model.surrogate.asked == {"load": 0.98}
    formulas = packaged_training_set("vickers_hardness", table="measured_hardness").rows.formulas[::10]
    soft, hard = (model.at({"load": load}).predict(formulas)["vickers_hardness_pred"] for load in ("9.8 N", "0.49 N"))
    assert 5 < soft.mean() < hard.mean()  # the indentation size effect
    with pytest.raises(CampaignError, match="one of them"):
        campaign_of_packaged_table("materials")


def test_a_model_of_gaps_without_metals_says_how_probable_an_insulator_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(insulator_training, "insulator_labels", few_labels)
    whole = packaged_training_set("band_gap")
    gaps = TrainingSet.of_rows(
        whole.rows.take(range(0, len(whole), 12)), whole.values[::12], property_name="band_gap", name="few",
        provenance="dft:pbe", licence="CC0",
    )  # fmt: skip
    wanted = {"property": "band_gap", "goal": "at_least", "value": 1.0, "unit": "eV", "provenance": "dft:pbe"}
    model = train(campaign(targets=[wanted]), output=tmp_path / "gap", training_sets=[gaps])
    table = model.predict(["NaCl", "Ni3Al", "Og2"])
    assert list(table.columns[-3:]) == ["insulator_probability", "insulator_value", "probability_band_gap"]
    salt, alloy, unknown = table["insulator_probability"]
    assert salt > 0.8 > 0.2 > alloy
    assert np.isnan(unknown)
    assert table["probability_band_gap"][1] <= alloy
    assert table["band_gap_lo"][1] == 0.0
    pair, kept = CandidateBatch.from_formulas(["NaCl", "Ni3Al"]).batch, read_kept_property("band_gap >= 1 eV")
    (outlook,) = property_outlooks(kept, model, pair, left_out=["NaCl", "Ni3Al"]).new
    assert outlook.kept <= alloy
    assert outlook.value.predicted == table["band_gap_pred"][1] == 0.0
    assert read_model(tmp_path / "gap").predict(["NaCl"])["insulator_probability"][0] == salt
    card = tmp_path / "gap" / "insulators" / "card.json"
    card.write_text(card.read_text() + " ")
    with pytest.raises(DamagedFileError):
        read_model(tmp_path / "gap")


def test_a_model_of_gaps_with_metals_among_its_labels_has_no_such_column(tmp_path: Path) -> None:
    whole = packaged_training_set("band_gap", table="gaps_with_metals")
    gaps = TrainingSet.of_rows(
        whole.rows.take(range(0, len(whole), 24)), whole.values[::24], property_name="band_gap", name="few",
        provenance="dft:pbe", licence="CC0",
    )  # fmt: skip
    wanted = {"property": "band_gap", "goal": "at_least", "value": 1.0, "unit": "eV", "provenance": "dft:pbe"}
    model = train(campaign(targets=[wanted]), output=tmp_path / "gap", training_sets=[gaps])
    assert "insulator_probability" not in model.predict(["NaCl"]).columns
