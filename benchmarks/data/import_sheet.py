"""Time and statements that the import of a result sheet takes, with an SQLite file and a PostgreSQL server.

The sheet holds packaged measured band gaps, a sample and a heating step for each. It is taken in when it is new, once
more, with a method filled in on each row, and with another value in each row, which is asked about.

``python benchmarks/data/import_sheet.py --rows 2000 --records postgresql://USER@HOST:PORT/EMPTY_DATABASE``
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import event

from matloop.data.packaged.measured_gaps import load_gap_measurements
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.result_sheet import RESULTS, STEPS, SheetColumn
from matloop.workflows.bench.hardware import describe

Rows = list[dict[str, str]]


def measured_rows(count: int) -> Rows:
    """Rows of the table of results, from the first measurements of gaps."""
    table = load_gap_measurements().slice(0, count).to_pylist()
    return [
        {
            "candidate_id": f"measured-{at}", "formula": row["formula"], "sample_id": f"film-{at}", "outcome": "made",
            "property": "band gap", "value": f"{row['band_gap']:.4g}", "unit": "eV",
        }
        for at, row in enumerate(table)
    ]  # fmt: skip


def write_sheet(path: Path, columns: Sequence[SheetColumn], rows: Sequence[Mapping[str, str]]) -> Path:
    """Write one table of a result sheet as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [column.key for column in columns])
        writer.writeheader()
        writer.writerows(rows)
    return path


def import_and_print(
    database: RecordsDatabase, sheet: Path, what: str, candidates: Mapping[str, KnownCandidate]
) -> None:
    """Import a sheet and print what it took."""
    statements = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    start, cpu = time.perf_counter(), time.process_time()
    report = import_sheet(database, sheet, candidates=candidates, laboratory="lab")
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    counts = ", ".join(f"{report.count(verdict):,} {verdict}" for verdict in ("accepted", "held", "refused"))
    took = f"{seconds:8.2f} s, of that {cpu:6.2f} s of this process,{len(statements):7,} statements"
    print(f"  {what:20}{took}: {counts}, {report.known:,} known", flush=True)


def measure(place: str, rows: Rows, folder: Path) -> None:
    """Import the sheet in its four forms."""
    candidates = {row["candidate_id"]: KnownCandidate(row["formula"]) for row in rows}
    steps = [
        {"sample_id": row["sample_id"], "step": "1", "operation": "heat", "temperature": "900", "duration": "2"}
        for row in rows
    ]
    filled = [{**row, "method": "optical"} for row in rows]
    other = [{**row, "value": f"{float(row['value']) + 0.2:.4g}"} for row in filled]
    sheets = {
        "new results": (RESULTS, rows), "the same again": (RESULTS, rows), "process steps": (STEPS, steps),
        "a method filled in": (RESULTS, filled), "other values": (RESULTS, other),
    }  # fmt: skip
    database = open_records(place)
    for what, (columns, written) in sheets.items():
        import_and_print(database, write_sheet(folder / "sheet.csv", columns, written), what, candidates)
    database.close()


def main() -> None:
    """Measure on an SQLite file and, where its address is given, on a PostgreSQL server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--records", help="address of an empty PostgreSQL database")
    given = parser.parse_args()
    print(describe("sqlalchemy"))
    rows = measured_rows(given.rows)
    with tempfile.TemporaryDirectory() as scratch:
        for place in filter(None, (str(Path(scratch, "records.sqlite")), given.records)):
            print(f"{len(rows):,} rows in {'PostgreSQL' if '://' in place else 'SQLite'}")
            measure(place, rows, Path(scratch))


if __name__ == "__main__":
    main()
