"""The JSON Schema of a campaign and ``matloop validate`` agree on what a campaign may hold."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from matloop.data.own_labels.label_sources import LABEL_SOURCES
from matloop.data.registry import SOURCES
from matloop.data.training.packaged_tables import TRAINING_SETS
from matloop.models.registry import MODELS, POTENTIALS
from matloop.screening.registry import FILTERS
from matloop.workflows.inspecting.campaign_schema import campaign_schema
from matloop.workflows.inspecting.validation import PACKAGED_CAMPAIGNS, validate
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS

GOOD: dict[str, Any] = {
    "name": "example",
    "title": "An example",
    "seed": 3,
    "sources": [
        "embedded",
        {"ionic_substitution": {"limit": 1000, "min_probability": 1e-3}},
        {"alloy_grid": {"elements": ["Ni", "Fe", "Cr"], "step": 0.1, "bounds": {"Ni": [0.5, 0.8]}}},
        {"composition_enumeration": ["Fe", "O"]},
        {"prototype_decoration": {"elements": {"A": ["Na", "K"], "B": ["Cl"]}, "limit": 10}},
        {"table": {"path": "formulas.csv", "id_column": "id"}},
        {"structure_files": "cifs"},
    ],
    "properties": [
        {"name": "conductivity", "unit": "S cm-1", "lower": 0, "upper": 100, "scale": "log10", "label_zh": "电导率"},
    ],
    "data": [
        {"table": {
            "path": "labels.csv", "property": "conductivity", "column": "sigma", "unit": "mS/cm", "source": "exp",
        }},
        "embedded", {"materials": None},
    ],
    "filters": [
        {"exclude_elements": ["Cd", "Hg"]}, {"exclude_elements": "Pb"}, {"element_count": {"least": 2, "most": 4}},
        {"new_compounds": None}, {"exclude_radioactive": {}},
    ],
    "targets": [
        {"property": "energy_above_hull", "goal": "at_most", "value": 50, "unit": "meV/atom"},
        {"property": "refractive_index", "goal": "maximize", "unit": "1", "family": "boosted_trees"},
        {"property": "band_gap", "goal": "window", "lower": 2, "upper": 4.5, "unit": "eV", "provenance": "dft:pbe"},
        {"property": "bulk_modulus_vrh", "goal": "minimize", "unit": " GPa ", "family": ["stack"]},
        {"property": "conductivity", "goal": "at_least", "value": 1, "unit": "mS/cm"},
    ],
    "surrogates": {"features": ["magpie", {"magpie": {"missing": "impute"}}, "density"], "budget": "5m", "keep": 100},
    "structure": {"features": [{"crystal_local": {"outer": 1.6}}], "family": ["extra_trees", "stack"], "keep": 1e1},
    "potential": None,
    "shortlist": {"size": 3, "diversity": 0, "explore": True, "max_false_discovery": None},
    "cluster": {"kind": "slurm", "interface": "ib0", "walltime": 90, "memory": "4GB", "directives": ["--constraint=a"]},
}  # fmt: skip

METALS = ("Ca", "Sr", "Ba", "Ti", "Zr", "Hf")
ABSENT = object()
SCHEDULER = {"kind": "existing", "address": "tls://10.0.0.1:8786"}

WRONG: dict[str, tuple[str, Any]] = {
    "no name": ("name", ABSENT),
    "name with a slash": ("name", "a/b"),
    "name that is a number": ("name", 5),
    "name that is too long": ("name", "x" * 81),
    "title that is too long": ("title", "x" * 301),
    "title that is a list": ("title", ["a"]),
    "seed below zero": ("seed", -1),
    "seed with a fraction": ("seed", 1.5),
    "seed too large": ("seed", 2**32),
    "unknown key": ("tagets", []),
    "no sources": ("sources", []),
    "sources left out": ("sources", ABSENT),
    "sources not in a list": ("sources", "embedded"),
    "unknown source": ("sources", ["embeded"]),
    "two sources in one entry": ("sources", [{"embedded": None, "table": "a.csv"}]),
    "source that is a number": ("sources", [5]),
    "source that is nothing": ("sources", [None]),
    "empty entry": ("sources", [{}]),
    "source without a needed option": ("sources", ["table"]),
    "source with nothing for a needed option": ("sources", [{"table": None}]),
    "unknown option": ("sources", [{"table": {"path": "formulas.csv", "colum": "a"}}]),
    "value of a thing without options": ("sources", [{"embedded": 5}]),
    "value where options need names": ("sources", [{"ionic_substitution": 5}]),
    "text for a number": ("sources", [{"ionic_substitution": {"limit": "many"}}]),
    "unknown way to treat disorder": ("sources", [{"structure_files": {"path": "cifs", "disorder": "ignore"}}]),
    "unknown element in a source": ("sources", [{"alloy_grid": {"elements": ["Ni", "Xx"]}}]),
    "unknown filter": ("filters", ["new_compound"]),
    "filter among features": ("surrogates.features", ["new_compounds"]),
    "unknown element in a filter": ("filters", [{"exclude_elements": ["pb"]}]),
    "unknown element alone": ("filters", [{"require_elements": "Oxygen"}]),
    "filter without elements": ("filters", ["exclude_elements"]),
    "unknown option of a filter": ("filters", [{"element_count": {"fewest": 2}}]),
    "no targets": ("targets", []),
    "too many targets": ("targets", [GOOD["targets"][0]] * 11),
    "property that is no name": ("targets.0.property", "energy above hull"),
    "no data": ("data", []),
    "unknown data": ("data", ["tabel"]),
    "packaged data with options": ("data", [{"embedded": {"rows": 5}}]),
    "own labels without a property": ("data.0.table.property", ABSENT),
    "own labels with an unknown option": ("data.0.table.colum", "sigma"),
    "own property without unit": ("properties.0.unit", ABSENT),
    "own property with capitals": ("properties.0.name", "Conductivity"),
    "own property on another scale": ("properties.0.scale", "log"),
    "own property with an unknown key": ("properties.0.label", "conductivity"),
    "target of a property that is not defined": ("properties", []),
    "unknown goal": ("targets.0.goal", "at_least_one"),
    "no unit": ("targets.0.unit", ABSENT),
    "unit without quotes": ("targets.1.unit", 1),
    "unit of another quantity": ("targets.0.unit", "GPa"),
    "unit of another quantity by another name": ("targets.0.unit", "g/cc"),
    "no value": ("targets.0.value", ABSENT),
    "value of nothing": ("targets.0.value", None),
    "window without an end": ("targets.2.upper", ABSENT),
    "window with a value": ("targets.2.value", 3),
    "end without a window": ("targets.0.upper", 60),
    "unknown provenance": ("targets.2.provenance", "experiment"),
    "unknown transform": ("targets.0.transform", "log"),
    "unknown way to a probability": ("targets.0.probability", "guess"),
    "unknown family of a target": ("targets.1.family", "random_forest"),
    "no family in a list": ("surrogates.family", []),
    "family twice": ("surrogates.family", ["stack", "stack"]),
    "family that is nothing": ("surrogates.family", None),
    "no features": ("surrogates.features", []),
    "unknown feature": ("surrogates.features", ["magpy"]),
    "unknown feature in a guard": ("surrogates.features", [{"guarded": {"featurizer": "magpy"}}]),
    "feature with an unknown option": ("surrogates.features", [{"crystal_local": {"inner_": 1}}]),
    "option of a feature without options": ("surrogates.features", [{"density": {"unit": "g/cm3"}}]),
    "embedding of an unknown potential": ("surrogates.features", [{"crystal_embedding": "chgnett"}]),
    "embedding without a potential": ("surrogates.features", ["crystal_embedding"]),
    "no keep": ("surrogates.keep", ABSENT),
    "keep of zero": ("surrogates.keep", 0),
    "keep too large": ("surrogates.keep", 100_001),
    "budget without unit": ("surrogates.budget", 300),
    "budget with a fraction": ("surrogates.budget", "1.5h"),
    "no stages": ("surrogates", ABSENT),
    "potential that is a name": ("potential", "chgnet"),
    "unknown potential": ("potential", {"name": "chgnett"}),
    "unknown option of a potential": ("potential", {"name": "chgnet", "options": {"batch": 3}}),
    "unknown option of the usual potential": ("potential", {"options": {"batch": 3}}),
    "calculator of another potential": ("potential", {"calculator": "ase.calculators.lj:LennardJones"}),
    "adapter without a calculator": ("potential", {"name": "ase"}),
    "sha256 that is none": ("potential", {"name": "ase", "calculator": "a:b", "weights": "w", "sha256": "0f"}),
    "unknown second potential": ("potential", {"second": "chgnett"}),
    "second potential without a name": ("potential", {"second": {"options": {}}}),
    "unknown option of a second potential": ("potential", {"second": {"name": "chgnet", "options": {"batch": 3}}}),
    "steps of a second potential": ("potential", {"second": {"name": "sevennet", "steps": 3}}),
    "relaxation without steps": ("potential", {"steps": 0}),
    "largest force too large": ("potential", {"largest_force": 2}),
    "unknown references": ("potential", {"references": ["embeded"]}),
    "shortlist of nothing": ("shortlist.size", 0),
    "shortlist without size": ("shortlist.size", ABSENT),
    "diversity above 1": ("shortlist.diversity", 1.1),
    "explore that is text": ("shortlist.explore", "sometimes"),
    "share of misses of 1": ("shortlist.max_false_discovery", 1),
    "unknown cluster": ("cluster", "slurmm"),
    "queue without interface": ("cluster", "slurm"),
    "scheduler without address": ("cluster", {"kind": "existing"}),
    "scheduler with two addresses": ("cluster", {**SCHEDULER, "scheduler_file": "a.json"}),
    "scheduler without TLS": ("cluster", {**SCHEDULER, "address": "tcp://10.0.0.1:8786"}),
    "certificate without key": ("cluster", {**SCHEDULER, "ca_file": "ca.pem", "certificate": "me.pem"}),
    "memory without unit": ("cluster", {"memory": "4"}),
    "wall-time with 61 minutes": ("cluster", {"walltime": "1:61:00"}),
    "interface with a blank": ("cluster", {"kind": "slurm", "interface": "ib 0"}),
}  # fmt: skip

ONLY_VALIDATE_KNOWS: dict[str, tuple[str, Any]] = {
    "whether a file is there": ("sources", [{"table": "nowhere.csv"}]),
    "whether a column is there": ("sources", [{"table": {"path": "formulas.csv", "id_column": "number"}}]),
    "limits of the options of a thing": ("sources", [{"ionic_substitution": {"limit": -1}}]),
    "names in the library of prototypes": ("sources", [{"prototype_decoration": {"elements": ["Na", "Cl"],
                                                                                 "prototypes": ["rocksalty"]}}]),
    "which window is empty": ("targets.2.upper", 1),
    "which values are possible": ("targets.2.upper", 2000),
    "how units are misspelt": ("targets.0.unit", "eVv"),
    "which labels are packaged": ("targets.2.provenance", "exp"),
    "one target for each property": ("targets", [GOOD["targets"][0]] * 2),
    "that later stages keep fewer": ("structure.keep", 200),
    "that the shortlist is shorter": ("shortlist.size", 11),
    "what formulas alone cannot give": ("sources", [{"composition_enumeration": ["Fe", "O"]}]),
    "whether there is a choice to budget": ("surrogates.family", "stack"),
    "which featurizers matminer has": ("surrogates.features", [{"matminer": {"featurizer": "BandCentre"}}]),
    "numbers that JSON has not": ("targets.0.value", float("inf")),
}  # fmt: skip

ONLY_THE_SCHEMA_REFUSES: dict[str, tuple[str, Any]] = {
    "numbers in quotes": ("surrogates.keep", "100"),
    "truth in words": ("shortlist.explore", "yes"),
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return campaign_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the campaigns name."""
    folder = tmp_path_factory.mktemp("campaigns")
    (folder / "formulas.csv").write_text("id,formula\n1,SiO2\n")
    labels = [
        f"{first}{second}O3,{place + 1}" for place, (first, second) in enumerate(itertools.product(METALS, METALS))
    ]
    (folder / "labels.csv").write_text("\n".join(["formula,sigma", *labels]))
    (folder / "cifs").mkdir()
    (folder / "cifs" / "POSCAR").write_text("NaCl\n1\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\ndirect\n0 0 0\n.5 .5 .5\n")
    return folder


def changed(place: str, value: Any) -> dict[str, Any]:
    """The good campaign with one value replaced or left out."""
    campaign = copy.deepcopy(GOOD)
    *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    inner: Any = campaign
    for part in path:
        inner = inner[part]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return campaign


def problems_of(campaign: dict[str, Any], folder: Path) -> list[str]:
    path = folder / "campaign.yaml"
    yaml = YAML(typ="safe", pure=True)
    yaml.representer.ignore_aliases = lambda _: True
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(campaign, file)
    return [str(problem) for problem in validate(path)[1]]


@pytest.mark.parametrize("path", sorted(PACKAGED_CAMPAIGNS.glob("*.yaml")), ids=lambda path: path.stem)
def test_packaged_campaigns_pass(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert not list(validator.iter_errors(YAML(typ="safe", pure=True).load(path)))


def test_a_campaign_with_everything_passes_both(validator: jsonschema.Draft202012Validator, folder: Path) -> None:
    assert not [error.message for error in validator.iter_errors(GOOD)]
    assert problems_of(GOOD, folder) == []


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse(name: str, validator: jsonschema.Draft202012Validator, folder: Path) -> None:
    campaign = changed(*WRONG[name])
    told = problems_of(campaign, folder)
    assert told, "validate finds nothing wrong"
    assert not validator.is_valid(campaign), f"the schema finds nothing wrong; validate says {told}"


def test_there_are_fifty_wrong_campaigns() -> None:
    assert len(WRONG) >= 50


@pytest.mark.parametrize("name", ONLY_VALIDATE_KNOWS)
def test_what_a_schema_cannot_know(name: str, validator: jsonschema.Draft202012Validator, folder: Path) -> None:
    campaign = changed(*ONLY_VALIDATE_KNOWS[name])
    assert problems_of(campaign, folder)
    assert validator.is_valid(campaign)


@pytest.mark.parametrize("name", ONLY_THE_SCHEMA_REFUSES)
def test_what_the_schema_is_stricter_about(name: str, validator: jsonschema.Draft202012Validator, folder: Path) -> None:
    campaign = changed(*ONLY_THE_SCHEMA_REFUSES[name])
    assert problems_of(campaign, folder) == []
    assert not validator.is_valid(campaign)


WITHOUT_OWN = {name: value for name, value in GOOD.items() if name not in ("properties", "data")}


@pytest.mark.parametrize("data", [{}, {"data": ["embedded"]}, {"data": [{"materials": None}]}, {"properties": []}])
@pytest.mark.parametrize("name", ["band_gapp", "conductivity", "seebeck_p"])
def test_only_labelled_properties_without_data_of_ones_own(
    name: str, data: dict[str, Any], validator: jsonschema.Draft202012Validator, folder: Path
) -> None:
    target = {"property": name, "goal": "maximize", "unit": "uV/K"}
    for targets, fine in ((GOOD["targets"][:4], True), ([target], False)):
        campaign = {**WITHOUT_OWN, **data, "targets": targets}
        assert validator.is_valid(campaign) == fine
        assert (problems_of(campaign, folder) == []) == fine


def test_packaged_tables_bring_their_properties(validator: jsonschema.Draft202012Validator, folder: Path) -> None:
    target = {"property": "seebeck_p", "goal": "maximize", "unit": "uV/K"}
    campaign = {**WITHOUT_OWN, "data": ["transport"], "targets": [target]}
    assert validator.is_valid(campaign)
    assert problems_of(campaign, folder) == []


def named_in(entry: dict[str, Any]) -> set[str]:
    return {*(choice["const"] for choice in entry["anyOf"] if "const" in choice), *entry["anyOf"][-1]["properties"]}


def test_everything_that_is_registered_is_named_and_described(schema: dict[str, Any]) -> None:
    found = schema["$defs"]
    assert set(SOURCES) <= named_in(found["Source"])
    assert set(FILTERS) <= named_in(found["Filter"])
    assert set(CAMPAIGN_FEATURIZERS) <= named_in(found["Featurizer"])
    assert set(MODELS) <= set(found["SurrogateStage"]["properties"]["family"]["anyOf"][0]["enum"])
    assert set(POTENTIALS) <= set(found["PotentialStage"]["properties"]["name"]["enum"])
    assert set(LABEL_SOURCES) | set(TRAINING_SETS) <= named_in(found["Labels"])
    for kind in ("Source", "Filter", "Featurizer", "Labels"):
        for name, about in found[kind]["anyOf"][-1]["properties"].items():
            assert about["description"], name
            options = about["anyOf"][0]["properties"]
            assert all(option.get("description") for option in options.values()), name
    keys = [model["properties"] for model in (schema, *found.values()) if "properties" in model]
    assert all(key.get("description") for model in keys for key in model.values())


def test_every_example_keeps_the_schema(schema: dict[str, Any]) -> None:
    shown = 0
    for model in (schema, *schema["$defs"].values()):
        for key, about in model.get("properties", {}).items():
            for example in about.get("examples", []):
                part = {"$schema": schema["$schema"], "$defs": schema["$defs"], **about}
                assert jsonschema.Draft202012Validator(part).is_valid(example), (key, example)
                shown += 1
    assert shown > 10


def test_the_schema_is_plain_json(schema: dict[str, Any]) -> None:
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
