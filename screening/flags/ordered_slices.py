"""Crystals that may be ordered slices of a solid solution: two like cations that could share their sites.

Cations of one charge whose radii differ by less than 15 % replace each other freely (Goldschmidt, Naturwissenschaften
14, 477 (1926); for metals Hume-Rothery). A computed crystal in which two such cations take turns may be real only as
one of the many arrangements of a disordered solid solution: then it cannot be made as it stands, and its energy says
little. The places tell as well: in a solid solution they are one and the same place of the parent's crystal.

Cations of unlike charge take turns in disorder too, as Na+ and Lu3+ in the scheelite NaLu(WO4)2. What orders them is
that each anion has to find its charge in the strengths of its bonds, the charge of a cation over the number of its
anions (Pauling, J. Am. Chem. Soc. 51, 1010 (1929), doi:10.1021/ja01379a006). Where the strengths differ by little of
the anion's charge, which anion has which cation beside it hardly matters. With a difference of charges above two,
cations order (Anderson et al., Prog. Solid State Chem. 22, 197 (1993), doi:10.1016/0079-6786(93)90004-B).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystals import image_range
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
MOST_CHARGE = 2
"""Largest difference of the charges of two cations that share sites."""
LARGEST_STRENGTH = 1 / 6
"""Of the difference of two bond strengths, over the charge of the anion. In the rock salts NaBiS2 and LiFeO2 and the
rutile VSbO4 the cations are disordered with 1/6, in scheelites with 1/8; with 1/4 in CuInS2 and 1/3 in Cs2NaYCl6 they
are ordered."""
_BONDED, _LONGEST = 1.25, 4.0  # times the shortest distance to an anion, and Å
_ROUNDING = 1e-6


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
        strength: How much the strengths of their bonds differ, over the charge of the anion; 0 for like charges, and
            with unlike charges there is no parent.
    """

    cations: tuple[str, str]
    difference: float
    share: float
    parent: str
    parent_id: str
    is_known: bool
    distance: float
    same_place: bool
    strength: float = 0.0

    def __str__(self) -> str:
        if self.strength:
            return "; ".join([*self.cations, f"{100 * self.share:.0f} %", f"{100 * self.strength:.0f} %"])
        named = f"{self.parent} ({self.parent_id})" if self.parent_id else self.parent
        return "; ".join(
            [*self.cations, f"{100 * self.share:.0f} %", *([named, f"{self.distance:.2f}"] if self.is_known else [])]
        )


def ordered_slices(batch: CandidateBatch) -> list[OrderedSlice | None]:
    """Find the two cations of each candidate that could share their sites; None where no two could.

    They have similar radii. If they have one charge, either the compound with one of them in both places is known, or
    their sites are equivalent by symmetry then. If not, their sites are, their charges differ by at most
    :data:`MOST_CHARGE`, and the strengths of their bonds by at most :data:`LARGEST_STRENGTH`. Of several pairs one of
    like charges is told, and of those the one of nearest radii.

    Args:
        batch: n candidates, with or without crystals.
    """
    states = candidate_states(batch)
    found: list[OrderedSlice | None] = [None] * len(batch)
    for row, one, other, difference in sorted(
        _like_cations(batch.compositions, states), key=lambda pair: (states[pair[1]] != states[pair[2]], pair[3])
    ):
        if found[row] is None:
            told = _as_slice if states[one] == states[other] else _of_unlike_charges
            found[row] = told(batch, states, row, one, other, difference)
    return found


def _like_cations(compositions: Compositions, states: NDArray[np.float64]) -> list[tuple[int, int, int, float]]:
    """Row, two entries of it, and the relative difference of their radii, of cations with like radii and charges."""
    ions = load_ions()
    radius = {
        (int(element), int(charge)): float(size)
        for element, charge, size in zip(ions.elements, ions.charges, ions.radii, strict=True)
    }
    pairs = []
    for row, (start, stop) in enumerate(itertools.pairwise(compositions.offsets.tolist())):
        for one, other in itertools.combinations(range(start, stop), 2):
            if not (min(states[one], states[other]) > 0 and abs(states[one] - states[other]) <= MOST_CHARGE):
                continue
            keys = [(int(compositions.elements[entry]), int(states[entry])) for entry in (one, other)]
            if all(key in radius and key[1] == states[entry] for key, entry in zip(keys, (one, other), strict=True)):
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


def _of_unlike_charges(
    batch: CandidateBatch, states: NDArray[np.float64], row: int, one: int, other: int, difference: float
) -> OrderedSlice | None:
    compositions = batch.compositions
    rare, common = sorted((one, other), key=lambda entry: compositions.amounts[entry])
    elements = int(compositions.elements[rare]), int(compositions.elements[common])
    if not _share_places(batch, row, *elements):
        return None
    start, stop = compositions.offsets[row : row + 2].tolist()
    charge = dict(zip(compositions.elements[start:stop].tolist(), states[start:stop].tolist(), strict=True))
    first, second = (charge[element] / _anions_beside(batch, row, element, charge) for element in elements)
    strength = abs(first - second) / -min(charge.values())
    if strength > LARGEST_STRENGTH + _ROUNDING:
        return None
    amounts = compositions.amounts[[rare, common]]
    labels = state_label(elements[0], states[rare]), state_label(elements[1], states[common])
    share = float(amounts[0] / amounts.sum())
    return OrderedSlice(labels, difference, share, "", "", False, 0.0, True, strength)


def _anions_beside(batch: CandidateBatch, row: int, element: int, charge: dict[int, float]) -> float:
    """Mean number of anions bonded to the sites of an element of a crystal."""
    lattice, species, places = batch.cell(row)
    anions = np.array([charge[one] < 0 for one in species.tolist()])
    reach = image_range(lattice, _LONGEST)
    images = np.array(list(itertools.product(*(range(-steps - 1, steps + 2) for steps in reach.tolist()))))
    apart = places[anions][None, :, None] - places[species == element][:, None, None] + images
    distances = np.linalg.norm(apart @ lattice, axis=-1).reshape(int((species == element).sum()), -1)
    return float((distances <= _BONDED * distances.min(axis=1, keepdims=True)).sum(axis=1).mean())


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
