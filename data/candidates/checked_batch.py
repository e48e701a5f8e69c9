"""Candidates from a table of unknown origin: content that could crash a kernel is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import SYMBOLS
from matloop.data.errors import DamagedFileError
from matloop.data.properties.columns import Column

_WIDTHS = {
    Column.ELEMENTS: pa.uint8(), Column.AMOUNTS: pa.float64(), Column.LATTICE: pa.float64(),
    Column.SPECIES: pa.uint8(), Column.FRAC_COORDS: pa.float64(),
}  # fmt: skip
_CRYSTAL = (Column.LATTICE, Column.SPECIES, Column.FRAC_COORDS)
_ALWAYS = (Column.CANDIDATE_ID, Column.FORMULA, Column.ELEMENTS, Column.AMOUNTS)


def checked_batch(table: pa.Table, *, name: str, needed: Sequence[Column] = ()) -> CandidateBatch:
    """Read the batch that :meth:`CandidateBatch.to_arrow` wrote into a table.

    Args:
        table: As read from a file.
        name: Name of the file in errors.
        needed: Further columns that must be there.

    Raises:
        DamagedFileError: If columns are missing or of another type, or their content is that of no candidates.

    >>> batch = CandidateBatch.from_formulas(["SiO2"]).batch
    >>> checked_batch(batch.to_arrow(), name="a.parquet").formulas
    ['SiO2']
    """
    check_columns(table, name=name, needed=(*_ALWAYS, *needed))
    _check_lists(table, name)
    batch = CandidateBatch.from_arrow(table)
    compositions = batch.compositions
    if not np.array_equal(_lengths(table, Column.AMOUNTS), compositions.lengths):
        raise _refused(name, "rows with more amounts than elements, or fewer")
    numbers = compositions.elements
    if (compositions.lengths == 0).any() or not ((numbers >= 1) & (numbers < len(SYMBOLS))).all():
        raise _refused(name, "compositions of something else than elements 1 to 118")
    if not (np.isfinite(compositions.amounts).all() and (compositions.amounts > 0).all()):
        raise _refused(name, "amounts of elements that are no positive numbers")
    if batch.crystals is not None:
        if not np.array_equal(_lengths(table, Column.FRAC_COORDS), 3 * batch.crystals.site_counts):
            raise _refused(name, "sites without three coordinates each")
        codes = batch.crystals.take(np.flatnonzero(batch.has_crystal)).form_codes()
        if (codes != "").any():
            raise _refused(name, f"a crystal that is none ({codes[codes != ''][0]})")
    return batch


def check_columns(table: pa.Table, *, name: str, needed: Sequence[Column] = ()) -> None:
    """Refuse a table with columns of another type than the one they have everywhere.

    Args:
        table: As read from a file.
        name: Name of the file in errors.
        needed: Columns that must be there; ids, formulas and whole numbers without gaps.

    Raises:
        DamagedFileError: If a column is missing or of another type.
    """
    for column in needed:
        if column not in table.column_names:
            raise _refused(name, f"no column {column}")
        if table[column].null_count and (column in _ALWAYS or column.type == "whole number"):
            raise _refused(name, f"gaps in column {column}")
    for column in Column:
        if column in table.column_names and not _has_type(table[column].type, column.type):
            raise _refused(name, f"column {column} of type {table[column].type} in place of {column.type}")


def _has_type(kind: pa.DataType, wanted: str) -> bool:
    number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    match wanted:
        case "text":
            return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
        case "number":
            return number or pa.types.is_null(kind)
        case "whole number":
            return number or pa.types.is_null(kind)  # a column that one part lacks comes as floating point
        case "truth":
            return number or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)


def _check_lists(table: pa.Table, name: str) -> None:
    """Check that the arrays of compositions and crystals have the width that kernels take, and no gaps in a list."""
    there = [column for column in _CRYSTAL if column in table.column_names]
    if there and len(there) < len(_CRYSTAL):
        raise _refused(name, f"no column {next(column for column in _CRYSTAL if column not in there)}")
    for column in (Column.ELEMENTS, Column.AMOUNTS, *there):
        found = table[column]
        listed = pa.types.is_fixed_size_list(found.type) if column == Column.LATTICE else pa.types.is_list(found.type)
        if not listed or found.type.value_type != _WIDTHS[column]:
            raise _refused(name, f"column {column} of type {found.type}")
        if column == Column.LATTICE and found.type.list_size != 9:
            raise _refused(name, "cells of other than nine numbers")
        if any(chunk.flatten().null_count for chunk in found.chunks):
            raise _refused(name, f"gaps in the lists of column {column}")


def _lengths(table: pa.Table, column: Column) -> NDArray[Any]:
    lengths = table[column].combine_chunks().value_lengths().fill_null(0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False))


def _refused(name: str, found: str) -> DamagedFileError:
    return DamagedFileError(f"{name} has {found}", "candidates as a run writes them", "restore the file")
