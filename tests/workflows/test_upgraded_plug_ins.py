"""A run that uses a package from outside goes on only with what it began with."""

import sys
from pathlib import Path

import pytest

from matloop.data.errors import RunChangedError
from matloop.workflows.resume import resume
from matloop.workflows.running import plug_ins
from matloop.workflows.screen import screen
from tests.plugins import install_plugin
from tests.workflows.conftest import campaign

FILTER = """
from matloop.screening.filters.elements import ExcludeElements

class Plugin(ExcludeElements):
    name = "outside_elements"
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module of an installed package that brings a filter."""
    install_plugin(tmp_path, monkeypatch, group="matloop.filters", name="outside_elements", source=FILTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "plugin_outside_elements.py"


def test_r26_a_plug_in_upgraded_between_prepare_and_resume_is_refused(
    plug_in: Path, trained: None, tmp_path: Path
) -> None:
    using = campaign(filters=[{"outside_elements": ["Cd"]}])
    run = screen(using, output=tmp_path / "run", partition_rows=300, prepare_only=True)
    plug_in.write_text(FILTER + "    released = 2\n", "utf-8")
    facts = plug_in.with_name("plugin_outside_elements-1.0.dist-info")
    facts.rename(plug_in.with_name("plugin_outside_elements-1.1.dist-info"))
    metadata = plug_in.with_name("plugin_outside_elements-1.1.dist-info") / "METADATA"
    metadata.write_text(metadata.read_text("utf-8").replace("Version: 1.0", "Version: 1.1"), "utf-8")
    plug_ins._content_of.cache_clear()  # as in a new process
    sys.path_importer_cache.clear()
    with pytest.raises(
        RunChangedError,
        match=r"plug_ins\.matloop\.filters: outside_elements: plugin_outside_elements 1\.0, content \w+ -> "
        r"plugin_outside_elements 1\.1, content \w+",
    ):
        resume(run.folder)
