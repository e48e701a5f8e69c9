"""Candidates that bring an energy of their own, placed on the hull of computed phases that a campaign names."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import EnergySourceError
from matloop.data.own_labels.one_calculation import CORRECTED
from matloop.data.properties.columns import Column, property_column
from matloop.data.registry import SOURCES, lookup
from matloop.models.stability.own_hull import OwnEnergies, OwnHull
from matloop.screening.campaign.campaign import ComputedHull

_ROWS = 10_000
_PREFIXES = ("", "entry_", "extxyz_", "ase_", "table_")
"""What a source may have put before the name that a number has in its file."""


def own_hull(settings: ComputedHull) -> OwnHull:
    """Read the phases of a hull, once as long as their files do not change.

    Raises:
        MatloopError: If a file cannot be read, no phase has an energy, or the energies come from several calculations.
    """
    stamps = tuple(
        (str(path), path.stat().st_size, path.stat().st_mtime_ns)
        for source in _sources(settings)
        for path in (source.files() if hasattr(source, "files") else ())
    )
    return _read(settings.model_dump_json(), stamps)


@functools.lru_cache(maxsize=2)
def _read(written: str, _stamps: tuple[Any, ...]) -> OwnHull:
    settings = ComputedHull.model_validate_json(written)
    batches = [intake.batch for source in _sources(settings) for intake in source.intakes(_ROWS) if len(intake.batch)]
    tables = [batch.to_arrow() for batch in batches]
    energies = [_energies(batch, settings.column) for batch in batches]
    if not any(np.isfinite(part).any() for part in energies):
        columns = sorted({name for table in tables for name in table.column_names if table[name].type == pa.float64()})
        raise EnergySourceError(
            f"no phase of the hull has a number '{settings.column}'; their numbers: {', '.join(columns) or 'none'}",
            "computed phases with energies in eV/atom, the pure elements among them", "name the column with 'column'",
        )  # fmt: skip
    joined = CandidateBatch.from_arrow(pa.concat_tables(tables, promote_options="permissive"))
    names = [str(name) for name in joined.table.column(Column.ORIGIN).to_pylist()]
    found = OwnEnergies(joined.compositions, np.concatenate(energies), names, _stated(joined))
    return OwnHull.of(found, corrected=settings.column == CORRECTED)


def with_own_hull(intake: Intake, hull: OwnHull, *, column: str) -> Intake:
    """Candidates with their formation energy and energy above the hull, as computed values, and what is said of them.

    Args:
        intake: What a source handed over.
        hull: Of the campaign.
        column: Column with the energies of the candidates; those without it get no values.
    """
    batch = intake.batch
    energies = OwnEnergies(batch.compositions, _energies(batch, column), batch.ids, _stated(batch))
    placed = hull.place(energies)
    return Intake(
        batch.with_columns(
            {
                property_column("formation_energy_per_atom", "dft"): pa.array(
                    placed.formation_energies, from_pandas=True
                ),
                property_column("energy_above_hull", "dft"): pa.array(placed.energies_above_hull, from_pandas=True),
                Column.OWN_HULL: pa.array(placed.remarks, pa.string()),
            }
        ),
        intake.refused,
    )


def _sources(settings: ComputedHull) -> Sequence[Any]:
    return [entry.make(lookup("source", SOURCES, entry.name)) for entry in settings.references]


def _energies(batch: CandidateBatch, column: str) -> Any:
    """Energies in eV/atom, nan where there is none, shape (n,)."""
    present = batch.table.column_names
    named = next((prefix + column for prefix in _PREFIXES if prefix + column in present), None)
    if named is None:
        return np.full(len(batch), np.nan)
    values = batch.table.column(named).cast(pa.float64())
    return np.asarray(values.to_numpy(), np.float64)


def _stated(batch: CandidateBatch) -> list[str]:
    if Column.ENTRY_SETTINGS not in batch.table.column_names:
        return [""] * len(batch)
    return [text or "" for text in batch.table.column(Column.ENTRY_SETTINGS).to_pylist()]
