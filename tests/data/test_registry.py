from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from matloop.data import registry
from matloop.data.errors import (
    PlugInContractError,
    PlugInDoubleError,
    PlugInError,
    PlugInImportError,
    UnknownNameError,
)
from matloop.data.registry import SOURCES, lookup, plug_ins
from matloop.data.sources.contract import Source
from matloop.featurizers.base import Featurizer
from matloop.models.families.contract import Ensemble
from matloop.screening.filters.contract import Filter


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_in_the_table_exists(name: str) -> None:
    source = lookup("source", SOURCES, name)
    assert source.name == name
    assert callable(source.intakes)
    assert callable(source.count)


def test_imports_only_what_is_asked_for() -> None:
    table = {"path": "pathlib:Path", "broken": "no_such_module:Thing"}
    assert lookup("source", table, "path") is Path
    with pytest.raises(ModuleNotFoundError):
        lookup("source", table, "broken")


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown source 'embeded'.*did you mean 'embedded'\?"):
        lookup("source", SOURCES, "embeded")


class Complete(Filter):
    """Has all parts that a filter needs."""


class Lacking:
    """Has neither margin nor words."""

    def judge(self) -> None: ...


HERE = "tests.data.test_registry"


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of the filters, to be added to."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "matloop.filters" else [])
    return points


def entry(name: str, value: str, package: str = "") -> EntryPoint:
    point = EntryPoint(name, value, "matloop.filters")
    if package:
        distribution = SimpleNamespace(name=package.split()[0], version=package.split()[1])
        point.__dict__["dist"] = distribution
    return point


def test_other_packages_add_entries_but_do_not_replace_ours(entries: list[EntryPoint]) -> None:
    entries += [entry("theirs", f"{HERE}:Complete"), entry("path", "pathlib:PosixPath")]
    table = {"path": "pathlib:Path"}
    assert lookup("filter", table, "theirs").__name__ == "Complete"
    assert lookup("filter", table, "path") is Path
    with pytest.raises(UnknownNameError) as caught:
        lookup("filter", table, "thiers")
    assert caught.value.allowed == "path, path, theirs"
    assert caught.value.fix == "did you mean 'theirs'?"
    assert [found.name for found in plug_ins("filter")] == ["path", "theirs"]
    assert plug_ins("source") == []


def test_two_packages_with_one_name_are_both_named(entries: list[EntryPoint]) -> None:
    entries += [entry("theirs", f"{HERE}:Complete", "one 1.0"), entry("theirs", f"{HERE}:Complete", "two 2.1")]
    with pytest.raises(
        PlugInDoubleError, match=r"E-PLUG-IN-DOUBLE: filter 'theirs' is brought by one 1.0 and by two 2.1"
    ):
        lookup("filter", {}, "theirs")


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("no_such_package.at_all:Thing", PlugInImportError, "cannot be imported: ModuleNotFoundError"),
        ("pathlib:NoSuchThing", PlugInImportError, "cannot be imported: AttributeError"),
        ("this_module_is_broken:Thing", PlugInImportError, "ZeroDivisionError: division by zero"),
        (f"{HERE}:Lacking", PlugInContractError, "has no margin, title, reason_words"),
        ("math:pi", PlugInContractError, "is float, which makes nothing"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_package(
    value: str,
    kind: type[PlugInError],
    words: str,
    entries: list[EntryPoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "this_module_is_broken.py").write_text("1 / 0\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    entries.append(entry("theirs", value, "their-package 3.0"))
    with pytest.raises(kind, match=words) as caught:
        lookup("filter", {}, "theirs")
    assert "filter 'theirs' of their-package 3.0" in str(caught.value)
    assert caught.value.allowed
    assert caught.value.fix


@pytest.mark.parametrize(
    ("kind", "contract"), [("source", Source), ("featurizer", Featurizer), ("model", Ensemble), ("filter", Filter)]
)
def test_parts_that_are_asked_for_are_parts_of_the_contract(kind: str, contract: type) -> None:
    methods = {name for name, part in vars(contract).items() if callable(part) or isinstance(part, classmethod)}
    methods = {name for name in methods if not name.startswith("_")}
    assert methods <= set(registry._NEEDED[kind])
    assert set(registry._NEEDED[kind]) <= methods | contract.__annotations__.keys()
