"""Who may import whom: the table in the design, read off the syntax tree so that imports inside functions count too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "data": {"data"},
    "featurizers": {"featurizers", "data"},
    "models": {"models", "data"},
    "screening": {"screening", "data"},
    "workflows": {"workflows", "data", "featurizers", "models", "screening"},
}
ONLY_IN_WORKFLOWS = {"dask", "distributed", "dask_jobqueue"}


def imported_names(source: str, package: tuple[str, ...]) -> list[tuple[int, str]]:
    """All modules that ``source``, a module of ``package``, imports: (line, absolute dotted name)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            # `from matloop import data` names its folder after the import; so does `from ... import data`.
            found += [(node.lineno, f"{base}.{alias.name}" if base == "matloop" else base) for alias in node.names]
            if node.level and len(above) < 2:
                found.append((node.lineno, "a relative import that leaves its folder"))
    return found


def violations(source: str, folder: str, package: tuple[str, ...]) -> list[str]:
    wrong = []
    for line, name in imported_names(source, package):
        top, _, rest = name.partition(".")
        if top == "matloop" and rest.partition(".")[0] not in MAY_IMPORT[folder]:
            wrong.append(f"line {line}: {folder}/ may not import {name}")
        elif top in MAY_IMPORT:
            wrong.append(f"line {line}: import matloop.{name}, not {name}")
        elif top in ONLY_IN_WORKFLOWS and folder != "workflows":
            wrong.append(f"line {line}: only workflows/ may import {top}")
        elif " " in name:
            wrong.append(f"line {line}: {name}")
    return wrong


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_folder_keeps_to_its_layer(folder: str) -> None:
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules, f"{folder}/ holds no modules"
    wrong = []
    for path in modules:
        package = ("matloop", *path.relative_to(ROOT).parent.parts)
        wrong += [f"{path.relative_to(ROOT)}, {text}" for text in violations(path.read_text("utf-8"), folder, package)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("data", "import matloop.models"),
        ("data", "from matloop.workflows.screen import run"),
        ("data", "def f():\n    from matloop import featurizers"),
        ("data", "from .. import models"),
        ("data", "from ..models import conformal"),
        ("data", "from ...models import conformal"),
        ("models", "from matloop.featurizers.base import Featurizer"),
        ("screening", "import matloop.data.candidates.batch, matloop.models.registry"),
        ("screening", "import matloop"),
        ("workflows", "import data"),
        ("workflows", "from data.batch import CandidateBatch"),
        ("workflows", "from ..data import batch"),
        ("featurizers", "import dask.dataframe"),
        ("models", "from distributed import Client"),
    ],
)
def test_forbidden_import_is_seen(folder: str, source: str) -> None:
    assert violations(source, folder, ("matloop", folder))


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("data", "from . import schema\nfrom .schema import Property"),
        ("models", "import matloop.data.properties.catalogue\nfrom matloop.models import registry"),
        ("featurizers", "from matloop import data\nimport database"),
        ("workflows", "import dask\nfrom matloop.screening.rank import top\nimport matloop.models.registry"),
    ],
)
def test_allowed_import_passes(folder: str, source: str) -> None:
    assert not violations(source, folder, ("matloop", folder))
