"""Compositions that two databases computed, with their lowest formation energies (see ``datasets/ATTRIBUTION.md``).

A convex hull needs no more than compositions and energies: with these tables it holds nearly every phase that its
database knew at the time, without structures.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile
from matloop.data.properties.columns import Column

STEPS = 10_000  # of energy in 1 eV/atom; the files hold whole numbers of them

PHASE_FILES: Mapping[str, VerifiedFile] = {
    "materials_project": VerifiedFile(
        MATERIALS_FILE.with_name("materials_project_phases.parquet"),
        "b5748687f3e0f639a3cfb60c003b62e9266b8b5ea71d47bd3f418ca8371f32ce",
    ),
    "oqmd": VerifiedFile(
        MATERIALS_FILE.with_name("oqmd_phases.parquet"),
        "23f0f2566f5956ce98c6bea72fb37d2c6111c5f0b4339b686c4b8b27f0ac914b",
    ),
}
"""By the name of the database."""


@functools.cache
def load_computed_phases(source: str) -> pa.Table:
    """The compositions of one database that have an energy, each once.

    Args:
        source: Name in :data:`PHASE_FILES`.

    Returns:
        Rows ordered by formula: ``formula`` (reduced), ``formation_energy_per_atom`` (eV/atom, the lowest of the
        composition, to 0.1 meV/atom) and ``polymorphs`` (how many of the database's rows have the composition; 0 for
        an element that stands at zero by definition). Every element that occurs has a row of its own, at zero. The
        schema's metadata name ``source`` (what a hull calls these energies), ``database``, ``year``, ``version``,
        ``publications``, ``licence``, ``origin``, ``origin_sha256`` and ``dropped`` (rows left out, and why).

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> phases = load_computed_phases("materials_project")
    >>> phases.num_rows, phases.schema.metadata[b"source"].decode()
    (95118, 'Materials Project 2019, formation')
    """
    table = _read(source)
    table = table.filter(pc.is_valid(table["formation_energy_steps"]))
    energies = table["formation_energy_steps"].to_numpy() / STEPS
    field = pa.field("formation_energy_per_atom", pa.float64(), metadata={"unit": "eV/atom"})
    return table.set_column(1, field, pa.array(energies)).combine_chunks()


def load_known_formulas(source: str) -> pa.Array:
    """Reduced formulas of all compositions that the database knows, with an energy or without.

    Args:
        source: Name in :data:`PHASE_FILES`.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    table = _read(source)
    listed = pc.or_(pc.greater(table["polymorphs"], 0), pc.is_null(table["formation_energy_steps"]))
    return table.filter(listed)[Column.FORMULA].combine_chunks()


def _read(source: str) -> pa.Table:
    return pq.read_table(io.BytesIO(PHASE_FILES[source].read()))
