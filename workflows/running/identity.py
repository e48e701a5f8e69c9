"""What decides the result of a run: its campaign, the code, the versions of libraries and the input files.

A run goes on only where it began: with another code or campaign its partitions would not fit together. What differs is
shown, and a fork reuses whatever was made from the same inputs.
"""

from __future__ import annotations

import functools
import glob
import importlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matloop.data.runs.manifest import key_of, sha256_of
from matloop.screening.campaign.campaign import Campaign, Entry

_PACKAGES = ("data", "featurizers", "models", "screening", "workflows")
_DECISIVE = (
    "matloop", "numpy", "scipy", "scikit-learn", "lightgbm", "numba", "pymatgen", "moyopy", "pyarrow", "matminer",
    "ase", "torch", "chgnet",
)  # fmt: skip
_MOST_SHOWN = 12


def identity_of(campaign: Campaign, partition_rows: int) -> dict[str, Any]:
    """Plain JSON values of all that decides a result.

    Args:
        campaign: The resolved campaign.
        partition_rows: Candidates in a partition of the first stage.
    """
    return {
        "campaign": campaign.model_dump(mode="json", exclude={"cluster"}),
        "partition_rows": partition_rows,
        "python": platform.python_version(),
        "versions": versions(),
        "code": dict(code_files()),
        "input_files": input_files(campaign),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, place: str = "") -> list[str]:
    """What two identities differ in, one line each.

    >>> differences({"seed": 1, "code": {"a.py": "x"}}, {"seed": 2, "code": {}})
    ['seed: 1 -> 2', 'code.a.py: removed']
    """
    found = []
    for name in dict.fromkeys([*before, *now]):
        path = f"{place}.{name}" if place else name
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, place=path)
        elif name not in now:
            found.append(f"{path}: removed")
        elif name not in before:
            found.append(f"{path}: added")
        elif old != new:
            hidden = place in ("code", "input_files")
            found.append(f"{path}: changed" if hidden else f"{path}: {_brief(old)} -> {_brief(new)}")
    return found


def told(found: list[str]) -> str:
    """Differences in one text, the first dozen of them."""
    more = f"; and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def versions() -> dict[str, str]:
    """Versions of the libraries that numbers come from, of those that are installed."""
    found = {}
    for name in _DECISIVE:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def code_key() -> str:
    """One hash of the code, the packaged data and the versions of libraries."""
    return key_of(code=dict(code_files()), versions=versions(), python=platform.python_version())


@functools.cache
def code_files() -> Mapping[str, str]:
    """sha256 of every file of the package, packaged data included, by its path."""
    return dict(sorted(_hashed()))


def _hashed() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        module = importlib.import_module(f"matloop.{package}")
        (folder,) = module.__path__
        for path in Path(folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{package}/{path.relative_to(folder).as_posix()}", sha256_of(path)


def input_files(campaign: Campaign) -> dict[str, str]:
    """Size and time of change of every file the campaign's sources name, by the name in the campaign."""
    found = {}
    references = () if campaign.potential is None else campaign.potential.references
    for entry in (*campaign.sources, *references):
        for text in _texts(entry):
            for path in _files(text):
                stat = path.stat()
                found[str(path)] = f"{stat.st_size} bytes, {stat.st_mtime_ns}"
    return found


def _texts(entry: Entry) -> Iterator[str]:
    given = [entry.argument, *entry.options.values()]
    for value in given:
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _files(text: str) -> Iterator[Path]:
    if os.path.isdir(text):  # False, not an error, where the text is no path at all
        yield from sorted(one for one in Path(text).rglob("*") if one.is_file())
    elif os.path.isfile(text):
        yield Path(text)
    elif glob.has_magic(text):
        yield from sorted(one for one in map(Path, glob.glob(text, recursive=True)) if one.is_file())
