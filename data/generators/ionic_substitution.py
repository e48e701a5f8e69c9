"""Make new crystals from known ones by ionic substitution.

Every species of a parent crystal may be replaced by another species. The probability of a child is the product of the
published conditional probabilities of its replacements (Hautier et al., Inorg. Chem. 50, 656 (2011), equation 6).
Children are charge-neutral by construction. The cell is scaled by the cube of the ratio of the mean cation plus the
mean anion radius (Shannon); over isostructural pairs of the packaged crystals this halves to thirds the error in volume
of the unscaled cell (``benchmarks/data/substitution.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.blocks import COMPOSITIONS
from matloop.data.candidates.compositions import Compositions, gather_rows, mix_bits, sum_rows_of_keys
from matloop.data.candidates.crystals import CLOSEST, Crystals
from matloop.data.chemistry.ions import Ions, assign_ions, load_ions
from matloop.data.errors import GeneratorError
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, SUBSTITUTION_PROBABILITIES, Citation
from matloop.data.properties.columns import Column
from matloop.data.sources.contract import Recipe
from matloop.data.training.packaged_tables import packaged_crystals

_PART = 100_000


class Parents(NamedTuple):
    """Crystals in which ions can be substituted.

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


class IonicSubstitution:
    """Packaged crystals with some of their ions replaced by others (ionic substitution).

    Args:
        limit: Largest number of crystals; the most probable ones are made.
        min_probability: Smallest probability of a substitution.
        max_sites: Largest cell of a parent.

    Raises:
        GeneratorError: If a setting leaves nothing to make.
    """

    name = "ionic_substitution"
    cites = (
        Citation(
            Label("Candidates by ionic substitution", "离子替换生成候选材料"),
            CITATIONS[SUBSTITUTION_PROBABILITIES], "pymatgen, MIT",
        ),
    )  # fmt: skip
    caution = Label(
        "Crystals have the parent's geometry scaled to the new ions. They are not relaxed: relax them before anything "
        "is computed from them.",
        "晶体沿用母体结构并按新离子的半径缩放，未经弛豫：用于任何计算之前请先弛豫。",
    )

    def __init__(self, *, limit: int = 120_000, min_probability: float = 1e-4, max_sites: int = 40) -> None:
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

    @cached_property
    def parents(self) -> Parents:
        """Packaged crystals that lie at most 1 eV/atom above the hull and have an ionic assignment."""
        return _parents(self.max_sites)

    @cached_property
    def plan(self) -> Plan:
        """All substitutions, most probable first, with one child per composition, space group and orbit sizes."""
        ions = load_ions()
        parents = self.parents
        compositions = parents.batch.compositions
        order = np.argsort(-ions.log_probability, axis=1, kind="stable")
        arguments = (
            compositions.offsets, parents.ions, compositions.amounts, ions.elements, ions.charges,
            ions.log_probability, order, float(np.log(self.min_probability)),
        )  # fmt: skip
        counts = _enumerate(*arguments, np.empty(0, np.int16), np.empty(0), np.zeros(1, np.int64), False)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        widths = np.repeat(compositions.lengths, counts)
        offsets = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        chosen, log_probability = np.empty(offsets[-1], np.int16), np.empty(starts[-1])
        _enumerate(*arguments, chosen, log_probability, starts, True)
        rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return self._most_probable(Plan(rows, offsets, chosen, log_probability), ions)

    def _most_probable(self, plan: Plan, ions: Ions) -> Plan:
        """Remove repeated children, sort by probability and cut at the limit."""
        keys = np.concatenate([_prototype_keys(part, self.parents, ions) for part in plan.parts()])
        order = np.lexsort((keys, -np.round(plan.log_probability, 9)))
        first = np.sort(np.unique(keys[order], return_index=True)[1])
        ranked, wanted = order[first], self.limit
        while True:
            part = plan.take(ranked[:wanted])
            sound = np.flatnonzero(self._keep_apart(part))
            if len(sound) >= self.limit or wanted >= len(ranked):
                return part.take(sound[: self.limit])
            wanted += self.limit - len(sound)

    def _keep_apart(self, plan: Plan) -> NDArray[np.bool_]:
        """Which children have no two atoms too close, shape (m,): those in place of hydrogen may have."""
        crystals = self.parents.batch.crystals
        assert crystals is not None  # packaged crystals all have cells
        near = np.flatnonzero(crystals.shortest_distances()[plan.parents] * self._scales(plan) < CLOSEST)
        apart = np.ones(len(plan.parents), bool)
        apart[near] = self._crystals(plan.take(near)).row_codes() == ""
        return apart

    def _scales(self, part: Plan) -> NDArray[np.float64]:
        """Factor of the edges of each child's cell over its parent's."""
        compositions, ions = self.parents.batch.compositions, load_ions()
        old, _ = gather_rows(compositions.offsets, part.parents)
        amounts = compositions.amounts[old]
        scale = ideal_bond_lengths(part.offsets, part.ions, amounts, ions)
        return scale / ideal_bond_lengths(part.offsets, self.parents.ions[old], amounts, ions)

    def _crystals(self, part: Plan) -> Crystals:
        """Crystals of the children: the parents' with scaled cells and new elements."""
        family, ions = self.parents.batch.crystals, load_ions()
        assert family is not None  # packaged crystals all have cells
        base = family.take(part.parents)
        sites, _ = gather_rows(family.offsets, part.parents)
        slots = np.repeat(part.offsets[:-1], base.site_counts) + self.parents.site_slots[sites]
        lattice = base.lattice * self._scales(part)[:, None, None]
        return Crystals(lattice, base.offsets, ions.elements[part.ions][slots], base.frac_coords)

    def count(self) -> int:
        """Exact number of children."""
        return len(self.plan.parents)

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` children, most probable first.

        Columns: ``origin`` (substitution and parent), ``parent_id``, ``substitution_probability`` and
        ``space_group_number`` (the parent's).
        """
        return (recipe() for recipe in self.recipes(size))

    def recipes(self, size: int) -> Iterator[Recipe]:
        """Yield one recipe for each batch of :meth:`intakes`."""
        for start in range(0, self.count(), size):
            rows = np.arange(start, min(start + size, self.count()))
            yield partial(self._made, self.plan.take(rows))

    def _made(self, part: Plan) -> Intake:
        parents, ions, crystals = self.parents, load_ions(), self._crystals(part)
        parent_ids = parents.batch.table.column(Column.MATERIAL_ID).take(part.parents)
        batch = CandidateBatch.from_crystals(
            crystals,
            {
                Column.ORIGIN: _describe(part, parents, parent_ids.to_pylist(), ions),
                Column.PARENT_ID: parent_ids,
                Column.SUBSTITUTION_PROBABILITY: np.exp(part.log_probability),
                Column.SPACE_GROUP_NUMBER: parents.batch.table.column(Column.SPACE_GROUP_NUMBER).take(part.parents),
            },
        )
        return Intake(batch, [])


@lru_cache(maxsize=2)
def _parents(max_sites: int) -> Parents:
    materials = packaged_crystals()
    crystals = materials.crystals
    assert crystals is not None  # packaged crystals all have cells
    far = materials.table.column("far_above_hull").fill_null(False).to_numpy()
    materials = materials.take(np.flatnonzero(~far & (crystals.site_counts <= max_sites)))
    reduced, _ = materials.compositions.reduced()
    chosen, found = assign_ions(reduced, load_ions())
    usable = np.flatnonzero(found)
    if len(usable) == 0:
        raise GeneratorError(f"no parent crystal with at most {max_sites} sites", "a larger max_sites")
    batch = materials.take(usable)
    reduced = reduced.take(usable)
    batch = batch.with_block(COMPOSITIONS, reduced)
    flat, _ = gather_rows(materials.compositions.offsets, usable)
    assert batch.crystals is not None
    slots = _site_slots(reduced.offsets, reduced.elements, batch.crystals.offsets, batch.crystals.species)
    signatures = _slot_signatures(batch, slots)
    return Parents(batch, chosen[flat], slots, signatures)


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


def _children(plan: Plan, parents: Parents, ions: Ions) -> Compositions:
    """Return compositions of the children, with entries in the order of the parents (elements not sorted)."""
    flat, _ = gather_rows(parents.batch.compositions.offsets, plan.parents)
    return Compositions(plan.offsets, ions.elements[plan.ions], parents.batch.compositions.amounts[flat])


def _prototype_keys(plan: Plan, parents: Parents, ions: Ions) -> NDArray[np.uint64]:
    """Return a 64-bit key of the composition, space group and orbit sizes of each child."""
    children = _children(plan, parents, ions)
    flat, _ = gather_rows(parents.batch.compositions.offsets, plan.parents)
    amounts = np.rint(children.amounts * 1e4).astype(np.uint64)
    entry = mix_bits(mix_bits(children.elements.astype(np.uint64)) + amounts + parents.slot_signatures[flat])
    space_groups = parents.batch.column(Column.SPACE_GROUP_NUMBER).astype(np.uint64)[plan.parents]
    return mix_bits(sum_rows_of_keys(children.offsets, entry) + mix_bits(space_groups))


def ideal_bond_lengths(
    offsets: NDArray[np.int64], chosen: NDArray[np.integer], amounts: NDArray[np.float64], ions: Ions
) -> NDArray[np.float64]:
    """Mean cation radius plus mean anion radius of each composition in Å."""
    total = np.zeros(len(offsets) - 1)
    for sign in (1, -1):
        weights = np.where(np.sign(ions.charges[chosen]) == sign, amounts, 0.0)
        total += np.add.reduceat(weights * ions.radii[chosen], offsets[:-1]) / np.add.reduceat(weights, offsets[:-1])
    return total


def _describe(part: Plan, parents: Parents, parent_ids: list[str], ions: Ions) -> list[str]:
    """Describe for people which species was replaced by which, and in which parent."""
    labels = [ions.label(ion) for ion in range(len(ions.elements))]
    old, _ = gather_rows(parents.batch.compositions.offsets, part.parents)
    before, after, bounds = parents.ions[old].tolist(), part.ions.tolist(), part.offsets.tolist()
    formulas = parents.batch.table.column(Column.FORMULA).take(part.parents).to_pylist()
    lines = []
    for row, (start, stop) in enumerate(itertools.pairwise(bounds)):
        swaps = [f"{labels[before[k]]} to {labels[after[k]]}" for k in range(start, stop) if before[k] != after[k]]
        lines.append(f"{formulas[row]} ({parent_ids[row]}), {', '.join(swaps)}")
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
    offsets, old, amounts, elements, charges, log_probability, order, least, chosen, logs, starts, fill
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
            species = old[offsets[i] + k]
            best_rest[k] = best_rest[k + 1] + log_probability[species, order[species, 0]]
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
                clash |= elements[picked[earlier]] == elements[new]
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
