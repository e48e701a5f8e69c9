"""What a campaign may name under ``data``: tables, structure files, databases and records with labels of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from matloop.data.own_labels.derived_labels import Derive, Derived
from matloop.data.own_labels.label_account import LabelAccount, ReadLabels
from matloop.data.training.training_set import TrainingSet

LABEL_SOURCES: Mapping[str, str] = {
    "ase_database": "matloop.data.own_labels.labelled_columns:LabelledAseDatabase",
    "records": "matloop.data.records.record_labels:RecordLabels",
    "snapshot": "matloop.data.own_labels.labelled_columns:LabelledSnapshot",
    "structure_files": "matloop.data.own_labels.labelled_structures:LabelledStructureFiles",
    "table": "matloop.data.own_labels.labelled_formulas:LabelledFormulas",
}
"""Labels of one's own by the name that a campaign gives; the packaged tables stand beside them."""


@runtime_checkable
class LabelSource(Protocol):
    """Reads labels of one property.

    Attributes:
        property_name: The property.
    """

    property_name: str

    def files(self) -> list[Path]:
        """The files that are read."""
        ...

    def stamps(self) -> tuple[Any, ...]:
        """What changes whenever the labels may have changed; looked at before they are read again."""
        ...

    def derive_by(self, known: Mapping[Derived, Derive]) -> None:
        """Hand over what derives labels from energies; only labels with an option ``derive`` use it."""
        ...

    def read_rows(self) -> ReadLabels:
        """Read every row, and the material of each that teaches.

        Raises:
            MatloopError: If a file cannot be read.
        """
        ...

    def read(self) -> tuple[TrainingSet, LabelAccount]:
        """Return the training set of these labels alone, and what became of every row.

        Raises:
            MatloopError: If a file cannot be read, or too few rows teach.
        """
        ...
