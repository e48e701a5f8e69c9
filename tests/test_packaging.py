"""What is installed: the five folders under the name matloop, with their data files, and nothing beside them."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
NOT_CODE_OF_OURS = {"benchmarks", "tests", "notebooks", "runs", "build", "dist", "docs"}
# Scripts that rebuild the data sets run from a checkout; they are no modules and are not shipped.
SCRIPTS = Path("data/datasets")
PACKAGE = Path("workflows/package")  # the package matloop itself


def shipped_files() -> set[Path]:
    """Every file of the five folders that a user needs, relative to the top."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            relative = path.relative_to(ROOT)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
            script = relative.parent == SCRIPTS and path.suffix == ".py"
            if path.is_file() and not hidden and not script:
                found.add(relative)
    return found


def place_in_wheel(path: Path) -> str:
    """Where a file of the checkout lies in a wheel: the package matloop itself holds the folders."""
    return f"matloop/{(path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else path).as_posix()}"


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel built from a copy, so that the checkout is not littered. No network: no build isolation."""
    copy = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "out"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=copy)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (copy / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_folder_with_code_is_listed() -> None:
    names = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."} - NOT_CODE_OF_OURS
    with_code = {path.parent.relative_to(ROOT) for name in names for path in (ROOT / name).rglob("*.py")} - {SCRIPTS}
    expected = {".".join(["matloop", *folder.parts]) for folder in with_code - {PACKAGE}} | {"matloop"}
    assert set(CONFIG["tool"]["setuptools"]["packages"]) == expected
    assert {f"matloop.{folder}" for folder in FOLDERS} <= expected


def test_every_package_has_an_init() -> None:
    for name in CONFIG["tool"]["setuptools"]["packages"]:
        folder = CONFIG["tool"]["setuptools"]["package-dir"][name]
        assert (ROOT / folder / "__init__.py").is_file(), f"{name} has no __init__.py"
    # At the top of a checkout, a folder matloop/ would hide what is installed.
    assert not (ROOT / "matloop").exists()


def test_wheel_holds_every_module_and_data_file(wheel_files: set[str]) -> None:
    missing = {path.as_posix() for path in shipped_files() if place_in_wheel(path) not in wheel_files}
    assert not missing, f"not in the wheel (see package-data in pyproject.toml): {sorted(missing)}"


def test_wheel_holds_nothing_else(wheel_files: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_files}
    assert tops == {"matloop", f"matloop-{CONFIG['project']['version']}.dist-info"}
    known = set(map(place_in_wheel, shipped_files()))
    assert {name for name in wheel_files if name.startswith("matloop/")} <= known


def test_wheel_is_typed_and_runs_as_a_module(wheel_files: set[str]) -> None:
    assert {"matloop/__init__.py", "matloop/__main__.py", "matloop/py.typed"} <= wheel_files


def test_git_ignores_no_source_file() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = "\n".join(str(path) for path in sorted(shipped_files()))
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    done = subprocess.run(command, cwd=ROOT, input=names, capture_output=True, text=True, check=False)
    assert done.returncode == 1, f".gitignore hides source files:\n{done.stdout}{done.stderr}"


def test_packages_are_importable_under_matloop_only(tmp_path: Path) -> None:
    # From an unrelated folder: at the top of a checkout `import data` would work by accident.
    code = f"""
from importlib.util import find_spec
for name in {FOLDERS!r}:
    print(name, find_spec(name) is not None, find_spec("matloop." + name) is not None)
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{folder} False True" for folder in FOLDERS]
