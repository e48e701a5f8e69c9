import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from matloop.data import installation
from matloop.data.installation import install_command

Patch = pytest.MonkeyPatch


@pytest.fixture
def came_from(monkeypatch: Patch, tmp_path: Path) -> Any:
    """Makes matloop look as if it had come from somewhere, in an environment whose pip is on the path."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / "bin" / name))

    class Distribution:
        def __init__(self, content: str | None) -> None:
            self.content = content

        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return self.content

    def call(content: str | None) -> None:
        left_by_a_build = Distribution(None)
        found = [left_by_a_build, Distribution(content)]
        monkeypatch.setattr(importlib.metadata, "distributions", lambda name: found if name == "matloop" else [])

    return call


def test_from_the_package_index(came_from: Any) -> None:
    came_from(None)
    assert install_command("matloop[hpc]") == "pip install 'matloop[hpc]'"
    assert install_command("matloop[torch-sim]") == "pip install 'matloop[torch-sim]'"
    assert install_command("--force-reinstall", "torch") == "pip install --force-reinstall torch"


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"url": 5}', "{}"])
def test_a_record_that_says_nothing(content: str, came_from: Any) -> None:
    came_from(content)
    assert install_command("matloop[hpc]") == "pip install 'matloop[hpc]'"


@pytest.mark.parametrize("editable", [True, False])
def test_from_a_checkout(editable: bool, came_from: Any, tmp_path: Path) -> None:
    checkout = tmp_path / "my code"
    checkout.mkdir()
    (checkout / "pyproject.toml").write_text("")
    came_from(json.dumps({"url": checkout.as_uri(), "dir_info": {"editable": editable}}))
    flag = "--editable " if editable else ""
    assert install_command("matloop[potentials]") == f"pip install {flag}'{checkout}[potentials]'"
    (checkout / "constraints.txt").write_text("")
    assert f"--constraint '{checkout}/constraints.txt' " in install_command("matloop[potentials]")
    shutil.rmtree(checkout)  # the checkout is gone: what is left is the index
    assert install_command("matloop[potentials]") == "pip install 'matloop[potentials]'"


def test_from_a_repository_and_from_a_wheel(came_from: Any, tmp_path: Path) -> None:
    came_from(json.dumps({"url": "https://example.org/matloop.git", "vcs_info": {"vcs": "git"}}))
    assert install_command("matloop[mp]") == "pip install 'matloop[mp] @ git+https://example.org/matloop.git'"
    wheel = tmp_path / "matloop-1.0-py3-none-any.whl"
    wheel.write_text("")
    came_from(json.dumps({"url": wheel.as_uri(), "archive_info": {}}))
    assert install_command("matloop[mp]") == f"pip install 'matloop[mp] @ {wheel.as_uri()}'"


def test_pip_of_another_environment_is_not_named(came_from: Any, monkeypatch: Patch) -> None:
    came_from(None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert install_command("torch") == f"{sys.executable} -m pip install torch"
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda _: None)
    assert install_command("torch") == f"uv pip install --python {sys.executable} torch"
