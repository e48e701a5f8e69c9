"""Byte bombs: files of a few bytes to a few megabytes that open to gigabytes, each read as a user would have it read.

Each is read in a new process. Its peak memory, and that of the largest process it starts, must stay under 500 MB,
and it must be refused with a code or come out as coded rows.

``python benchmarks/workflows/byte_bombs.py [NAME ...]``
"""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 500_000_000
READ = """
import json, resource, sys
from matloop.data.errors import MatloopError
kind, path = sys.argv[1:]
answer, codes = "read", {}
try:
    if kind == "run":
        from pathlib import Path
        from matloop.screening.runs.run_view import RunView
        run = Path(path)
        getattr(RunView(run.parent if run.is_file() else run), "identity" if run.is_file() else "ranked")
    else:
        from matloop.data.sources.snapshot import Snapshot
        from matloop.data.sources.structure_files import StructureFiles
        from matloop.data.sources.table import FormulaTable
        source = {"table": FormulaTable, "snapshot": Snapshot, "structures": StructureFiles}[kind](path)
        for intake in source.intakes(10_000):
            for row in intake.refused:
                codes[row.code] = codes.get(row.code, 0) + 1
            answer = f"{len(intake.batch)} candidates, refused {codes}"
except MatloopError as error:
    answer = str(error)[:150]
from matloop.data.guard.shared_workers import close_shared_workers
close_shared_workers()
own, children = (resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({"answer": answer, "own": own, "children": children}))
"""
Bomb = tuple[str, Callable[[Path], Path]]


def _repeated(text: str, rows: int) -> Any:
    """A column that holds one text for all rows and stores it once."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([text]))


def _table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, compression="zstd", **options)
    return path


def repeated_text(folder: Path) -> Path:
    """One formula of thirty kilobytes, 350,000 times: 10.5 GB."""
    return _table(folder / "a.parquet", {"formula": _repeated("SiO2" * 7_500, 350_000)})


def long_text(folder: Path) -> Path:
    """One formula of half a gigabyte."""
    return _table(folder / "a.parquet", {"formula": ["Si" * 250_000_000]}, use_dictionary=False)


def many_rows(folder: Path) -> Path:
    """Two hundred million rows."""
    return _table(folder / "a.parquet", {"formula": _repeated("Si", 200_000_000)})


def long_ids(folder: Path) -> Path:
    """Formulas that can be read, with ids of half a megabyte each."""
    return _table(folder / "a.parquet", {"formula": _repeated("Si", 20_000), "id": _repeated("x" * 500_000, 20_000)})


def snapshot_lists(folder: Path) -> Path:
    """A snapshot whose crystals have a million sites each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from matloop.data.sources.snapshot import ENTRY_COLUMNS, with_provenance

    rows, sites = 20, 5_000_000
    zeros = pa.array([0.0]).take(pa.repeat(pa.scalar(0), 3 * sites))
    columns = {
        "entry_id": ["a"] * rows, "formula": ["Si"] * rows, "code": [""] * rows, "detail": [""] * rows,
        "lattice": pa.array([[1.0, 0, 0, 0, 1, 0, 0, 0, 1]] * rows, ENTRY_COLUMNS.field("lattice").type),
        "species": pa.array([[14]] * rows, ENTRY_COLUMNS.field("species").type),
    }  # fmt: skip
    one = pa.ListArray.from_arrays(pa.array([0, 3 * sites], pa.int32()), zeros)
    columns["frac_coords"] = pa.chunked_array([one] * rows)
    table = pa.table(columns).select(ENTRY_COLUMNS.names).cast(ENTRY_COLUMNS)
    provenance = {"sha256": "0" * 64, "rows": rows}
    table = table.replace_schema_metadata(with_provenance(ENTRY_COLUMNS, provenance).metadata)
    pq.write_table(table, folder / "s.parquet", compression="zstd", row_group_size=1)
    return folder / "s.parquet"


def ranked_text(folder: Path) -> Path:
    """A run whose ranked candidates have formulas of a kilobyte, ten million times."""
    names = ("candidate_id", "formula", "rank", "shortlisted", "probability")
    _table(folder / "ranked.parquet", {name: _repeated("x" * 1000, 10_000_000) for name in names})
    return folder


def ranked_numbers(folder: Path) -> Path:
    """A run whose ranked candidates have a hundred columns of the same number, a million times: 800 MB."""
    import pyarrow as pa

    column = pa.array([1.0]).take(pa.repeat(pa.scalar(0), 1_000_000))
    _table(folder / "ranked.parquet", {f"c{k}": column for k in range(100)})
    return folder


def run_json(folder: Path) -> Path:
    """A run whose identity holds millions of empty lists."""
    (folder / "identity.json").write_bytes(b'{"a": [' + b"[]," * 4_900_000 + b"[]]}")
    return folder / "identity.json"


def run_json_wide(folder: Path) -> Path:
    """A run whose identity is a long text of which one character takes four bytes."""
    (folder / "identity.json").write_bytes(b'{"a": "' + "\U00010000".encode() + b"x" * 63_000_000 + b'"}')
    return folder / "identity.json"


def structure_json(folder: Path) -> Path:
    """A structure file of millions of empty lists."""
    (folder / "a.json").write_bytes(b'{"sites": [' + b"[]," * 6_000_000 + b"[]]}")
    return folder


def packed_zeros(folder: Path) -> Path:
    """A structure file of two gigabytes of blanks, packed."""
    with gzip.open(folder / "POSCAR.gz", "wb") as file:
        for _ in range(200):
            file.write(b" " * 10_000_000)
    return folder


def archive(folder: Path) -> Path:
    """An archive with a member of two gigabytes."""
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as file, file.open("POSCAR", "w") as member:
        for _ in range(200):
            member.write(b" " * 10_000_000)
    return folder / "a.zip"


def tar_header(folder: Path) -> Path:
    """An archive whose extended header has a gigabyte of zeros."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1_000_000_000
    with gzip.open(folder / "a.tar.gz", "wb", compresslevel=9) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(100):
            file.write(b"\0" * 10_000_000)
    return folder / "a.tar.gz"


_SHEET = """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>"""


_STRINGS_RELATION = b"""<Relationship Id="rId99" Target="/xl/sharedStrings.xml" Type="%s/sharedStrings"/>""" % (
    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
)
_STRINGS_TYPE = b"""<Override PartName="/xl/sharedStrings.xml" ContentType="%s.sharedStrings+xml"/>""" % (
    b"application/vnd.openxmlformats-officedocument.spreadsheetml"
)


def _workbook(path: Path, rows: str, strings: str) -> Path:
    from openpyxl import Workbook

    plain = io.BytesIO()
    book = Workbook()
    book.active.append(["formula"])
    book.save(plain)
    with zipfile.ZipFile(plain) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name in given.namelist():
            content = given.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = (_SHEET % rows).encode()
            elif name == "xl/_rels/workbook.xml.rels":
                content = content.replace(b"</Relationships>", _STRINGS_RELATION + b"</Relationships>")
            elif name == "[Content_Types].xml":
                content = content.replace(b"</Types>", _STRINGS_TYPE + b"</Types>")
            made.writestr(name, content)
        head = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        made.writestr("xl/sharedStrings.xml", f"{head}{strings}</sst>")
    return path


def shared_string(folder: Path) -> Path:
    """A sheet in which ten thousand cells share one text of four megabytes: 40 GB."""
    cells = "".join(f'<row r="{k}"><c r="A{k}" t="s"><v>1</v></c></row>' for k in range(2, 10_000))
    first = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
    return _workbook(folder / "a.xlsx", first + cells, f"<si><t>formula</t></si><si><t>{'x' * 4_000_000}</t></si>")


def many_strings(folder: Path) -> Path:
    """A sheet with millions of empty shared texts."""
    first = '<row r="1"><c r="A1" t="inlineStr"><is><t>formula</t></is></c></row>'
    return _workbook(folder / "a.xlsx", first + "<!--" + "é0x9" * 50_000 + "-->", "<si/>" * 20_000_000)


def wide_sheet(folder: Path) -> Path:
    """A sheet of sixteen thousand named columns and ten thousand rows of one cell."""
    from openpyxl.utils import get_column_letter

    def cell(column: int, row: int, text: str) -> str:
        return f'<c r="{get_column_letter(column)}{row}" t="inlineStr"><is><t>{text}</t></is></c>'

    first = "".join(cell(k, 1, f"n{k}" if k > 1 else "formula") for k in range(1, 16_384))
    rows = "".join(f'<row r="{k}">{cell(1, k, "Si")}</row>' for k in range(2, 10_000))
    return _workbook(folder / "a.xlsx", f'<row r="1">{first}</row>{rows}', "")


def csv_header(folder: Path) -> Path:
    """A table of a million columns."""
    (folder / "a.csv").write_text("formula," + ",".join(f"c{k}" for k in range(400_000)) + "\n" + "Si\n" * 1000)
    return folder / "a.csv"


def csv_commas(folder: Path) -> Path:
    """A table of ten thousand columns whose rows are commas."""
    names = ",".join(["formula", *(f"c{k}" for k in range(10_000))])
    (folder / "a.csv").write_text(names + "\n" + ("Si" + "," * 10_000 + "\n") * 2_000)
    return folder / "a.csv"


BOMBS: dict[str, Bomb] = {
    "parquet: repeated text": ("table", repeated_text),
    "parquet: long text": ("table", long_text),
    "parquet: many rows": ("table", many_rows),
    "parquet: long ids": ("table", long_ids),
    "snapshot: lists": ("snapshot", snapshot_lists),
    "run: ranked text": ("run", ranked_text),
    "run: ranked numbers": ("run", ranked_numbers),
    "run: JSON of lists": ("run", run_json),
    "run: JSON of one text": ("run", run_json_wide),
    "structures: JSON": ("structures", structure_json),
    "structures: gz": ("structures", packed_zeros),
    "structures: zip": ("structures", archive),
    "structures: tar.gz": ("structures", tar_header),
    "xlsx: shared text": ("table", shared_string),
    "xlsx: many texts": ("table", many_strings),
    "xlsx: wide": ("table", wide_sheet),
    "csv: header": ("table", csv_header),
    "csv: commas": ("table", csv_commas),
}


def tried(name: str) -> dict[str, Any]:
    """Make a bomb and read it in a new process; returns its size, the answer and both peaks in bytes."""
    kind = BOMBS[name][0]
    with tempfile.TemporaryDirectory() as folder:
        # What a process took before it became another one counts as its own, so this one must stay small.
        call = [sys.executable, __file__, "--make", name, folder]
        path = Path(subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip())
        file = path if path.is_file() else next(p for p in path.iterdir() if p.is_file())
        size, began = file.stat().st_size, time.monotonic()
        if kind == "table" and name.endswith("long ids"):
            program = READ.replace("[kind](path)", '[kind](path, id_column="id")')
        else:
            program = READ
        done = subprocess.run(
            [sys.executable, "-c", program, kind, str(path)], capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            return {
                "size": size,
                "answer": done.stderr[-400:] or f"ended by {done.returncode}",
                "own": 0,
                "children": 0,
            }
        return {"size": size, "seconds": time.monotonic() - began, **json.loads(done.stdout)}


def main() -> None:
    """Print one line for each bomb; exit code 1 if one takes too much."""
    if sys.argv[1:2] == ["--make"]:
        print(BOMBS[sys.argv[2]][1](Path(sys.argv[3])))
        return
    worst = 0
    for name in sys.argv[1:] or BOMBS:
        found = tried(name)
        peak = max(found["own"], found["children"])
        worst = max(worst, peak)
        print(
            f"{name:24} {found['size']:>11,} bytes, peak {peak / 1e6:6.0f} MB, {found.get('seconds', 0):5.1f} s: "
            f"{found['answer']}",
            flush=True,
        )
    print(f"largest peak {worst / 1e6:.0f} MB, allowed {LIMIT / 1e6:.0f} MB")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
