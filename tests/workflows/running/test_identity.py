"""What decides a result is told apart: campaign, code, libraries, input files."""

import ast
import importlib.metadata
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running import identity as module
from matloop.workflows.running import plug_ins
from matloop.workflows.running.identity import (
    code_files,
    code_key,
    decides,
    differences,
    identity_of,
    input_files,
    told,
)
from tests.plugins import install_plugin
from tests.workflows.conftest import SMALL, campaign

ROOT = Path(__file__).parents[3]


def reading(*sources: Any, **changes: Any) -> Campaign:
    return campaign(sources=list(sources), **changes)


def found(before: Campaign, now: Campaign, rows: int = 100) -> list[str]:
    return differences(as_kept(identity_of(before, 100)), identity_of(now, rows))


def as_kept(identity: dict[str, Any]) -> dict[str, Any]:
    """As it is read from the run directory."""
    return json.loads(json.dumps(identity, allow_nan=False))  # type: ignore[no-any-return]


def test_an_identity_is_plain_json_and_equal_to_itself() -> None:
    identity = identity_of(campaign(), 100)
    assert differences(as_kept(identity), identity) == []
    assert found(campaign(), campaign()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seed": 1}, ["campaign.seed: 0 -> 1"]),
        ({"name": "other"}, ["campaign.name: small -> other"]),
        ({"shortlist": {"size": 6, "diversity": 0.5}}, ["campaign.shortlist.size: 5 -> 6"]),
        ({"surrogates": {**SMALL["surrogates"], "keep": 61}}, ["campaign.surrogates.keep: 60 -> 61"]),
    ],
)
def test_a_changed_value_is_shown_by_its_place(changes: dict[str, Any], expected: list[str]) -> None:
    assert found(campaign(), campaign(**changes)) == expected


def test_changed_lists_and_sizes_of_partitions_are_shown() -> None:
    (filters,) = found(campaign(), campaign(filters=["new_compounds"]))
    assert filters.startswith("campaign.filters: [")
    assert len(filters) < 200  # each side is cut
    assert found(campaign(), campaign(), rows=50) == ["partition_rows: 100 -> 50"]


def test_where_workers_are_decides_nothing() -> None:
    assert found(campaign(), campaign(cluster={"kind": "slurm", "interface": "ib0"})) == []


def test_a_changed_code_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = as_kept(identity_of(campaign(), 100))
    files = dict(code_files())
    some, other = "workflows/running/engine.py", "data/runs/manifest.py"
    assert len(files[some]) == 64
    assert not [name for name in files if "__pycache__" in name]
    changed = {**files, some: "0" * 64, "models/new.py": "1"}
    del changed[other]
    monkeypatch.setattr(module, "code_files", lambda: changed)
    assert sorted(differences(before, identity_of(campaign(), 100))) == [
        f"code.{other}: removed", "code.models/new.py: added", f"code.{some}: changed",
    ]  # fmt: skip


def test_code_files_are_those_of_the_package_and_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = code_files()
    assert {"data/errors.py", "data/datasets/materials.parquet", "models/families/extra_trees.py"} <= files.keys()
    package = tmp_path / "pretended"
    (package / "inner" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "a.py").write_text("1")
    (package / "inner" / ".a.py.swp").write_text("1")
    (package / "inner" / "notes.txt").write_text("1")
    (package / "inner" / "__pycache__" / "a.pyc").write_text("1")
    monkeypatch.setattr(module, "_PACKAGES", ("pretended",))
    pretended = type("Module", (), {"__path__": [str(package)]})
    monkeypatch.setattr(module.importlib, "import_module", lambda name: pretended)
    first = dict(module._hashed())
    assert sorted(first) == ["pretended/__init__.py", "pretended/inner/a.py"]
    (package / "inner" / "a.py").write_text("2")
    second = dict(module._hashed())
    assert first["pretended/__init__.py"] == second["pretended/__init__.py"]
    assert first["pretended/inner/a.py"] != second["pretended/inner/a.py"]


def test_another_version_of_a_library_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    before, key = as_kept(identity_of(campaign(), 100)), code_key(campaign())
    real = importlib.metadata.version

    def pretend(name: str) -> str:
        if name == "ase":
            raise importlib.metadata.PackageNotFoundError
        return "0.0.1" if name == "numpy" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", pretend)
    assert sorted(differences(before, identity_of(campaign(), 100))) == [
        "versions.ase: removed", f"versions.numpy: {real('numpy')} -> 0.0.1",
    ]  # fmt: skip
    module._key_of_everything_installed.cache_clear()
    assert code_key(campaign()) != key
    module._key_of_everything_installed.cache_clear()
    monkeypatch.setattr(module.platform, "python_version", lambda: "3.99.0")
    assert differences(before, identity_of(campaign(), 100))[0].startswith("python: 3.")


def test_only_some_of_many_differences_are_told() -> None:
    assert told([f"x{n}: added" for n in range(3)]) == "x0: added; x1: added; x2: added"
    text = told([f"x{n}: added" for n in range(40)])
    assert text.count("added") == 12
    assert text.endswith("; and 28 more")


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a table and a folder of structures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("formula\nNaCl\n")
    (tmp_path / "cifs" / "deep").mkdir(parents=True)
    for name in ("cifs/a.cif", "cifs/deep/b.cif", "other.cif", "more.cif"):
        (tmp_path / name).write_text(name)
    return tmp_path


TABLE = {"table": {"path": "t.csv"}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (TABLE, ["t.csv"]),
        ({"structure_files": "cifs"}, ["cifs/a.cif", "cifs/deep/b.cif"]),
        ({"structure_files": "*.cif"}, ["more.cif", "other.cif"]),
        ({"structure_files": "**/*.cif"}, ["cifs/a.cif", "cifs/deep/b.cif", "more.cif", "other.cif"]),
        ({"structure_files": "nothing/*.cif"}, []),
        ({"table": {"path": "gone.csv"}}, []),
        ("embedded", []),
    ],
)
def test_files_of_a_source_by_file_folder_and_pattern(source: Any, expected: list[str], inputs: Path) -> None:
    assert sorted(input_files(reading(source).sources)) == expected


def test_a_changed_input_file_is_named(inputs: Path) -> None:
    chosen = reading(TABLE, {"structure_files": "cifs"})
    before = as_kept(identity_of(chosen, 100))
    (inputs / "t.csv").write_text("formula\nNaCl\nKCl\n")
    stat = (inputs / "cifs/a.cif").stat()
    (inputs / "cifs/a.cif").write_text("cifs/A.cif")  # as long as before, and with the same time of change
    os.utime(inputs / "cifs/a.cif", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (inputs / "cifs/.hidden").write_text("nobody reads it")
    (inputs / "cifs/deep/b.cif").unlink()
    (inputs / "cifs/deep/c.cif").write_text("c")
    assert sorted(differences(before, identity_of(chosen, 100))) == [
        "input_files.cifs/a.cif: changed", "input_files.cifs/deep/b.cif: removed",
        "input_files.cifs/deep/c.cif: added", "input_files.t.csv: changed",
    ]  # fmt: skip


def test_files_of_further_references_count_too(inputs: Path) -> None:
    stable = {"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"}
    potential = {"references": [{"structure_files": "cifs"}]}
    chosen = reading(TABLE, targets=[stable], potential=potential)
    before = as_kept(identity_of(chosen, 100))
    assert sorted(before["input_files"]) == ["t.csv"]
    assert sorted(before["reference_files"]) == ["cifs/a.cif", "cifs/deep/b.cif"]
    (inputs / "cifs/a.cif").write_text("another crystal")
    assert differences(before, identity_of(chosen, 100)) == ["reference_files.cifs/a.cif: changed"]


def test_touching_a_file_changes_nothing(inputs: Path) -> None:
    before = as_kept(identity_of(reading(TABLE), 100))
    os.utime(inputs / "t.csv", ns=(1, 1))
    assert differences(before, identity_of(reading(TABLE), 100)) == []


def modules_imported(start: list[str]) -> set[str]:
    """Files of the package that modules import, directly or through others; what registries name is among them."""
    found, open_files = set(), list(start)
    while open_files:
        name = open_files.pop()
        if name in found:
            continue
        found.add(name)
        text = (ROOT / name).read_text("utf-8")
        named = re.findall(r"matloop\.([a-z_]+(?:\.[a-z_]+)+)", "\n".join(_import_lines(text)))
        paths = (Path(*each.split(".")).with_suffix(".py").as_posix() for each in named)
        open_files += [path for path in paths if (ROOT / path).is_file()]
    return found


def _import_lines(text: str) -> list[str]:
    imports = [
        f"matloop.{node.module.removeprefix('matloop.')}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("matloop.")
    ]
    return [*imports, *re.findall(r'"(matloop\.[a-z_.]+):', text)]


def test_what_workers_run_is_part_of_the_identity() -> None:
    """No number of a candidate hangs on a file that is left out of the identity."""
    jobs = ["workflows/stages/scoring.py", "workflows/stages/potential.py", "data/registry.py"]
    left_out = sorted(name for name in modules_imported(jobs) if not decides(name))
    assert left_out == []
    assert "models/potentials/chgnet_network.py" in modules_imported(jobs)  # through a registry
    assert not decides("screening/report/templates/report.html.j2")
    assert not decides("workflows/campaigns/optical_window.yaml")  # the campaign as resolved is part of the identity


FILTER = """
from matloop.screening.filters.elements import ExcludeElements

class Plugin(ExcludeElements):
    name = "outside"
"""


def test_a_plug_in_that_is_used_is_part_of_the_identity_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin(tmp_path, monkeypatch, group="matloop.filters", name="outside", source=FILTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    plain, using = campaign(), campaign(filters=[{"outside": ["Cd"]}])
    assert identity_of(plain, 100)["plug_ins"] == {}
    before, key = as_kept(identity_of(using, 100)), code_key(using)
    assert list(before["plug_ins"]) == ["matloop.filters: outside"]
    assert key != code_key(plain)
    (tmp_path / "plugin_outside.py").write_text(FILTER + "\n# upgraded, under the same version\n", "utf-8")
    plug_ins._content_of.cache_clear()
    (difference,) = differences(before, identity_of(using, 100))
    assert difference.startswith("plug_ins.matloop.filters: outside: plugin_outside 1.0, content ")
    assert code_key(using) != key
    assert differences(as_kept(identity_of(plain, 100)), identity_of(plain, 100)) == []


def test_names_of_files_that_are_no_utf8_are_written_with_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "plain.cif").write_text("data_a\n")
    with open(os.fsencode(tmp_path) + b"/\xc2\xc8.cif", "w") as file:
        file.write("data_b\n")
    found = input_files(reading({"structure_files": str(tmp_path)}).sources)
    assert sorted(found) == [rf"{tmp_path}/\xc2\xc8.cif", f"{tmp_path}/plain.cif"]
