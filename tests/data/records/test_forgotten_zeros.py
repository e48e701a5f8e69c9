"""0 is asked about where the prediction excludes it, and is a result elsewhere."""

from pathlib import Path

import pytest

from matloop.data.records import result_codes as codes
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import samples_table, values_table
from matloop.data.records.database import open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate, candidates_in
from matloop.data.records.questions import open_questions
from matloop.screening.runs.run_view import RunView
from matloop.workflows.commands.screened_candidates import candidates_of_runs
from tests.data.records.result_sheets import result, write_sheet
from tests.screening.report.run_directories import make_run

GAP, HULL, SEEBECK = ("band_gap", "eV"), ("energy_above_hull", "eV/atom"), ("seebeck_n", "uV/K")


@pytest.mark.parametrize(("what", "predicted", "interval", "written", "is_asked"), [
    (GAP, 2.0, (1.6, 2.4), "0", True), (GAP, 2.0, (1.6, 2.4), "0.0 eV", True), (GAP, 2.0, (1.6, 2.4), "0.4", False),
    (GAP, 0.3, (0.0, 0.9), "0", False), (GAP, 2.0, (0.0, 2.4), "0", False), (GAP, 2.0, None, "0", False),
    (HULL, 0.06, (0.02, 0.1), "0", False), (HULL, 0.5, (0.4, float("inf")), "0", True),
    (SEEBECK, -200.0, (-260.0, -150.0), "0", True), (SEEBECK, -20.0, (-80.0, 30.0), "0", False),
])  # fmt: skip
def test_zero_is_asked_about_where_the_prediction_excludes_it(
    tmp_path: Path, what: tuple[str, str], predicted: float, interval: tuple[float, float] | None, written: str,
    *, is_asked: bool,
) -> None:  # fmt: skip
    name, unit = what
    intervals = {} if interval is None else {name: interval}
    known = {"cand-gan": KnownCandidate("GaN", predictions={name: predicted}, intervals=intervals)}
    database = open_records(tmp_path / "records.sqlite")
    sheet = write_sheet(tmp_path / "sheet.csv", [result("cand-gan", "GaN", "B1", written, property=name, unit=unit)])
    [row] = import_sheet(database, sheet, candidates=known).rows
    assert [doubt.code for doubt in row.doubts] == ([codes.ZERO] if is_asked else [])


def test_zero_of_what_is_positive_is_asked_about_once(tmp_path: Path) -> None:
    modulus = "bulk_modulus_vrh"
    known = {"cand-gan": KnownCandidate("GaN", predictions={modulus: 200}, intervals={modulus: (180, 220)})}
    row = result("cand-gan", "GaN", "B1", "0", property="bulk modulus", unit="GPa")
    sheet = write_sheet(tmp_path / "sheet.csv", [row])
    [judged] = import_sheet(open_records(tmp_path / "records.sqlite"), sheet, candidates=known).rows
    assert [doubt.code for doubt in judged.doubts] == [codes.RANGE]


@pytest.mark.parametrize(("answer", "values"), [(Answer("as written"), [0.0]), (Answer("instead", "n.d."), [])])
def test_zero_is_a_result_or_was_not_measured_and_intervals_of_runs_are_kept(
    place: str, tmp_path: Path, answer: Answer, values: list[float]
) -> None:
    make_run(tmp_path / "run", "band_gap", crystals=False, rows=5)
    ranked, known = RunView(tmp_path / "run").ranked, candidates_of_runs([tmp_path / "run"])
    name = max(known, key=lambda one: known[one].predictions["band_gap"])
    at = list(map(str, ranked.column("candidate_id"))).index(name)
    assert known[name].intervals == {
        "band_gap": tuple(float(ranked.column(f"band_gap_{end}")[at]) for end in ("lo", "hi"))
    }
    database = open_records(place)
    sheet = write_sheet(tmp_path / "sheet.csv", [result(name, known[name].formula, "B1", "0")])
    import_sheet(database, sheet, candidates=known)
    with database.reading() as connection:
        assert candidates_in(connection)[name].intervals == known[name].intervals
    [question] = open_questions(database)
    assert question.doubt.remark.label.zh.startswith("预测值")
    answer_questions(database, {question.id: answer})
    assert values_table(database)["value"].to_pylist() == values
    assert samples_table(database).num_rows == 1
