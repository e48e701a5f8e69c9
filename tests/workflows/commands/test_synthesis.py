"""``matloop synthesis`` prints routes in either language, and says when there is none."""

import json

import pytest
from typer.testing import CliRunner

from matloop.data.errors import MatloopError
from matloop.workflows.cli import app


def run(*words: str):
    return CliRunner().invoke(app, ["synthesis", *words], env={"COLUMNS": "200", "TERM": "dumb"})


def test_routes_masses_and_hazards_are_printed() -> None:
    shown = run("BaTiO3", "--mass", "10", "--purity", "BaCO3=99.5%")
    assert shown.exit_code == 0
    for text in (
        "BaCO3 + TiO2 -> BaTiO3 + CO2",
        "8.5049 (99.50%)",
        "H302 (056-003-00-2)",
        "unknown here",
        "Tammann",
        "H302: harmful",
    ):
        assert text in shown.output


def test_the_same_in_chinese() -> None:
    shown = run("BaTiO3", "--lang", "zh", "--precursors", "BaCO3,TiO2")
    assert shown.exit_code == 0
    assert "前驱体" in shown.output
    assert "passed" not in shown.output
    assert "points" not in shown.output


def test_json_is_one_object() -> None:
    shown = run("BaTiO3", "--json", "--routes", "1")
    assert json.loads(shown.output)["routes"][0]["atmosphere"] == "air"


def test_nothing_found_is_said() -> None:
    shown = run("BaTiO3", "--precursors", "SrCO3,TiO2")
    assert shown.exit_code == 1
    assert "No route was found" in shown.output


@pytest.mark.parametrize("words", [("=cmd()",), ("BaTiO3", "--lang", "fr"), ("BaTiO3", "--loss", "Li")])
def test_what_cannot_be_read_has_a_code(words: tuple[str, ...]) -> None:
    shown = run(*words)
    assert isinstance(shown.exception, MatloopError)
