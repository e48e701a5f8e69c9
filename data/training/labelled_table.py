"""A table whose columns are labels of several properties; a training set is one of its columns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import unknown_name
from matloop.data.packaged.citations import cited_in
from matloop.data.properties.columns import Column, Suffix, property_column
from matloop.data.properties.conditions import COLUMN_PREFIX
from matloop.data.properties.provenance import Provenance
from matloop.data.training.training_set import TrainingSet

_KEPT = (Column.CANDIDATE_ID, Column.FORMULA, Column.MATERIAL_ID, Column.ORIGIN, Column.SPACE_GROUP_NUMBER, "orbits")
"""Columns of a table that describe a material and are no label of it."""


@dataclass(frozen=True, eq=False)
class LabelledTable:
    """Materials with computed or measured labels of several properties.

    Attributes:
        name: Name of the table.
        published: The table as it was published; each field's metadata have unit, description and source.
        provenance: Of every label.
        licence: Of the labels.
        sha256: Of the file it was read from.
        read: Makes materials of the published table.
    """

    name: str
    published: pa.Table
    provenance: str
    licence: str
    sha256: str
    read: Callable[[pa.Table], Intake]

    @functools.cached_property
    def intake(self) -> Intake:
        """The materials with all columns of the table, and the rows that cannot be read."""
        return self.read(self.published)

    @property
    def rows(self) -> CandidateBatch:
        """The n materials with all columns of the table."""
        return self.intake.batch

    @functools.cached_property
    def labels(self) -> Mapping[str, NDArray[np.float64]]:
        """Values by property, nan where unknown, each of shape (n,)."""
        fields = [field for field in self.published.schema if pa.types.is_float64(field.type)]
        end = f"_{self.suffix}"
        named = [field.name for field in fields if field.name.endswith(end)]
        return {name.removesuffix(end): self.rows.column(name) for name in named}

    @property
    def suffix(self) -> Suffix:
        """Suffix of the columns of labels."""
        return Provenance.read(self.provenance).suffix

    def has(self, property_name: str) -> bool:
        """Whether the table has labels of a property."""
        return self._column(property_name) in self.published.column_names

    def _column(self, property_name: str) -> str:
        return property_column(property_name, self.suffix)

    def training_set(self, property_name: str) -> TrainingSet:
        """The materials that have a label of a property.

        Raises:
            UnknownNameError: If the table has no labels of it.
        """
        if property_name not in self.labels:
            raise unknown_name(f"property of the table '{self.name}'", property_name, self.labels)
        field = self.published.schema.field(self._column(property_name))
        names = self.rows.table.column_names
        kept = [name for name in names if name in _KEPT or name.startswith(COLUMN_PREFIX)]
        rows = replace(self.rows, table=self.rows.table.select(kept))
        source = (field.metadata or {}).get(b"source", b"").decode()
        return TrainingSet.of_rows(
            rows, self.labels[property_name], property_name=property_name, name=self.name,
            provenance=self.provenance, licence=self.licence, citation=cited_in(source),
        )  # fmt: skip

    def gave(self, training: TrainingSet) -> bool:
        """Whether a training set holds what this table has of its property."""
        name = training.property_name
        return self.has(name) and self.training_set(name).sha256 == training.sha256
