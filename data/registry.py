"""Sources and generators by name, and the loader all registries share.

A registry is a literal table, name -> ``module:attribute``, imported only when asked for. Other packages add entries
through entry points of the groups ``matloop.sources``, ``matloop.featurizers``, ``matloop.models``,
``matloop.filters`` and ``matloop.potentials``, each a thing to call under the name of the entry point; and through
``matloop.properties``, where the entry point is a :class:`matloop.data.properties.definition.Property` of its own name.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from matloop.data.errors import PlugInContractError, PlugInDoubleError, PlugInImportError, unknown_name

SOURCES: Mapping[str, str] = {
    "alloy_grid": "matloop.data.generators.alloy_grid:AlloyGrid",
    "ase_database": "matloop.data.sources.ase_database:AseDatabase",
    "composition_enumeration": "matloop.data.generators.composition_enumeration:CompositionEnumeration",
    "element_substitution": "matloop.data.generators.element_substitution:ElementSubstitution",
    "embedded": "matloop.data.sources.embedded:EmbeddedCrystals",
    "ionic_substitution": "matloop.data.generators.ionic_substitution:IonicSubstitution",
    "prototype_decoration": "matloop.data.generators.prototype_decoration:PrototypeDecoration",
    "snapshot": "matloop.data.sources.snapshot:Snapshot",
    "structure_files": "matloop.data.sources.structure_files:StructureFiles",
    "table": "matloop.data.sources.table:FormulaTable",
}


_NEEDED: Mapping[str, Sequence[str]] = {
    "source": ("count", "intakes"),
    "featurizer": ("featurize", "words"),
    "model": (
        "family", "cost", "members", "fit", "predict", "importances", "small", "needed_columns", "settings_by_name",
        "contributions", "member_predictions", "save", "load",
    ),
    "filter": ("judge", "margin", "title", "reason_words"),
    "potential": ("row_codes",),
}  # fmt: skip
"""What a class from another package must have at least, by kind; the rest shows when it is made or checked."""


class PlugIn(NamedTuple):
    """What another package brings.

    Attributes:
        kind: ``source``, ``featurizer``, ``model``, ``potential`` or ``filter``.
        name: Name that a campaign gives.
        distribution: Package that brings it, with its version: ``my-package 1.2``.
    """

    kind: str
    name: str
    distribution: str


def plug_ins(kind: str) -> list[PlugIn]:
    """List the plug-ins of a kind by name; a name may occur more than once.

    >>> plug_ins("no_such_kind")
    []
    """
    points = sorted(entry_points(group=f"matloop.{kind}s"), key=lambda point: point.name)
    return [PlugIn(kind, point.name, distribution_of(point)) for point in points]


def lookup(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The object registered under a name; a name in the table is never taken by another package.

    Args:
        kind: ``source``, ``featurizer``, ``model``, ``potential`` or ``filter``.
        table: The folder's literal table.
        name: Name asked for.

    Raises:
        UnknownNameError: With the nearest known name.
        PlugInDoubleError: If two other packages bring the name.
        PlugInImportError: If the other package cannot be imported.
        PlugInContractError: If what it brings lacks a part of the contract.

    >>> lookup("source", SOURCES, "embeded")
    Traceback (most recent call last):
    ...
    matloop.data.errors.UnknownNameError: E-NAME-UNKNOWN: unknown source 'embeded'. ...
    """
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    outside = list(entry_points(group=f"matloop.{kind}s"))
    named = [point for point in outside if point.name == name]
    if not named:
        raise unknown_name(kind, name, [*table, *(point.name for point in outside)])
    if len(named) > 1:
        raise PlugInDoubleError(
            f"{kind} '{name}' is brought by {' and by '.join(sorted(map(distribution_of, named)))}",
            "one package for each name",
            "uninstall all of them but one",
        )
    return _loaded(kind, named[0])


def _loaded(kind: str, point: EntryPoint) -> Any:
    """Load the object that an entry point names, and check that it has what its kind needs."""
    told = f"{kind} '{point.name}' of {distribution_of(point)}"
    try:
        found = point.load()
    except Exception as error:  # a module of another package may raise anything
        raise PlugInImportError(
            f"{told}: {point.value} cannot be imported: {type(error).__name__}: {error}"[:500],
            "an entry point whose module can be imported",
            "install a version of the package that fits, or uninstall it",
        ) from error
    missing = [name for name in _NEEDED.get(kind, ()) if not hasattr(found, name)] if inspect.isclass(found) else []
    if missing or not callable(found):
        got = f"has no {', '.join(missing)}" if missing else f"is {type(found).__name__}, which makes nothing"
        raise PlugInContractError(
            f"{told}: {point.value} {got}",
            "a class with all parts of the contract, or a function that makes such an object",
            "derive from the class that states the contract: it brings what has a default",
        )
    return found


def distribution_of(point: EntryPoint) -> str:
    """Name and version of the package that an entry point comes from."""
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
