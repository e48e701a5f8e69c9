"""Other packages that a campaign uses through entry points: they decide its results as matloop's own code does."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from matloop.data.runs.manifest import key_of, sha256_of

GROUPS = tuple(
    f"matloop.{kind}" for kind in ("sources", "featurizers", "models", "filters", "potentials", "properties")
)
"""Entry-point groups through which other packages bring things."""


def plug_ins_used(campaign: Mapping[str, Any]) -> dict[str, str]:
    """Distribution, version and content hash of every plug-in that a campaign names, by group and name.

    A plug-in counts as used where its name stands anywhere among the names and values of the campaign: it may stand
    inside the options of another thing.

    Args:
        campaign: Plain JSON values of the resolved campaign.
    """
    named = set(_texts(campaign))
    return {
        f"{point.group}: {point.name}": _content_of(point)
        for group in GROUPS
        for point in sorted(entry_points(group=group), key=lambda point: point.name)
        if point.name in named
    }


def _texts(content: Any) -> Iterator[str]:
    """Every text in nested JSON values, keys of objects included."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from (name, *_texts(value))
    elif isinstance(content, Sequence):
        for value in content:
            yield from _texts(value)


@functools.cache
def _content_of(point: EntryPoint) -> str:
    """What a plug-in is: its distribution, the version, and a hash of the modules it ships."""
    files = {path.as_posix(): sha256_of(Path(place)) for path, place in _modules_of(point)}
    shipped = hashlib.sha256(key_of(files=files).encode()).hexdigest()[:16]
    if point.dist is None:
        return f"unknown distribution, content {shipped}"
    return f"{point.dist.name} {point.dist.version}, content {shipped}"


def _modules_of(point: EntryPoint) -> Iterator[tuple[Path, Path]]:
    """Name and place of each module of a plug-in: of its distribution, and of the package the entry point names.

    An editable installation lists none of its modules, and its package lies elsewhere; so both are looked at.
    """
    seen = set()
    for name, place in [*_listed(point.dist), *_of_package(point.module.partition(".")[0])]:
        if place.suffix in (".py", ".so", ".pyd") and place.is_file() and place.resolve() not in seen:
            seen.add(place.resolve())
            yield name, place


def _listed(distribution: Distribution | None) -> Iterator[tuple[Path, Path]]:
    for file in (distribution.files or []) if distribution is not None else []:
        yield Path(file), Path(str(file.locate()))


def _of_package(name: str) -> Iterator[tuple[Path, Path]]:
    spec = find_spec(name)
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        if spec.origin is not None:
            yield Path(Path(spec.origin).name), Path(spec.origin)
        return
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).rglob("*")):
            if "__pycache__" not in path.parts:
                yield Path(name) / path.relative_to(folder), path
