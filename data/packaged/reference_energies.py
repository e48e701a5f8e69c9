"""Energies of the packaged crystals by packaged potentials (see ``datasets/ATTRIBUTION.md``)."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile

REFERENCE_FILES: Mapping[str, VerifiedFile] = {
    "chgnet": VerifiedFile(
        MATERIALS_FILE.with_name("chgnet_references.parquet"),
        "2cb6138f5d11d57ff5ad7a0543322690a7b5407e2c8039f4c8115d6f338441b8",
    ),
    "sevennet": VerifiedFile(
        MATERIALS_FILE.with_name("sevennet_references.parquet"),
        "f3823b050a6b98aa370b32eda09515ee8110758ba455cf164ddf8ef5319758e8",
    ),
}
"""By the name of the potential."""


@functools.cache
def load_references(potential: str) -> pa.Table:
    """A potential's energy of each packaged crystal, unrelaxed, in the order of :func:`load_materials`.

    Args:
        potential: Name in :data:`REFERENCE_FILES`.

    Returns:
        6,317 rows: ``material_id`` and ``energy_per_atom`` in eV/atom, null where the potential has no answer. The
        schema's metadata name ``potential``, ``version`` and ``weights_sha256``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    return pq.read_table(io.BytesIO(REFERENCE_FILES[potential].read()))
