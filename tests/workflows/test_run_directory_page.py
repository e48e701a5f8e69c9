"""docs/run_directory.md explains what a run writes."""

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from matloop.screening.runs.run_summary import RunSummary
from matloop.workflows.screen import ScreeningRun
from tests.test_column_names import ROOT, told_in_the_guide

PAGE = (ROOT / "docs" / "run_directory.md").read_text("utf-8")
ABOUT_RUN_JSON = PAGE.partition("## What `run.json` says")[2].partition("\n## ")[0]


def keys_of(value: Any) -> Iterator[str]:
    """Keys of the objects in a JSON value; those of tables by name (such as versions) are names, not keys."""
    by_name = {"outcomes", "ranges", "versions", "seconds", "corrections"}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from () if key in by_name else keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def fields_of(model: type[BaseModel]) -> Iterator[str]:
    for definition in [schema := model.model_json_schema(), *schema.get("$defs", {}).values()]:
        yield from definition["properties"]


def without_property(name: str, properties: list[str]) -> str:
    """A column with PROPERTY in place of the name of the property."""
    return (
        re.sub(rf"(?<![a-z])({'|'.join(properties)})(?![a-z])", "PROPERTY", name)
        if name not in told_in_the_guide()
        else name
    )


def test_every_key_of_a_summary_is_explained() -> None:
    assert not set(fields_of(RunSummary)) - set(re.findall("`([^`]+)`", ABOUT_RUN_JSON))


def test_what_a_run_writes_is_explained(finished: ScreeningRun) -> None:
    told, properties = told_in_the_guide(), finished.view.properties
    columns = pq.read_schema(finished.folder / "ranked.parquet").names
    assert not {without_property(name, properties) for name in columns} - told
    with (finished.folder / "shortlist.csv").open(encoding="utf-8-sig") as file:
        headings = [re.sub(r" \([^)]*\)$", "", heading) for heading in next(csv.reader(file))]
    missing = {without_property(heading, properties) for heading in headings}
    assert not {name for name in missing if f"`{name}" not in PAGE}
    written = json.loads((finished.folder / "run.json").read_text("utf-8"))
    assert not set(keys_of(written)) - set(re.findall("`([^`]+)`", ABOUT_RUN_JSON))
    files = {path.relative_to(finished.folder).parts[0] for path in finished.folder.rglob("*") if path.is_file()}
    assert not {name for name in files if f"`{name}" not in PAGE}


@pytest.mark.parametrize(
    ("column", "told"),
    [("band_gap_pred", "PROPERTY_pred"), ("probability_band_gap", "probability_PROPERTY"), ("rank", "rank")],
)
def test_names_of_properties_are_taken_out(column: str, told: str) -> None:
    assert without_property(column, ["band_gap"]) == told
