"""The package matloop itself: a version and a few verbs that load nothing until they are used."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

LOOK = """
import json, sys
import matloop
before = [name for name in ("numpy", "pyarrow", "dask", "typer") if name in sys.modules]
from matloop import fork, predict, resume, screen, train, validate
verbs = [verb.__module__ for verb in (screen, resume, train, predict, validate)]
print(json.dumps([before, matloop.__version__, *verbs, "screen" in dir(matloop)]))
"""


def test_importing_matloop_loads_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    modules = [f"matloop.workflows.{name}" for name in ("screen", "resume", "train", "predict", "validate")]
    expected = [[], version("matloop"), *modules, True]
    assert json.loads(done.stdout) == expected


def test_a_name_that_is_not_there() -> None:
    import matloop

    with pytest.raises(AttributeError, match="'matloop' has no attribute 'scren'"):
        matloop.scren  # noqa: B018


def test_matloop_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "matloop", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{version('matloop')}\n"
