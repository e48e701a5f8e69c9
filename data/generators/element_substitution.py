"""Make new crystals from known ones without ions: intermetallics, Zintl phases, borides, pnictides, hydrides.

Ionic substitution has no place for the half of the packaged crystals whose elements carry no ions of its table. Here
elements replace elements. How probably one takes the place of another is counted over the packaged crystals
themselves, as Wang, Botti and Marques do (npj Comput. Mater. 7, 12 (2021)): a pair of crystals of one space group,
stoichiometry and split into orbits that differ in one element is evidence that these two elements replace each other.
Counts of a few thousand crystals are thin, so that elements with neighbouring Mendeleev numbers (Villars et al., J.
Alloys Compd. 367, 167 (2004)) count as if some such pairs had been seen.

The probability of a child is the product over its new elements; elements that stay count as 1. If the usual oxidation
states can neutralise the parent, or it is metallic, they must neutralise the child, or it must be metallic. Volumes
scale with those of the elements (Zen's law).
"""

from __future__ import annotations

import functools
import itertools
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import mix_bits, sum_rows_of_keys
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.ions import assign_ions, load_ions
from matloop.data.elements import SYMBOLS, element_table
from matloop.data.errors import GeneratorError
from matloop.data.generators.prototype_decoration import volume_ratios
from matloop.data.generators.substitution import (
    Parents,
    Plan,
    Substitution,
    children_of,
    parents_of,
    possible_parents,
)
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, ELEMENT_REPLACEMENTS, Citation
from matloop.data.properties.columns import Column

MOST_SITES = 40
# Of what is assumed before any pair is counted; chosen on one half of the compositions, measured on the other half.
_PRIOR_PAIRS = 10.0  # how many pairs of crystals it counts as
_PRIOR_WIDTH = 12.0  # of the neighbourhood, in Mendeleev numbers
_PRIOR_EVEN = 0.4  # its share that does not depend on Mendeleev numbers


class Replacements(NamedTuple):
    """Elements, and how probably one replaces another in crystals.

    Attributes:
        elements: Atomic numbers, ascending.
        charges: All zero.
        log_probability: Entry [i, j] is log P(j takes the place | i leaves it), 0 on the diagonal.
    """

    elements: NDArray[np.uint8]
    charges: NDArray[np.int64]
    log_probability: NDArray[np.float64]

    def label(self, ion: int) -> str:
        """Symbol of the element."""
        return SYMBOLS[self.elements[ion]]


class ElementSubstitution(Substitution):
    """Packaged crystals without ions, such as intermetallics, borides and Zintl phases, with other elements.

    Args:
        limit: Largest number of crystals; the most probable ones are made.
        min_probability: Smallest probability of a substitution.
        max_sites: Largest cell of a parent.

    Raises:
        GeneratorError: If a setting leaves nothing to make.
    """

    name = "element_substitution"
    cites = (
        Citation(Label("Candidates by element substitution", "元素替换生成候选材料"), CITATIONS[ELEMENT_REPLACEMENTS]),
    )

    def __init__(self, *, limit: int = 120_000, min_probability: float = 1e-3, max_sites: int = MOST_SITES) -> None:
        super().__init__(limit=limit, min_probability=min_probability, max_sites=max_sites)

    @property
    def species(self) -> Replacements:
        """The elements of the packaged crystals."""
        return element_replacements()

    @cached_property
    def parents(self) -> Parents:
        """Packaged crystals that lie at most 1 eV/atom above the hull and have no ionic assignment."""
        return _parents(self.max_sites)

    def scales(self, part: Plan) -> NDArray[np.float64]:
        """Factor of the edges of each child's cell over its parent's."""
        reference = self.parents.batch.compositions.take(part.parents)
        return np.cbrt(volume_ratios(children_of(part, self.parents, self.species), reference))

    def may_be(self, part: Plan) -> NDArray[np.bool_]:
        """Which children balance their charges or are metallic, wherever their parent is so, shape (m,)."""
        parents, which = np.unique(part.parents, return_inverse=True)
        of_parents = charge_balance(self.parents.batch.compositions.take(parents))
        found = charge_balance(children_of(part, self.parents, self.species))
        strange = ~(of_parents.neutral | of_parents.metallic)
        return found.neutral | found.metallic | strange[which]


@functools.cache
def element_replacements() -> Replacements:
    """Count over the packaged crystals how probably one element replaces another."""
    materials = every_crystal()
    volumes, numbers = element_table().columns(("GSvolume_pa", "MendeleevNumber")).T
    present = np.unique(materials.batch.compositions.elements)
    elements = present[(volumes[present] > 0) & np.isfinite(numbers[present])]
    probability = replacement_probabilities(replacement_pairs(materials), elements)
    np.fill_diagonal(probability, 1.0)
    log_probability = np.log(np.maximum(probability, np.finfo(float).tiny))
    return Replacements(elements, np.zeros(len(elements), np.int64), log_probability)


def every_crystal() -> Parents:
    """All packaged crystals that may be parents, of ions or not, to count replacements over."""
    materials = possible_parents(MOST_SITES)
    return parents_of(materials, np.arange(len(materials)), np.zeros(len(materials.compositions.elements), np.int64))


def replacement_probabilities(pairs: NDArray[np.float64], elements: NDArray[np.integer]) -> NDArray[np.float64]:
    """P(column takes the place | row leaves it), from counted pairs and the neighbourhood of Mendeleev numbers.

    Args:
        pairs: Counted pairs by atomic numbers, shape (119, 119).
        elements: Atomic numbers of the k elements.

    Returns:
        Shape (k, k), zero on the diagonal.
    """
    numbers = element_table().columns(("MendeleevNumber",))[elements, 0]
    distance = np.abs(numbers[:, None] - numbers)
    near = np.where(distance > 0, np.exp(-distance / _PRIOR_WIDTH), 0.0)
    near /= near.sum(axis=1, keepdims=True)
    prior = (1 - _PRIOR_EVEN) * near + _PRIOR_EVEN / (len(elements) - 1)
    weights = pairs[np.ix_(elements, elements)] + _PRIOR_PAIRS * prior
    np.fill_diagonal(weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def replacement_pairs(parents: Parents) -> NDArray[np.float64]:
    """Count the places of crystal structures that are known with both of two elements, shape (119, 119).

    A place is one element of a crystal in its space group, with amount and orbits, beside the same other elements.
    """
    compositions = parents.batch.compositions
    amounts = np.rint(compositions.amounts * 1e4).astype(np.uint64)
    places = mix_bits(amounts + parents.slot_signatures)
    filled = mix_bits(mix_bits(compositions.elements.astype(np.uint64)) + places)
    groups = mix_bits(parents.batch.column(Column.SPACE_GROUP_NUMBER).astype(np.uint64))
    whole = sum_rows_of_keys(compositions.offsets, filled) + groups
    keys = mix_bits(whole[compositions.rows] - filled + mix_bits(places))
    seen = np.unique(np.stack([keys, compositions.elements.astype(np.uint64)]), axis=1)
    starts = np.flatnonzero(np.r_[True, seen[0, 1:] != seen[0, :-1], True])
    pairs = np.zeros((len(SYMBOLS), len(SYMBOLS)))
    for start, stop in itertools.pairwise(starts.tolist()):
        elements = seen[1, start:stop].astype(np.int64)
        pairs[np.ix_(elements, elements)] += 1.0
    np.fill_diagonal(pairs, 0.0)
    return pairs


@lru_cache(maxsize=2)
def _parents(max_sites: int) -> Parents:
    materials, species = possible_parents(max_sites), element_replacements()
    compositions = materials.compositions
    reduced, _ = compositions.reduced()
    _, ionic = assign_ions(reduced, load_ions())
    place = np.full(len(SYMBOLS), -1, np.int64)
    place[species.elements] = np.arange(len(species.elements))
    chosen = place[compositions.elements]
    tabled = np.bincount(compositions.rows, chosen < 0, len(compositions)) == 0
    usable = np.flatnonzero(~ionic & tabled & (compositions.lengths > 1))
    if len(usable) == 0:
        raise GeneratorError(f"no parent crystal with at most {max_sites} sites", "a larger max_sites")
    return parents_of(materials, usable, chosen)
