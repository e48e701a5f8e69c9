"""A campaign that defines a property of its own and names labels of it: from the file to the report and back."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from matloop.data.training.packaged_tables import labelled_table
from matloop.screening.report.page import render_report
from matloop.screening.runs.run_view import RunView
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.resume import fork, resume
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.validate import validate as check
from tests.workflows.conftest import SMALL, Told, campaign

SHINE: dict[str, Any] = {
    "name": "shine", "unit": "cd/m2", "lower": 0, "upper": 1e6, "scale": "log10", "label_en": "shine",
    "label_zh": "光泽",
}  # fmt: skip
TARGET = {"property": "shine", "goal": "at_least", "value": 30, "unit": "cd m-2"}
LABELS = {"path": "labels.csv", "property": "shine", "column": "L (cd/m2)", "source": "exp", "group": "paper"}


def write_labels(folder: Path) -> None:
    formulas = sorted(set(labelled_table("materials").rows.formulas))[::40]
    rows = [(formula, 10 + 3 * len(formula) + number % 7, number // 5) for number, formula in enumerate(formulas)]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("formula", "L (cd/m2)", "paper"), *rows, ("Xx", 3, 1), ("ZnO", "<5", 1)])


def text_of(*, labels: dict[str, Any] = LABELS, target: dict[str, Any] = TARGET, data: str = "") -> str:
    source = {"composition_enumeration": {"elements": ["Ga", "Zn", "N", "O"], "most_elements": 3}}
    return (
        f"name: own\nproperties:\n  - {json.dumps(SHINE)}\ndata:\n  - table: {json.dumps(labels)}\n{data}"
        f"sources:\n  - {json.dumps(source)}\ntargets:\n  - {json.dumps(target)}\n"
        "surrogates: {features: [stoichiometry], keep: 40}\nshortlist: {size: 5}\n"
    )


@pytest.fixture(scope="module")
def told_of_labels() -> Told:
    return Told()


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory, told_of_labels: Told) -> ScreeningRun:
    folder = tmp_path_factory.mktemp("own")
    write_labels(folder)
    (folder / "campaign.yaml").write_text(text_of(), "utf-8")
    return screen(folder / "campaign.yaml", output=folder / "run", workers=1, progress=told_of_labels)


def test_validate_accounts_for_every_row_of_the_labels(tmp_path: Path) -> None:
    write_labels(tmp_path)
    (tmp_path / "campaign.yaml").write_text(text_of(), "utf-8")
    checked = check(tmp_path / "campaign.yaml")
    rows = checked.to_pandas()
    assert len(rows) == len((tmp_path / "labels.csv").read_text("utf-8").splitlines()) - 1
    assert rows["code"].tolist()[-2:] == ["E-FORMULA-ELEMENT", "E-LABEL-LIMIT"]
    assert set(rows["unit"]) == {"cd/m2"}
    assert rows["value"][:-2].notna().all()
    lines = str(checked).splitlines()
    assert lines[0].startswith(f"labels.csv: {len(rows) - 2} of {len(rows)} rows teach shine")
    assert lines[-1] == "own: no problems"
    assert check(campaign()).to_pandas().empty


def test_a_property_nobody_knows_leads_to_a_shortlist(own_run: ScreeningRun, told_of_labels: Told) -> None:
    assert len(own_run.shortlist) == 5
    assert {"shine_pred", "shine_lo", "shine_hi"} <= set(own_run.shortlist.columns)
    assert told_of_labels.steps[0] == ("reading labels", 1)
    assert "rows teach shine" in told_of_labels.notes[0]
    assert RunView(own_run.folder).campaign.targets[0].provenance == "exp"


def test_the_run_lists_every_row_of_the_labels(own_run: ScreeningRun) -> None:
    with (own_run.folder / "training_rows.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["code"] for row in rows[-2:]] == ["E-FORMULA-ELEMENT", "E-LABEL-LIMIT"]
    assert {row["unit"] for row in rows} == {"cd/m2"}
    assert all(row["code"] or float(row["value"]) > 0 for row in rows)


def test_reports_and_stories_know_the_property(own_run: ScreeningRun) -> None:
    html = render_report(RunView(own_run.folder))
    assert "光泽" in html
    assert "cd/m²" in html
    best = own_run.shortlist["candidate_id"].iloc[0]
    assert story_of(own_run.folder, best)["stages"][0]["predictions"][0]["property"] == "shine"


def test_a_run_goes_on_without_the_file_of_its_labels(own_run: ScreeningRun, tmp_path: Path) -> None:
    (own_run.folder.parent / "labels.csv").rename(tmp_path / "away.csv")
    try:
        resume(own_run.folder, workers=1)
        again = fork(own_run.folder, tmp_path / "fork", workers=1)
    finally:
        (tmp_path / "away.csv").rename(own_run.folder.parent / "labels.csv")
    assert again.shortlist["candidate_id"].tolist() == own_run.shortlist["candidate_id"].tolist()


def problems(folder: Path, text: str) -> list[tuple[str, str]]:
    write_labels(folder)
    (folder / "campaign.yaml").write_text(text, "utf-8")
    return [(problem.where, problem.message) for problem in validate(folder / "campaign.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (text_of(labels={**LABELS, "column": "L"}), "data.0", "did you mean 'L (cd/m2)'"),
        (text_of(labels={**LABELS, "unit": "GPa"}), "data.0", "measures luminance, not pressure"),
        (text_of(labels={**LABELS, "path": "none.csv"}), "data.0", "a relative one starts at the folder"),
        (text_of(labels={**LABELS, "source": "PBE"}), "data.0", "dft:FUNCTIONAL"),
        (text_of(labels={**LABELS, "sheet": "2"}), "data.0", "unknown option of table 'sheet'"),
        (text_of().replace("- table:", "- tabel:"), "data.0", "did you mean 'table'"),
        (text_of(target={**TARGET, "unit": "eV"}), "targets.0.unit", "measures energy per electron, not luminance"),
        (text_of(target={**TARGET, "property": "shin"}), "targets.0.property", "did you mean 'shine'"),
        (text_of(target={**TARGET, "provenance": "dft:pbe"}), "targets.0.provenance", "no labels of shine"),
        (text_of().replace('"cd/m2", "lower"', '"candles", "lower"'), "properties.0", "unknown unit 'candles'"),
        (text_of().replace('"name": "shine"', '"name": "band_gap"'), "properties", "is named 'band_gap'"),
        (text_of(data="  - embedded: {rows: 3}\n"), "data.1", "takes no options"),
    ],
)
def test_a_problem_stands_at_its_place(text: str, where: str, words: str, tmp_path: Path) -> None:
    found = problems(tmp_path, text)
    assert where in [place for place, _ in found], found
    assert any(words in message for place, message in found if place == where), found


def test_labels_of_two_provenances_need_a_choice(tmp_path: Path) -> None:
    other = '  - table: {path: labels.csv, property: shine, column: "L (cd/m2)", source: "dft:pbe"}\n'
    ((where, message),) = problems(tmp_path, text_of(data=other))
    assert where == "targets.0.provenance"
    assert "never mixed" in message
    assert problems(tmp_path, text_of(data=other, target={**TARGET, "provenance": "exp"})) == []


def test_the_packaged_transport_table_teaches_where_it_is_named(tmp_path: Path) -> None:
    target = {"property": "seebeck_p", "goal": "at_least", "value": 300, "unit": "uV/K"}
    text = f"name: seebeck\ndata: [transport]\nsources: [embedded]\ntargets: [{target}]\n".replace("'", '"')
    text += "surrogates: {features: [stoichiometry], keep: 40}\nshortlist: {size: 5}\n"
    assert problems(tmp_path, text) == []


def test_a_campaign_without_data_learns_from_the_packaged_crystals() -> None:
    assert [entry.name for entry in campaign(**SMALL).data] == ["embedded"]
