"""Sources and generators by name, and the loader all registries share.

A registry is a literal table, name -> ``module:attribute``, imported only when asked for. Other packages add entries
through entry points of the groups ``matloop.sources``, ``matloop.featurizers``, ``matloop.models``,
``matloop.filters`` and ``matloop.potentials``, each a thing to call under the name of the entry point; and through
``matloop.properties``, where the entry point is a :class:`matloop.data.properties.definition.Property` of its own name.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from matloop.data.errors import unknown_name

SOURCES: Mapping[str, str] = {
    "alloy_grid": "matloop.data.generators.alloy_grid:AlloyGrid",
    "ase_database": "matloop.data.sources.ase_database:AseDatabase",
    "composition_enumeration": "matloop.data.generators.composition_enumeration:CompositionEnumeration",
    "embedded": "matloop.data.sources.embedded:EmbeddedCrystals",
    "ionic_substitution": "matloop.data.generators.ionic_substitution:IonicSubstitution",
    "prototype_decoration": "matloop.data.generators.prototype_decoration:PrototypeDecoration",
    "snapshot": "matloop.data.sources.snapshot:Snapshot",
    "structure_files": "matloop.data.sources.structure_files:StructureFiles",
    "table": "matloop.data.sources.table:FormulaTable",
}


def lookup(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The object registered under a name.

    Args:
        kind: ``source``, ``featurizer``, ``model``, ``potential`` or ``filter``.
        table: The folder's literal table.
        name: Name asked for.

    Raises:
        UnknownNameError: With the nearest known name.

    >>> lookup("source", SOURCES, "embeded")
    Traceback (most recent call last):
    ...
    matloop.data.errors.UnknownNameError: E-NAME-UNKNOWN: unknown source 'embeded'. ...
    """
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    outside = {point.name: point for point in entry_points(group=f"matloop.{kind}s")}
    if name in outside:
        return outside[name].load()
    raise unknown_name(kind, name, [*table, *outside])


def check_options(name: str, factory: Callable[..., Any], options: Iterable[str]) -> None:
    """Make sure that a registered thing knows the options it is given.

    Args:
        name: Name of the thing.
        factory: What makes it.
        options: Names of the options.

    Raises:
        UnknownNameError: With the nearest known option.
    """
    allowed = [option for option in inspect.signature(factory).parameters if option not in ("args", "kwargs")]
    for option in options:
        if option not in allowed:
            raise unknown_name(f"option of {name}", option, allowed)
