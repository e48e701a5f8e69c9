"""The packaged tables of computed values by composition, each as one training set.

Every table is of one database, and so of one provenance. Tables of two databases are never joined.
"""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import unknown_name
from matloop.data.packaged.citations import cited_in
from matloop.data.packaged.computed_phases import PHASE_FILES, load_computed_phases
from matloop.data.packaged.computed_properties import PROPERTY_FILES, load_computed_properties
from matloop.data.properties.columns import Column
from matloop.data.training.training_set import TrainingSet

MATERIALS_PROJECT = "materials_project"
FORMATION_ENERGY = "formation_energy_per_atom"
_PROVENANCE = "dft:pbe"  # of the formation energies of both databases


def computed_tables() -> list[tuple[str, str]]:
    """Property and database of every table.

    >>> ("band_gap", "oqmd") in computed_tables()
    True
    """
    properties = [(name, database) for database, name in PROPERTY_FILES]
    return [*properties, *((FORMATION_ENERGY, database) for database in PHASE_FILES)]


def check_computed_table(property_name: str, database: str) -> None:
    """Make sure that there is a table of a property and a database.

    Raises:
        UnknownNameError: With the nearest known name.
    """
    databases = list(dict.fromkeys(known for _, known in computed_tables()))
    if database not in databases:
        raise unknown_name("database with computed properties", database, databases)
    properties = [name for name, known in computed_tables() if known == database]
    if property_name not in properties:
        raise unknown_name(f"property computed by {database}", property_name, properties)


def sha256_of_computed_table(property_name: str, database: str) -> str:
    """Hash of the files that a table is read from, without reading them.

    Raises:
        UnknownNameError: If there is no such table.
    """
    check_computed_table(property_name, database)
    files = [PHASE_FILES[database]]
    if property_name != FORMATION_ENERGY:
        files.append(PROPERTY_FILES[database, property_name])
    return " ".join(file.sha256 for file in files)


@functools.lru_cache(maxsize=1)
def computed_training_set(property_name: str, database: str = MATERIALS_PROJECT) -> TrainingSet:
    """The compositions of a table with their values, each once.

    Args:
        property_name: A property of :func:`computed_tables`.
        database: Its database.

    Returns:
        Values of the polymorph of lowest energy where the energies tell which that is, else the median of those it may
        be; formation energies are the lowest of each composition.

    Raises:
        UnknownNameError: If there is no such table.
        DatasetError: If a packaged file is not the one that was released.
    """
    check_computed_table(property_name, database)
    table, values = _read(property_name, database)
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    rows, refused = CandidateBatch.from_formulas(table[Column.FORMULA].to_pylist(), exact=True)
    readable = np.setdiff1d(np.arange(table.num_rows), [row.row for row in refused])
    cited = [cited_in(publication) for publication in about.get("publications", "").split()]
    return TrainingSet.of_rows(
        rows, values[readable], property_name=property_name, name=f"compositions of {about['database']}",
        provenance=about.get("provenance", _PROVENANCE), licence=f"{about['database']}, {about['licence']}",
        citation="; ".join(filter(None, cited)),
    )  # fmt: skip


def _read(property_name: str, database: str) -> tuple[pa.Table, NDArray[np.float64]]:
    """The rows of a table and their values, shape (n,)."""
    if property_name != FORMATION_ENERGY:
        table = load_computed_properties(property_name, database)
        return table, table.column(1).to_numpy()  # behind the formula: of the polymorph of lowest energy
    table = load_computed_phases(database)
    table = table.filter(pc.greater(table["polymorphs"], 0))  # elements at zero by definition teach nothing
    return table, table[FORMATION_ENERGY].to_numpy()
