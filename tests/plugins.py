"""A package from outside, installed for the processes that a test starts: its module and its entry point."""

import contextlib
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from matloop.models.potentials import ase_calculator, contract
from matloop.workflows.running import plug_ins

MODELS = Path(__file__).parent / "models" / "potentials"


def install_plugin(folder: Path, patch: pytest.MonkeyPatch, *, group: str, name: str, source: str) -> None:
    """Put a package that brings one thing on the path of new processes: a module that defines ``Plugin``.

    Args:
        folder: Where it is written.
        patch: Undoes the change of path.
        group: Such as ``matloop.featurizers``.
        name: Of the entry point; the module is called ``plugin_<name>``.
        source: Of the module; it may import the modules in ``tests/models/potentials`` by their bare names.
    """
    install_package(folder, patch, package=f"plugin_{name}", things={(group, name): source})


def install_package(
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    package: str,
    things: Mapping[tuple[str, str], str],
    version: str = "1.0",
) -> None:
    """Put a package on the path of new processes: a module that defines ``Plugin`` for each thing it brings.

    Args:
        folder: Where it is written.
        patch: Undoes the change of path.
        package: Its name.
        things: Source of a module by group and name of the entry point; the module is called ``plugin_<name>``.
        version: Of the package.
    """
    groups: dict[str, list[str]] = {}
    for (group, name), source in things.items():
        (folder / f"plugin_{name}.py").write_text(source, "utf-8")
        groups.setdefault(group, []).append(f"{name} = plugin_{name}:Plugin")
    facts = folder / f"{package}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", "utf-8")
    points = [f"[{group}]\n" + "\n".join(lines) for group, lines in groups.items()]
    (facts / "entry_points.txt").write_text("\n".join(points) + "\n", "utf-8")
    patch.setenv("PYTHONPATH", f"{folder}:{MODELS}")


# What a native library or a careless one may do to its process, by the noble gas in the candidate.
FAULTS = r"""
import ctypes, os, re, time

def suffer(formula):
    if formula == "He":
        ctypes.string_at(0)  # segmentation fault
    if formula == "Ne":
        time.sleep(1000)
    if formula == "Ar":
        re.match("(a+)+$", "a" * 50 + "b")  # for ages, in native code that answers no signal
    if formula == "Kr":
        pieces = []
        while True:
            pieces.append(bytearray(b"x" * 20_000_000))
    if formula == "Xe":
        os._exit(0)
    if formula == "Rn":
        raise KeyError("radon")
"""

ENDINGS = {"He": "CRASH", "Ne": "TIMEOUT", "Ar": "TIMEOUT", "Kr": "MEMORY", "Xe": "CRASH", "Rn": "FAILED"}
"""Last part of the row code that each of them should get."""


@contextlib.contextmanager
def install_calculators(folder: Path) -> Iterator[None]:
    """Install ``tests/models/potentials/toy_calculators.py`` as the package ``toy-calculators`` 1.0.

    Args:
        folder: Where it is written.
    """
    with pytest.MonkeyPatch.context() as patch:
        install_package(folder, patch, package="toy_calculators", things={})
        facts = folder / "toy_calculators-1.0.dist-info"
        metadata = (facts / "METADATA").read_text("utf-8").replace("toy_calculators", "toy-calculators")
        (facts / "METADATA").write_text(metadata, "utf-8")
        (facts / "top_level.txt").write_text("toy_calculators\n", "utf-8")
        shutil.copy(MODELS / "toy_calculators.py", folder)
        patch.setenv("PYTHONPATH", str(folder))
        patch.syspath_prepend(str(folder))
        _forget_calculators()
        yield
    _forget_calculators()


def _forget_calculators() -> None:
    """As in a new process."""
    sys.modules.pop("toy_calculators", None)
    contract._loaded.cache_clear()
    plug_ins._content_of_calculator.cache_clear()
    for cached in (ase_calculator._installed, ase_calculator._sha256_of_code, ase_calculator._made):
        cached.cache_clear()
