"""Build ``materials.parquet`` from the four data sets published with matminer 0.3.9.

Run ``python data/datasets/build.py matminer-0.3.9.tar.gz``; without an argument the archive is downloaded with pip
(which, having compared the hash, runs the package's setup to learn its name). Nothing of the archive is executed or
unpickled here: four CSV members are read, their nested cells are parsed as JSON. The figures in ``ATTRIBUTION.md`` are
checked or printed on each run. With the same library versions the file comes out byte for byte the same.

Needs matloop itself (for the candidate ids), pymatgen, moyopy and pyarrow.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from build_checks import Checks, check_cells, check_file, check_sets, check_tensors
from build_sources import DIELECTRIC, ELASTIC, FLLA, PIEZO, SETS, SYMPREC, Cell, Row, read_cell, read_sets
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.identity import crystal_ids

OUTPUT = Path(__file__).with_name("materials.parquet")
SDIST_SHA256 = "3faf9e83464f3d48f68a759bf476ad24da4c8c3e950c8f340cb917d3bb906400"
F64 = pa.float64()


def _truth(text: str) -> bool:
    return {"True": True, "False": False}[text]


def _upper_triangle(text: str) -> list[float]:
    matrix = json.loads(text)
    return [matrix[i][j] for i in range(6) for j in range(i, 6)]


def _symmetric_components(text: str) -> list[float]:
    tensor = np.array(json.loads(text))
    mean = (tensor + tensor.T) / 2
    return [float(mean[i, j]) for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))]


def _flat(text: str) -> list[float]:
    return [component for row in json.loads(text) for component in row]


class Column(NamedTuple):
    """One column of the file: where it comes from and how its text is read."""

    name: str
    type: pa.DataType
    unit: str
    description: str
    dataset: str = ""
    source: str = ""
    read: Callable[[str], object] = float


_MODULUS = "{} average {} modulus from the elastic tensor (PBE)."
_VOIGT = "(xx, yy, zz, yz, xz, xy)"
_IEEE = "in IEEE axes, which need not be those of `lattice`"
_OWN = "in the axes of `lattice`"
COLUMNS = (
    Column("candidate_id", pa.string(), "1", "Content hash of the crystal (matloop.data.candidates.identity)."),
    Column("material_id", pa.string(), "1", "Materials Project identifier."),
    Column("formula", pa.string(), "1", "Reduced formula as pymatgen writes it."),
    Column("lattice", pa.list_(F64, 9), "Å", "Cell row vectors a, b, c. The cell of the first set that holds the "
           "id: flla, dielectric, piezoelectric, elastic."),
    Column("species", pa.list_(pa.uint8()), "1", "Atomic number of each site."),
    Column("frac_coords", pa.list_(F64), "1", "Fractional coordinates x, y, z of each site after another, in [0, 1)."),
    Column("space_group_number", pa.int16(), "1", f"Space group of the cell (moyopy, tolerance {SYMPREC} Å)."),
    Column("orbits", pa.list_(pa.uint8()), "1", "Symmetry-equivalence class of each site, by first occurrence."),
    Column("in_flla", pa.bool_(), "1", "Row occurs in flla_2015."),
    Column("in_dielectric", pa.bool_(), "1", "Row occurs in dielectric_constant."),
    Column("in_piezoelectric", pa.bool_(), "1", "Row occurs in piezoelectric_tensor."),
    Column("in_elastic", pa.bool_(), "1", "Row occurs in elastic_tensor."),
    Column("formation_energy_per_atom_dft", F64, "eV/atom", "Formation energy from the elements at 0 K (PBE, +U where "
           "the Materials Project uses it).", FLLA, "formation_energy_per_atom"),
    Column("energy_above_hull_dft", F64, "eV/atom", "Energy above the Materials Project's convex hull of 2015.",
           FLLA, "e_above_hull"),
    Column("far_above_hull", pa.bool_(), "1", "Energy above hull exceeds 1 eV/atom: hardly a real crystal; flagged.",
           FLLA, "e_above_hull", lambda text: float(text) > 1.0),
    *(
        Column(f"{name}_modulus_{scheme.lower()}_dft", F64, "GPa",
               _MODULUS.format({"VRH": "Voigt-Reuss-Hill"}.get(scheme, scheme), name), ELASTIC, f"{letter}_{scheme}")
        for name, letter in (("bulk", "K"), ("shear", "G")) for scheme in ("VRH", "Reuss", "Voigt")
    ),
    Column("elastic_anisotropy_dft", F64, "1", "Universal anisotropy 5 G_V/G_R + K_V/K_R - 6; 0 is isotropic.",
           ELASTIC, "elastic_anisotropy"),
    Column("poisson_ratio_dft", F64, "1", "Isotropic Poisson ratio (3K - 2G)/(6K + 2G) of the Hill averages.",
           ELASTIC, "poisson_ratio"),
    Column("elastic_tensor_dft", pa.list_(F64, 21), "GPa", f"Elastic tensor, symmetrised, {_IEEE}: row-major upper "
           f"triangle of the 6x6 Voigt matrix {_VOIGT}.", ELASTIC, "elastic_tensor", _upper_triangle),
    Column("band_gap_dft", F64, "eV", "Kohn-Sham band gap (PBE, +U where the Materials Project uses it).",
           DIELECTRIC, "band_gap"),
    Column("refractive_index_dft", F64, "1", "Static refractive index: root of the mean eigenvalue of the electronic "
           "dielectric tensor (DFPT), published to 0.01.", DIELECTRIC, "n"),
    Column("dielectric_electronic_dft", pa.list_(F64, 6), "1", f"Electronic dielectric tensor {_VOIGT}, symmetrised "
           f"(DFPT), {_OWN}.", DIELECTRIC, "e_electronic", _symmetric_components),
    Column("dielectric_total_dft", pa.list_(F64, 6), "1", f"Static (electronic and ionic) dielectric tensor {_VOIGT}, "
           f"symmetrised (DFPT), {_OWN}.", DIELECTRIC, "e_total", _symmetric_components),
    Column("pot_ferroelectric", pa.bool_(), "1", "Possibly ferroelectric, as published.",
           DIELECTRIC, "pot_ferroelectric", _truth),
    Column("piezoelectric_modulus_dft", F64, "C/m2", "Largest |n_i e_iJ v_J| over directions n with v = (nx nx, ny ny, "
           "nz nz, ny nz, nx nz, nx ny), as published: shear terms counted once, not twice.", PIEZO, "eij_max"),
    Column("piezoelectric_tensor_dft", pa.list_(F64, 18), "C/m2", "Piezoelectric stress tensor e_iJ in its "
           f"published crystal axes, not those of `lattice`: row-major 3x6, Voigt {_VOIGT}.",
           PIEZO, "piezoelectric_tensor", _flat),
)  # fmt: skip


def download(folder: str) -> Path:
    """Fetch the source distribution; pip compares the hash before it opens the file."""
    requirement = Path(folder) / "requirements.txt"
    requirement.write_text(f"matminer==0.3.9 --hash=sha256:{SDIST_SHA256}\n")
    options = ["--no-deps", "--no-binary=:all:", "--require-hashes", f"--dest={folder}", f"--requirement={requirement}"]
    subprocess.run([sys.executable, "-m", "pip", "download", *options], check=True)
    return Path(folder) / "matminer-0.3.9.tar.gz"


def wrap(frac_coords: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates in [0, 1), to the eight decimals the sources have at most; what rounds up to 1 becomes 0."""
    wrapped = np.round(frac_coords - np.floor(frac_coords), 8)
    wrapped[wrapped >= 1] = 0
    return wrapped


def build_table(sets: dict[str, dict[str, Row]], kept: dict[str, Cell]) -> pa.Table:
    """All columns, rows in the order of ``kept``."""
    cells = kept.values()
    values: dict[str, list[object]] = {
        "material_id": list(kept),
        "formula": [cell.formula for cell in cells],
        "lattice": [cell.lattice.ravel() for cell in cells],
        "species": [cell.species for cell in cells],
        "frac_coords": [wrap(cell.frac_coords).ravel() for cell in cells],
        "space_group_number": [cell.space_group for cell in cells],
        "orbits": [cell.orbits for cell in cells],
    }
    for dataset in SETS:
        values[f"in_{dataset.split('_')[0]}"] = [i in sets[dataset] for i in kept]
    arrays = {
        c.name: pa.array(values[c.name], c.type) for c in COLUMNS if c.name in ("lattice", "species", "frac_coords")
    }
    values["candidate_id"] = list(crystal_ids(Crystals.from_columns(arrays)))
    fields = []
    for column in COLUMNS:
        if column.dataset:
            rows = sets[column.dataset]
            values[column.name] = [column.read(rows[i][column.source]) if i in rows else None for i in kept]
        source = f"{column.dataset}:{column.source}, doi:{SETS[column.dataset][1]}" if column.dataset else "derived"
        metadata = {"unit": column.unit, "description": column.description, "source": source}
        fields.append(pa.field(column.name, column.type, metadata=metadata))
    about = {"licence": "CC BY 4.0", "attribution": "ATTRIBUTION.md", "origin": "matminer 0.3.9 source distribution"}
    schema = pa.schema(fields, metadata=about)
    return pa.table([pa.array(values[field.name], field.type) for field in schema], schema=schema)


def build(sdist: Path) -> None:
    """Read, check, write, and check what was written."""
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if digest != SDIST_SHA256:
        raise SystemExit(f"{sdist} has sha256 {digest}, expected {SDIST_SHA256}")
    checks = Checks()
    sets = read_sets(sdist)
    cells = {(dataset, i): read_cell(dataset, row) for dataset, rows in sets.items() for i, row in rows.items()}
    ids = sorted({i for _, i in cells}, key=lambda material_id: int(material_id.removeprefix("mp-")))
    kept = {i: next(cells[dataset, i] for dataset in SETS if (dataset, i) in cells) for i in ids}
    check_sets(sets, cells, checks)
    check_tensors(sets, checks)
    check_cells(sets, cells, kept, checks)
    # Plain pages under zstd come out smaller here than dictionaries or byte streams split by significance.
    draft = OUTPUT.with_suffix(".partial")
    pq.write_table(build_table(sets, kept), draft, compression="zstd", compression_level=19, use_dictionary=False)
    check_file(draft, kept, checks)
    if checks.failed:
        draft.unlink()
        raise SystemExit(f"{len(checks.failed)} checks failed, nothing written")
    draft.replace(OUTPUT)
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size:,} bytes, sha256 {hashlib.sha256(OUTPUT.read_bytes()).hexdigest()}")


def main() -> None:
    """Command line: an optional path to the source distribution."""
    logging.getLogger("moyo").setLevel(logging.ERROR)  # warns of cells that are not compatible with their lattice
    warnings.filterwarnings("ignore", message="No Pauling electronegativity")
    if len(sys.argv) > 1:
        build(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        build(download(folder))


if __name__ == "__main__":
    main()
