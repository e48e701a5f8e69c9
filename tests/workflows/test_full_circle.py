"""The full circle by commands alone: screen, dossiers, filled sheets, import, retrain, propose, and round again."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from matloop.models.families.extra_trees import ExtraTrees
from matloop.workflows.cli import app
from tests.postgresql_server import Server

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "workflows" / "full_circle.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("full_circle", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def call(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, f"{words}: {done.output}{done.exception!r}"
    return done.stdout


@pytest.mark.slow
def test_three_rounds_by_commands_on_either_database(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(ExtraTrees.__init__.__kwdefaults__, "trees", 10)
    features = ("stoichiometry", "valence_orbital")
    circle = program.Circle(tmp_path, call, known=60, pool=110, batch=16, features=features)
    circle.screen()
    records = str(tmp_path / "records.sqlite")
    first, second, third = circle.rounds(records, 3)
    tried = [*first.tried, *second.tried, *third.tried]
    assert len(set(tried)) == len(tried) == 48  # nothing is proposed twice
    assert first.questions == []
    assert any("unit" in asked for asked in second.questions)  # the value in MPa under GPa
    assert any("candidate" in asked for asked in third.questions)
    assert [one["reason"] for one in first.decisions] == ["first", "few_results"]
    assert third.decisions[-1]["newest"] is not None
    status = circle.status(records)
    assert status["tally"]["held"] == 0
    assert status["tally"]["proposed"] == 32
    assert status["hits"]["tried"] >= 40
    assert status["on_results"][program.PROPERTY]["results"] >= 30
    assert 0 <= status["left"]["any_left"] <= 1
    on_server = server.new_database()
    assert list(circle.rounds(on_server, 3)) == [first, second, third]
    assert circle.status(on_server)["hits"] == status["hits"]
