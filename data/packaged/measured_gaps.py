"""Measured band gaps, and compositions called metals or insulators (see ``datasets/ATTRIBUTION.md``).

Zhuo, Mansouri Tehrani and Brgoch, J. Phys. Chem. Lett. 9, 1668 (2018), collected them. Most gaps are optical, at room
temperature or below; the method is not stated. "Metal" is a label that somebody gave, and not always a measured fact:
silver arsenate and silver fulminate are called metals, and ReO3, which is one, has a gap of 2.3 eV in the list.
"""

from __future__ import annotations

import functools
import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile
from matloop.data.properties.columns import Column

GAPS_FILE = VerifiedFile(
    MATERIALS_FILE.with_name("measured_gaps.parquet"),
    "bc4641ba825d1f49f8d561d45abaa502b718b3bd786077b1eda2ce2a7f24c6e4",
)
CLASSES_FILE = VerifiedFile(
    MATERIALS_FILE.with_name("measured_classes.parquet"),
    "dbe2f658de73df94d072ec0917e006ced88bbc5c6061e40f87df6813f7fa0812",
)


@functools.cache
def load_measured_gaps() -> pa.Table:
    """Measured band gaps, one row for each composition.

    Returns:
        Rows ordered by formula: ``formula`` (reduced), ``band_gap`` (eV, the median of the repeats), ``lowest`` and
        ``highest`` (eV), ``repeats`` (how many values were published) and ``alloyed`` (whether the composition is a
        doped or alloyed one: its amounts were published as no whole numbers).

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> gaps = load_measured_gaps()
    >>> gaps.num_rows, gaps.filter(pc.equal(gaps["formula"], "GaAs")).select(["band_gap", "repeats"]).to_pylist()
    (2470, [{'band_gap': 1.51, 'repeats': 25}])
    """
    values = load_gap_measurements()
    formulas, first, counts = np.unique(
        values[Column.FORMULA].to_numpy(zero_copy_only=False).astype(str), return_index=True, return_counts=True
    )
    parts = np.split(values["band_gap"].to_numpy(), first[1:])
    alloyed = np.logical_and.reduceat(values["alloyed"].to_numpy(zero_copy_only=False), first)
    unit = {"unit": "eV", "source": (values.schema.metadata or {})[b"source"].decode()}
    fields = [
        values.schema.field(Column.FORMULA),
        pa.field("band_gap", pa.float64(), metadata={**unit, "description": "Median of the measured band gaps."}),
        pa.field("lowest", pa.float64(), metadata={**unit, "description": "Lowest of them."}),
        pa.field("highest", pa.float64(), metadata={**unit, "description": "Highest of them."}),
        pa.field("repeats", pa.int32(), metadata={"unit": "1", "description": "Number of published values."}),
        values.schema.field("alloyed"),
    ]
    columns = [formulas, *([np.array([f(part) for part in parts]) for f in (np.median, np.min, np.max)]), counts]
    return pa.table(
        [pa.array(column).cast(field.type) for column, field in zip([*columns, alloyed], fields, strict=True)],
        schema=pa.schema(fields, metadata=values.schema.metadata),
    )


def load_gap_measurements() -> pa.Table:
    """Every measured band gap, also the repeats of one composition.

    Returns:
        3,896 rows ordered by formula, then by value: ``formula`` (reduced), ``band_gap`` (eV) and ``alloyed``. The
        schema's metadata name source, licence and origin.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    return pq.read_table(io.BytesIO(GAPS_FILE.read()))


@functools.cache
def load_measured_classes() -> pa.Table:
    """Compositions that are called metals or insulators.

    Returns:
        Rows ordered by formula, without those that are called both: ``formula`` (reduced), ``insulator`` and
        ``alloyed``.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> classes = load_measured_classes()
    >>> classes.num_rows, pc.sum(classes["insulator"]).as_py()
    (4890, 2441)
    """
    table = pq.read_table(io.BytesIO(CLASSES_FILE.read()))
    return table.filter(pc.is_valid(table["insulator"]))
