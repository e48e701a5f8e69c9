"""Read the published CSV sets: rows of text, and their crystals with symmetry."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moyopy
import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Poscar

MEMBER = "matminer-0.3.9/matminer/datasets/{}.csv"
SYMPREC = 0.1  # Å; the tolerance under which the published space groups were found

FLLA, DIELECTRIC, PIEZO, ELASTIC = "flla_2015", "dielectric_constant", "piezoelectric_tensor", "elastic_tensor"
# Set -> (rows, DOI). The order says whose cell is kept when an id occurs in several sets.
SETS = {
    FLLA: (3938, "10.1002/qua.24917"),
    DIELECTRIC: (1056, "10.1038/sdata.2016.134"),
    PIEZO: (941, "10.1038/sdata.2015.53"),
    ELASTIC: (1181, "10.1038/sdata.2015.9"),
}

Row = dict[str, str]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """A crystal of one set with its symmetry.

    Attributes:
        lattice: Row vectors in Å, shape (3, 3).
        species: Atomic numbers, shape (n,).
        frac_coords: As published, shape (n, 3).
        formula: Reduced formula.
        space_group: Number at ``SYMPREC``.
        orbits: Equivalence class of each site.
    """

    lattice: Array
    species: list[int]
    frac_coords: Array
    formula: str
    space_group: int
    orbits: list[int]

    @property
    def volume(self) -> float:
        """Cell volume in Å3."""
        return abs(float(np.linalg.det(self.lattice)))

    @property
    def volume_per_atom(self) -> float:
        """Volume in Å3 divided by the number of sites."""
        return self.volume / len(self.species)


def read_sets(sdist: Path) -> dict[str, dict[str, Row]]:
    """The four CSV files as set -> material id -> row of texts."""
    with tarfile.open(sdist, "r:gz") as archive:
        return {name: _read_csv(archive.extractfile(MEMBER.format(name))) for name in SETS}  # type: ignore[arg-type]


def _read_csv(stream: Iterable[bytes]) -> dict[str, Row]:
    lines = io.StringIO(b"".join(stream).decode("utf-8"), newline="")
    lines.readline()  # the citation
    header, *rows = csv.reader(lines)
    # Two of the files carry an index column without a heading before the others.
    header = [""] * (len(rows[0]) - len(header)) + header
    records = [dict(zip(header, row, strict=True)) for row in rows]
    return {record["material_id"]: record for record in records}


def as_json(text: str) -> Any:
    """A nested cell of flla_2015: JSON but for its quotation marks."""
    return json.loads(text.replace("'", '"'))


def symmetry(lattice: Array, frac_coords: Array, species: list[int]) -> tuple[int, list[int]]:
    """Space group number and the orbit of each site, numbered by first occurrence."""
    found = moyopy.MoyoDataset(moyopy.Cell(lattice.tolist(), frac_coords.tolist(), species), symprec=SYMPREC)
    label: dict[int, int] = {}
    return found.number, [label.setdefault(orbit, len(label)) for orbit in found.orbits]


def read_cell(dataset: str, row: Row) -> Cell:
    """The crystal of one row, in the cell in which the set gives it."""
    if dataset == FLLA:
        structure = Structure.from_dict(as_json(row["structure"]))
    else:
        structure = Poscar.from_str(row["poscar"]).structure
    lattice, frac_coords = structure.lattice.matrix, structure.frac_coords
    species = [site.specie.Z for site in structure]
    space_group, orbits = symmetry(lattice, frac_coords, species)
    return Cell(lattice, species, frac_coords, structure.composition.reduced_formula, space_group, orbits)
