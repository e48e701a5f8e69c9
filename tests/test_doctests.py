"""Every module imports on its own name, and every docstring example in it runs.

pytest's --doctest-modules takes paths, and would import data/batch.py as the flat module ``batch``.
"""

import ast
import doctest
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_names() -> Iterator[str]:
    """The names of all modules. The folders are listed, since a namespace cannot be walked in an editable install."""
    for folder in FOLDERS:
        package = importlib.import_module(f"matloop.{folder}")
        yield package.__name__
        yield from (info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))


def examples_written(source: str) -> int:
    """How many docstring examples a module's source holds, whether or not doctest finds the objects they belong to."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = (ast.get_docstring(node) for node in ast.walk(ast.parse(source)) if isinstance(node, documented))
    return sum(len(doctest.DocTestParser().get_examples(text)) for text in docstrings if text)


@pytest.mark.parametrize("name", list(module_names()))
def test_docstring_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write files
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=OPTIONS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples failed; see the captured output"
    # doctest passes over objects that a decorator has replaced: an example nobody runs must not look like a passed one.
    assert result.attempted == examples_written(Path(str(module.__file__)).read_text("utf-8"))


def test_examples_are_found_and_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text('def double(x):\n    """Twice x.\n\n    >>> double(2)\n    5\n    """\n    return 2 * x\n', "utf-8")
    spec = importlib.util.spec_from_file_location("sample", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert doctest.testmod(module, optionflags=OPTIONS) == doctest.TestResults(1, 1)
    assert examples_written(path.read_text("utf-8")) == 1
