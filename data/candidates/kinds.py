"""Kinds of candidates: each knows its ids, groups, likeness, export and drawing.

A batch may mix kinds. The kind of a candidate is the first one in :data:`KINDS` all of whose blocks say something about
it: a candidate with cell and sites is a crystal, one with elements and amounts alone a composition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS, Block
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.crystal_file import crystal_file
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.identity import composition_ids, crystal_ids
from matloop.data.candidates.symmetry import conventional_cell
from matloop.data.errors import BatchError
from matloop.data.properties.columns import Column

if TYPE_CHECKING:
    from matloop.data.candidates.batch import CandidateBatch

_NO_FACTS: Mapping[str, str | float] = MappingProxyType({})


class CandidateKind(ABC):
    """A kind of candidate.

    Attributes:
        name: Name of the kind.
        blocks: Blocks that every candidate of the kind has.
        likeness: Name of the distance that says how alike two of the kind are
            (:data:`matloop.data.comparison.likeness.DISTANCES`).
        drawing: Name of the block that a report draws, None where there is nothing to draw.
        file_ending: Of the file that a lab receives of each candidate, None where the row of the table says it all.
    """

    name: ClassVar[str]
    blocks: ClassVar[frozenset[str]]
    likeness: ClassVar[str]
    drawing: ClassVar[str | None] = None
    file_ending: ClassVar[str | None] = None

    @abstractmethod
    def ids(self, blocks: Mapping[str, Block]) -> list[str]:
        """Content hashes of n candidates, equal for equal candidates in every run."""

    @abstractmethod
    def group_keys(self, blocks: Mapping[str, Block]) -> NDArray[np.uint64]:
        """A key of each candidate, shape (n,), shared by those that no split of data may separate."""

    @abstractmethod
    def export(self, batch: CandidateBatch, row: int, *, facts: Mapping[str, str | float] = _NO_FACTS) -> str:
        """Return what a lab needs to know of one candidate, as text.

        Args:
            batch: Candidates.
            row: One of them.
            facts: What else is known of it by name; what the kind's file has no room for is left out.
        """


class CompositionKind(CandidateKind):
    """A candidate that is known by elements and amounts alone."""

    name = "composition"
    blocks = frozenset({COMPOSITIONS})
    likeness = "composition"

    def ids(self, blocks: Mapping[str, Block]) -> list[str]:
        """Hashes of the reduced formulas."""
        return composition_ids(compositions_in(blocks))

    def group_keys(self, blocks: Mapping[str, Block]) -> NDArray[np.uint64]:
        """Keys of the reduced formulas."""
        return composition_keys(compositions_in(blocks))

    def export(self, batch: CandidateBatch, row: int, *, facts: Mapping[str, str | float] = _NO_FACTS) -> str:
        """The reduced formula."""
        return batch.formulas[row]


class CrystalKind(CandidateKind):
    """A candidate with known cell and sites."""

    name = "crystal"
    blocks = frozenset({COMPOSITIONS, CRYSTALS})
    likeness = "structure"
    drawing = CRYSTALS
    file_ending = "cif"

    def ids(self, blocks: Mapping[str, Block]) -> list[str]:
        """Hashes of the crystals, whatever cell, origin and order of sites they are written in."""
        found = blocks.get(CRYSTALS)
        if not isinstance(found, Crystals):
            raise BatchError(f"a batch with the blocks {', '.join(blocks) or 'none'}", "one with crystals")
        return crystal_ids(found)

    def group_keys(self, blocks: Mapping[str, Block]) -> NDArray[np.uint64]:
        """Keys of the reduced formulas: a split must not learn from one polymorph and be asked about another."""
        return composition_keys(compositions_in(blocks))

    def export(self, batch: CandidateBatch, row: int, *, facts: Mapping[str, str | float] = _NO_FACTS) -> str:
        """The crystal as CIF, symmetrised and in its conventional cell."""
        lattice, species, frac_coords = batch.cell(row)
        number = None
        if Column.SPACE_GROUP_NUMBER in batch.table.column_names:
            number = batch.table[Column.SPACE_GROUP_NUMBER][row].as_py()
        cell = conventional_cell(lattice, frac_coords, species, number=number)
        return crystal_file(cell, name=batch.formulas[row], facts=facts)


COMPOSITION = CompositionKind()
CRYSTAL = CrystalKind()
KINDS: Mapping[str, CandidateKind] = MappingProxyType({kind.name: kind for kind in (CRYSTAL, COMPOSITION)})
"""Every kind by name; a kind comes before those whose blocks it has too."""


def compositions_in(blocks: Mapping[str, Block]) -> Compositions:
    """The compositions among some blocks.

    Raises:
        BatchError: If there are none.
    """
    found = blocks.get(COMPOSITIONS)
    if not isinstance(found, Compositions):
        raise BatchError(f"a batch with the blocks {', '.join(blocks) or 'none'}", "one with compositions")
    return found


def rows_by_kind(batch: CandidateBatch, kinds: Mapping[str, CandidateKind] = KINDS) -> dict[str, NDArray[np.int64]]:
    """Find the rows of the candidates of each kind, ascending, by name of the kind; absent kinds are left out.

    Args:
        batch: n candidates.
        kinds: The kinds to tell apart.

    Raises:
        BatchError: If a candidate is of no kind.

    >>> from matloop.data.candidates.batch import CandidateBatch
    >>> rows_by_kind(CandidateBatch.from_formulas(["SiO2", "ZnS"]).batch)
    {'composition': array([0, 1])}
    """
    left = np.ones(len(batch), bool)
    found = {}
    for name, kind in kinds.items():
        here = left & np.logical_and.reduce([batch.has(block) for block in sorted(kind.blocks)])
        if here.any():
            found[name] = np.flatnonzero(here)
        left &= ~here
    if left.any():
        raise BatchError(
            f"a candidate with the blocks {', '.join(batch.blocks) or 'none'}", f"one of: {', '.join(kinds)}"
        )
    return found
