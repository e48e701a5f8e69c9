"""Measured hardness of compounds and yield strength of alloys (see ``datasets/ATTRIBUTION.md``).

Hardness falls as the load of the indenter grows, and strength as the temperature rises, so each value stands beside
its condition.
"""

from __future__ import annotations

import functools
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile
from matloop.data.properties.columns import Column

HARDNESS_FILE = VerifiedFile(
    MATERIALS_FILE.with_name("measured_hardness.parquet"),
    "93a70573ac3b4e35d9ad703415f8d8b5be55db021eceea8f2be257b38ccc42e6",
)
STRENGTH_FILE = VerifiedFile(
    MATERIALS_FILE.with_name("measured_strength.parquet"),
    "164fcf3ac1a0b8615bf319a78c888b7e8836ed62c0d8bd1efb7f892796c49e3a",
)


@functools.cache
def load_measured_hardness() -> pa.Table:
    """Vickers hardness of compounds and alloys.

    Returns:
        Rows ordered by formula, then by load, of two values of one composition under one load the median: ``formula``
        (reduced), ``vickers_hardness_exp`` (GPa), ``condition_load`` (N) and ``repeats``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> load_measured_hardness().num_rows
    1061
    """
    return _medians(pq.read_table(io.BytesIO(HARDNESS_FILE.read())))


@functools.cache
def load_measured_strength() -> pa.Table:
    """Yield strength of alloys of several principal elements at the temperature of the test.

    Tension and compression, and alloys that were cast, wrought or annealed, stand together.

    Returns:
        Rows ordered by formula, then by temperature, of several values of one composition at one temperature the
        median: ``formula`` (reduced), ``yield_strength_exp`` (MPa), ``condition_temperature`` (K) and ``repeats``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> load_measured_strength().num_rows
    679
    """
    return _medians(pq.read_table(io.BytesIO(STRENGTH_FILE.read())))


def load_strength_measurements() -> pa.Table:
    """Every packaged yield strength, with the kind of test, the processing and the paper it comes from.

    Returns:
        Rows ordered by formula, then by temperature: ``formula``, ``yield_strength_exp`` (MPa),
        ``condition_temperature`` (K), ``test`` (C for compression, T for tension), ``processing`` and ``doi``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    return pq.read_table(io.BytesIO(STRENGTH_FILE.read()))


def _medians(table: pa.Table) -> pa.Table:
    """One row for each composition and condition, in the order of the table."""
    value, condition = table.column_names[1:3]
    formulas = table[Column.FORMULA].to_numpy(zero_copy_only=False).astype(str)
    conditions = table[condition].to_numpy()
    first = np.flatnonzero(np.append(True, (formulas[1:] != formulas[:-1]) | (conditions[1:] != conditions[:-1])))
    parts = np.split(table[value].to_numpy(), first[1:])
    medians = pa.array([float(np.median(part)) for part in parts])
    settled = table.select([Column.FORMULA, value, condition]).take(pa.array(first))
    settled = settled.set_column(1, table.schema.field(value), medians)
    repeats = pa.field("repeats", pa.int64(), metadata={"unit": "1", "description": "Number of published values."})
    return settled.append_column(repeats, pa.array([len(part) for part in parts]))
