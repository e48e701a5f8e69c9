"""Candidates that differ from a finalist by one element, replaced by a chemically similar one of the same charge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystals import Crystals
from matloop.data.chemistry.ions import Ions, assign_ions, load_ions
from matloop.data.elements import SYMBOLS, element_table
from matloop.data.generators.ionic_substitution import ideal_bond_lengths
from matloop.data.generators.pools import composition_batch
from matloop.data.properties.columns import Column
from matloop.data.training.known_materials import KnownCompositions

MOST_SWAPS = 24
"""Of one finalist."""


class Swap(NamedTuple):
    """The replacement of one element by another.

    Attributes:
        old: Label of the replaced element, with its charge if it is known.
        new: Label of the new element.
        old_number: Atomic number of the replaced element.
        new_number: Atomic number of the new element.
        probability: Probability of the substitution (Hautier et al. 2011), nan if the elements only share a group.
        scale: Factor of the cell's edges.
    """

    old: str
    new: str
    old_number: int
    new_number: int
    probability: float
    scale: float


def single_swaps(
    finalist: CandidateBatch, known: KnownCompositions, *, most: int = MOST_SWAPS
) -> tuple[list[Swap], CandidateBatch]:
    """Make the swaps of one finalist, and the resulting candidates.

    Charged species are replaced by those of the same charge, each element's most probable first; where no
    charge-neutral assignment exists, by elements of the same group of the periodic table. A crystal is kept, its cell
    scaled with the ionic (else covalent) radii.

    Args:
        finalist: One candidate.
        known: Compositions that the run knows.
        most: Most swaps; each element gets an equal share.

    Returns:
        Swaps, and as many candidates with the columns ``origin``, ``known``, ``known_to`` and, where the finalist has
        it, ``space_group_number``.

    >>> swaps, made = single_swaps(CandidateBatch.from_formulas(["BaTiO3"]).batch, KnownCompositions(), most=6)
    >>> [(swap.old, swap.new) for swap in swaps[:2]], made.formulas[:2]
    ([('O2-', 'S2-'), ('O2-', 'Se2-')], ['BaTiS3', 'BaTiSe3'])
    """
    reduced, whole = finalist.compositions.reduced()
    ions = load_ions()
    chosen, found = assign_ions(reduced, ions)
    ionic = bool(found[0] and whole[0])
    each = max(most // max(len(reduced.elements), 1), 1)
    swaps: list[Swap] = []
    for entry in range(len(reduced.elements)):
        swaps += _ionic(reduced, chosen, entry, ions)[:each] if ionic else _same_group(reduced, entry)[:each]
    swaps = swaps[:most]
    made = _made(finalist, reduced, swaps)
    holders = known.holders(made.compositions)
    return swaps, made.with_columns({Column.KNOWN: holders != "", Column.KNOWN_TO: holders.tolist()})


def _ionic(reduced: Compositions, chosen: NDArray[np.int64], entry: int, ions: Ions) -> list[Swap]:
    """Return swaps of one species for others of its charge, most probable first."""
    old = chosen[entry]
    others = np.flatnonzero((ions.charges == ions.charges[old]) & ~np.isin(ions.elements, reduced.elements))
    others = others[np.argsort(-ions.log_probability[old, others], kind="stable")]
    before = ideal_bond_lengths(reduced.offsets, chosen, reduced.amounts, ions)[0]
    swaps = []
    for new in others.tolist():
        trial = chosen.copy()
        trial[entry] = new
        scale = float(ideal_bond_lengths(reduced.offsets, trial, reduced.amounts, ions)[0] / before)
        swaps.append(
            Swap(
                ions.label(int(old)), ions.label(new), int(ions.elements[old]), int(ions.elements[new]),
                float(np.exp(ions.log_probability[old, new])), scale,
            )
        )  # fmt: skip
    return swaps


def _same_group(reduced: Compositions, entry: int) -> list[Swap]:
    """Return swaps of one element for others of its group, nearest period first; lanthanides count as one group."""
    group, period, radius = element_table().columns(("Column", "Row", "CovalentRadius")).T
    old = int(reduced.elements[entry])
    alike = np.flatnonzero((group == group[old]) & np.isfinite(radius))
    alike = alike[~np.isin(alike, reduced.elements)]
    alike = alike[np.argsort(np.abs(period[alike] - period[old]), kind="stable")]
    share = reduced.fractions
    mean = float((share * radius[reduced.elements]).sum())
    scales = 1 + share[entry] * (radius[alike] - radius[old]) / mean
    return [
        Swap(SYMBOLS[old], SYMBOLS[new], old, new, float("nan"), float(scale))
        for new, scale in zip(alike.tolist(), scales, strict=True)
        if np.isfinite(scale)
    ]


def _made(finalist: CandidateBatch, reduced: Compositions, swaps: list[Swap]) -> CandidateBatch:
    n = len(swaps)
    origin = [f"{finalist.formulas[0]}, {swap.old} to {swap.new}" for swap in swaps]
    old, new = (np.array([getattr(swap, name) for swap in swaps], np.uint8) for name in ("old_number", "new_number"))
    if not bool(finalist.has_crystal[0]):
        elements = np.where(reduced.elements[None] == old[:, None], new[:, None], reduced.elements[None])
        order = np.argsort(elements, axis=1, kind="stable")
        width = len(reduced.elements)
        amounts = np.broadcast_to(reduced.amounts, (n, width))
        made = Compositions(
            np.arange(n + 1, dtype=np.int64) * width,
            np.take_along_axis(elements, order, axis=1).reshape(-1).astype(np.uint8),
            np.take_along_axis(amounts, order, axis=1).reshape(-1),
        )
        return composition_batch(made, origin=origin)
    assert finalist.crystals is not None
    base = finalist.crystals.take(np.zeros(n, np.int64))
    rows = np.repeat(np.arange(n), base.site_counts)
    species = np.where(base.species == old[rows], new[rows], base.species).astype(np.uint8)
    scale = np.array([swap.scale for swap in swaps])
    crystals = Crystals(base.lattice * scale[:, None, None], base.offsets, species, base.frac_coords)
    batch = CandidateBatch.from_crystals(crystals, {Column.ORIGIN: origin})
    if Column.SPACE_GROUP_NUMBER not in finalist.table.column_names:
        return batch
    return batch.with_columns(
        {Column.SPACE_GROUP_NUMBER: finalist.table.column(Column.SPACE_GROUP_NUMBER).take([0] * n)}
    )
