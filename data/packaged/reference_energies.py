"""Energies of the packaged crystals by the packaged potential (see ``datasets/ATTRIBUTION.md``)."""

from __future__ import annotations

import functools
import io

import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, read_verified

REFERENCES_FILE = MATERIALS_FILE.with_name("chgnet_references.parquet")
REFERENCES_SHA256 = "2cb6138f5d11d57ff5ad7a0543322690a7b5407e2c8039f4c8115d6f338441b8"


@functools.cache
def load_references() -> pa.Table:
    """CHGNet's energy of each packaged crystal, unrelaxed, in the order of :func:`load_materials`.

    Returns:
        6,317 rows: ``material_id`` and ``energy_per_atom`` in eV/atom, null where CHGNet has no answer. The schema's
        metadata name ``potential``, ``version`` and ``weights_sha256``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    return pq.read_table(io.BytesIO(read_verified(REFERENCES_FILE, REFERENCES_SHA256)))
