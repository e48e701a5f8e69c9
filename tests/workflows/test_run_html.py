"""A run in a notebook, and handed to other programs from Python and from the command line."""

from pathlib import Path

import ase.io
import pytest
from typer.testing import CliRunner

from matloop.data.errors import RunError
from matloop.workflows.cli import app
from matloop.workflows.screen import ScreeningRun
from tests.screening.report.run_directories import make_run


@pytest.fixture
def run(tmp_path: Path) -> ScreeningRun:
    make_run(tmp_path / "tiny", "band_gap", places=3)
    return ScreeningRun(tmp_path / "tiny")


def test_a_notebook_shows_the_shortlist(run: ScreeningRun) -> None:
    shown = run._repr_html_()
    assert shown.startswith("<p>tiny: ")
    assert shown.count("<tr>") == 4
    for heading in ("formula", "P(all)", "Eg (eV)"):
        assert f"<th>{heading}</th>" in shown
    for formula in run.shortlist["formula"]:
        assert f"<td>{formula}</td>" in shown
    assert "report.html" in shown


def test_a_notebook_shows_no_markup_of_a_stranger(tmp_path: Path) -> None:
    make_run(tmp_path / "tiny", "band_gap", formula="<img src=x onerror=alert(1)>")
    shown = ScreeningRun(tmp_path / "tiny")._repr_html_()
    assert "<img" not in shown
    assert "&lt;img" in shown


def test_a_long_shortlist_is_cut_in_a_notebook(tmp_path: Path) -> None:
    make_run(tmp_path / "tiny", "band_gap", places=30)
    shown = ScreeningRun(tmp_path / "tiny")._repr_html_()
    assert shown.count("<tr>") == 21
    assert "The first 20 of 30 are shown." in shown


def test_a_run_that_cannot_be_shown_says_why(tmp_path: Path) -> None:
    assert "E-RUN: no run in" in ScreeningRun(tmp_path)._repr_html_()


def test_data_frames_of_a_run(run: ScreeningRun) -> None:
    assert run.to_pandas()["rank"].tolist() == list(range(1, 31))
    chosen = run.to_pandas(shortlisted=True)
    assert chosen["shortlisted"].tolist() == [1, 2, 3]
    assert chosen["band_gap_pred"].tolist() == run.shortlist["band_gap_pred"].tolist()
    assert chosen["band_gap_unit"].unique().tolist() == ["eV"]


def test_export_from_python_and_from_the_command_line_is_the_same(run: ScreeningRun, tmp_path: Path) -> None:
    written = run.export(tmp_path / "python.xyz", shortlisted=True)
    call = ["export", str(run.folder), "--to", str(tmp_path / "command.xyz"), "--shortlisted"]
    answer = CliRunner().invoke(app, call)
    assert answer.exit_code == 0
    assert answer.output.splitlines() == [f"{tmp_path / 'command.xyz'}: 3 candidates"]
    assert written.rows == len(ase.io.read(tmp_path / "command.xyz", ":")) == 3
    assert (tmp_path / "python.xyz").read_bytes() == (tmp_path / "command.xyz").read_bytes()


def test_a_format_that_is_not_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="names no format"):
        ScreeningRun(tmp_path / "no run").export("all.cif")
