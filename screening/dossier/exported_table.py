"""Ranked candidates as one table for other programs, with the unit and meaning of every column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.plain_text import plain
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import SUFFIXES, Column, probability_of, unit_of
from matloop.data.properties.definition import Property
from matloop.screening.language.back_test import list_words
from matloop.screening.language.text import Words
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run


@dataclass(frozen=True)
class ColumnMeaning:
    """What a column of an exported table holds.

    Attributes:
        unit: Unit of its values; ``1`` where they have none, empty where that is not known.
        description: Meaning of a value; empty where the column came from a source of candidates.
    """

    unit: str = ""
    description: str = ""


@dataclass(frozen=True)
class ExportedTable:
    """Candidates with what a run found about them, best first.

    Attributes:
        batch: The candidates; its table has the columns that are exported.
        meanings: Unit and meaning of each column, by its name.
        potential: Name of the potential that relaxed the crystals; empty if none did.
        notes: What holds for the shortlist as a whole: hits of such lists among known materials, in both languages.
    """

    batch: CandidateBatch
    meanings: Mapping[str, ColumnMeaning]
    potential: str = ""
    notes: tuple[Words, ...] = ()

    def __len__(self) -> int:
        return len(self.batch)

    def rows(self) -> list[dict[str, Any]]:
        """Plain values of each candidate by name of the column; text without what cannot be seen, nan as None."""
        return [{name: _plain(value) for name, value in row.items()} for row in self.batch.table.to_pylist()]

    def to_pandas(self) -> Any:
        """The candidates as a pandas DataFrame; ``attrs["units"]`` has the unit of each column that has one."""
        frame = self.batch.table.to_pandas()
        frame.attrs["units"] = {
            name: about.unit for name, about in self.meanings.items() if about.unit not in ("", "1")
        }
        return frame

    def energy(self, row: int, *, sites: int | None = None) -> float | None:
        """Energy of a cell of a relaxed crystal in eV, None where there is none.

        Args:
            row: Of the candidate.
            sites: Atoms in the cell, by default those of the cell in which it was relaxed.
        """
        if not self.potential or Column.RELAXATION_ENERGY not in self.batch.table.column_names:
            return None
        per_atom = self.batch.table[Column.RELAXATION_ENERGY][row].as_py()
        if per_atom is None or not math.isfinite(per_atom) or self.batch.crystals is None:
            return None
        return float(per_atom) * (sites or int(self.batch.crystals.site_counts[row]))


@in_catalogue_of_run
def exported_table(view: RunView, *, shortlisted: bool = False) -> ExportedTable:
    """Choose the candidates and columns of a finished run to hand to other programs.

    Columns keep the names that they have everywhere in matloop: ``band_gap_pred``, ``band_gap_lo`` and ``band_gap_hi``
    for a prediction with its 90 % interval, ``probability_band_gap`` for the target, and ``band_gap_unit`` beside them.

    Args:
        view: The run.
        shortlisted: Whether only the shortlist is wanted, in the order of its places.

    Raises:
        RunError: If there is no finished run.
        DamagedFileError: If a file is not what a run writes.
    """
    view.require_finished()
    chosen = view.shortlisted if shortlisted else view.ranked
    simple = [field.name for field in chosen.table.schema if not pa.types.is_nested(field.type)]
    chosen = CandidateBatch(chosen.table.select(simple), chosen.blocks)
    known = [property_named(name) for name in view.properties]
    columns: dict[str, Sequence[str | None]] = {unit_of(found.name): [found.unit] * len(chosen) for found in known}
    if view.novelty:
        columns[Column.NOVELTY] = [view.novelty.get(name, {}).get("novelty") for name in chosen.ids]
    chosen = chosen.with_columns({name: pa.array(values, pa.string()) for name, values in columns.items()})
    meanings = _meanings(known)
    about = {name: meanings.get(name, ColumnMeaning()) for name in chosen.table.column_names}
    potential = view.campaign.potential
    notes = list_words(view.summary, view.shortlisted.column(Column.PROBABILITY).astype(float))
    return ExportedTable(chosen, about, "" if potential is None else potential.name, tuple(notes))


def _meanings(known: Sequence[Property]) -> dict[str, ColumnMeaning]:
    """Unit and meaning of every column that a run may write about some properties."""
    meanings = {str(key): ColumnMeaning(key.unit, key.description) for key in Column}
    for found in known:
        label = found.label_en
        meanings[unit_of(found.name)] = ColumnMeaning("1", f"Unit of the columns of the {label}.")
        meanings[probability_of(found.name)] = ColumnMeaning("1", f"Probability that the target of the {label} is met.")
        meanings |= {
            found.column(suffix): ColumnMeaning(found.unit, f"{label}: {text}") for suffix, text in SUFFIXES.items()
        }
    return meanings


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
