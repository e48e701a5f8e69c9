"""A property that a campaign defines for itself is imported in its unit, and known to whoever answers or exports."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from matloop.data.errors import PropertyError
from matloop.data.properties.catalogue import Catalogue, using
from matloop.data.properties.definition import Property
from matloop.data.records import result_codes as codes
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import newest_action, values_table
from matloop.data.records.database import open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.own_properties import catalogue_of_records
from matloop.data.records.questions import open_questions
from matloop.screening.runs.run_view import RunView
from matloop.workflows.cli import app
from tests.data.records.result_sheets import result, write_sheet
from tests.screening.report.run_directories import make_run

SHINE = Property(
    name="shine", symbol="L", unit="cd/m2", label_en="luminance", label_zh="亮度", lower=0.0, upper=1e6,
    transform="log10",
)  # fmt: skip
OWN = "properties:\n  - {name: shine, unit: UNIT, lower: 0, upper: 1.0e+6, scale: log10, label_en: luminance}\n"
ROW = result("cand-gan", "GaN", "B1", "120", property="luminance", unit="cd/m2")
KNOWN = {"cand-gan": KnownCandidate("GaN")}


def test_definitions_are_kept_and_never_change_their_unit(place: str, tmp_path: Path) -> None:
    database = open_records(place)
    sheet = write_sheet(tmp_path / "sheet.csv", [ROW])
    with using(Catalogue((SHINE,))):
        assert import_sheet(database, sheet, candidates=KNOWN).count("accepted") == 1
    assert values_table(database)["unit"].to_pylist() == ["cd/m2"]
    assert catalogue_of_records(database).own == (SHINE,)
    other = write_sheet(tmp_path / "other.csv", [{**ROW, "value": "130"}])
    [row] = import_sheet(database, other, candidates=KNOWN).rows  # without the campaign
    assert [doubt.code for doubt in row.doubts] == [codes.CONFLICT]
    in_kelvin = Property(**{**SHINE.__dict__, "unit": "K"})
    with using(Catalogue((in_kelvin,))), pytest.raises(PropertyError, match="cd/m2, in which the records have it"):
        import_sheet(database, other, candidates=KNOWN)
    wider = Property(**{**SHINE.__dict__, "upper": 2e6})
    with using(Catalogue((wider,))):
        import_sheet(database, write_sheet(tmp_path / "sheet.csv", [{**ROW, "sample_id": "B2"}]), candidates=KNOWN)
    assert catalogue_of_records(database).own == (wider,)


def test_row_that_was_held_before_its_campaign_was_named(tmp_path: Path) -> None:
    database = open_records(tmp_path / "records.sqlite")
    sheet = write_sheet(tmp_path / "sheet.csv", [ROW])
    import_sheet(database, sheet, candidates=KNOWN)
    [question] = open_questions(database)
    assert question.doubt.code == codes.PROPERTY
    with using(Catalogue((SHINE,))):
        assert import_sheet(database, sheet, candidates=KNOWN).known == 1
        before = newest_action(database)
        import_sheet(database, sheet, candidates=KNOWN)
    assert newest_action(database) == before
    [verdict] = answer_questions(database, {question.id: Answer("instead", "luminance")})
    assert verdict.verdict == "accepted"


def test_property_whose_name_is_the_label_of_another_is_known_by_its_words(tmp_path: Path) -> None:
    """Whole words go first, so that neither of the two is out of reach."""
    database = open_records(tmp_path / "records.sqlite")
    optical = Property(
        name="bandgap", symbol="E", unit="eV", label_en="optical gap", label_zh="光隙", lower=0, upper=20
    )
    words = {"A": "band gap", "B": "bandgap", "C": "Optical  gap", "D": "Band Gap"}
    rows = [result("cand-gan", "GaN", sample, "3.1", property=word) for sample, word in words.items()]
    with using(Catalogue((optical,))):
        import_sheet(database, write_sheet(tmp_path / "sheet.csv", rows), candidates=KNOWN)
    found = values_table(database)
    read = dict(zip(found["sample"].to_pylist(), found["property"].to_pylist(), strict=True))
    assert read == {"A": "band_gap", "B": "bandgap", "C": "bandgap", "D": "band_gap"}


def call(*arguments: object, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == exit_code, done.output
    return f"{done.output}{done.exception or ''}"


def test_sheet_of_a_campaign_with_a_property_of_its_own(tmp_path: Path) -> None:
    place, run = tmp_path / "records.sqlite", tmp_path / "run"
    make_run(run, "band_gap", crystals=False, rows=5)
    campaign = run / "campaign.yaml"
    plain = campaign.read_text("utf-8")
    row = {**ROW, "candidate_id": str(RunView(run).ranked.column("candidate_id")[0]), "formula": ""}
    sheet = write_sheet(tmp_path / "sheet.csv", [row, {**row, "sample_id": "B2", "value": "12 cd"}])
    refused = call("import", sheet, "--run", run, "--records", tmp_path / "without.sqlite")
    assert "no unit of it; --run names a run" in refused
    campaign.write_text(plain.replace("properties: []\n", OWN.replace("UNIT", "cd/m2")), "utf-8")
    assert "1 accepted, 1 held" in call("import", sheet, "--run", run, "--records", place)
    [question] = open_questions(open_records(place))
    call("questions", "--answer", f"{question.id}=instead: 12", "--records", place)
    call("records", "--records", place, "--property", "shine", "--export", tmp_path / "values.csv")
    with (tmp_path / "values.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [(one["value"], one["unit"]) for one in csv.DictReader(file)] == [("120.0", "cd/m2"), ("12.0", "cd/m2")]
    call("records", "--records", place, "--export", tmp_path / "lab.eln")
    campaign.write_text(plain.replace("properties: []\n", OWN.replace("UNIT", "K")), "utf-8")
    told = call("import", sheet, "--run", run, "--records", place, exit_code=1)
    assert "property 'shine' in K. Allowed: cd/m2" in told
