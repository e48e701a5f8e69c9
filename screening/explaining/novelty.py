"""Novelty of a finalist: whether its crystal or composition is known, and which known materials are nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.kinds import COMPOSITION, CRYSTAL
from matloop.data.comparison.equal_crystals import equal_crystals
from matloop.data.comparison.likeness import DISTANCES
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownCompositions

_DECIMALS = 6  # the order of equally distant crystals must not hang on the last bits of a sum


class Novelty(StrEnum):
    """Relation of a candidate to known materials."""

    KNOWN = "known"
    NEW_STRUCTURE = "new structure"  # of a known composition
    NEW_COMPOSITION = "new composition"
    KNOWN_COMPOSITION = "known composition"  # and no two crystals to compare


class KnownNeighbour(NamedTuple):
    """A known crystal near a finalist.

    Attributes:
        name: Name of the known crystal.
        formula: Its reduced formula.
        composition_distance: Element mover's distance (see
            :func:`matloop.data.comparison.composition_distance.composition_distances`).
        structure_distance: See :mod:`matloop.data.comparison.structure_distance`; nan where one of the two has no
            crystal.
    """

    name: str
    formula: str
    composition_distance: float
    structure_distance: float


@dataclass(frozen=True)
class NoveltyReport:
    """Comparison of one finalist with all known materials.

    Attributes:
        candidate_id: The finalist.
        formula: Its reduced formula.
        novelty: The label.
        equal: Names of known crystals that StructureMatcher holds equal to it, at most as many as asked for.
        equal_count: How many there are.
        same_composition: Names of known crystals of its composition, nearest in structure first, as many at most.
        same_composition_count: How many there are.
        known_to: Lists that hold its composition, as
            :meth:`matloop.data.training.known_materials.KnownCompositions.holders` gives them.
        nearest_compositions: Nearest other compositions, each by its known crystal of nearest structure.
        nearest_structures: Nearest known crystals by structure that are not equal to it; among equally near ones the
            nearest in composition.
    """

    candidate_id: str
    formula: str
    novelty: Novelty
    equal: tuple[str, ...]
    equal_count: int
    same_composition: tuple[str, ...]
    same_composition_count: int
    known_to: str
    nearest_compositions: tuple[KnownNeighbour, ...]
    nearest_structures: tuple[KnownNeighbour, ...]


def novelty_reports(
    finalists: CandidateBatch,
    known: CandidateBatch,
    *,
    names: Sequence[str],
    compositions: KnownCompositions | None = None,
    count: int = 5,
) -> list[NoveltyReport]:
    """Compare finalists with all materials that are known to a run.

    Args:
        finalists: n candidates.
        known: m known candidates, with or without crystals.
        names: Names of the known candidates in a report, length m; they also decide the order of otherwise equal ones.
        compositions: Compositions that the run counts as known; those of the packaged lists if left out.
        count: The most names and neighbours of a kind.

    >>> from matloop.data.training.packaged_tables import packaged_crystals
    >>> materials = packaged_crystals()
    >>> rows = np.flatnonzero(materials.table["formula"].to_numpy() == "ZnS")
    >>> sulphides = materials.take(rows)
    >>> known = sulphides.take(np.arange(1, len(rows)))
    >>> report = novelty_reports(sulphides.take([0]), known, names=known.table["material_id"].to_pylist(), count=1)[0]
    >>> report.novelty.value, report.same_composition_count, report.nearest_compositions
    ('new structure', 14, ())
    """
    structure = DISTANCES[CRYSTAL.likeness](finalists, known)
    composition = DISTANCES[COMPOSITION.likeness](finalists, known)
    view = _Known(known, np.asarray(names, dtype=str), composition_keys(known.compositions), count)
    held = (compositions or KnownCompositions()).holders(finalists.compositions).tolist()
    keys = composition_keys(finalists.compositions)
    equal = equal_crystals(finalists, known)
    return [
        view.report(finalists.ids[row], formula, keys[row], held[row], equal[row], composition[row], structure[row])
        for row, formula in enumerate(finalists.formulas)
    ]


@dataclass(frozen=True)
class _Known:
    """Known materials in the form that the reports need."""

    batch: CandidateBatch
    names: NDArray[np.str_]
    keys: NDArray[np.uint64]
    count: int

    def report(
        self,
        candidate_id: str,
        formula: str,
        key: np.uint64,
        known_to: str,
        equal: NDArray[np.int64] | None,
        composition: NDArray[np.float64],
        structure: NDArray[np.float64],
    ) -> NoveltyReport:
        chemical, spatial = np.round(composition, _DECIMALS), np.round(structure, _DECIMALS)
        by_composition = np.lexsort((self.names, spatial, chemical))
        same = by_composition[self.keys[by_composition] == key]
        others = by_composition[self.keys[by_composition] != key]
        # Of each composition the first, which is its nearest in structure.
        _, first = np.unique(self.keys[others], return_index=True)
        nearest_compositions = others[np.sort(first)][: self.count]
        by_structure = np.lexsort((self.names, chemical, spatial))
        unequal = np.isfinite(spatial[by_structure])
        if equal is not None:
            unequal &= ~np.isin(by_structure, equal)
        nearest_structures = by_structure[unequal][: self.count]
        found = np.empty(0, np.int64) if equal is None else equal
        comparable = equal is not None and bool(np.isfinite(structure[same]).any())

        def neighbours(rows: NDArray[np.int64]) -> tuple[KnownNeighbour, ...]:
            formulas = self.batch.table[Column.FORMULA]
            return tuple(
                KnownNeighbour(str(self.names[row]), formulas[row].as_py(), float(chemical[row]), float(spatial[row]))
                for row in rows.tolist()
            )

        return NoveltyReport(
            candidate_id, formula, _label(len(found), bool(len(same) or known_to), comparable),
            tuple(np.sort(self.names[found])[: self.count].tolist()), len(found),
            tuple(self.names[same][: self.count].tolist()), len(same), known_to,
            neighbours(nearest_compositions), neighbours(nearest_structures),
        )  # fmt: skip


def _label(equal: int, known_composition: bool, comparable: bool) -> Novelty:
    if equal:
        return Novelty.KNOWN
    if not known_composition:
        return Novelty.NEW_COMPOSITION
    return Novelty.NEW_STRUCTURE if comparable else Novelty.KNOWN_COMPOSITION
