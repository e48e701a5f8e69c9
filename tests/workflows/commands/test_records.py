"""The commands that take result sheets in and settle what is asked about them."""

import csv
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from matloop.data.properties.columns import Column
from matloop.data.records.result_codes import RESULT_CODES
from matloop.data.records.result_sheet import RESULTS
from matloop.workflows.cli import app
from matloop.workflows.screen import ScreeningRun

DOCS = Path(__file__).parents[3] / "docs" / "records.md"


def call(*arguments: object, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == exit_code, done.output
    return done.output


@pytest.fixture
def sheet(finished: ScreeningRun, tmp_path: Path) -> Path:
    """Three results of finalists of the small campaign: one good, one without unit, one of an unknown candidate."""
    rows = []
    for place, (_, one) in enumerate(finished.shortlist.head(3).iterrows()):
        cells = {
            "candidate_id": one[Column.CANDIDATE_ID], "formula": one[Column.FORMULA], "sample_id": f"S{place}",
            "outcome": "made", "property": "refractive index", "value": "2.1", "unit": "1",
        }  # fmt: skip
        rows.append(cells)
    rows[1]["value"] = "2.1 GPa"
    rows[2]["candidate_id"] = "nobody"
    path = tmp_path / "sheet.csv"
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.heading("zh") for column in RESULTS])
        writer.writerows([[row.get(column.key, "") for column in RESULTS] for row in rows])
    return path


def test_from_a_run_to_settled_records(finished: ScreeningRun, sheet: Path, tmp_path: Path) -> None:
    place = tmp_path / "records.sqlite"
    told = call("import", sheet, "--run", finished.view.folder, "--records", place, "--laboratory", "lab-a")
    assert "read as GB18030): 1 accepted, 2 held, 0 refused" in told
    assert "2 open questions" in call("questions", "--records", place)
    in_chinese = call("questions", "--records", place, "--lang", "zh")
    assert "2 个待答复的问题" in in_chinese
    assert "question" not in in_chinese
    assert "单位，如" in in_chinese or "数字后为" in in_chinese or "不是" in in_chinese
    assert not re.search("nearest|behind|measure|such as", in_chinese)
    asked = tmp_path / "questions.csv"
    call("questions", "--records", place, "--output", asked)
    with asked.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0] |= {"answer": "", "instead": "2.1"}
    rows[1] |= {"answer": "refuse"}
    with asked.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    told = call("questions", "--answers", asked, "--records", place)
    assert "rows judged again: 1 accepted, 0 held, 1 refused" in told
    assert "No open questions" in call("questions", "--records", place)
    assert "values: 2 refractive_index" in call("records", "--records", place)
    assert "2 values" in call("records", "--records", place, "--export", tmp_path / "values.csv")
    assert "3 rows in the records already" in call("import", sheet, "--records", place)
    in_chinese = call("import", sheet, "--records", place, "--lang", "zh")
    assert "（按 GB18030 读取）：接受 0 行，待答复 0 行，拒绝 0 行。" in in_chinese
    assert "3 行已在记录中" in in_chinese


def test_wrong_file_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    call("import", tmp_path / "notes.csv", "--records", tmp_path / "records.sqlite", exit_code=1)
    assert not (tmp_path / "records.sqlite").exists()


def test_answer_that_cannot_be_read(tmp_path: Path) -> None:
    place = tmp_path / "records.sqlite"
    done = CliRunner().invoke(app, ["questions", "--answer", "qst-1", "--records", str(place)])
    assert done.exit_code == 1
    assert "answer 'qst-1'. Allowed: QUESTION=as written, QUESTION=refuse" in str(done.exception)
    assert not place.exists()


def test_every_code_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [code for code in RESULT_CODES if f"| `{code}` |" not in text] == []
