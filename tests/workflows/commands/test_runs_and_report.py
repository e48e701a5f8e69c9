"""``matloop runs`` and ``matloop report``."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from matloop.data.errors import RunError
from matloop.data.runs.lock import RunLock
from matloop.workflows.cli import app
from matloop.workflows.inspecting.run_list import DAMAGED, runs_in
from matloop.workflows.screen import ScreeningRun


@pytest.fixture
def folder(finished: ScreeningRun, tmp_path: Path) -> Path:
    return shutil.copytree(finished.folder, tmp_path / "runs" / "first")


def test_report_again_is_the_same_to_the_byte(folder: Path) -> None:
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 0
    assert str(folder / "report.html") in done.output.replace("\n", "")
    assert (folder / "report.html").read_bytes() == before


@pytest.mark.parametrize("gone", ["run.json", "all"])
def test_report_of_what_is_not_finished(gone: str, folder: Path) -> None:
    if gone == "all":
        shutil.rmtree(folder)
    else:
        (folder / gone).unlink()
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert isinstance(done.exception, RunError)
    assert ("no run in" if gone == "all" else "not finished") in str(done.exception)


def test_runs_in_all_their_states(folder: Path) -> None:
    top = folder.parent
    for name in ("second", "third", "fourth"):
        shutil.copytree(folder, top / name)
    for name in ("second", "third"):
        (top / name / "report.html").unlink()
    (top / "fourth" / "run.json").write_text("{}")
    (top / "no run").mkdir()
    (top / "notes.txt").write_text("mine")
    progress = json.loads((top / "third" / "progress.json").read_text("utf-8"))
    (top / "third" / "progress.json").write_text(json.dumps({**progress, "state": "failed", "updated": 1e9}))
    with RunLock(top / "second"):
        listed = {Path(run.run).name: run for run in runs_in(top)}
    assert {name: run.state for name, run in listed.items()} == {
        "first": "complete", "second": "running", "third": "failed", "fourth": "complete",
    }  # fmt: skip
    assert listed["first"].candidates == 2300
    assert listed["first"].shortlisted == 5
    assert listed["first"].campaign == "small"
    # The third had its report once.
    assert {name: run.code for name, run in listed.items() if run.code} == {
        "third": "E-FILE-DAMAGED", "fourth": "E-FILE-DAMAGED",
    }  # fmt: skip
    assert list(listed)[-1] == "third"  # the oldest
    assert listed["third"].updated == pytest.approx(1e9, abs=1)


def test_runs_as_json_and_as_a_table(folder: Path) -> None:
    asked = CliRunner().invoke(app, ["runs", str(folder.parent), "--json"])
    (run,) = json.loads(asked.output)
    assert (run["state"], run["shortlisted"], run["code"]) == ("complete", 5, "")
    text = CliRunner().invoke(app, ["runs", str(folder.parent)]).output
    assert all(word in text for word in ("first", "small", "complete", "2,300", "5"))


def test_a_run_that_cannot_be_looked_at_is_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, *, content: bool) -> None:
        assert not content  # a list of runs compares sizes
        raise RunError("no")

    monkeypatch.setattr("matloop.workflows.inspecting.run_list.status_of", refuse)
    (run,) = runs_in(folder.parent)
    assert (run.state, run.code) == (DAMAGED, "E-RUN")


def test_no_folder_and_no_runs(tmp_path: Path) -> None:
    assert runs_in(tmp_path) == []
    with pytest.raises(RunError, match="cannot list"):
        runs_in(tmp_path / "gone")
