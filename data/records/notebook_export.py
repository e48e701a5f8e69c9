"""Records as an ``.eln`` file that electronic laboratory notebooks read: one data set for each sample.

Each sample has its record, its process steps and its values; values stand in the metadata as well, where notebooks list
them without opening a file.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from matloop.data.eln_files import MeasuredProperty, PackagedFolder, PackageFacts, write_eln
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import property_named
from matloop.data.records.contents import samples_table, steps_table, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.whole_files import json_file, plain_cell

LICENCE = "Results of the laboratories that are named in each data set; nothing here licenses them."

_Rows = Sequence[Mapping[str, Any]]


def export_notebook(path: Path, database: RecordsDatabase, *, properties: Sequence[str] = ()) -> int:
    """Write what counts now, corrections in place of what they replace.

    Args:
        path: The file; its name ends in ``.eln``.
        database: The records.
        properties: Names of the properties whose values are written; all if empty.

    Returns:
        How many samples it holds.
    """
    samples = samples_table(database).to_pylist()
    values, steps = _by_sample(values_table(database, properties)), _by_id(steps_table(database))
    files: dict[str, bytes] = {}
    folders = []
    for place, sample in enumerate(samples, start=1):
        own = values[_key(sample)]
        name = f"{place:04d}"
        files[f"{name}/sample.json"] = json_file({**sample, "values": own}).encode()
        for file, rows in (("values.csv", own), ("process_steps.csv", steps[sample["sample_id"]])):
            if rows:
                files[f"{name}/{file}"] = _csv(rows)
        title = f"{sample['sample']}: {sample['formula'] or sample['candidate_id']} ({sample['outcome']})"
        keywords = [word for word in (sample["formula"], sample["candidate_id"], sample["laboratory"]) if word]
        folders.append(PackagedFolder(name, title, keywords, [_measured(one) for one in own]))
    newest = max((str(sample["imported_at"]) for sample in samples), default="1970-01-01")[:10]
    facts = PackageFacts(
        "Records of matloop", f"{counted(len(samples), 'sample')} with their values and process steps", newest, "en",
        LICENCE,
    )  # fmt: skip
    write_eln(path, files, folders, facts=facts)
    return len(samples)


def _by_sample(table: pa.Table) -> Mapping[tuple[str, ...], list[dict[str, Any]]]:
    found: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        found[_key(row)].append(row)
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a sample one: its laboratory, its candidate and its name."""
    return row["laboratory"], row["candidate_id"], row["sample"]


def _by_id(table: pa.Table) -> Mapping[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        found[row["sample_id"]].append(row)
    return found


def _measured(row: Mapping[str, Any]) -> MeasuredProperty:
    sign = "" if row["relation"] == "=" else row["relation"]
    label = property_named(row["property"]).label_en
    return MeasuredProperty(row["measurement_id"], label, row["property"], f"{sign}{row['value']:.10g}", row["unit"])


def _csv(rows: _Rows) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows[0])
    writer.writerows([plain_cell(cell) for cell in row.values()] for row in rows)
    return text.getvalue().encode("utf-8-sig")
