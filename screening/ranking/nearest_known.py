"""Find the known compounds that are nearest to a candidate in composition."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownMaterials

_ROWS_AT_ONCE = 512


class KnownCompound(NamedTuple):
    """A known compound near a candidate.

    Attributes:
        formula: Reduced formula.
        material_id: Name of the material that the properties belong to.
        space_group_number: Its space group, where its crystal is known.
        distance: Element mover's distance to the candidate.
        properties: Its labels, by property.
        crystals: How many known crystals have this composition.
    """

    formula: str
    material_id: str
    space_group_number: int | None
    distance: float
    properties: dict[str, float]
    crystals: int


def nearest_known(batch: CandidateBatch, known: KnownMaterials, *, count: int = 5) -> list[list[KnownCompound]]:
    """Find the known compounds of nearest composition to each candidate, nearest first.

    A composition known in several crystals is given once, with the properties of the crystal that has most of them (of
    the most stable one among equals): properties of different crystals are never mixed.

    Args:
        batch: n candidates.
        known: The known materials.
        count: Number of compounds for each candidate.

    Returns:
        n lists of ``count`` compounds; a candidate that is itself known comes first in its own, at distance 0.
    """
    compounds = _known_compounds(known)
    found = []
    for part in batch.slices(_ROWS_AT_ONCE):
        distances = composition_distances(part.compositions, compounds.batch.compositions)
        # The order of equally distant compounds must not hang on the last bit of a sum.
        nearest = np.argsort(np.round(distances, 9), axis=1, kind="stable")[:, :count]
        for row, picks in zip(distances, nearest.tolist(), strict=True):
            found.append([compounds.compound(pick, float(row[pick])) for pick in picks])
    return found


class _KnownCompounds(NamedTuple):
    """The distinct known compositions by formula, each with the crystal that stands for it."""

    batch: CandidateBatch
    names: NDArray[Any]
    crystals: NDArray[np.int64]
    properties: dict[str, NDArray[np.float64]]

    def compound(self, row: int, distance: float) -> KnownCompound:
        table = self.batch.table
        values = {name: float(column[row]) for name, column in self.properties.items() if np.isfinite(column[row])}
        return KnownCompound(
            table[Column.FORMULA][row].as_py(), str(self.names[row]),
            table[Column.SPACE_GROUP_NUMBER][row].as_py(),
            distance, values, int(self.crystals[row]),
        )  # fmt: skip


@functools.lru_cache(maxsize=2)
def _known_compounds(known: KnownMaterials) -> _KnownCompounds:
    columns, names = known.labels, np.array(known.names, object)
    present = np.isfinite(np.column_stack(list(columns.values()))).sum(axis=1)
    energy = np.nan_to_num(columns["energy_above_hull"], nan=np.inf)
    keys = composition_keys(known.rows.compositions)
    best_first = np.lexsort((names, energy, -present))
    _, first, crystals = np.unique(keys[best_first], return_index=True, return_counts=True)
    rows = best_first[first]
    by_formula = np.argsort(known.rows.table[Column.FORMULA].to_numpy()[rows], kind="stable")
    rows = rows[by_formula]
    properties = {name: values[rows] for name, values in columns.items()}
    return _KnownCompounds(known.rows.take(rows), names[rows], crystals[by_formula], properties)
