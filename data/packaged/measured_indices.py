"""Measured refractive indices, extrapolated to long wavelengths (see ``datasets/ATTRIBUTION.md``).

The static index of the electrons is what density functional perturbation theory computes, and what a measured
dispersion tends to between the lattice vibrations and the absorption edge.
"""

from __future__ import annotations

import functools
import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile

MEASURED_INDICES = VerifiedFile(
    MATERIALS_FILE.with_name("measured_indices.parquet"),
    "56992d473322c8eb1fa358c17975e5b95f20d75073c01929ce605a2097ff6420",
)


@functools.cache
def load_measured_indices(*, crystals_only: bool = True) -> pa.Table:
    """Static refractive indices of compounds at room temperature, one row for each phase.

    Args:
        crystals_only: Whether rows of glasses, thin films and stabilised phases are left out.

    Returns:
        Rows ordered by formula: ``formula`` (reduced), ``space_group_number``, ``phase``, ``form``,
        ``refractive_index_exp`` (rays averaged as the trace of the dielectric tensor), ``spread`` (the error of the
        extrapolation and the scatter of determinations), ``determinations``, ``shortest_wavelength`` and
        ``longest_wavelength`` in micrometres, ``pages`` of refractiveindex.info and their ``references``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> table = load_measured_indices()
    >>> diamond = table.slice(table["phase"].to_pylist().index("diamond"), 1)
    >>> diamond["formula"][0].as_py(), round(diamond["refractive_index_exp"][0].as_py(), 2)
    ('C', 2.38)
    """
    table = pq.read_table(io.BytesIO(MEASURED_INDICES.read()))
    return table.filter(pc.equal(table["form"], "crystal")) if crystals_only else table
