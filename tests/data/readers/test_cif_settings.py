"""Every twelfth of the 564 settings that gemmi tables, stated in every usual way: right or refused, never wrong."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import gemmi
import pytest

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "data" / "symmetry_settings.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("symmetry_settings", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_no_setting_is_read_wrong(program: ModuleType) -> None:
    settings = list(gemmi.spacegroup_table())[::12]
    counts = program.count({"matloop": program.matloop}, settings)
    verdicts = {way: dict(found) for (way, _), found in counts.items()}
    assert {way: found for way, found in verdicts.items() if "wrong" in found} == {}
    for way in ("operations", "operations, symbol, number, formula and Z"):
        assert verdicts[way] == {"right": len(settings)}
    assert verdicts["Hall symbol"]["right"] >= 0.9 * len(settings)
    assert verdicts["number of a group with one setting"].keys() == {"right"}
    assert verdicts["symbol, formula and Z"]["right"] >= 0.9 * len(settings)
