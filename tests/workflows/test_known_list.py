"""A campaign with a list of formulas that count as known: decided at intake, told everywhere, kept with the run."""

import csv
import html
import json
from pathlib import Path

import pytest

from matloop.data.errors import CampaignError, DamagedFileError, RunChangedError
from matloop.screening.report.page import render_report
from matloop.screening.runs.run_view import RunView
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.inspecting.why_text import print_why
from matloop.workflows.resume import fork, resume
from matloop.workflows.screen import ScreeningRun, screen
from matloop.workflows.validate import validate

CAMPAIGN = """\
name: ours
sources:
  - composition_enumeration: {elements: [Ga, Zn, N, O], most_elements: 3}
known: lists/ours.csv
filters: [new_compounds]
targets:
  - {property: band_gap, goal: at_least, value: 2, unit: eV}
surrogates: {features: [stoichiometry], keep: 40}
shortlist: {size: 3}
"""


def write_campaign(folder: Path, *formulas: str) -> Path:
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "lists" / "ours.csv").write_text("\n".join(["formula", *formulas, ""]), "utf-8")
    (folder / "campaign.yaml").write_text(CAMPAIGN, "utf-8")
    return folder / "campaign.yaml"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> ScreeningRun:
    """The campaign with a list that holds none of its candidates."""
    folder = tmp_path_factory.mktemp("before")
    return screen(write_campaign(folder, "NaCl"), output=folder / "run", workers=1)


@pytest.fixture(scope="module")
def after(before: ScreeningRun) -> ScreeningRun:
    """The same with a list that holds the first of its shortlist, and rows that are no formulas."""
    folder, first = before.folder.parent, before.shortlist["formula"][0]
    campaign = write_campaign(folder, first, "NaCl", "D2O", "=1+2")
    return screen(campaign, output=folder / "again", workers=1)


def test_validate_says_what_counts(tmp_path: Path) -> None:
    lines = str(validate(write_campaign(tmp_path, "NaCl", "D2O"))).splitlines()
    assert lines[0] == "ours.csv: 2 rows with 1 composition count as known; 1 row without a readable formula"
    assert lines[1].startswith("  row 3 'D2O': E-FORMULA-ELEMENT: ")
    assert lines[-1] == "ours: no problems"


def test_a_list_that_no_filter_asks_leaves_nothing_out_and_says_so(tmp_path: Path) -> None:
    campaign = write_campaign(tmp_path, "NaCl")
    for filters, is_told in (("[]", True), ("[{condition: new_compounds & supply_risk <= 0.9}]", False)):
        campaign.write_text(CAMPAIGN.replace("[new_compounds]", filters), "utf-8")
        assert ("the filter new_compounds would leave them out" in str(validate(campaign))) == is_told


def test_a_list_that_is_not_there_is_a_problem_of_its_line(tmp_path: Path) -> None:
    campaign = write_campaign(tmp_path, "NaCl")
    (tmp_path / "lists" / "ours.csv").unlink()
    with pytest.raises(CampaignError, match=r"line 4, known: E-INPUT-FILE: no file .*ours.csv.*folder of the campaign"):
        screen(campaign, output=tmp_path / "run", workers=1)


def test_what_the_list_holds_is_rejected_with_its_name(
    before: ScreeningRun, after: ScreeningRun, capsys: pytest.CaptureFixture[str]
) -> None:
    first = before.shortlist["formula"][0]
    assert first not in after.shortlist["formula"].tolist()
    name = before.shortlist["candidate_id"][0]
    story = story_of(after.folder, name)
    assert (story["outcome"]["code"], story["outcome"]["value"]) == ("R-FILTER-LISTED-COMPOUND", "ours.csv")
    assert story["came_from"]["known_to"].endswith("own list ours.csv")
    print_why(after.folder, name)
    assert "in the campaign's list ours.csv" in " ".join(capsys.readouterr().out.split())


def test_cards_say_new_to_what(after: ScreeningRun, capsys: pytest.CaptureFixture[str]) -> None:
    page = html.unescape(render_report(RunView(after.folder)))
    for words in ("nor in the campaign's list ours.csv (2)", "也不在本任务的列表 ours.csv（2）之中"):
        assert words in page
    print_why(after.folder, after.shortlist["candidate_id"][0])
    assert "nor in the campaign's list ours.csv (2)." in " ".join(capsys.readouterr().out.split())


def test_the_run_keeps_the_list_and_the_rows_that_are_no_formulas(after: ScreeningRun) -> None:
    about = json.loads((after.folder / "known_formulas.json").read_text("utf-8"))
    assert RunView(after.folder).identity.model_dump()["known_formulas"] == about
    assert (about["name"], about["rows"], about["compositions"], about["unread"]) == ("ours.csv", 4, 2, 2)
    with (after.folder / "known_unread.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["written"]) for row in rows] == [("4", "D2O"), ("5", "'=1+2")]


def test_a_run_goes_on_without_the_file(after: ScreeningRun) -> None:
    (after.folder / "shortlist.csv").unlink()
    (after.folder / "run.json").unlink()
    listed = after.folder.parent / "lists" / "ours.csv"
    content = listed.read_bytes()
    listed.unlink()
    shortlist = after.shortlist["formula"].tolist()
    assert resume(after.folder, workers=1).shortlist["formula"].tolist() == shortlist
    listed.write_bytes(content)
    assert fork(after.folder, after.folder.parent / "fork", workers=1).shortlist["formula"].tolist() == shortlist


@pytest.mark.parametrize("change", [lambda text: text.replace("ours.csv", "x,y"), lambda text: "[]"])
def test_a_changed_copy_stops_a_run(after: ScreeningRun, change: object, tmp_path: Path) -> None:
    path = after.folder / "known_formulas.json"
    text = path.read_text("utf-8")
    path.write_text(change(text), "utf-8")  # type: ignore[operator]
    try:
        with pytest.raises((DamagedFileError, RunChangedError), match=r"known_formulas\.json"):
            resume(after.folder, workers=1)
        with pytest.raises(DamagedFileError, match=r"known_formulas\.json has something unexpected"):
            _ = RunView(after.folder).own_list
    finally:
        path.write_text(text, "utf-8")
