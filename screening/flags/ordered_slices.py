"""Crystals that may be ordered slices of a solid solution: two like cations that could share their sites.

Cations of one charge whose radii differ by less than 15 % replace each other freely (Goldschmidt, Naturwissenschaften
14, 477 (1926); for metals Hume-Rothery). A computed crystal in which two such cations take turns may be real only as
one of the many arrangements of a disordered solid solution: then it cannot be made as it stands, and its energy says
little. The places tell as well: in a solid solution they are one and the same place of the parent's crystal.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import write_formulas
from matloop.data.candidates.symmetry import symmetry_of
from matloop.data.chemistry.assigned_states import state_label
from matloop.data.chemistry.ions import load_ions
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.packaged.crystals_near_hull import packaged_identifier
from matloop.data.packaged.known_compositions import lists_holding
from matloop.screening.flags.candidate_states import candidate_states

LARGEST_DIFFERENCE = 0.15
"""Of two radii, relative to their mean. Shannon's crystal radii (Acta Cryst. A32, 751 (1976)), as pymatgen has them."""
SAME_PLACE = 0.3  # Å; relaxing moves unlike ions from the places that they would share


class OrderedSlice(NamedTuple):
    """Two cations of a crystal that could share their sites.

    Attributes:
        cations: The two, the rarer one first, such as ``("Ti4+", "Hf4+")``.
        difference: Of their radii, relative to the mean.
        share: Part of the sites of both that the rarer one holds.
        parent: Formula of the compound with one of them in both places; the nearer one of those that are known.
        parent_id: Identifier of its packaged crystal of lowest energy; empty where none is packaged.
        is_known: Whether any list of known compositions holds the parent.
        distance: Element mover's distance of the candidate from the parent.
        same_place: Whether sites of both are equivalent by symmetry when one element holds them.
    """

    cations: tuple[str, str]
    difference: float
    share: float
    parent: str
    parent_id: str
    is_known: bool
    distance: float
    same_place: bool

    def __str__(self) -> str:
        named = f"{self.parent} ({self.parent_id})" if self.parent_id else self.parent
        return "; ".join(
            [*self.cations, f"{100 * self.share:.0f} %", *([named, f"{self.distance:.2f}"] if self.is_known else [])]
        )


def ordered_slices(batch: CandidateBatch) -> list[OrderedSlice | None]:
    """Find the two cations of each candidate that could share their sites; None where no two could.

    They have one charge and similar radii, and either the compound with one of them in both places is known, or their
    sites are equivalent by symmetry then. Of several pairs the one of nearest radii is told.

    Args:
        batch: n candidates, with or without crystals.
    """
    states = candidate_states(batch)
    found: list[OrderedSlice | None] = [None] * len(batch)
    for row, one, other, difference in sorted(_like_cations(batch.compositions, states), key=lambda pair: pair[3]):
        if found[row] is None:
            found[row] = _as_slice(batch, states, row, one, other, difference)
    return found


def _like_cations(compositions: Compositions, states: NDArray[np.float64]) -> list[tuple[int, int, int, float]]:
    """Row, two entries of it, and the relative difference of their radii, of cations with one charge and like radii."""
    ions = load_ions()
    radius = {
        (int(element), int(charge)): float(size)
        for element, charge, size in zip(ions.elements, ions.charges, ions.radii, strict=True)
    }
    pairs = []
    for row, (start, stop) in enumerate(itertools.pairwise(compositions.offsets.tolist())):
        for one, other in itertools.combinations(range(start, stop), 2):
            if not (states[one] > 0 and states[one] == states[other]):
                continue
            keys = [(int(compositions.elements[entry]), int(states[entry])) for entry in (one, other)]
            if all(key in radius and key[1] == states[one] for key in keys):
                first, second = (radius[key] for key in keys)
                difference = 2 * abs(first - second) / (first + second)
                if difference <= LARGEST_DIFFERENCE:
                    pairs.append((row, one, other, difference))
    return pairs


def _as_slice(
    batch: CandidateBatch, states: NDArray[np.float64], row: int, one: int, other: int, difference: float
) -> OrderedSlice | None:
    compositions = batch.compositions
    rare, common = sorted((one, other), key=lambda entry: compositions.amounts[entry])
    parents = _merged(compositions, row, [(rare, common), (common, rare)])
    held = np.asarray(lists_holding(parents).any(axis=1), np.bool_)
    elements = int(compositions.elements[rare]), int(compositions.elements[common])
    same_place = _share_places(batch, row, *elements)
    if not (held.any() or same_place):
        return None
    distances = composition_distances(compositions.take(np.array([row])), parents)[0]
    nearest = int(np.lexsort((distances, ~held))[0])
    parent = parents.take(np.array([nearest]))
    amounts = compositions.amounts[[rare, common]]
    labels = state_label(elements[0], states[rare]), state_label(elements[1], states[common])
    return OrderedSlice(
        labels, difference, float(amounts[0] / amounts.sum()), write_formulas(parent)[0], packaged_identifier(parent),
        bool(held[nearest]), float(distances[nearest]), same_place,
    )  # fmt: skip


def _merged(compositions: Compositions, row: int, swaps: list[tuple[int, int]]) -> Compositions:
    """The composition in ``row`` with the first entry of each swap taken by the element of the second."""
    start, stop = compositions.offsets[row : row + 2].tolist()
    elements, amounts, offsets = [], [], [0]
    for gone, stays in swaps:
        for entry in range(start, stop):
            if entry != gone:
                elements.append(compositions.elements[entry])
                amounts.append(compositions.amounts[entry] + (compositions.amounts[gone] if entry == stays else 0))
        offsets.append(len(elements))
    return Compositions(np.array(offsets, np.int64), np.array(elements, np.uint8), np.array(amounts)).reduced()[0]


def _share_places(batch: CandidateBatch, row: int, one: int, other: int) -> bool:
    """Whether sites of two elements of a crystal are equivalent by symmetry when one of them holds both."""
    if batch.crystals is None or not batch.has_crystal[row]:
        return False
    lattice, species, places = batch.cell(row)
    merged = symmetry_of(lattice, places, np.where(species == other, one, species).astype(np.uint8), SAME_PLACE)
    if merged is None:
        return False
    orbits = np.array(merged.orbits)
    return bool(np.isin(orbits[species == one], orbits[species == other]).any())
