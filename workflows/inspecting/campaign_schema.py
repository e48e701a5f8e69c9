"""JSON Schema of a campaign file as people write it, so that an editor completes and checks it.

The keys come from the models of the campaign, the entries from the tables of what a campaign may name. A schema cannot
look at files, and it cannot compare two numbers: ``matloop validate`` knows more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from matloop.data.own_labels.label_sources import LABEL_SOURCES
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.definition import Property
from matloop.data.properties.units import ALIASES, UNITS
from matloop.data.registry import lookup
from matloop.data.training.packaged_tables import DEFAULT, TRAINING_SETS, labelled_table
from matloop.screening.campaign.campaign import EMBEDDED, Campaign
from matloop.screening.campaign.cluster_settings import QUEUED
from matloop.screening.campaign.stage_settings import ASE, PotentialStage
from matloop.workflows.inspecting.described_options import as_markdown
from matloop.workflows.inspecting.entry_schema import ELEMENT, Schema, entry_schema, factories, options_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXAMPLE = "optical_window"
"""Packaged campaign that the schema shows."""

ENTRIES: Mapping[tuple[str, str], str] = {
    ("Campaign", "sources"): "source",
    ("Campaign", "data"): "labels",
    ("Campaign", "filters"): "filter",
    ("SurrogateStage", "features"): "featurizer",
    ("ComputedHull", "references"): "source",
    ("PotentialStage", "references"): "source",
}
"""Model and key -> kind of the entries in that list."""

EXAMPLES: Mapping[tuple[str, str], Sequence[Any]] = {
    ("Campaign", "name"): ["optical_window"],
    ("Campaign", "sources"): [["embedded"], [{"structure_files": "cifs/"}, {"table": {"path": "formulas.csv"}}]],
    ("Campaign", "properties"): [
        [{"name": "ionic_conductivity", "unit": "S/cm", "lower": 0, "upper": 100, "scale": "log10"}],
        "my_properties.yaml",
    ],
    ("Campaign", "data"): [
        ["embedded"],
        [
            {
                "table": {
                    "path": "labels.xlsx",
                    "property": "ionic_conductivity",
                    "column": "sigma (mS/cm)",
                    "source": "exp",
                }
            },
            "embedded",
        ],
    ],
    ("Campaign", "known"): ["known_formulas.csv"],
    ("Campaign", "filters"): [[{"exclude_elements": ["Cd", "Hg", "Pb"]}, "exclude_radioactive", "new_compounds"]],
    ("Target", "unit"): ["eV", "1", "meV/atom"],
    ("Target", "provenance"): ["dft", "dft:pbe", "exp:lab-a"],
    ("SurrogateStage", "features"): [["magpie", "stoichiometry"], [{"matminer": {"featurizer": "BandCenter"}}]],
    ("SurrogateStage", "family"): ["extra_trees", ["extra_trees", "gaussian_process"]],
    ("SurrogateStage", "budget"): ["90s", "5m", "1h"],
    ("SurrogateStage", "keep"): [5000],
    ("ClusterSettings", "walltime"): ["4:00:00", "1-00:00:00", 90],
    ("ClusterSettings", "memory"): ["4GB"],
}
"""Model and key -> values as people write them."""

DURATION: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smh]$"}
PROPERTY_NAME: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,59}$"}
PROVENANCE: Schema = {"type": "string", "pattern": r"^(unknown|(dft|exp)(:\w[\w.+-]{0,39})?)$"}
WALLTIME: Schema = {
    "anyOf": [
        {"type": "string", "pattern": "^(?![0:-]+$)([0-9]{1,3}-)?[0-9]{1,6}(:[0-5]?[0-9]){0,2}$"},
        {"type": "integer", "minimum": 1, "description": "Minutes."},
    ]
}
NOTHING: Schema = {"type": "null"}


def campaign_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of what a campaign file may hold.

    >>> schema = campaign_schema()
    >>> schema["required"], schema["properties"]["sources"]["items"]
    (['name', 'sources', 'targets', 'surrogates', 'shortlist'], {'$ref': '#/$defs/Source'})
    """
    drawn = Campaign.model_json_schema()
    models: dict[str, Schema] = {**drawn.pop("$defs"), Campaign.__name__: drawn}
    for name, model in models.items():
        if "properties" not in model:
            continue
        for key in model["properties"]:
            model["properties"][key] = _as_written(name, key, model["properties"][key])
        model["description"] = as_markdown(" ".join(model["description"].split()))
        model.pop("title", None)
    _entry_written(models)
    drawn["allOf"] = _known_properties()
    models["Target"]["allOf"] = [*_goals(), *map(_units, catalogue().values())]
    models["PotentialStage"]["allOf"] = _potentials()
    models["ChosenPotential"]["allOf"] = _potentials()
    models["ClusterSettings"]["allOf"] = _clusters()
    models |= {kind.title(): entry_schema(factories(kind)) for kind in ("source", "filter", "featurizer")}
    models["Labels"] = _labels()
    models["Element"] = ELEMENT
    models |= {_unit_name(name): _units_of(name) for name in {UNITS[one.unit][0] for one in catalogue().values()}}
    whole = models.pop(Campaign.__name__)
    title = {"$schema": DIALECT, "title": "A campaign of matloop"}
    return {**title, **whole, "examples": [_example()], "$defs": dict(sorted(models.items()))}


def _as_written(model: str, key: str, drawn: Schema) -> Schema:
    """Schema of one key as people write its value, with description, default and examples."""
    kept: Schema = {name: drawn[name] for name in ("description", "default") if name in drawn}
    if (model, key) in ENTRIES:
        limits: Schema = {name: drawn[name] for name in ("minItems", "maxItems") if name in drawn}
        values: Schema = {"type": "array", "items": {"$ref": f"#/$defs/{ENTRIES[model, key].title()}"}, **limits}
    elif (model, key) in VALUES:
        values = VALUES[model, key]()
    else:
        values = {name: value for name, value in drawn.items() if name not in (*kept, "title")}
    examples = {"examples": list(EXAMPLES[model, key])} if (model, key) in EXAMPLES else {}
    return {**values, **kept, **examples}


def _entry_written(models: dict[str, Schema]) -> None:
    """Say how an entry of any other list is written: its model describes what is read."""
    one_name = {"type": "object", "minProperties": 1, "maxProperties": 1}
    models["Entry"] = {
        "description": models["Entry"]["description"],
        "anyOf": [{"type": "string"}, {**one_name, "propertyNames": {"type": "string"}}],
    }


def _families() -> Schema:
    one: Schema = {"enum": list(factories("model"))}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}]}


def _or_nothing(schema: Schema) -> Schema:
    return {"anyOf": [schema, NOTHING]}


def _properties() -> Schema:
    """Every property of the catalogue, and any name that a campaign may define."""
    known = [{"const": one.name, "description": f"{one.label}. {one.description_en}"} for one in catalogue().values()]
    return {"anyOf": [*known, PROPERTY_NAME]}


def _known_properties() -> list[Schema]:
    """The properties that targets may name, unless the campaign defines some or brings its own labels."""
    properties = [one.name for one in catalogue().values()]
    labelled = [name for name in properties if labelled_table().has(name)]
    own = {"required": ["properties"], "properties": {"properties": {"minItems": 1}}}
    packaged = {"enum": [EMBEDDED, DEFAULT, {EMBEDDED: None}, {DEFAULT: None}]}
    return [
        {"if": {"not": own}, "then": _targets_of(properties)},
        {"if": {"properties": {"data": {"items": packaged}}}, "then": _targets_of(labelled)},
    ]


def _targets_of(names: list[str]) -> Schema:
    return {"properties": {"targets": {"items": {"properties": {"property": {"enum": names}}}}}}


def _labels() -> Schema:
    """The labels that a campaign may name: packaged tables, and those of its own."""
    packaged = [
        {"const": EMBEDDED, "description": "The packaged crystals."},
        *(
            {"const": name, "description": "A packaged table; matloop datasets lists its columns."}
            for name in TRAINING_SETS
        ),
    ]
    written: list[Schema] = [*packaged, {"enum": [{name: None} for name in (EMBEDDED, *TRAINING_SETS)]}]
    return entry_schema({name: lookup("label source", LABEL_SOURCES, name) for name in LABEL_SOURCES}, written)


VALUES = {
    ("Campaign", "properties"): lambda: {
        "anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/OwnProperty"}, "maxItems": 50},
            {"type": "string", "minLength": 1},
        ]
    },
    ("OwnProperty", "name"): lambda: dict(PROPERTY_NAME),
    ("Target", "property"): _properties,
    ("Target", "provenance"): lambda: dict(PROVENANCE),
    ("Target", "family"): lambda: _or_nothing(_families()),
    ("SurrogateStage", "family"): _families,
    ("SurrogateStage", "budget"): lambda: _or_nothing(DURATION),
    ("PotentialStage", "name"): lambda: {"enum": list(factories("potential"))},
    ("PotentialStage", "second"): lambda: {
        "anyOf": [
            {"enum": [name for name in factories("potential") if name != ASE]},
            {"$ref": "#/$defs/ChosenPotential"},
            NOTHING,
        ]
    },
    ("ChosenPotential", "name"): lambda: {"enum": list(factories("potential"))},
    ("ClusterSettings", "walltime"): lambda: dict(WALLTIME),
    ("Campaign", "cluster"): lambda: {"anyOf": [{"const": "local"}, {"$ref": "#/$defs/ClusterSettings"}]},
}
"""Model and key -> how its value is written, where that differs from the value that is read."""


def _goals() -> list[Schema]:
    """Which numbers go with which goal."""
    number = {"type": "number"}
    window = {"required": ["lower", "upper"], "properties": {"lower": number, "upper": number, "value": NOTHING}}
    no_window = {"properties": {"lower": NOTHING, "upper": NOTHING}}
    limited = {"required": ["value"], "properties": {"value": number}}
    return [
        {"if": _has("goal", "window"), "then": window, "else": no_window},
        {"if": _has("goal", "at_least", "at_most"), "then": limited},
    ]


def _has(key: str, *values: str) -> Schema:
    """The condition that a key is there with one of some values."""
    return {"properties": {key: {"enum": list(values)}}, "required": [key]}


def _units(known: Property) -> Schema:
    """The condition that the unit of a target measures its property."""
    unit = {"$ref": f"#/$defs/{_unit_name(UNITS[known.unit][0])}"}
    return {"if": _has("property", known.name), "then": {"properties": {"unit": unit}}}


def _unit_name(dimension: str) -> str:
    """Name of the definition of the units of a dimension; a reference holds no blanks."""
    return f"Unit-of-{dimension.replace(' ', '-')}"


def _units_of(dimension: str) -> Schema:
    """Offer the units of a dimension, and refuse those of others.

    A unit may be spelt in more ways than can be listed; so any other text passes here.
    """
    units = {name: UNITS[ALIASES.get(name, name)][0] for name in (*UNITS, *ALIASES)}
    own = [name for name, (measures, _) in UNITS.items() if measures == dimension]
    foreign = [name for name, measures in units.items() if measures != dimension]
    return {"anyOf": [{"enum": own}, {"type": "string", "not": {"enum": foreign}}]}


def _potentials() -> list[Schema]:
    """The options of each potential; the default one is meant where no name is written.

    Those of a calculator are known to its package alone.
    """
    calculator = {"required": ["calculator"], "properties": {"calculator": {"type": "string"}}}
    none = {"properties": dict.fromkeys(("calculator", "weights", "sha256", "elements"), NOTHING)}
    rules: list[Schema] = [{"if": _has("name", ASE), "then": calculator, "else": none}]
    for name, factory in factories("potential").items():
        if name == ASE:
            continue
        condition = _has("name", name)
        if name == PotentialStage.model_fields["name"].default:
            condition = {"anyOf": [condition, {"not": {"required": ["name"]}}]}
        rules.append({"if": condition, "then": {"properties": {"options": options_schema(name, factory)}}})
    return rules


def _clusters() -> list[Schema]:
    """What each kind of cluster needs."""
    text = {"type": "string"}
    named = {name: {"required": [name], "properties": {name: text}} for name in ("address", "scheduler_file")}
    insecure = {"required": ["allow_insecure"], "properties": {"allow_insecure": {"const": True}}}
    safe = {"properties": {"address": {"anyOf": [{"type": "string", "pattern": "^tls://"}, NOTHING]}}}
    names = ("ca_file", "certificate", "key")
    written = {"type": "string", "minLength": 1}
    all_files = {"required": list(names), "properties": dict.fromkeys(names, written)}
    any_file = {"anyOf": [{"required": [name], "properties": {name: written}} for name in names]}
    return [
        {"if": _has("kind", *QUEUED), "then": {"required": ["interface"], "properties": {"interface": text}}},
        {"if": _has("kind", "existing"), "then": {"oneOf": list(named.values()), "anyOf": [safe, insecure]}},
        {"if": any_file, "then": all_files},
    ]


def _example() -> Any:
    text = files("matloop.workflows").joinpath("campaigns", f"{EXAMPLE}.yaml").read_text("utf-8")
    return YAML(typ="safe", pure=True).load(text)
