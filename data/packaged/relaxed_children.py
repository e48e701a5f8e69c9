"""A sample of candidates as the generator makes them, relaxed, with energies by two potentials.

Known crystals say little about the errors that a potential makes in candidates: it learned from them. The sample says
how the same potential fares with crystals that nobody computed (see ``datasets/ATTRIBUTION.md``).
"""

from __future__ import annotations

import functools
import io

import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile

RELAXED_CHILDREN = VerifiedFile(
    MATERIALS_FILE.with_name("relaxed_children.parquet"),
    "c58f63ca77b8b46a94bd5eb21b70ddd195bb95bc41e86fc0e223dec7c5d4c3f2",
)


@functools.cache
def load_relaxed_children() -> pa.Table:
    """Children of packaged crystals by ionic substitution, drawn at random and relaxed with CHGNet.

    Returns:
        Rows in the order in which they were drawn: ``formula``, ``origin`` (the substitution and the parent),
        ``substitution_probability``, ``listed`` (whether a database lists the composition; of those it does not, and of
        those that it lists and that are not packaged, the sample is as large as time allowed), and
        ``chgnet_energy_per_atom`` and ``sevennet_energy_per_atom`` in eV/atom, both of the crystal that CHGNet relaxed.
        The schema's metadata name the energies, as ``chgnet`` and ``sevennet``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> load_relaxed_children().num_rows
    1160
    """
    return pq.read_table(io.BytesIO(RELAXED_CHILDREN.read()))
