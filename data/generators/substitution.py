"""Substitution: children of known crystals, by replacing the species of a parent.

Every species of a parent may be replaced by another one. The probability of a child is the product of the conditional
probabilities of its replacements. The search goes through all children that are probable enough; the most probable ones
are made, one for each composition, space group and split of the elements into orbits.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.candidates.compositions import Compositions, composition_keys, gather_rows, mix_bits, sum_rows_of_keys
from matloop.data.candidates.crystals import CLOSEST, Crystals
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.elements import SYMBOLS
from matloop.data.errors import GeneratorError
from matloop.data.generators.substitution_record import SubstitutionRecord
from matloop.data.label import Label
from matloop.data.properties.columns import Column
from matloop.data.sources.contract import Recipe
from matloop.data.training.packaged_tables import packaged_crystals

_PART = 100_000


class Species(Protocol):
    """What may take a site: s species sorted by element, and how probably one replaces another.

    Charges are in elementary charges, all zero where they play no part. Entry [i, j] of ``log_probability`` is
    log P(j takes the site | i holds it), shape (s, s).
    """

    @property
    def elements(self) -> NDArray[np.uint8]:
        """Atomic number of each."""
        ...

    @property
    def charges(self) -> NDArray[np.int64]:
        """Charge of each."""
        ...

    @property
    def log_probability(self) -> NDArray[np.float64]:
        """How probably each takes the place of each."""
        ...

    def label(self, ion: int) -> str:
        """The species as people write it."""
        ...


class Parents(NamedTuple):
    """Crystals in which species can be replaced.

    Attributes:
        batch: The crystals, with columns ``material_id`` and ``space_group_number``.
        ions: Species of each composition entry of the batch.
        site_slots: Composition entry (counted within the crystal) that each site belongs to.
        slot_signatures: Hash of each entry's share of sites and their symmetry-equivalent groups.
    """

    batch: CandidateBatch
    ions: NDArray[np.int64]
    site_slots: NDArray[np.int64]
    slot_signatures: NDArray[np.uint64]


class Plan(NamedTuple):
    """The substitutions to make, most probable first.

    Attributes:
        parents: Row of the parent, shape (m,).
        offsets: Shape (m + 1,) into ``ions``.
        ions: New species of each entry of the parent's composition.
        log_probability: Natural logarithm of the substitution's probability, shape (m,).
    """

    parents: NDArray[np.integer]
    offsets: NDArray[np.int64]
    ions: NDArray[np.integer]
    log_probability: NDArray[np.float64]

    def take(self, rows: NDArray[np.integer]) -> Plan:
        """Return the substitutions in ``rows``."""
        flat, offsets = gather_rows(self.offsets, rows)
        return Plan(self.parents[rows], offsets, self.ions[flat], self.log_probability[rows])

    def parts(self) -> Iterator[Plan]:
        """Yield the plan in consecutive parts, at least one; millions of children at once would fill the memory."""
        for start in range(0, max(len(self.parents), 1), _PART):
            yield self.take(np.arange(start, min(start + _PART, len(self.parents))))


class Substitution(abc.ABC):
    """What generators of substituted crystals share; each says which species and parents there are.

    Args:
        limit: Largest number of crystals; the most probable ones are made.
        min_probability: Smallest probability of a substitution.
        max_sites: Largest cell of a parent.

    Raises:
        GeneratorError: If a setting leaves nothing to make.
    """

    caution = Label(
        "Crystals have the parent's geometry scaled to the new elements. They are not relaxed: relax them before "
        "anything is computed from them.",
        "晶体沿用母体结构并按新元素的大小缩放，未经弛豫：用于任何计算之前请先弛豫。",
    )

    def __init__(self, *, limit: int, min_probability: float, max_sites: int) -> None:
        whole = all(type(number) is int for number in (limit, max_sites))  # a truth value is none
        if not whole or limit < 1 or not 0 < min_probability < 1 or max_sites < 1:
            raise GeneratorError(
                f"limit={limit}, min_probability={min_probability}, max_sites={max_sites}",
                "whole limit and max_sites of at least 1, min_probability between 0 and 1",
            )
        self.limit, self.min_probability, self.max_sites = limit, min_probability, max_sites

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings only, because the plan is too large to be sent to another process."""
        return {"limit": self.limit, "min_probability": self.min_probability, "max_sites": self.max_sites}

    @property
    @abc.abstractmethod
    def species(self) -> Species:
        """What may take a site."""

    @property
    @abc.abstractmethod
    def parents(self) -> Parents:
        """The crystals in which species are replaced."""

    @property
    def may_mix(self) -> NDArray[np.bool_]:
        """Which elements may take two sites of one child with neighbouring charges, by atomic number, shape (119,)."""
        return np.zeros(len(SYMBOLS), bool)

    @abc.abstractmethod
    def scales(self, part: Plan) -> NDArray[np.float64]:
        """Factor of the edges of each child's cell over its parent's."""

    def may_be(self, part: Plan) -> NDArray[np.bool_]:
        """Which children may be made, besides being probable, shape (m,)."""
        return np.ones(len(part.parents), bool)

    @cached_property
    def plan(self) -> Plan:
        """All substitutions, most probable first, with one child per composition, space group and orbit sizes."""
        species = self.species
        parents = self.parents
        compositions = parents.batch.compositions
        order = np.argsort(-species.log_probability, axis=1, kind="stable")
        arguments = (
            compositions.offsets, parents.ions, compositions.amounts, species.elements, species.charges,
            self.may_mix, species.log_probability, order, float(np.log(self.min_probability)),
        )  # fmt: skip
        counts = _enumerate(*arguments, np.empty(0, np.int16), np.empty(0), np.zeros(1, np.int64), False)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        widths = np.repeat(compositions.lengths, counts)
        offsets = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        chosen, log_probability = np.empty(offsets[-1], np.int16), np.empty(starts[-1])
        _enumerate(*arguments, chosen, log_probability, starts, True)
        rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return self._most_probable(Plan(rows, offsets, chosen, log_probability))

    def _most_probable(self, plan: Plan) -> Plan:
        """Remove repeated children, sort by probability and cut at the limit."""
        keys = np.concatenate([_prototype_keys(part, self.parents, self.species) for part in plan.parts()])
        order = np.lexsort((keys, -np.round(plan.log_probability, 9)))
        first = np.sort(np.unique(keys[order], return_index=True)[1])
        ranked, wanted = order[first], self.limit
        while True:
            part = plan.take(ranked[:wanted])
            sound = np.flatnonzero(self._keep_apart(part) & self.may_be(part))
            if len(sound) >= self.limit or wanted >= len(ranked):
                return part.take(sound[: self.limit])
            wanted += self.limit - len(sound)

    def _keep_apart(self, plan: Plan) -> NDArray[np.bool_]:
        """Which children have no two atoms too close, shape (m,): those in place of hydrogen may have."""
        crystals = self.parents.batch.crystals
        assert crystals is not None  # packaged crystals all have cells
        near = np.flatnonzero(crystals.shortest_distances()[plan.parents] * self.scales(plan) < CLOSEST)
        apart = np.ones(len(plan.parents), bool)
        apart[near] = self._crystals(plan.take(near)).row_codes() == ""
        return apart

    def _crystals(self, part: Plan) -> Crystals:
        """Crystals of the children: the parents' with scaled cells and new elements."""
        family, species = self.parents.batch.crystals, self.species
        assert family is not None  # packaged crystals all have cells
        base = family.take(part.parents)
        sites, _ = gather_rows(family.offsets, part.parents)
        slots = np.repeat(part.offsets[:-1], base.site_counts) + self.parents.site_slots[sites]
        lattice = base.lattice * self.scales(part)[:, None, None]
        return Crystals(lattice, base.offsets, species.elements[part.ions][slots], base.frac_coords)

    def count(self) -> int:
        """Exact number of children."""
        return len(self.plan.parents)

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` children, most probable first.

        Columns: ``origin`` (substitution and parent), ``parent_id``, ``substitution_probability``,
        ``relative_substitution_probability`` (over that of the most probable child of the same composition) and
        ``space_group_number`` (the parent's; of children in which two sites took the same element, their own).
        """
        return (recipe() for recipe in self.recipes(size))

    def recipes(self, size: int) -> Iterator[Recipe]:
        """Yield one recipe for each batch of :meth:`intakes`."""
        for start in range(0, self.count(), size):
            rows = np.arange(start, min(start + size, self.count()))
            yield partial(self._made, self.plan.take(rows), self._relative_probability[rows])

    @cached_property
    def _relative_probability(self) -> NDArray[np.float64]:
        """Probability of each child over that of the most probable one of the same composition, shape (m,)."""
        keys = composition_keys(children_of(self.plan, self.parents, self.species))
        _, number = np.unique(keys, return_inverse=True)
        best = np.full(len(keys), -np.inf)
        np.maximum.at(best, number.ravel(), self.plan.log_probability)
        return np.asarray(np.exp(self.plan.log_probability - best[number.ravel()]))

    def of_compositions(self, wanted: Compositions) -> CandidateBatch:
        """Make the most probable child of each of n compositions.

        Args:
            wanted: The compositions.

        Returns:
            The children in the order of the compositions, without those that no substitution leads to.
        """
        children = [composition_keys(children_of(part, self.parents, self.species)) for part in self.plan.parts()]
        made, first = np.unique(np.concatenate(children), return_index=True)
        sought = composition_keys(wanted) if len(wanted) else np.empty(0, np.uint64)
        places = np.minimum(np.searchsorted(made, sought), len(made) - 1)
        rows = first[places[made[places] == sought]]
        return self._made(self.plan.take(rows), np.ones(len(rows))).batch

    def _made(self, part: Plan, relative: NDArray[np.float64]) -> Intake:
        parents, crystals = self.parents, self._crystals(part)
        parent_ids = parents.batch.table.column(Column.MATERIAL_ID).take(part.parents)
        batch = CandidateBatch.from_crystals(
            crystals,
            {
                Column.ORIGIN: _describe(part, parents, parent_ids.to_pylist(), self.species),
                Column.PARENT_ID: parent_ids,
                Column.SUBSTITUTION_PROBABILITY: np.exp(part.log_probability),
                Column.RELATIVE_SUBSTITUTION_PROBABILITY: relative,
                Column.SPACE_GROUP_NUMBER: _space_groups(part, parents, crystals),
            },
        )
        return Intake(batch, [])


def parents_of(materials: CandidateBatch, rows: NDArray[np.integer], species: NDArray[np.int64]) -> Parents:
    """Make parents of those crystals in ``rows``.

    Args:
        materials: Crystals, with columns ``material_id``, ``space_group_number`` and ``orbits``.
        rows: Which of them are parents.
        species: Species of each composition entry of all ``materials``.
    """
    batch = materials.take(rows)
    reduced, _ = batch.compositions.reduced()
    batch = batch.with_block(COMPOSITIONS, reduced)
    flat, _ = gather_rows(materials.compositions.offsets, rows)
    assert batch.crystals is not None  # packaged crystals all have cells
    slots = _site_slots(reduced.offsets, reduced.elements, batch.crystals.offsets, batch.crystals.species)
    return Parents(batch, species[flat], slots, _slot_signatures(batch, slots))


def possible_parents(max_sites: int) -> CandidateBatch:
    """Packaged crystals of at most ``max_sites`` sites that lie at most 1 eV/atom above the hull."""
    materials = packaged_crystals()
    assert materials.crystals is not None  # packaged crystals all have cells
    far = materials.table.column("far_above_hull").fill_null(False).to_numpy()
    return materials.take(np.flatnonzero(~far & (materials.crystals.site_counts <= max_sites)))


def _slot_signatures(batch: CandidateBatch, slots: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash how the sites of each composition entry split into symmetry-equivalent groups, whatever the cell size."""
    crystals = batch.crystals
    assert crystals is not None
    counts = crystals.site_counts
    rows = np.repeat(np.arange(len(crystals)), counts)
    orbits = batch.table.column("orbits").combine_chunks().flatten().to_numpy().astype(np.int64)
    orbit_keys = rows * 256 + orbits
    _, first, sizes = np.unique(orbit_keys, return_index=True, return_counts=True)
    share = np.rint(sizes * 5040.0 / counts[rows[first]]).astype(np.uint64)
    entries = batch.compositions.offsets[:-1][rows[first]] + slots[first]
    signatures = np.zeros(len(batch.compositions.elements), np.uint64)
    # Each group counts once and the sum is commutative, so the size of the cell and the order of sites do not matter.
    np.add.at(signatures, entries, mix_bits(share))
    return signatures


def children_of(plan: Plan, parents: Parents, species: Species) -> Compositions:
    """Return compositions of the children, with entries in the order of the parents (elements not sorted)."""
    flat, _ = gather_rows(parents.batch.compositions.offsets, plan.parents)
    return Compositions(plan.offsets, species.elements[plan.ions], parents.batch.compositions.amounts[flat])


def _prototype_keys(plan: Plan, parents: Parents, species: Species) -> NDArray[np.uint64]:
    """Return a 64-bit key of the composition, space group and orbit sizes of each child."""
    children = children_of(plan, parents, species)
    flat, _ = gather_rows(parents.batch.compositions.offsets, plan.parents)
    amounts, signatures = np.rint(children.amounts * 1e4).astype(np.uint64), parents.slot_signatures[flat]
    first = _join_entries(children.offsets, children.elements, amounts, signatures)
    entry = mix_bits(mix_bits(children.elements.astype(np.uint64)) + amounts + signatures) * first
    space_groups = parents.batch.column(Column.SPACE_GROUP_NUMBER).astype(np.uint64)[plan.parents]
    return mix_bits(sum_rows_of_keys(children.offsets, entry) + mix_bits(space_groups))


@numba.njit(cache=True, nogil=True)
def _join_entries(offsets, elements, amounts, signatures):  # type: ignore[no-untyped-def]
    """Add up entries of one element in each composition; return 1 for the first of them and 0 for the others."""
    first = np.ones(len(elements), np.uint64)
    for i in range(len(offsets) - 1):
        for entry in range(offsets[i] + 1, offsets[i + 1]):
            for earlier in range(offsets[i], entry):
                if first[entry] and elements[earlier] == elements[entry]:
                    amounts[earlier] += amounts[entry]
                    signatures[earlier] += signatures[entry]
                    first[entry] = 0
    return first


def _space_groups(part: Plan, parents: Parents, crystals: Crystals) -> NDArray[np.int64]:
    """Space group of each child: the parent's, unless two sites took one element and that made it higher."""
    groups = parents.batch.column(Column.SPACE_GROUP_NUMBER)[part.parents].astype(np.int64)
    family = parents.batch.crystals
    assert family is not None  # packaged crystals all have cells
    joined = np.flatnonzero(crystals.compositions().lengths < np.diff(part.offsets))
    children, before = crystals.take(joined), family.take(part.parents[joined])
    for row, child in enumerate(joined.tolist()):
        sites = slice(*children.offsets[row : row + 2].tolist())
        cell = children.lattice[row], children.frac_coords[sites]
        apart, own = (symmetry_of(*cell, some.species[sites], SYMMETRY_TOLERANCE) for some in (before, children))
        if own is not None and apart is not None and own.number != apart.number:
            groups[child] = own.number
    return groups


def _describe(part: Plan, parents: Parents, parent_ids: list[str], species: Species) -> list[str]:
    """Describe for people which species was replaced by which, and in which parent."""
    labels = [species.label(one) for one in range(len(species.elements))]
    old, _ = gather_rows(parents.batch.compositions.offsets, part.parents)
    before, after, bounds = parents.ions[old].tolist(), part.ions.tolist(), part.offsets.tolist()
    formulas = parents.batch.table.column(Column.FORMULA).take(part.parents).to_pylist()
    lines = []
    for row, (start, stop) in enumerate(itertools.pairwise(bounds)):
        swaps = [(labels[before[k]], labels[after[k]]) for k in range(start, stop) if before[k] != after[k]]
        lines.append(str(SubstitutionRecord(formulas[row], parent_ids[row], tuple(swaps))))
    return lines


@numba.njit(cache=True, nogil=True)
def _site_slots(entry_offsets, elements, site_offsets, species):  # type: ignore[no-untyped-def]
    """Return the composition entry of each site, counted within its crystal."""
    slots = np.empty(len(species), np.int64)
    for i in range(len(site_offsets) - 1):
        for site in range(site_offsets[i], site_offsets[i + 1]):
            for entry in range(entry_offsets[i], entry_offsets[i + 1]):
                if elements[entry] == species[site]:
                    slots[site] = entry - entry_offsets[i]
    return slots


@numba.njit(cache=True, nogil=True)
def _enumerate(  # type: ignore[no-untyped-def]
    offsets, old, amounts, elements, charges, may_mix, log_probability, order, least, chosen, logs, starts, fill
):
    """Count or store all neutral substitutions of each parent that are at least as probable as ``least``.

    The search goes depth first over the species of the parent and tries the most probable replacements first. A branch
    ends as soon as even the best replacements of the remaining species cannot reach the limit.
    """
    n = len(offsets) - 1
    counts = np.zeros(n, np.int64)
    position = 0
    for i in range(n):
        width = offsets[i + 1] - offsets[i]
        best_rest = np.zeros(width + 1)
        for k in range(width - 1, -1, -1):
            held = old[offsets[i] + k]
            best_rest[k] = best_rest[k + 1] + log_probability[held, order[held, 0]]
        tried = np.zeros(width, np.int64)
        log_sum, charge = np.zeros(width + 1), np.zeros(width + 1)
        picked = np.empty(width, np.int64)
        k = 0
        while k >= 0:
            species = old[offsets[i] + k]
            if tried[k] == len(elements):
                tried[k] = 0
                k -= 1
                continue
            new = order[species, tried[k]]
            tried[k] += 1
            log_sum[k + 1] = log_sum[k] + log_probability[species, new]
            if log_sum[k + 1] + best_rest[k + 1] < least:
                tried[k] = 0  # replacements are sorted, so all later ones fall short too
                k -= 1
                continue
            clash = False
            for earlier in range(k):
                if elements[picked[earlier]] == elements[new]:
                    clash |= not may_mix[elements[new]] or abs(charges[picked[earlier]] - charges[new]) != 1
            if clash:
                continue
            picked[k] = new
            charge[k + 1] = charge[k] + charges[new] * amounts[offsets[i] + k]
            if k + 1 < width:
                k += 1
                continue
            changed = False
            for slot in range(width):
                changed |= elements[picked[slot]] != elements[old[offsets[i] + slot]]
            if abs(charge[width]) < 1e-6 and changed:
                if fill:
                    logs[starts[i] + counts[i]] = log_sum[width]
                    for slot in range(width):
                        chosen[position] = picked[slot]
                        position += 1
                counts[i] += 1
    return counts
