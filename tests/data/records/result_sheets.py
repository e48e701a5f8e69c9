"""Result sheets that tests fill in."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matloop.data.records.result_sheet import RESULTS, SheetColumn


def write_sheet(
    path: Path,
    rows: Sequence[Mapping[str, str]],
    *,
    encoding: str = "utf-8",
    columns: Sequence[SheetColumn] = RESULTS,
) -> Path:
    """Write rows of a table, that of results unless columns say otherwise, below English headings."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.heading("en") for column in columns])
        writer.writerows([[row.get(column.key, "") for column in columns] for row in rows])
    return path


def result(candidate: str, formula: str, sample: str, value: str = "", **cells: str) -> dict[str, str]:
    """A row of a sheet: a value of the band gap in eV of a sample that was made, unless cells say otherwise."""
    measured = {"property": "band gap", "value": value, "unit": "eV", "qualifier": "is"} if value else {}
    return {
        "candidate_id": candidate, "formula": formula, "sample_id": sample, "outcome": "made", **measured, **cells
    }  # fmt: skip
