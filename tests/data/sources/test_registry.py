from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from matloop.data import registry
from matloop.data.errors import UnknownNameError
from matloop.data.registry import SOURCES, lookup


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


def test_other_packages_add_entries_but_do_not_replace_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [EntryPoint("theirs", "pathlib:PurePath", group), EntryPoint("path", "pathlib:PosixPath", group)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    table = {"path": "pathlib:Path"}
    assert lookup("filter", table, "theirs").__name__ == "PurePath"
    assert lookup("filter", table, "path") is Path
    assert asked == ["matloop.filters"]
    with pytest.raises(UnknownNameError) as caught:
        lookup("filter", table, "thiers")
    assert caught.value.allowed == "path, path, theirs"
    assert caught.value.fix == "did you mean 'theirs'?"
