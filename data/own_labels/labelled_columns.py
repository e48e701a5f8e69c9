"""Labels that are a column of numbers of crystals: in structure files, databases and snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import UnitError
from matloop.data.own_labels.derived_labels import Derived
from matloop.data.own_labels.described_labels import (
    NOTHING,
    ROWS_AT_ONCE,
    DescribedLabels,
    require_column,
    texts_of_column,
)
from matloop.data.own_labels.label_account import LabelRow, ReadLabels
from matloop.data.own_labels.label_conditions import WrittenConditions
from matloop.data.own_labels.label_trust import TextCell
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.units import convert
from matloop.data.readers.header_numbers import PER_ATOM, is_total_energy
from matloop.data.sources.ase_database import AseDatabase
from matloop.data.sources.contract import Source
from matloop.data.sources.snapshot import Snapshot

_WHOLE_CELL = ("energy", "free_energy", Column.ENTRY_ENERGY)  # by ASE and pymatgen, whatever a campaign says


class LabelledAseDatabase(DescribedLabels):
    """Crystals of an ASE database with a key of numbers as labels.

    Args:
        path: A ``.db`` (SQLite) or ``.json`` file.
        property: Name of the property.
        column: Key with the values, or ``energy_per_atom`` for the energies of a calculator.
        source: Where the values come from.
        unit: Unit of the values; by default that of the property. Energies of a calculator are in eV, and in eV/atom
            where they are divided by the number of atoms.
        select: Which rows to read, in the language of ASE.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        derive: ``formation_energy`` or ``energy_above_hull``, if the values are total energies by atom: it is derived
            from these energies alone, which must hold those of the pure elements.
        conditions: What the values depend on besides the material, as for ``table``; a column is a key of numbers.
    """

    def __init__(
        self, path: str | Path, *, property: str, column: str, source: str, unit: str | None = None,
        select: str | None = None, licence: str = "unknown", citation: str = "",
        derive: Derived | None = None, conditions: WrittenConditions | None = None,
    ) -> None:  # fmt: skip
        if column.removeprefix("entry_") in ("energy", "energy_per_atom"):
            unit = unit_of_energy(column, unit, property_named(property).unit)
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            derive=derive, conditions=conditions,
        )  # fmt: skip
        self._database = AseDatabase(path, select=select)

    def files(self) -> list[Path]:
        """The file that is read."""
        return [self.path]

    def read_rows(self) -> ReadLabels:
        """Read every row, and the material of each that teaches."""
        return read_columns(self, self._database, prefix="ase_")


class LabelledSnapshot(DescribedLabels):
    """A snapshot of a database, with one of its columns as labels.

    Args:
        path: A Parquet file that ``matloop fetch`` wrote.
        property: Name of the property.
        column: Column with the values, such as ``band_gap_dft``.
        source: Where the values come from, such as ``dft:pbe``.
        unit: Unit of the values; by default that of the property.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        conditions: What the values depend on besides the material, as for ``table``.
    """

    def __init__(
        self, path: str | Path, *, property: str, column: str, source: str, unit: str | None = None,
        licence: str = "unknown", citation: str = "", conditions: WrittenConditions | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            path, property=property, column=column, unit=unit, source=source, licence=licence, citation=citation,
            conditions=conditions,
        )  # fmt: skip
        self._snapshot = Snapshot(path)

    def files(self) -> list[Path]:
        """The file that is read."""
        return [self.path]

    def read_rows(self) -> ReadLabels:
        """Read every row, and the material of each that teaches."""
        return read_columns(self, self._snapshot)


def read_columns(labels: DescribedLabels, source: Source, *, prefix: str = "") -> ReadLabels:
    """Read labels that are a column of numbers of the candidates of a source."""
    rows: list[LabelRow] = []
    materials: list[CandidateBatch] = []
    for intake in source.intakes(ROWS_AT_ONCE):
        batch = intake.batch
        rows += [LabelRow(row.detail, row.formula, "", NOTHING, row.code, row.detail) for row in intake.refused]
        if not len(batch):
            continue
        texts = _numbers_written(labels, batch, labels.column, prefix)
        kept = [
            [TextCell(text, "") for text in _numbers_written(labels, batch, one.column, prefix)] if one.column
            else [TextCell("", "")] * len(batch)
            for one in labels.conditions
        ]  # fmt: skip
        origins = texts_of_column(batch, Column.ORIGIN)
        read = [
            labels.row_of(origin, formula, text, kept=[said[row] for said in kept])
            for row, (origin, formula, text) in enumerate(zip(origins, batch.formulas, texts, strict=True))
        ]
        materials.append(batch.take(np.flatnonzero([row.code == "" for row in read])))
        rows += read
    return labels.described(rows, materials)


def _column_named(name: str, prefix: str, present: Sequence[str]) -> str:
    """Name of the column that a campaign means by the name in the file."""
    meant = [name, f"{prefix}{name}", f"entry_{name}"]
    return next((each for each in meant if each in present), name)


def _numbers_written(labels: DescribedLabels, batch: CandidateBatch, name: str, prefix: str) -> list[str]:
    """Cells of a column of numbers as text; its name may lack the prefix of a source."""
    present = batch.table.column_names
    column = _column_named(name, prefix, present)
    if column not in present:
        require_column(labels.path.name, name, [one.removeprefix(prefix) for one in present])
    return ["" if value is None else repr(value) for value in batch.table.column(column).to_pylist()]


def unit_of_energy(column: str, stated: str | None, own: str) -> str | None:
    """Return the unit of a number that structure files state, None if its name does not tell.

    Raises:
        UnitError: If energies of whole cells are named for a property that counts by atom.
    """
    if not is_total_energy(column):
        return stated or ("eV/atom" if column.endswith(PER_ATOM) else None)
    unit = "eV" if column in _WHOLE_CELL else stated or "eV"
    try:
        convert(0.0, unit, own)
    except UnitError as error:
        raise UnitError(
            f"'{column}', an energy of all atoms of a cell in {unit}, for a property in {own}", f"an energy in {own}",
            f"write column: {column}{PER_ATOM} to divide it by the number of atoms"
            + ("" if column in _WHOLE_CELL else f", or unit: {own} if the values are in it already"),
        ) from error  # fmt: skip
    return stated or unit
