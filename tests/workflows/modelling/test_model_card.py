"""The card of a model on the terminal and as a page; models of earlier versions; what a stranger's model may hold."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from matloop.data.errors import DamagedFileError, RunError, UnknownNameError
from matloop.data.properties.catalogue import Catalogue, using
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.models.surrogates.surrogate_files import _text_hash
from matloop.workflows.cli import app
from matloop.workflows.modelling.model_card import lacking_words, write_card
from matloop.workflows.modelling.trained_model import TrainedModel, read_model
from matloop.workflows.train import train
from tests.screening.report.run_directories import Page
from tests.workflows.modelling.test_train_and_predict import few, few_rows, rewritten

ENTRIES = ("learning_curve", "random_split", "error_regions")
EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u202e'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("models") / "index"
    return train(few(), output=folder, training_sets=[few_rows()])


def with_card(model: TrainedModel, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a model, change its card, and make every hash right again, as somebody with bad intent could."""
    shutil.copytree(model.folder, folder)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    change(card)
    text = json.dumps(card)
    (folder / "card.json").write_text(text, "utf-8")
    arrays = dict(np.load(folder / "surrogate.npz"))
    np.savez(folder / "surrogate.npz", **{**arrays, "card_sha256": _text_hash(text)})
    said = json.loads((folder / "model.json").read_text("utf-8"))
    del said["check"]
    for name in ("card.json", "surrogate.npz"):
        said["files"][name] = sha256_of(folder / name)
    (folder / "model.json").write_text(json.dumps({**said, "check": key_of(**said)}), "utf-8")
    return folder


def page_of(model: TrainedModel, folder: Path, language: str = "en") -> tuple[str, Page]:
    html = write_card(model, folder / "card.html", language=language).read_text("utf-8")
    return html, Page(html)


def test_the_page_says_what_the_card_says(model: TrainedModel, tmp_path: Path) -> None:
    _, page = page_of(model, tmp_path)
    card = model.surrogate.card
    assert lacking_words(model) is None
    for text in (
        "Model of refractive index", "CC0", "dft:pbe", card["data_sha256"], "more labels of this kind",
        "always guessing", "Errors by chemistry", "Errors by range of the true value", "random folds",
        "not in training", "nonmetals that hardly a training formula has", "折射率",
    ):  # fmt: skip
        assert text in page.text, text
    figures = page.data["figures"]
    assert set(figures) == {"parity", "coverage", "learning"}
    points = [point["mae"] for point in card["learning_curve"]["points"] if point["ensemble"] == "model"]
    assert figures["learning"]["data"][-1]["y"] == pytest.approx(points, rel=1e-3)
    assert sum(len(trace["x"]) for trace in figures["parity"]["data"][:2]) == card["rows_trained"]
    assert not [link for link in page.attributes("src") + page.attributes("href") if not link.startswith("#")]
    assert any(text.startswith("default-src 'none'") for text in page.attributes("content"))


def test_a_page_opens_in_the_language_that_was_asked_for(model: TrainedModel, tmp_path: Path) -> None:
    for language, lang in (("en", "en"), ("zh", "zh-CN")):
        _, page = page_of(model, tmp_path, language)
        root = next(attributes for tag, attributes in page.elements if tag == "html")
        assert (root["lang"], root["data-language"], page.data["language"]) == (lang, language, language)


def test_what_a_model_holds_is_escaped(model: TrainedModel, tmp_path: Path) -> None:
    def change(card: dict[str, Any]) -> None:
        card.update(licence=EVIL, split=EVIL, versions={EVIL: EVIL}, parameters={EVIL: EVIL}, data_sha256=EVIL)
        card["training_set"] = {"name": EVIL, "provenance": EVIL, "citation": EVIL, "licence": EVIL, "sha256": EVIL}
        card["error_regions"]["chemistry"][0]["name"] = EVIL
        card["scores"]["leave_one_element_out"]["worst"][0]["element"] = EVIL
        card["learning_curve"]["points"][0]["ensemble"] = EVIL

    html, page = page_of(read_model(with_card(model, tmp_path / "m", change)), tmp_path)
    harmless = [tag for tag, _ in page_of(model, tmp_path)[1].elements if tag in ("script", "img")]
    assert [tag for tag, _ in page.elements if tag in ("script", "img")] == harmless
    assert "alert(1)" in page.text, "it is shown as text"
    assert "\u202e" not in html.replace("<script>", "\0").split("\0")[0]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_a_model_from_before_is_read_and_its_card_says_what_it_lacks(model: TrainedModel, tmp_path: Path) -> None:
    def change(card: dict[str, Any]) -> None:
        for name in ENTRIES:
            del card[name]
        card["versions"]["matloop"] = "0.0.9"

    folder = with_card(model, tmp_path / "old", change)
    shown = CliRunner().invoke(app, ["models", str(folder)])
    assert shown.exit_code == 0
    missing = (
        "which matloop 0.0.9 wrote: learning curve, error on random folds, errors by chemistry and range. Train again"
    )
    assert missing in shown.stdout
    assert "Errors by chemistry" not in shown.stdout
    old = read_model(folder)
    _, page = page_of(old, tmp_path)
    assert missing in page.text
    assert "缺少：学习曲线" in page.text
    assert set(page.data["figures"]) == {"parity", "coverage"}
    features = model.surrogate.training
    assert np.array_equal(old.surrogate.training.mean, features.mean)


def test_a_page_names_what_differs_from_where_a_model_was_trained(model: TrainedModel, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model.folder, tmp_path / "m"))
    rewritten(folder, lambda said: said["versions"].update(numpy="1.0.0"))
    _, page = page_of(read_model(folder), tmp_path)
    assert "Differs from where it was trained" in page.text
    assert "numpy: 1.0.0 -> " in page.text


def test_the_label_of_a_property_is_no_tag_in_a_figure(model: TrainedModel, tmp_path: Path) -> None:
    evil = dataclasses.replace(model.known, name="evil", label_en="<b>x</b>", label_zh='<a href="https://example.org">')
    surrogate = dataclasses.replace(
        model.surrogate, property_name="evil", card={**model.surrogate.card, "property": "evil"}
    )
    own = dataclasses.replace(model, surrogate=surrogate, catalogue=Catalogue((evil,)))
    with using(own.catalogue):
        _, page = page_of(own, tmp_path)
    title = page.data["figures"]["parity"]["layout"]["xaxis"]["title"]["text"]
    assert title["en"].startswith("true &lt;b&gt;x&lt;/b&gt;")
    assert "<" not in title["zh"]
    assert all(link.startswith("#") for link in page.attributes("href"))


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_another_form_is_refused(name: str, model: TrainedModel, tmp_path: Path) -> None:
    folder = with_card(model, tmp_path / "m", lambda card: card.update({name: {"points": "none"}}))
    with pytest.raises(DamagedFileError, match=f"a card whose {name}"):
        read_model(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("scores.mae", -5.0), ("scores.mae", float("nan")), ("scores.coverage_90", 7.3), ("scores.r2", 99.0),
        ("scores.width_90", -1.0), ("scores.coverage_90", float("nan")), ("rows_trained", -3), ("rows_trained", 7),
        ("scores.leave_one_element_out.coverage_inside", 1e308), ("learning_curve.mae", float("nan")),
        ("training_set.name", ["no", "text"]), ("best_of_training.1", float("nan")), ("rows_trained", "many"),
    ],
)  # fmt: skip
def test_an_impossible_figure_is_refused_although_every_hash_is_right(
    place: str, value: Any, model: TrainedModel, tmp_path: Path
) -> None:
    def change(card: dict[str, Any]) -> None:
        *folders, name = place.split(".")
        for folder in folders:
            card = card[folder]
        card[int(name) if name.isdigit() else name] = value

    with pytest.raises(DamagedFileError, match="7 training rows" if value == 7 else f"a card whose {place}"):
        read_model(with_card(model, tmp_path / "m", change))


def test_from_the_command_line(model: TrainedModel, tmp_path: Path) -> None:
    run = CliRunner().invoke
    written = run(app, ["models", str(model.folder), "--output", str(tmp_path / "c.html"), "--lang", "zh"])
    assert written.exit_code == 0, written.output
    assert (tmp_path / "c.html").read_text("utf-8").startswith('<!DOCTYPE html>\n<html lang="zh-CN"')
    shown = run(app, ["models", str(model.folder)], env={"COLUMNS": "200"})
    assert "more labels of this kind" in shown.stdout
    assert "Elements with the largest errors" in shown.stdout
    assert run(app, ["models", "--output", "c.html"]).exit_code == 2
    for name, language, error in (("c.txt", "en", RunError), ("no/c.html", "en", RunError), ("c.html", "fr", UnknownNameError)):  # fmt: skip  # noqa: E501
        with pytest.raises(error):
            write_card(model, tmp_path / name, language=language)
