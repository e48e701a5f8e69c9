"""pyproject.toml says what matloop needs; environment.yml and constraints.txt must say the same."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = {"core": PROJECT["dependencies"], **EXTRAS}

# Where conda-forge has another name, has no extras and splits a package, or has no such package.
CONDA_NAMES = {
    "torch": ["pytorch"],
    "build": ["python-build"],
    "dask": ["dask", "distributed"],
    "torch-sim-atomistic": [],
}


def conda_bounds() -> dict[str, SpecifierSet]:
    entries = YAML(typ="safe", pure=True).load(ROOT / "environment.yml")["dependencies"]
    split = (entry.partition(" ") for entry in entries)
    return {name: SpecifierSet(bounds) for name, _, bounds in split}


def expected_bounds(requirements: list[str]) -> dict[str, SpecifierSet]:
    parsed = [Requirement(text) for text in requirements]
    return {name: item.specifier for item in parsed for name in CONDA_NAMES.get(item.name, [item.name])}


def pins() -> dict[str, Version]:
    found = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            name, _, version = text.partition("==")
            assert canonicalize_name(name) not in found, f"{name} is pinned twice"
            found[canonicalize_name(name)] = Version(version)
    return found


@pytest.mark.parametrize("group", DECLARED)
def test_environment_file_has_the_same_bounds(group: str) -> None:
    present = conda_bounds()
    expected = expected_bounds(DECLARED[group])
    assert {name: present.get(name) for name in expected} == expected


def test_environment_file_has_nothing_else() -> None:
    expected = {name for requirements in DECLARED.values() for name in expected_bounds(requirements)}
    assert set(conda_bounds()) - expected == {"python", "pip"}
    assert conda_bounds()["python"] == SpecifierSet(PROJECT["requires-python"])


@pytest.mark.parametrize("group", DECLARED)
def test_constraints_pin_a_version_that_the_bounds_allow(group: str) -> None:
    pinned = pins()
    for text in DECLARED[group]:
        item = Requirement(text)
        version = pinned.get(canonicalize_name(item.name))
        assert version is not None, f"constraints.txt does not pin {item.name}"
        assert version in item.specifier, f"constraints.txt pins {item.name}=={version}, pyproject.toml asks for {item}"


def test_constraints_install_anywhere() -> None:
    # A local version such as +cpu exists on one machine only.
    assert [str(version) for version in pins().values() if version.local] == []
