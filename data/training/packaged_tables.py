"""The labelled tables that come with matloop, by name, and which of them a campaign learns from unless it says so.

This is the one place that says "the packaged crystals": whoever needs them asks here or, better, is handed them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.packaged.computed_properties import PROPERTY_FILES, load_computed_properties
from matloop.data.packaged.materials import MATERIALS_SHA256, load_materials
from matloop.data.packaged.measured_gaps import GAPS_FILE, load_measured_gaps
from matloop.data.packaged.measured_indices import MEASURED_INDICES, load_measured_indices
from matloop.data.packaged.measured_mechanics import (
    HARDNESS_FILE,
    STRENGTH_FILE,
    load_measured_hardness,
    load_measured_strength,
)
from matloop.data.packaged.transport import ARCHIVE, load_transport
from matloop.data.properties.columns import Column, property_column
from matloop.data.registry import lookup
from matloop.data.training.labelled_table import LabelledTable
from matloop.data.training.lone_polymorphs import values_of_lone_polymorphs
from matloop.data.training.measured_tables import rows_with_crystals
from matloop.data.training.training_set import TrainingSet

TRAINING_SETS: Mapping[str, str] = {
    "materials": "matloop.data.training.packaged_tables:materials",
    "gaps_with_metals": "matloop.data.training.packaged_tables:gaps_with_metals",
    "transport": "matloop.data.training.packaged_tables:transport",
    "measured_gaps": "matloop.data.training.packaged_tables:measured_gaps",
    "measured_indices": "matloop.data.training.packaged_tables:measured_indices",
    "measured_hardness": "matloop.data.training.packaged_tables:measured_hardness",
    "measured_strength": "matloop.data.training.packaged_tables:measured_strength",
}
"""Labelled tables by name; other packages add some through entry points of the group ``matloop.training_sets``."""

MEASURED_TABLES: Mapping[str, str] = {"band_gap": "measured_gaps", "refractive_index": "measured_indices"}
"""By property the table with its measured values, from which the step from computed to measured ones is learned."""

DEFAULT = "materials"
"""The table that a campaign learns from unless it is given training sets."""

_EQUAL_GAPS = 0.05  # eV
LICENCE = "Materials Project data, CC BY 4.0"
INDEX_LICENCE = "refractiveindex.info, CC0 1.0"


def labelled_table(name: str = DEFAULT) -> LabelledTable:
    """The labelled table of that name, read once per process.

    Raises:
        UnknownNameError: With the nearest known name.
        DatasetError: If its file is not the one that was released.

    >>> labelled_table("materials").training_set("band_gap").about["licence"]
    'Materials Project data, CC BY 4.0'
    """
    table: LabelledTable = lookup("training_set", TRAINING_SETS, name)()
    return table


def packaged_training_set(property_name: str, *, table: str = DEFAULT) -> TrainingSet:
    """The rows of a table that have a label of a property, cut once per process.

    Raises:
        UnknownNameError: If there is no such table, or it has no labels of the property.
    """
    return _training_set(table, property_name)


def packaged_crystals() -> CandidateBatch:
    """The packaged crystals, for what streams or varies them by definition."""
    return load_materials()


@functools.cache
def materials() -> LabelledTable:
    """The packaged crystals, computed by the Materials Project."""
    crystals = packaged_crystals()
    return LabelledTable(
        "materials", crystals.table, "dft:pbe", LICENCE, MATERIALS_SHA256, lambda _: Intake(crystals, [])
    )


@functools.cache
def gaps_with_metals() -> LabelledTable:
    """The packaged crystals with a computed band gap, metals among them.

    Gaps of the packaged crystals come from a database of dielectrics, which has no metals. The others are those that
    the Materials Project computed of compositions of which no second polymorph is known, or one with the same gap.
    """
    crystals, column = packaged_crystals(), property_column("band_gap", "dft")
    dielectrics = crystals.column(column)
    others = values_of_lone_polymorphs(crystals, load_computed_properties("band_gap"), agreement=_EQUAL_GAPS)
    gaps = np.where(np.isfinite(dielectrics), dielectrics, others)
    kept = [name for name in crystals.table.column_names if not name.endswith("_dft")]
    source = crystals.table.schema.field(column).metadata
    table = crystals.table.select(kept).append_column(
        pa.field(column, pa.float64(), metadata=source), pa.array(gaps, from_pandas=True)
    )  # fmt: skip
    labelled = CandidateBatch(table, crystals.blocks)
    files = f"{MATERIALS_SHA256} {PROPERTY_FILES['materials_project', 'band_gap'].sha256}"
    return LabelledTable("gaps_with_metals", table, "dft:pbe", LICENCE, files, lambda _: Intake(labelled, []))


@functools.cache
def transport() -> LabelledTable:
    """Electronic transport of 47,737 crystals, of which the formulas are known."""
    return LabelledTable("transport", load_transport(), "dft:pbe", LICENCE, ARCHIVE.sha256, _with_numbers)


@functools.cache
def measured_gaps() -> LabelledTable:
    """Measured band gaps of 2,470 compositions, of several measurements the median."""
    published = load_measured_gaps()
    about = {key.decode(): value.decode() for key, value in published.schema.metadata.items()}
    names = [property_column("band_gap", "exp") if name == "band_gap" else name for name in published.column_names]
    return LabelledTable(
        "measured_gaps", published.rename_columns(names), "exp", about["licence"], GAPS_FILE.sha256, _measured
    )


@functools.cache
def measured_indices() -> LabelledTable:
    """Measured static refractive indices, with the packaged crystal of the same phase where there is one."""
    table = load_measured_indices()
    return LabelledTable(
        "measured_indices", table, "exp", INDEX_LICENCE, MEASURED_INDICES.sha256,
        lambda published: _measured(published, published[Column.SPACE_GROUP_NUMBER].to_pylist()),
    )  # fmt: skip


@functools.cache
def measured_hardness() -> LabelledTable:
    """Measured Vickers hardness under a load, of several values under one load the median."""
    return _with_condition("measured_hardness", load_measured_hardness(), HARDNESS_FILE.sha256)


@functools.cache
def measured_strength() -> LabelledTable:
    """Measured yield strength of alloys at a temperature, of several values at one temperature the median."""
    return _with_condition("measured_strength", load_measured_strength(), STRENGTH_FILE.sha256)


def _with_condition(name: str, published: pa.Table, sha256: str) -> LabelledTable:
    """Compositions with one measured label, each under a condition."""
    licence = (published.schema.metadata or {})[b"licence"].decode()
    return LabelledTable(name, published, "exp", licence, sha256, _with_numbers)


@functools.cache
def _training_set(table: str, property_name: str) -> TrainingSet:
    return labelled_table(table).training_set(property_name)


def _measured(table: pa.Table, space_groups: Sequence[int | None] | None = None) -> Intake:
    """Candidates of the formulas of a table of measured labels, with these and with packaged crystals."""
    batch, refused = rows_with_crystals(
        table[Column.FORMULA].to_pylist(), packaged_crystals(), space_groups=space_groups
    )  # fmt: skip
    readable = pa.array(np.setdiff1d(np.arange(table.num_rows), [row.row for row in refused]))
    labels = {name: table[name].take(readable) for name in table.column_names if name.endswith("_exp")}
    origins = [f"measured {formula}" for formula in batch.formulas]
    return Intake(batch.with_columns(labels).with_columns({Column.ORIGIN: origins}), refused)


def _with_numbers(table: pa.Table) -> Intake:
    """Candidates of the formulas of a table, with its columns of numbers and names."""
    batch, refused = CandidateBatch.from_formulas(table[Column.FORMULA].to_pylist(), exact=True)
    readable = pa.array(np.setdiff1d(np.arange(table.num_rows), [row.row for row in refused]))
    columns: dict[str, Any] = {
        name: table[name].take(readable) for name in table.column_names if name != Column.FORMULA
    }
    return Intake(batch.with_columns(**columns), refused)
