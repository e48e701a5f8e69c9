"""Result sheets are taken in row by row: accepted, held with a question, or refused."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import func, select

from matloop.data.errors import InputFileError, RecordsError
from matloop.data.readers.xlsx import NEVER_CALCULATED
from matloop.data.records import result_codes as codes
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import contents_of, export_table, samples_table, values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import ImportReport, KnownCandidate, import_sheet
from matloop.data.records.questions import open_questions
from matloop.data.records.result_sheet import OUTCOMES, RESULTS, STEPS, Language
from matloop.data.records.tables import ACTIONS, MEASUREMENTS, PROCESS_PARAMETERS, RAW_FILES, SAMPLES, SHEET_ROWS

CANDIDATES = {
    "cand-tio2": KnownCandidate("TiO2", "run", {"band_gap": 2.0}),
    "cand-gan": KnownCandidate("GaN"),
    "cand-zno": KnownCandidate("ZnO"),
}
GOOD: dict[str, str] = {
    "candidate_id": "cand-tio2", "formula": "TiO2", "sample_id": "A1", "outcome": "made", "property": "band gap",
    "qualifier": "is", "value": "3.1", "unit": "eV",
}  # fmt: skip


def csv_bytes(
    rows: Sequence[Mapping[str, str]],
    language: Language = "en",
    *,
    columns: Any = RESULTS,
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow([column.heading(language) for column in columns])
    writer.writerows([[row.get(column.key, "") for column in columns] for row in rows])
    return text.getvalue().encode(encoding)


def xlsx_file(
    path: Path, rows: Sequence[Mapping[str, str]], language: Language = "en", *, numbers: bool = False
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append([column.heading(language) for column in RESULTS])
    for row in rows:
        cells: list[Any] = [row.get(column.key, "") for column in RESULTS]
        sheet.append([float(cell) if numbers and _is_float(cell) else cell for cell in cells])
    book.save(path)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.fixture
def database(tmp_path: Path) -> RecordsDatabase:
    return open_records(tmp_path / "records.sqlite")


def import_rows(
    database: RecordsDatabase, folder: Path, *rows: Mapping[str, str], name: str = "sheet.csv"
) -> ImportReport:
    (folder / name).write_bytes(csv_bytes(rows))
    return import_sheet(database, folder / name, candidates=CANDIDATES)


def contents(database: RecordsDatabase) -> dict[str, list[Any]]:
    """What was accepted, without identifiers and times."""
    wanted = {
        "samples": select(
            SAMPLES.c.candidate_id, SAMPLES.c.name, SAMPLES.c.outcome, SAMPLES.c.reason, SAMPLES.c.batch_mass
        ),
        "values": select(
            SAMPLES.c.name, MEASUREMENTS.c.property, MEASUREMENTS.c.value, MEASUREMENTS.c.relation,
            MEASUREMENTS.c.uncertainty, MEASUREMENTS.c.unit, MEASUREMENTS.c.conditions_json,
        ).join(SAMPLES, SAMPLES.c.id == MEASUREMENTS.c.sample_id),
        "steps": select(
            PROCESS_PARAMETERS.c.step, PROCESS_PARAMETERS.c.operation, PROCESS_PARAMETERS.c.name,
            PROCESS_PARAMETERS.c.value, PROCESS_PARAMETERS.c.as_written,
        ),
    }  # fmt: skip
    with database.reading() as connection:
        return {name: sorted(map(tuple, connection.execute(query)), key=str) for name, query in wanted.items()}


FORTY = [
    GOOD | {
        "sample_id": f"样品-{number}", "candidate_id": list(CANDIDATES)[number % 3],
        "formula": ["TiO2", "GaN", "ZnO"][number % 3], "value": f"{1.5 + number / 10:.1f}", "uncertainty": "0.05",
        "note": "煅烧 900 ℃ 2 h", "made_on": "2026-03-04", "batch_mass": "1.5", "measured_at": "25",
    }
    for number in range(37)
] + [
    GOOD | {"sample_id": "失败", "outcome": "failed", "reason": "melted", "value": "", "property": "", "unit": ""},
    GOOD | {"sample_id": "错", "value": "about three"},
    GOOD | {"sample_id": "未知", "candidate_id": "cand-unknown", "formula": ""},
]  # fmt: skip


def localised(rows: Sequence[Mapping[str, str]], language: Language) -> list[dict[str, str]]:
    """Rows with choices and properties in a language."""
    if language == "en":
        return [dict(row) for row in rows]
    words = {"made": "已制得", "failed": OUTCOMES["failed"].zh, "melted": "发生熔融", "band gap": "带隙", "is": "等于"}
    return [{key: words.get(cell, cell) for key, cell in row.items()} for row in rows]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_sheet_means_the_same_in_every_encoding(tmp_path: Path, language: Language) -> None:
    found, rows = {}, localised(FORTY, language)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gbk", "gb18030"):
        for delimiter in (",", ";", "\t"):
            path = tmp_path / f"{encoding}{ord(delimiter)}.csv"
            path.write_bytes(csv_bytes(rows, language, encoding=encoding, delimiter=delimiter))
            found[path.name] = path
    for numbers in (False, True):
        path = tmp_path / f"{numbers}.xlsx"
        xlsx_file(path, rows, language, numbers=numbers)
        found[path.name] = path
    accepted = {}
    for name, path in found.items():
        database = open_records(tmp_path / f"{name}.sqlite")
        report = import_sheet(database, path, candidates=CANDIDATES)
        assert (report.count("accepted"), report.count("held"), report.count("refused")) == (38, 2, 0), name
        accepted[name] = contents(database)
        again = import_sheet(database, path, candidates=CANDIDATES)
        assert (len(again.rows), again.known) == (0, 40)
        assert contents(database) == accepted[name]
    first = next(iter(accepted.values()))
    assert all(one == first for one in accepted.values())


def test_both_databases_hold_the_same(place: str, tmp_path: Path) -> None:
    database = open_records(place)
    (tmp_path / "sheet.csv").write_bytes(csv_bytes(FORTY))
    import_sheet(database, tmp_path / "sheet.csv", candidates=CANDIDATES)
    held = open_questions(database)
    assert [(one.doubt.code, one.doubt.column) for one in held] == [
        (codes.NUMBER, "value"), (codes.CANDIDATE, "candidate_id")
    ]  # fmt: skip
    answer_questions(database, {held[0].id: Answer("instead", "3"), held[1].id: Answer("instead", "cand-gan")}, by="me")
    assert not open_questions(database)
    found = contents(database)
    assert len(found["values"]) == 39
    assert ("错", "band_gap", 3.0, "=", None, "eV", "{}") in found["values"]


@pytest.mark.parametrize(("change", "value", "relation", "uncertainty"), [
    ({"value": "3100", "unit": "meV"}, 3.1, "=", None),
    ({"value": "3.1 eV", "unit": ""}, 3.1, "=", None),
    ({"value": "３．１"}, 3.1, "=", None),
    ({"value": "3,1"}, 3.1, "=", None),
    ({"value": "3.1±0.2"}, 3.1, "=", 0.2),
    ({"value": "3.1 ± 0.2 eV", "unit": "eV"}, 3.1, "=", 0.2),
    ({"value": "3.1(2)"}, 3.1, "=", 0.2),
    ({"value": "1,234.5", "unit": "meV"}, 1.2345, "=", None),
    ({"value": "<0.1"}, 0.1, "<", None),
    ({"value": "0.1", "qualifier": "below"}, 0.1, "<", None),
    ({"value": "> 3", "qualifier": "is"}, 3.0, ">", None),
    ({"value": "≈3"}, 3.0, "~", None),
    ({"property": "禁带宽度"}, 3.1, "=", None),
    ({"outcome": "制得"}, 3.1, "=", None),
    ({"value": "3", "qualifier": "about", "uncertainty": "200 meV"}, 3.0, "~", 0.2),
    ({"value": "'3.1"}, 3.1, "=", None),
])  # fmt: skip
def test_values_as_people_write_them(
    database: RecordsDatabase,
    tmp_path: Path,
    change: dict[str, str],
    value: float,
    relation: str,
    uncertainty: float | None,
) -> None:
    report = import_rows(database, tmp_path, GOOD | change)
    assert report.count("accepted") == 1, report.rows
    [(_, name, read, how, error, unit, _)] = contents(database)["values"]
    assert (name, how, unit) == ("band_gap", relation, "eV")
    assert read == pytest.approx(value)
    assert error == (None if uncertainty is None else pytest.approx(uncertainty))


@pytest.mark.parametrize(("change", "code", "column"), [
    ({"candidate_id": "cand-tio3", "formula": ""}, codes.CANDIDATE, "candidate_id"),
    ({"candidate_id": "=1+1"}, codes.CANDIDATE, "candidate_id"),
    ({"formula": "TiO"}, codes.FORMULA, "formula"),
    ({"sample_id": ""}, codes.SAMPLE, "sample_id"),
    ({"outcome": ""}, codes.OUTCOME, "outcome"),
    ({"outcome": "perhaps"}, codes.CHOICE, "outcome"),
    ({"outcome": "failed"}, codes.OUTCOME, "outcome"),
    ({"property": ""}, codes.PROPERTY, "property"),
    ({"property": "band gasp"}, codes.PROPERTY, "property"),
    ({"unit": ""}, codes.UNIT, "unit"),
    ({"unit": "GPa"}, codes.UNIT, "unit"),
    ({"unit": "furlong"}, codes.UNIT, "unit"),
    ({"value": "3.1 GPa"}, codes.UNIT, "value"),
    ({"value": "3100 meV"}, codes.UNIT, "value"),
    ({"value": "85%"}, codes.UNIT, "value"),
    ({"value": "1,234", "unit": "meV"}, codes.NUMBER, "value"),
    ({"value": "3.1.2"}, codes.NUMBER, "value"),
    ({"value": "3.1±0.2×10⁻³"}, codes.NUMBER, "value"),
    ({"value": "9**9**9"}, codes.UNIT, "value"),
    ({"value": "nan eV"}, codes.NUMBER, "value"),
    ({"value": "1e999"}, codes.NUMBER, "value"),
    ({"value": "1e-400"}, codes.NUMBER, "value"),
    ({"value": "3.1±-3"}, codes.NUMBER, "value"),
    ({"value": "0", "property": "bulk modulus", "unit": "GPa"}, codes.RANGE, "value"),
    ({"reason": "melted"}, codes.OUTCOME, "reason"),
    ({"value": NEVER_CALCULATED}, codes.CELL, "value"),
    ({"value": "<3", "qualifier": "above"}, codes.QUALIFIER, "qualifier"),
    ({"value": "≤0"}, codes.QUALIFIER, "value"),
    ({"uncertainty": "-1"}, codes.UNCERTAINTY, "uncertainty"),
    ({"uncertainty": "small"}, codes.UNCERTAINTY, "uncertainty"),
    ({"value": "3.1±0.3", "uncertainty": "0.1"}, codes.UNCERTAINTY, "uncertainty"),
    ({"value": "", "uncertainty": "0.1"}, codes.NUMBER, "value"),
    ({"value": "2000"}, codes.RANGE, "value"),
    ({"made_on": "2026-13-01"}, codes.DATE, "made_on"),
    ({"made_on": "2399-01-01"}, codes.DATE, "made_on"),
    ({"batch_mass": "-2"}, codes.NUMBER, "batch_mass"),
    ({"repeats": "2.5"}, codes.NUMBER, "repeats"),
    ({"measured_at": "-300"}, codes.NUMBER, "measured_at"),
    ({"conditions": "on a sunny day"}, codes.CONDITION, "conditions"),
    ({"conditions": "temperature 300 K", "measured_at": "25"}, codes.CONDITION, "conditions"),
])  # fmt: skip
def test_what_is_doubtful_is_held_and_never_guessed(
    database: RecordsDatabase, tmp_path: Path, change: dict[str, str], code: str, column: str
) -> None:
    report = import_rows(database, tmp_path, GOOD | change)
    assert report.count("held") == 1
    assert (code, column) in [(one.doubt.code, one.doubt.column) for one in open_questions(database)]
    assert not contents(database)["values"]
    assert not contents(database)["samples"]


@pytest.mark.parametrize(("value", "code"), [("-3", codes.IMPOSSIBLE), ("3" * 3000, codes.ROW)])
def test_what_cannot_be_is_refused(database: RecordsDatabase, tmp_path: Path, value: str, code: str) -> None:
    [row] = import_rows(database, tmp_path, GOOD | {"value": value}).rows
    assert (row.verdict, row.doubts[0].code) == ("refused", code)


@pytest.mark.parametrize("value", ["", "n.d.", "未测", "—"])
def test_sample_without_a_value_is_a_sample(database: RecordsDatabase, tmp_path: Path, value: str) -> None:
    import_rows(database, tmp_path, GOOD | {"value": value, "note": "not measured yet"})
    assert contents(database)["samples"] == [("cand-tio2", "A1", "made", "", None)]
    assert not contents(database)["values"]


def test_prepared_rows_left_empty_are_counted_and_add_nothing(database: RecordsDatabase, tmp_path: Path) -> None:
    left = {key: GOOD[key] for key in ("candidate_id", "formula", "sample_id", "property", "qualifier", "unit")}
    report = import_rows(database, tmp_path, left, left)
    assert (report.blank, report.rows) == (2, [])
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(ACTIONS)).scalar() == 0


def test_value_a_thousand_times_the_prediction_is_held_until_it_is_confirmed(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    candidates = CANDIDATES | {"cand-tio2": KnownCandidate("TiO2", predictions={"band_gap": 0.003})}
    (tmp_path / "sheet.csv").write_bytes(csv_bytes([GOOD]))
    import_sheet(database, tmp_path / "sheet.csv", candidates=candidates)
    [question] = open_questions(database)
    assert question.doubt.code == codes.JUMP
    [verdict] = answer_questions(database, {question.id: Answer("as written")})
    assert verdict.verdict == "accepted"
    assert contents(database)["values"][0][2] == 3.1


def test_unit_that_changes_within_a_column_is_held(database: RecordsDatabase, tmp_path: Path) -> None:
    rows = [
        GOOD | {"sample_id": f"S{at}", "value": value, "candidate_id": "cand-gan", "formula": "GaN"}
        for at, value in enumerate(["3.1", "3.3", "2.9", "0.0031"])
    ]
    report = import_rows(database, tmp_path, *rows)
    assert [row.verdict for row in report.rows] == ["accepted"] * 3 + ["held"]


def test_same_row_twice_in_a_sheet_is_asked_about(database: RecordsDatabase, tmp_path: Path) -> None:
    report = import_rows(database, tmp_path, GOOD, GOOD)
    assert [row.verdict for row in report.rows] == ["accepted", "held"]
    assert len(contents(database)["values"]) == 1


def test_other_value_of_the_same_sample_is_asked_about_and_then_takes_its_place(
    database: RecordsDatabase, tmp_path: Path
) -> None:
    import_rows(database, tmp_path, GOOD)
    [row] = import_rows(database, tmp_path, GOOD | {"value": "3.2"}).rows
    assert [doubt.code for doubt in row.doubts] == [codes.CONFLICT]
    [question] = open_questions(database)
    answer_questions(database, {question.id: Answer("as written")}, note="measured again")
    with database.reading() as connection:
        values = connection.execute(select(MEASUREMENTS.c.value, MEASUREMENTS.c.supersedes)).all()
    assert sorted((value, bool(supersedes)) for value, supersedes in values) == [(3.1, False), (3.2, True)]


def test_tables_hold_what_counts_now(database: RecordsDatabase, tmp_path: Path) -> None:
    failed = GOOD | {"sample_id": "A2", "outcome": "failed", "value": "", "property": ""}
    import_rows(database, tmp_path, GOOD | {"measured_at": "25"}, failed)
    import_rows(database, tmp_path, GOOD | {"value": "3200", "unit": "meV", "measured_at": "25"})
    [question] = open_questions(database)
    answer_questions(database, {question.id: Answer("as written")})
    table = values_table(database, ["band_gap"])
    assert table["value"].to_pylist() == [3.2]
    assert table["condition_temperature"].to_pylist() == [298.15]
    assert values_table(database, ["refractive_index"]).num_rows == 0
    assert sorted(samples_table(database)["outcome"].to_pylist()) == ["failed", "made"]
    found = contents_of(database)
    assert (found.values, found.rows, found.open_questions) == ({"band_gap": 1}, {"accepted": 3}, 0)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_tables_are_exported_whole(database: RecordsDatabase, tmp_path: Path, suffix: str) -> None:
    import_rows(database, tmp_path, GOOD | {"sample_id": "=1+1"})
    path = tmp_path / f"values{suffix}"
    export_table(path, values_table(database))
    content = path.read_bytes()
    assert b"band_gap" in content
    assert b",=1+1" not in content
    with pytest.raises(InputFileError):
        export_table(tmp_path / "values.doc", values_table(database))


def test_row_taken_back(database: RecordsDatabase, tmp_path: Path) -> None:
    import_rows(database, tmp_path, GOOD | {"unit": ""})
    [question] = open_questions(database)
    [verdict] = answer_questions(database, {question.id: Answer("refuse")})
    assert verdict.verdict == "refused"
    assert not open_questions(database)


def test_answer_that_settles_nothing_is_refused_and_writes_nothing(database: RecordsDatabase, tmp_path: Path) -> None:
    import_rows(database, tmp_path, GOOD | {"unit": ""})
    [question] = open_questions(database)
    for answers in (
        {question.id: Answer("as written")},
        {question.id: Answer("instead")},
        {"qst-1": Answer("refuse")},
        {},
    ):
        with pytest.raises(RecordsError):
            answer_questions(database, answers)
    assert open_questions(database) == [question]
    [verdict] = answer_questions(database, {question.id: Answer("instead", "GPa")})  # another question follows
    assert verdict.verdict == "held"
    [another] = open_questions(database)
    assert another.id != question.id
    given = {question.id: Answer("instead", "GPa")}  # what was answered already adds nothing beside the rest
    [verdict] = answer_questions(database, {**given, another.id: Answer("instead", "eV")})
    assert verdict.verdict == "accepted"
    assert answer_questions(database, given) == []
    with pytest.raises(RecordsError):
        answer_questions(database, {question.id: Answer("instead", "eV")})


STEP = {"sample_id": "A1", "step": "1", "operation": "heat", "temperature": "900", "duration": "2", "atmosphere": "air"}


def test_steps_wait_for_their_sample(database: RecordsDatabase, tmp_path: Path) -> None:
    (tmp_path / "steps.csv").write_bytes(csv_bytes([STEP, {"sample_id": "A1", "step": "2"}], columns=STEPS))
    report = import_sheet(database, tmp_path / "steps.csv")
    assert [row.verdict for row in report.rows] == ["held"]
    assert report.blank == 1
    assert import_rows(database, tmp_path, GOOD).waited == 1
    assert contents(database)["steps"] == [
        (1, "heat", "atmosphere", None, "air"),
        (1, "heat", "duration", 2.0, "2"),
        (1, "heat", "temperature", 900.0, "900"),
    ]


def test_raw_file_beside_the_sheet_is_known_by_its_hash(database: RecordsDatabase, tmp_path: Path) -> None:
    (tmp_path / "scan.xy").write_text("1 2")
    (tmp_path.parent / "outside.xy").write_text("secret")
    import_rows(
        database, tmp_path, GOOD | {"data_file": "scan.xy"}, GOOD | {"sample_id": "A2", "data_file": "../outside.xy"}
    )
    with database.reading() as connection:
        assert connection.execute(select(RAW_FILES.c.name, RAW_FILES.c.bytes)).all() == [("scan.xy", 3)]


def test_raw_file_that_comes_late_is_taken_with_the_sheet(database: RecordsDatabase, tmp_path: Path) -> None:
    """Also that of a row which was held at first, for answers look for no files."""
    rows = [GOOD | {"data_file": "late.xy"}, GOOD | {"sample_id": "A2", "data_file": "held.xy", "unit": ""}]
    rows.append(GOOD | {"sample_id": "A3", "data_file": "x" * 300})
    (tmp_path / "held.xy").write_text("3 4 5")
    report = import_rows(database, tmp_path, *rows)
    assert report.missing_files == ("late.xy", "x" * 300)
    answer_questions(database, {one.id: Answer("instead", "eV") for one in open_questions(database)})
    (tmp_path / "late.xy").write_text("1 2")
    for _ in range(2):
        assert import_rows(database, tmp_path, *rows).known == 3
        with database.reading() as connection:
            found = connection.execute(select(SAMPLES.c.name, RAW_FILES.c.name).join(RAW_FILES)).all()
            assert connection.execute(select(func.count()).select_from(ACTIONS)).scalar() == 3
        assert sorted(map(tuple, found)) == [("A1", "late.xy"), ("A2", "held.xy")]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no row under the headings"),
    (b"a,b\n1,2\n", "begins with: a, b"),
    (csv_bytes([]), "no row under the headings"),
    (b"\xff\xfe\x00", "encoding"),
    (csv_bytes([GOOD]).replace(b"formula wanted", b"candidate"), "twice"),
])  # fmt: skip
def test_files_that_are_no_sheet(database: RecordsDatabase, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "sheet.csv").write_bytes(content)
    with pytest.raises(InputFileError, match=message):
        import_sheet(database, tmp_path / "sheet.csv")


def test_row_with_more_cells_than_headings_is_refused(database: RecordsDatabase, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_bytes(csv_bytes([GOOD]).rstrip() + b",and,more\r\n")
    [row] = import_sheet(database, tmp_path / "sheet.csv", candidates=CANDIDATES).rows
    assert (row.verdict, row.doubts[0].code) == ("refused", codes.ROW)


def test_text_from_sheets_is_cleaned(database: RecordsDatabase, tmp_path: Path) -> None:
    import_rows(database, tmp_path, GOOD | {"sample_id": "A\u202e1\x1b[31m", "note": "line\nbreak"})
    with database.reading() as connection:
        [(name, note)] = connection.execute(select(SAMPLES.c.name, SAMPLES.c.note)).all()
        assert connection.execute(select(func.count()).select_from(SHEET_ROWS)).scalar() == 1
    assert (name, note) == ("A1[31m", "line break")
