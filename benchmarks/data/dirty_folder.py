"""A campaign on 1,000 good structure files, alone and with broken, hostile and deadly ones among them.

Nothing may be lost and nothing may change for the good files. ``--dirty FOLDER`` adds files of one's own.

``python benchmarks/data/dirty_folder.py``
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.packaged.materials import load_materials
from matloop.data.sources import structure_files
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.bench.hardware import describe
from matloop.workflows.screen import ScreeningRun, screen

POSCAR = "{title}\n1.0\n{edge} 0 0\n0 4.1 0\n0 0 4.1\nCs Cl\n{sites} 1\nDirect\n0 0 0\n.5 .5 .5\n"
POISON = {
    "poison-nan.vasp": POSCAR.format(title="salt", edge="nan", sites=1),
    "poison-billion-atoms.vasp": POSCAR.format(title="salt", edge=4.1, sites=1_000_000_000),
    "poison-1000-angstrom.vasp": POSCAR.format(title="salt", edge=1000, sites=1).replace("4.1", "1000"),
    "poison-killer.vasp": POSCAR.format(title="ends-its-process", edge=4.1, sites=1),
}
# Own readers have no known way to die, so one that dies at a name stands in for a native library that would.
DEADLY_READER = """
import os
from matloop.data.readers.structure_text import read_row as real
def read_row(message):
    if b"ends-its-process" in message: os._exit(7)
    return real(message)
"""


def campaign(folder: Path) -> Campaign:
    """Two cheap targets, both scoring stages, nothing filtered."""
    return Campaign.model_validate(
        {
            "name": "folder",
            "sources": [{"structure_files": {"path": str(folder)}}],
            "targets": [
                {"property": "refractive_index", "goal": "at_least", "value": 2.2, "unit": "1"},
                {"property": "piezoelectric_modulus", "goal": "at_least", "value": 0.2, "unit": "C/m2"},
            ],
            "surrogates": {"features": ["magpie", "density", "symmetry"], "keep": 300},
            "structure": {"features": ["magpie", "density", "symmetry", "crystal_local"], "keep": 50},
            "shortlist": {"size": 5, "explore": True},
        }
    )


def outcomes(run: ScreeningRun) -> dict[tuple[str, str], dict[str, Any]]:
    """Everything the partitions say of each file, by stage and origin (or detail, for refused rows)."""
    found = {}
    for path in sorted((run.folder / "partitions").glob("*/*.parquet")):
        for row in pq.read_table(path).to_pylist():
            found[path.parent.name, row["origin"] or row["detail"]] = row
    return found


def write_good(folder: Path, count: int) -> None:
    """Packaged crystals as POSCAR files."""
    from pymatgen.io.vasp import Poscar

    materials = load_materials()
    rows = np.random.default_rng(0).choice(len(materials), count, replace=False)
    for number, row in enumerate(np.sort(rows)):
        Poscar(materials.structure(row)).write_file(folder / f"good-{number:04}.vasp")


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two rows say the same; nulls are equal."""
    return pa.Table.from_pylist([left]).equals(pa.Table.from_pylist([right]))


def main() -> None:
    """Print outcomes of both runs and how many good rows differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--good", type=int, default=1000)
    parser.add_argument("--dirty", type=Path)
    options = parser.parse_args()
    print(describe("dask"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "deadly_reader.py").write_text(DEADLY_READER)
        os.environ["PYTHONPATH"] = os.pathsep.join([name, os.environ.get("PYTHONPATH", "")])
        structure_files.READER = "deadly_reader:read_row"
        (folder / "files").mkdir()
        write_good(folder / "files", options.good)
        start = time.perf_counter()
        clean = screen(campaign(folder / "files"), output=folder / "clean", store=False)
        first = time.perf_counter() - start
        for poison, text in POISON.items():
            (folder / "files" / poison).write_text(text)
        dirty = sorted(path for path in options.dirty.iterdir() if path.is_file()) if options.dirty else []
        for path in dirty:
            shutil.copy(path, folder / "files" / f"dirty-{path.name}")
        start = time.perf_counter()
        mixed = screen(campaign(folder / "files"), output=folder / "mixed", store=False)
        second = time.perf_counter() - start
        before, after = outcomes(clean), outcomes(mixed)
        good = {key: row for key, row in after.items() if key[0] == "surrogates" and key[1].startswith("good-")}
        changed = sum(not same(row, before.get(key, {})) for key, row in good.items())
        print(f"clean: {clean.summary.rows_in:,} rows, {clean.summary.outcomes}, {first:.0f} s")
        print(f"mixed: {mixed.summary.rows_in:,} rows, {mixed.summary.outcomes}, {second:.0f} s")
        refused = Counter(row["code"] for (_, origin), row in after.items() if row["stage"] == "intake")
        print(f"refused when read: {dict(refused)}")
        for (_, origin), row in sorted(after.items()):
            if "poison" in origin:
                print(f"  {origin.split(':')[0]:<28} {row['outcome']:<12} {row['code']}")
        print(f"good files with another result than in the clean run: {changed} of {len(good):,} (target: 0)")


if __name__ == "__main__":
    main()
