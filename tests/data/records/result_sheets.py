"""Result sheets that tests fill in."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matloop.data.records.result_sheet import RESULTS


def write_sheet(path: Path, rows: Sequence[Mapping[str, str]], *, encoding: str = "utf-8") -> Path:
    """Write rows of the table of results, in columns with English headings."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.heading("en") for column in RESULTS])
        writer.writerows([[row.get(column.key, "") for column in RESULTS] for row in rows])
    return path


def result(candidate: str, formula: str, sample: str, value: str = "", **cells: str) -> dict[str, str]:
    """A row of a sheet: a value of the band gap in eV of a sample that was made, unless cells say otherwise."""
    measured = {"property": "band gap", "value": value, "unit": "eV", "qualifier": "is"} if value else {}
    return {
        "candidate_id": candidate, "formula": formula, "sample_id": sample, "outcome": "made", **measured, **cells
    }  # fmt: skip
