"""Properties that two databases computed, by composition without structures (see ``datasets/ATTRIBUTION.md``).

Several crystals of one composition are polymorphs, and their values are no repeats of one number. The value kept is
that of the polymorph with the lowest energy where the energies tell which that is. The lowest and highest stand beside.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.errors import unknown_name
from matloop.data.packaged.computed_phases import PHASE_FILES
from matloop.data.packaged.materials import MATERIALS_FILE, VerifiedFile
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column

GROUND_STATE = "ground_state"
"""Column that says whether the value is known to be that of the polymorph with the lowest energy."""

PROPERTY_FILES: Mapping[tuple[str, str], VerifiedFile] = {
    (source, name): VerifiedFile(MATERIALS_FILE.with_name(f"{source}_{name}.parquet"), sha256)
    for source, name, sha256 in (
        ("materials_project", "band_gap", "772bf3327feb5930c84ee3f318b0828c1f94f9dfc6c22d29eb0d0dd735e1804a"),
        ("materials_project", "refractive_index", "cd65bcb234ae35a48c3704f0fd3a4228d8c64e2d20f61bbb7098ad9e7d06c37f"),
        ("materials_project", "bulk_modulus_vrh", "654bac278173d44907c2874b59d6099014035d15b7e5431fd28ab6c9013214d2"),
        ("materials_project", "shear_modulus_vrh", "d3782bd2f892df2dd8853b120220ad24804aba384f95af8f5e26b556f041bf5a"),
        ("materials_project", "phonon_peak", "e17fba369c9ee0fb9a66567c6a2e0519d48d85e06aa7bb638530b19aa04b3d6d"),
        ("oqmd", "band_gap", "ca56c43b2059d27d1215299382cb094a78ecb89a6585640cd54abc7111393f89"),
    )
}
"""By the name of the database and of the property."""


@functools.cache
def load_computed_properties(property_name: str, source: str = "materials_project") -> pa.Table:
    """The compositions of which a database computed a property, each once.

    Args:
        property_name: Of a file in :data:`PROPERTY_FILES`.
        source: Name of the database there.

    Returns:
        Rows ordered by formula: ``formula`` (reduced), ``value`` (in the property's unit: of the polymorph with the
        lowest energy where the energies tell which it is, else the median of those it may be, the lower one of two),
        ``lowest`` and ``highest`` of all polymorphs, ``polymorphs`` (their number) and ``ground_state`` (whether the
        value is known to be that of the polymorph with the lowest energy). The schema's metadata name ``property``,
        ``provenance``, ``database``, ``year``, ``version``, ``publications``, ``licence``, ``origin`` and
        ``origin_sha256``.

    Raises:
        UnknownNameError: If no such file is packaged.
        DatasetError: If a packaged file is not the one that was released.

    >>> gaps = load_computed_properties("band_gap")
    >>> metals = (gaps["highest"].to_numpy() == 0).sum()
    >>> gaps.num_rows, int(metals)
    (78164, 36561)
    """
    packed = pq.read_table(io.BytesIO(_file(property_name, source).read()))
    formulas = _formulas_of_phases(source).take(packed["phase"].combine_chunks())
    step, unit = float(packed.schema.metadata[b"step"]), property_named(property_name).unit
    value, below, above = (packed[name].to_numpy().astype(np.int64) for name in ("value", "below", "above"))
    numbers = {"value": value, "lowest": value - below, "highest": value + above}
    of_unit = {"unit": unit}
    fields = [pa.field(Column.FORMULA, pa.string()), *(pa.field(n, pa.float64(), metadata=of_unit) for n in numbers)]
    schema = pa.schema(
        [*fields, pa.field("polymorphs", pa.int64()), pa.field(GROUND_STATE, pa.bool_())],
        metadata=packed.schema.metadata,
    )
    columns = [formulas, *(np.round(counted * step, 6) for counted in numbers.values())]
    return pa.table([*columns, packed["polymorphs"].cast(pa.int64()), packed[GROUND_STATE]], schema=schema)


def computed_property_names(source: str = "materials_project") -> list[str]:
    """Names of the properties that a database computed and that are packaged.

    >>> computed_property_names("oqmd")
    ['band_gap']
    """
    return [name for database, name in PROPERTY_FILES if database == source]


def _file(property_name: str, source: str) -> VerifiedFile:
    """The file of a property.

    Raises:
        UnknownNameError: If no such file is packaged.
    """
    found = PROPERTY_FILES.get((source, property_name))
    if found is not None:
        return found
    sources = dict.fromkeys(database for database, _ in PROPERTY_FILES)
    if source not in sources:
        raise unknown_name("database with computed properties", source, sources)
    raise unknown_name(f"property computed by {source}", property_name, computed_property_names(source))


def _formulas_of_phases(source: str) -> pa.Array:
    """The formulas of the packaged phases of a database, to which the files of properties refer by row."""
    content = PHASE_FILES[source].read()
    return pq.read_table(io.BytesIO(content), columns=[Column.FORMULA])[Column.FORMULA].combine_chunks()
