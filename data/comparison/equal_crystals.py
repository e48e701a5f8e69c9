"""Group equal crystals exactly as the StructureMatcher of pymatgen does, but mostly without calling it.

Equality is ``StructureMatcher()`` with its default settings (primitive cells, volumes scaled, lengths within 20 %,
angles within 5°, atoms within 0.3 of the mean free length): a primitive cell, a conventional cell and any supercell are
equal, and so are nearly equal relaxations of one phase, whose detected symmetry may differ. That relation is not
transitive and not quite symmetric, so the groups depend on the order in which crystals are met. Here the order is fixed
by the crystals themselves: within each reduced formula they are taken by candidate id, and each joins the first group
whose first member it matches. The groups are those of ``StructureMatcher().group_structures`` on crystals in that
order, whatever the order of the batch.

Three things make it fast. Only crystals that share a reduced formula are reduced to primitive cells. The search for a
smaller cell is skipped if no translation nearly maps the crystal onto itself. The matcher is called only for pairs that
:func:`matloop.data.comparison.match_bound.cannot_match` leaves undecided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.comparison.match_bound import ReducedCell, cannot_match

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure_matcher import StructureMatcher

_PRIMITIVE_TOLERANCE = 0.25  # Å; the tolerance of pymatgen for primitive cells
_MOST_MEMORY = 500_000_000  # bytes; the search of pymatgen for a smaller cell lists millions of matrices


@dataclass(frozen=True)
class CrystalGroups:
    """Groups of equal crystals among the candidates of a batch.

    Attributes:
        members: Rows of each group, beginning with its representative. Groups are in the order of their smallest row.
            Every row is in one group; a candidate without a crystal forms its own group.
        unreduced: Rows whose primitive cell could not be found, shape (k,); each forms its own group.
    """

    members: tuple[NDArray[np.int64], ...]
    unreduced: NDArray[np.int64]

    @cached_property
    def representatives(self) -> NDArray[np.int64]:
        """Row of the representative of each candidate's group, shape (n,)."""
        found = np.empty(sum(map(len, self.members)), np.int64)
        for rows in self.members:
            found[rows] = rows[0]
        return found

    @property
    def duplicates(self) -> tuple[NDArray[np.int64], ...]:
        """Groups with more than one member."""
        return tuple(rows for rows in self.members if len(rows) > 1)


def crystal_groups(batch: CandidateBatch) -> CrystalGroups:
    """Find the groups of equal crystals.

    The time is one reduction for each crystal that shares its formula, and at most one comparison for each crystal and
    each group of its formula. It is linear in the number of formulas.

    Args:
        batch: n candidates.

    >>> from matloop.data.training.packaged_tables import packaged_crystals
    >>> materials = packaged_crystals()
    >>> tin_oxide = materials.take(np.flatnonzero(materials.table["formula"].to_numpy() == "SnO"))
    >>> [tin_oxide.column("material_id")[rows].tolist() for rows in crystal_groups(tin_oxide).duplicates]
    [['mp-2097', 'mp-545552', 'mp-545820']]
    """
    reducer = _Reducer(batch)
    groups: list[list[int]] = [[row] for row in np.flatnonzero(~batch.has_crystal).tolist()]
    for rows in _rows_by_key(batch).values():
        found: list[list[int]] = []
        for row in sorted(rows, key=reducer.order) if len(rows) > 1 else rows:
            home = next((group for group in found if reducer.equal(group[0], reducer, row)), None)
            if home is None:
                found.append([row])
            else:
                home.append(row)
        groups += found
    members = sorted((np.array(group, np.int64) for group in groups), key=lambda group: int(group.min()))
    return CrystalGroups(tuple(members), reducer.unreduced())


def equal_crystals(batch: CandidateBatch, known: CandidateBatch) -> list[NDArray[np.int64] | None]:
    """Find the known crystals that each candidate equals.

    Args:
        batch: n candidates.
        known: m crystals, each of them the reference of the comparison.

    Returns:
        For each candidate the rows of ``known``, ascending. None for a candidate without a crystal, or whose primitive
        cell could not be found.
    """
    own, others = _Reducer(batch), _Reducer(known)
    known_rows = _rows_by_key(known)
    found: list[NDArray[np.int64] | None] = [None] * len(batch)
    for key, rows in _rows_by_key(batch).items():
        candidates = known_rows.get(key, [])
        for row in rows:
            if not candidates or own.reduced(row) is not None:
                found[row] = np.array([other for other in candidates if others.equal(other, own, row)], np.int64)
    return found


def _rows_by_key(batch: CandidateBatch) -> dict[int, list[int]]:
    """Return the rows of the crystals of each reduced composition, ascending."""
    rows: dict[int, list[int]] = {}
    keys = composition_keys(batch.compositions).tolist()
    for row in np.flatnonzero(batch.has_crystal).tolist():
        rows.setdefault(keys[row], []).append(row)
    return rows


class _Reduced(NamedTuple):
    """A crystal in its reduced primitive cell, in the forms that the matcher and the bound take."""

    structure: Structure
    cell: ReducedCell


class _Reducer:
    """Reduces each crystal of a batch when it is first needed, and compares crystals."""

    def __init__(self, batch: CandidateBatch) -> None:
        self.batch = batch
        self._ids = batch.ids
        self._reduced: dict[int, _Reduced | None] = {}
        self._matcher: StructureMatcher | None = None

    def order(self, row: int) -> tuple[str, int, bytes]:
        """Sort key of a crystal within its formula, the same in any batch."""
        crystals = self.batch.crystals
        assert crystals is not None
        sites = slice(crystals.offsets[row], crystals.offsets[row + 1])
        content = (crystals.lattice[row], crystals.species[sites], crystals.frac_coords[sites])
        return self._ids[row], sites.stop - sites.start, b"".join(array.tobytes() for array in content)

    def reduced(self, row: int) -> _Reduced | None:
        """Return a crystal in its reduced primitive cell, or None if the cell cannot be found."""
        if row not in self._reduced:
            self._reduced[row] = _reduce(self.batch.structure(row))
        return self._reduced[row]

    def unreduced(self) -> NDArray[np.int64]:
        """Rows whose reduced cell could not be found, ascending."""
        return np.array(sorted(row for row, reduced in self._reduced.items() if reduced is None), np.int64)

    def equal(self, row: int, other: _Reducer, other_row: int) -> bool:
        """Whether the matcher accepts the pair if the crystal of this batch is the reference."""
        first, second = self.reduced(row), other.reduced(other_row)
        if first is None or second is None or cannot_match(first.cell, second.cell):
            return False
        if self._matcher is None:
            from pymatgen.core.structure_matcher import StructureMatcher

            self._matcher = StructureMatcher()
        return bool(self._matcher.fit(first.structure, second.structure, skip_structure_reduction=True))


def _reduce(structure: Structure) -> _Reduced | None:
    """Compute the Niggli cell and then the primitive cell, like the matcher."""
    try:
        # The Niggli reduction of pymatgen takes minutes for a strongly skewed cell, but a millisecond for its LLL cell.
        reduced = structure.get_reduced_structure("LLL").get_reduced_structure("niggli")
        translations = _translations(reduced)
        if translations > 1:
            if _search_memory(reduced, translations) > _MOST_MEMORY:
                return None
            reduced = reduced.get_primitive_structure(_PRIMITIVE_TOLERANCE)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # no reduced cell within 100 steps
        return None
    species = np.array(reduced.atomic_numbers, np.uint8)
    return _Reduced(reduced, ReducedCell(np.array(reduced.lattice.matrix), species, reduced.frac_coords))


def _translations(structure: Structure) -> int:
    """Count the shifts, including zero, that nearly map the crystal onto itself; 1 means that its cell is primitive.

    pymatgen searches for a smaller cell among the shifts that bring every atom to within twice its tolerance of an
    equal atom along each axis.
    """
    species = np.array(structure.atomic_numbers, np.uint8)
    limits = 2 * _PRIMITIVE_TOLERANCE / np.array(structure.lattice.abc) * (1 + 1e-6)
    values, counts = np.unique(species, return_counts=True)
    if math.gcd(*counts.tolist()) == 1:
        return 1
    rarest = np.flatnonzero(species == values[np.argmin(counts)])
    return int(_count_translations(species, structure.frac_coords, rarest, limits))


def _search_memory(structure: Structure, translations: int) -> int:
    """Bytes of the largest array in the search of pymatgen for a smaller cell, which tries prime factors first."""
    units = math.gcd(*np.unique(structure.atomic_numbers, return_counts=True)[1].tolist())
    largest = max(factor for factor in range(1, units + 1) if units % factor == 0 and _is_prime(factor))
    return 9 * 8 * largest**2 * translations


def _is_prime(number: int) -> bool:
    return all(number % factor for factor in range(2, math.isqrt(number) + 1))


@numba.njit(cache=True, nogil=True)
def _count_translations(species, frac, rarest, limits):  # type: ignore[no-untyped-def]
    count = 0
    for end in rarest:
        shift = frac[end] - frac[rarest[0]]
        held = True
        for a in range(len(species)):
            held = False
            for b in range(len(species)):
                if species[a] != species[b]:
                    continue
                u = frac[b, 0] - frac[a, 0] - shift[0]
                v = frac[b, 1] - frac[a, 1] - shift[1]
                w = frac[b, 2] - frac[a, 2] - shift[2]
                u, v, w = abs(u - np.rint(u)), abs(v - np.rint(v)), abs(w - np.rint(w))
                if u <= limits[0] and v <= limits[1] and w <= limits[2]:
                    held = True
                    break
            if not held:
                break
        count += held
    return count
