"""JSON Schema of the entries of a campaign: what may be named, and the options of each thing by its signature."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from matloop.data.elements import SYMBOLS
from matloop.data.errors import PlugInError
from matloop.data.options import parameters_of
from matloop.data.readers.disorder import POLICIES
from matloop.data.registry import lookup
from matloop.data.training.computed_tables import computed_tables
from matloop.featurizers.registry import FEATURIZERS
from matloop.models.registry import POTENTIALS
from matloop.workflows.inspecting.described_options import read_docstring
from matloop.workflows.inspecting.plug_ins import TABLES, brought_by

Schema = dict[str, Any]

ELEMENT: Schema = {"description": "Symbol of an element.", "enum": list(SYMBOLS[1:])}
NAMED_BY_AN_OPTION: Mapping[tuple[str, str], Iterable[str]] = {
    ("structure_files", "disorder"): POLICIES,
    ("guarded", "featurizer"): FEATURIZERS,
    ("crystal_embedding", "potential"): POTENTIALS,
    ("composition_value", "property"): sorted({name for name, _ in computed_tables()}),
    ("composition_value", "database"): sorted({database for _, database in computed_tables()}),
}
"""Thing and option -> what the text of the option may name, where the signature says no more than text."""
OF_ELEMENTS = ("elements", "required")
"""Options of our own things that hold symbols of elements."""


def entry_schema(named: Mapping[str, Callable[..., Any]], alone: Sequence[Schema] = ()) -> Schema:
    """Schema of one entry: a name, ``{name: {option: value}}`` or ``{name: value}``.

    Args:
        named: What may be named: classes or functions by name.
        alone: Schemas of what may be written besides, as text.

    >>> entry_schema(factories("filter"))["anyOf"][0]["const"]
    'exclude_radioactive'
    """
    alone = list(alone)
    with_options: dict[str, Schema] = {}
    for name, factory in named.items():
        about = read_docstring(inspect.getdoc(factory) or "").summary
        options = options_schema(name, factory)
        written = [options]
        if not options["required"]:
            alone.append({"const": name, "description": about})
            written.append({"type": "null"})
        written += _value_alone(options, factory)
        with_options[name] = {"description": about, "anyOf": written}
    one_name = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    return {"anyOf": [*alone, {**one_name, "properties": with_options}]}


def factories(kind: str) -> dict[str, Callable[..., Any]]:
    """Everything of a kind that a campaign may name, by name; plug-ins that cannot be loaded are left out.

    Args:
        kind: ``source``, ``filter``, ``featurizer``, ``model`` or ``potential``.
    """
    found = {}
    for name in brought_by(kind):
        try:
            found[name] = lookup(kind, TABLES[kind], name)
        except PlugInError:  # validation refuses it too, and matloop doctor says why
            continue
    return found


def options_schema(name: str, factory: Callable[..., Any]) -> Schema:
    """Schema of the options of a registered thing, by its signature and docstring.

    Args:
        name: Its name in a campaign.
        factory: The class or function.

    >>> from matloop.screening.filters.element_count import ElementCount
    >>> options_schema("element_count", ElementCount)["properties"]["most"]
    {'type': 'integer', 'default': 10, 'description': 'Largest number of elements.'}
    """
    meanings = read_docstring(inspect.getdoc(factory) or "").options
    properties, required = {}, []
    for given in parameters_of(factory):
        schema = _of_annotation(name, given)
        if given.default is inspect.Parameter.empty:
            required.append(given.name)
        elif _is_plain(given.default):
            schema["default"] = given.default
        if given.name in meanings:
            schema["description"] = meanings[given.name]
        properties[given.name] = schema
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _of_annotation(name: str, given: inspect.Parameter) -> Schema:
    """Schema of the values of one option."""
    if (name, given.name) in NAMED_BY_AN_OPTION:
        return {"enum": sorted(NAMED_BY_AN_OPTION[name, given.name])}
    if given.annotation is inspect.Parameter.empty or isinstance(given.annotation, str):
        return {}
    try:
        schema = TypeAdapter(given.annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError):  # the type of a plug-in that no campaign can write
        return {}
    schema = _simplified(schema)
    if given.name in OF_ELEMENTS and any(name in table for table in TABLES.values()):
        schema = _with_elements(schema)
    return schema


def _simplified(schema: Any) -> Any:
    """A schema without titles and formats, and with each choice once: a path is text in a campaign."""
    if isinstance(schema, list):
        return [_simplified(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _simplified(value) for key, value in schema.items() if key not in ("title", "format")}
    if "anyOf" in plain:
        once = {json.dumps(choice, sort_keys=True): choice for choice in plain["anyOf"]}
        plain["anyOf"] = list(once.values())
        if len(once) == 1 and len(plain) == 1:
            return plain["anyOf"][0]
    return plain


def _with_elements(schema: Any) -> Any:
    """A schema in which every text is the symbol of an element."""
    if isinstance(schema, list):
        return [_with_elements(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if schema == {"type": "string"}:
        return {"$ref": "#/$defs/Element"}
    return {key: _with_elements(at) for key, at in schema.items()}


def _value_alone(options: Schema, factory: Callable[..., Any]) -> list[Schema]:
    """Schema of the value of the first option without its name; nothing where that is not enough."""
    parameters = parameters_of(factory)
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        return []
    first = parameters[0].name
    if set(options["required"]) - {first}:
        return []
    value = options["properties"][first]
    return [{"allOf": [value, {"not": {"type": ["object", "null", "boolean"]}}]}]


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) or value is None
