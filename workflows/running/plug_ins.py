"""Other packages that a campaign uses through entry points: they decide its results as matloop's own code does."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from matloop.data.installed_code import content_of, distribution_of_module

GROUPS = tuple(
    f"matloop.{kind}" for kind in ("sources", "featurizers", "models", "filters", "potentials", "properties")
)
"""Entry-point groups through which other packages bring things."""


def plug_ins_used(campaign: Mapping[str, Any]) -> dict[str, str]:
    """Distribution, version and content hash of every plug-in that a campaign names, by group and name.

    A plug-in counts as used where its name stands anywhere among the names and values of the campaign: it may stand
    inside the options of another thing. The package that a calculator of ASE comes from counts as a plug-in.

    Args:
        campaign: Plain JSON values of the resolved campaign.

    Raises:
        PlugInImportError: If a calculator comes from no installed package.
    """
    named = set(_texts(campaign))
    brought = {
        f"{point.group}: {point.name}": _content_of(point)
        for group in GROUPS
        for point in sorted(entry_points(group=group), key=lambda point: point.name)
        if point.name in named
    }
    called = {f"calculator: {name}": _content_of_calculator(name) for name in sorted(set(_calculators(campaign)))}
    return brought | called


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


def _calculators(content: Any) -> Iterator[str]:
    """Every calculator in nested JSON values, as ``module:name``."""
    if isinstance(content, Mapping):
        written = content.get("calculator")
        if isinstance(written, str):
            yield written
        for value in content.values():
            yield from _calculators(value)
    elif isinstance(content, Sequence) and not isinstance(content, str):
        for value in content:
            yield from _calculators(value)


@functools.cache
def _content_of(point: EntryPoint) -> str:
    return content_of(point.dist, point.module)


@functools.cache
def _content_of_calculator(calculator: str) -> str:
    module = calculator.partition(":")[0]
    return content_of(distribution_of_module(module), module)
