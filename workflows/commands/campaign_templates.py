"""Campaigns to begin from, and the files that they read: real data, taken from the packaged tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.candidates.kinds import CRYSTAL
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.training.packaged_tables import labelled_table, packaged_crystals

COMPOUNDS, LABELS, CRYSTALS = 1000, 800, 60
HOLE_MASS = "conductivity_effective_mass_p_dft"
_SEMICONDUCTOR = 100.0  # uV/K; below it a crystal conducts like a metal, and the mass is no property of a band
_MASSES = (0.01, 1000.0)  # electron masses


class Template(NamedTuple):
    """A campaign to begin from.

    Attributes:
        about: What it is for.
        data: Makes the text of each file that the campaign reads, by its path beside the campaign.
    """

    about: str
    data: Callable[[], Mapping[str, str]] = dict


def compounds_to_rank() -> dict[str, str]:
    """A table of compounds of the Materials Project whose compositions no packaged crystal has."""
    table = labelled_table("transport").published
    columns = {"id": Column.MATERIAL_ID, "formula": Column.FORMULA}
    return {"compounds.csv": _csv_text(columns, table, _rows_to_rank(_keys(table)))}


def labels_and_compounds() -> dict[str, str]:
    """A table of computed hole masses of semiconductors, and the compounds to rank, which are others."""
    table = labelled_table("transport").published
    keys = _keys(table)
    seebeck, mass = (table.column(name).to_numpy() for name in ("seebeck_p_dft", HOLE_MASS))
    usable = (seebeck > _SEMICONDUCTOR) & (mass > _MASSES[0]) & (mass < _MASSES[1])
    usable &= ~np.isin(keys, keys[_rows_to_rank(keys)])
    columns = {"id": Column.MATERIAL_ID, "formula": Column.FORMULA, "hole mass": HOLE_MASS}
    return {"labels.csv": _csv_text(columns, table, _spread(np.flatnonzero(usable), LABELS)), **compounds_to_rank()}


def crystals_to_rank() -> dict[str, str]:
    """CIFs of packaged crystals whose elastic constants are not among the packaged data."""
    materials = packaged_crystals()
    unlabelled = np.isnan(materials.column(property_named("bulk_modulus_vrh").column("dft")))
    batch = materials.take(_spread(np.flatnonzero(unlabelled), CRYSTALS))
    names = batch.column(Column.MATERIAL_ID)
    return {f"cifs/{name}.cif": CRYSTAL.export(batch, row) for row, name in enumerate(names)}


def _keys(table: pa.Table) -> NDArray[np.uint64]:
    """Key of the composition of each row of a table of formulas that a program wrote."""
    return composition_keys(parse_formulas(table.column(Column.FORMULA).to_pylist(), exact=True)[0])


def _rows_to_rank(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows with compositions that no packaged crystal has, each once."""
    distinct, first = np.unique(keys, return_index=True)
    new = first[~np.isin(distinct, composition_keys(packaged_crystals().compositions))]
    return _spread(np.sort(new), COMPOUNDS)


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Some of the rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def _csv_text(columns: Mapping[str, str], table: pa.Table, rows: NDArray[np.int64]) -> str:
    """Rows of a table as CSV.

    Args:
        columns: Name of each column in the table, by its name in the file.
        table: The table.
        rows: Which rows.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    chosen = table.select(list(columns.values())).take(pa.array(rows))
    writer.writerows(zip(*(column.to_pylist() for column in chosen.columns), strict=True))
    return buffer.getvalue()


TEMPLATES: Mapping[str, Template] = {
    "compound-list": Template("rank the compounds of a list", compounds_to_rank),
    "own-labels": Template(
        "learn a property from a table of labels, and rank the compounds of a list", labels_and_compounds
    ),
    "cif-folder": Template("rank the crystals of a folder", crystals_to_rank),
    "alloys": Template("rank the compositions of an alloy system"),
    "optical": Template("find new crystals for optical windows"),
}
"""Campaigns to begin from by name; the text of each lies in ``workflows/templates``, once in each language."""
