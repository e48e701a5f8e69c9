"""The recipes of the guide: each row of its table is a campaign that says what to install, or can be used."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from matloop.data.allowed_modules import allowing
from matloop.data.errors import PlugInImportError, PotentialError
from matloop.models.potentials import ase_calculator
from matloop.models.potentials.contract import potential_named
from matloop.screening.campaign.stage_settings import PotentialStage

GUIDE = Path(__file__).parents[3] / "docs" / "guide.md"
ROWS = re.findall(
    r"^\| (\w+) \| `([\w-]+)` \| `([\w.]+:[\w.]+)` \| `(\{.*?\})` \| (.*) \|$", GUIDE.read_text("utf-8"), re.MULTILINE
)


def stage_of(calculator: str, options: str) -> PotentialStage:
    written = {"name": "ase", "calculator": calculator, "options": YAML(typ="safe").load(options)}
    return PotentialStage.model_validate({**written, "weights": "w.model", "sha256": "0" * 64})


def test_the_guide_has_a_recipe_for_each_of_five_potentials() -> None:
    assert [row[0] for row in ROWS] == ["MACE", "MatterSim", "SevenNet", "UMA", "ORB"]


@pytest.mark.parametrize(("name", "package", "calculator", "options", "weights"), ROWS)
def test_a_recipe_says_what_to_install(
    name: str, package: str, calculator: str, options: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(calculator, options)
    assert "$weights" in options
    assert re.search("MIT|License|Apache", weights)
    module = calculator.partition(":")[0]
    monkeypatch.setattr(ase_calculator.importlib.util, "find_spec", lambda _: None)
    missing = package if not module.startswith("my_") else "--editable"
    with allowing([module]), pytest.raises(PlugInImportError, match=missing):
        potential_named("ase", **stage.parameters)


def test_an_installed_package_is_taken_to_its_weights() -> None:
    pytest.importorskip("sevenn", reason="sevenn is not installed (extra sevennet)")
    stage = stage_of("sevenn.calculator:SevenNetCalculator", "{model: $weights, device: cpu}")
    with allowing(["sevenn.calculator"]), pytest.raises(PotentialError, match="are no file"):
        potential_named("ase", **stage.parameters)
