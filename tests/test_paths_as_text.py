"""Wherever a person hands over a path from Python, text does as well."""

import inspect
import typing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.sources.ase_database import AseDatabase
from matloop.data.sources.snapshot import Snapshot, read_provenance
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.sources.table import FormulaTable
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.campaign_file import inspect_campaign, read_campaign
from matloop.screening.report.page import write_report
from matloop.screening.runs.run_view import RunView
from matloop.workflows.bench.matbench_file import read_matbench
from matloop.workflows.commands.feature_table import write_features
from matloop.workflows.commands.fetch import fetch
from matloop.workflows.deciding.explanations import explain_run
from matloop.workflows.inspecting.doctor import doctor
from matloop.workflows.inspecting.run_list import runs_in
from matloop.workflows.inspecting.status import status_of
from matloop.workflows.inspecting.validation import campaign_path, checked_campaign, validate
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.resume import fork, resume, score_share
from matloop.workflows.screen import screen

PUBLIC = {
    AseDatabase: "path", CandidateBatch.read_parquet: "path", CandidateBatch.write_parquet: "path",
    FormulaTable: "path", RunView: "folder", Snapshot: "path", StructureFiles: "path", Surrogate.load: "folder",
    Surrogate.save: "folder", campaign_path: "name", checked_campaign: "name", doctor: "folder",
    explain_run: "folder", fetch: "output", fork: "folder", inspect_campaign: "path", read_campaign: "path",
    read_matbench: "path", read_provenance: "path", resume: "folder", runs_in: "folder", score_share: "folder",
    screen: "output", status_of: "folder", story_of: "run", validate: "name", write_features: "output",
    write_report: "folder",
}  # fmt: skip


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__qualname__)
def test_text_and_paths_are_taken(function: typing.Any) -> None:
    annotation = str(inspect.signature(function).parameters[PUBLIC[function]].annotation)
    assert {"str", "Path"} <= set(annotation.replace("|", " ").split())


def test_text_works(tmp_path: Path) -> None:
    batch = CandidateBatch.from_formulas(["NaCl"]).batch
    batch.write_parquet(str(tmp_path / "b.parquet"))
    assert CandidateBatch.read_parquet(str(tmp_path / "b.parquet")).formulas == ["NaCl"]
    assert FormulaTable(str(tmp_path / "b.parquet")).count() == FormulaTable(tmp_path / "b.parquet").count() == 1
    assert StructureFiles(tmp_path).files() == StructureFiles(str(tmp_path)).files()
    assert not RunView(str(tmp_path)).is_there
    assert runs_in(str(tmp_path)) == []
    assert pq.read_metadata(tmp_path / "b.parquet").num_rows == 1


def test_home_is_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t.csv").write_text("formula\nNaCl\n")
    assert FormulaTable("~/t.csv").count() == 1
    assert StructureFiles("~/t.csv").files() == [tmp_path / "t.csv"]
