"""Write docs/campaign.md: every key of a campaign file, and everything that a campaign may name.

The text comes from the descriptions of the campaign models and from the docstrings of the registered classes, so the
page says what the code does. Run it with ``make docs`` after changing one of them; a test compares the page with them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from matloop.data.own_labels.label_sources import LABEL_SOURCES
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.data.registry import SOURCES, lookup
from matloop.models.registry import MODELS, POTENTIALS
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entry
from matloop.screening.registry import FILTERS
from matloop.workflows.inspecting.described_options import as_markdown, options_of, read_docstring
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS

PAGE = Path(__file__).with_name("campaign.md")

INTRODUCTION = """\
<!-- Written by docs/build_campaign.py from the code. Change the descriptions there and run `make docs`. -->
# The campaign file

A campaign is one YAML file. It says where candidates come from, which of them are excluded, which properties matter and
how the shortlist is chosen. `matloop validate FILE` reports every problem with its line before anything runs. A key
that is not listed here is an error. [The guide](guide.md) explains how the parts work together.

This is the packaged campaign `optical_window`:
"""

# What a campaign may name: heading, kind and table for the lookup, and what to know before reading the list.
CHOICES: tuple[tuple[str, str, Mapping[str, str], str], ...] = (
    (
        "Sources", "source", {name: path for name, path in SOURCES.items() if ".sources." in path},
        "A source reads candidates from data. It is named in `sources`, or in `potential: {references: [...]}`.",
    ),
    (
        "Generators", "source", {name: path for name, path in SOURCES.items() if ".sources." not in path},
        "A generator makes candidates by a rule. It is named in `sources` too.",
    ),
    (
        "Labels", "label source", LABEL_SOURCES,
        "Labels of one's own are named in `data`, beside `embedded` and the packaged tables. Each entry teaches one "
        "property from one column; a file with several columns of labels is named once for each.",
    ),
    ("Filters", "filter", FILTERS, "A filter is named in `filters`. It decides for each candidate whether it stays."),
    (
        "Featurizers", "featurizer", CAMPAIGN_FEATURIZERS,
        "A featurizer is named in the `features` of a scoring stage. It turns each candidate into numbers.",
    ),
    (
        "Model families", "model", MODELS,
        "A family is named in `family`, of a stage or of a target. A campaign gives only its name; the options below "
        "are set from Python.",
    ),
    (
        "Potentials", "potential", POTENTIALS,
        "A potential is named in `potential: {name: ..., options: {...}}`. `calculator`, `weights`, `sha256` and "
        "`elements` of `ase` stand beside `name`.",
    ),
)  # fmt: skip


def page() -> str:
    """The whole page."""
    example = files("matloop.workflows").joinpath("campaigns", "optical_window.yaml").read_text("utf-8")
    parts = [INTRODUCTION, f"```yaml\n{example.rstrip()}\n```\n", *_keys()]
    for heading, kind, table, about in CHOICES:
        parts.append(f"## {heading}\n\n{about}\n")
        parts += [_choice(name, lookup(kind, table, name)) for name in sorted(table)]
    return "\n".join([*parts, _properties()])


def _keys() -> Iterator[str]:
    """A section for each model of the campaign, the campaign itself first."""
    schema = Campaign.model_json_schema()
    models = {Campaign.__name__: schema, **schema["$defs"]}
    for name, model in models.items():
        if "properties" not in model:
            continue
        yield f"## {name}\n\n{as_markdown(model['description'])}\n"
        if name == Entry.__name__:
            continue  # it is written without its keys
        rows = []
        for key, field in model["properties"].items():
            default = "required" if key in model.get("required", []) else _value(field.get("default"))
            rows.append((f"`{key}`", _type(field), default, as_markdown(field.get("description", ""))))
        yield _table(("key", "value", "default", "meaning"), rows)


def _type(schema: Mapping[str, Any]) -> str:
    """Kind of a value and its limits, in words, from its JSON schema."""
    if "$ref" in schema:
        model = schema["$ref"].rpartition("/")[2]
        return f"[{model}](#{model.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}{_limits(schema)}"
    names = {
        "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "mapping"
    }  # fmt: skip
    return names.get(schema.get("type", ""), "any value") + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    words = {
        "exclusiveMinimum": "above {:g}", "minimum": "at least {:g}",
        "exclusiveMaximum": "below {:,}", "maximum": "at most {:,}",
        "minItems": "at least {} of them", "maxItems": "at most {} of them", "maxLength": "at most {:,} characters",
    }  # fmt: skip
    limits = [text.format(schema[key]) for key, text in words.items() if key in schema]
    return ", ".join(["", *limits])


def _choice(name: str, factory: Any) -> str:
    """A section for one registered thing: what it is, and its options."""
    summary, explained = read_docstring(inspect.getdoc(factory) or "")
    rows = [
        (
            f"`{option}`",
            "required" if default is inspect.Parameter.empty else _value(default),
            explained.get(option, ""),
        )
        for option, default in options_of(factory).items()
    ]
    table = _table(("option", "default", "meaning"), rows) if rows else ""
    return "\n".join(part for part in (f"### `{name}`\n", f"{summary}\n", table) if part)


def _properties() -> str:
    rows = [
        (
            f"`{known.name}`", known.label_en, known.unit, known.transform, f"{known.lower:g} to {known.upper:g}",
            known.description_en,
        )
        for known in sorted(PACKAGED_PROPERTIES.values(), key=lambda known: known.name)
    ]  # fmt: skip
    heads = ("property", "label", "unit", "scale", "allowed values", "meaning")
    about = (
        "These properties are known without further definition. The unit of a target may be any unit of the same kind."
    )
    return f"## Properties\n\n{about}\n\n{_table(heads, rows)}"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _value(value: Any) -> str:
    """A default as it is written in a campaign; nothing where an option may be left out without one."""
    if value in (None, (), [], {}, ""):
        return ""
    if isinstance(value, dict):
        return "all defaults"
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"wrote {PAGE}")
