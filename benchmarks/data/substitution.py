"""Substitution of ions and of elements: how many candidates, how fast on one core, how well scaled cells fit.

How well the table of element replacements foretells others: pairs of elements are counted over one half of the packaged
compositions, and its probabilities are asked for the pairs of the other half. Beside it stand one probability for all
elements, and what the table assumes before anything is counted; its three numbers were chosen on the half that is
counted.

``python benchmarks/data/substitution.py``
"""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys, gather_rows
from matloop.data.chemistry.ions import load_ions
from matloop.data.generators.element_substitution import (
    ElementSubstitution,
    element_replacements,
    every_crystal,
    replacement_pairs,
    replacement_probabilities,
)
from matloop.data.generators.ionic_substitution import IonicSubstitution, ideal_bond_lengths
from matloop.data.generators.prototype_decoration import volume_ratios
from matloop.data.generators.substitution import Parents
from matloop.data.packaged.materials import load_materials
from matloop.data.training.known_materials import KnownCompositions
from matloop.workflows.bench.hardware import describe

LIMIT = 160_000


def rate() -> None:
    """Candidates per second, planning included."""
    load_ions()
    known = KnownCompositions()
    for intake in IonicSubstitution(limit=2000).intakes(1000):  # compiles the kernels, reads tables
        known.include(intake.batch.compositions)
    start = time.process_time()
    source = IonicSubstitution(limit=LIMIT)
    total = new = 0
    ids: set[str] = set()
    for intake in source.intakes(10_000):
        total += len(intake.batch)
        new += int((~known.include(intake.batch.compositions)).sum())
        ids.update(intake.batch.ids)
    elapsed = time.process_time() - start
    print(f"{total:,} candidates in {elapsed:.1f} s of processor time: {total / elapsed:,.0f}/s (target: 20,000/s)")
    print(f"distinct ids {len(ids):,}; not known compounds {new:,} (target: 100,000)")


def volumes() -> None:
    """Volume per atom of a packaged crystal, taken over from an isostructural one, against its own."""
    ions, parents = load_ions(), IonicSubstitution().parents
    compositions, crystals = parents.batch.compositions, parents.batch.crystals
    own = crystals.volumes / crystals.site_counts
    bond = ideal_bond_lengths(compositions.offsets, parents.ions, compositions.amounts, ions)
    charges, space_groups = ions.charges[parents.ions], parents.batch.column("space_group_number")
    families = defaultdict(list)
    for row in range(len(parents.batch)):
        entries = slice(*compositions.offsets[row : row + 2])
        prototype = sorted(zip(parents.slot_signatures[entries].tolist(), charges[entries].tolist(), strict=True))
        families[space_groups[row], tuple(prototype)].append(row)
    random = np.random.default_rng(0)
    pairs = [
        random.choice(members, 2, replace=False)
        for members in families.values()
        for _ in range(min(20, 2 * len(members)) if len(members) > 1 else 0)
    ]
    other, this = np.array(pairs).T
    plain = np.abs(own[other] / own[this] - 1)
    scaled = np.abs(own[other] / own[this] * (bond[this] / bond[other]) ** 3 - 1)
    print(f"volume of {len(pairs):,} isostructural pairs, median error: unscaled {np.median(plain):.1%}, ", end="")
    print(f"scaled by ionic radii {np.median(scaled):.1%}")


def elements() -> None:
    """Element substitution: parents, candidates per second, held-out probabilities, and volumes of metals."""
    ionic, source = IonicSubstitution(), ElementSubstitution(limit=LIMIT)
    print(f"parents: {len(ionic.parents.batch):,} with ions, {len(source.parents.batch):,} without, ", end="")
    print(f"of {len(load_materials()):,} packaged crystals")
    start = time.process_time()
    total = sum(len(intake.batch) for intake in source.intakes(10_000))
    elapsed = time.process_time() - start
    print(f"element substitution: {total:,} candidates, {total / elapsed:,.0f}/s, planning included")
    everything, table = every_crystal(), element_replacements().elements
    half = composition_keys(everything.batch.compositions) % np.uint64(2) == 0
    counted, asked = (replacement_pairs(part(everything, np.flatnonzero(rows))) for rows in (half, ~half))
    asked = asked[np.ix_(table, table)]
    rules = {
        "one probability for all": np.full(asked.shape, 1 / (len(table) - 1)),
        "before counting": replacement_probabilities(np.zeros_like(counted), table),
        "counted in the other half": replacement_probabilities(counted, table),
    }
    print(f"mean log probability of {asked.sum() / 2:,.0f} held-out pairs: ", end="")
    apart = ~np.eye(len(table), dtype=bool)
    told = {name: (asked[apart] * np.log(rule[apart])).sum() / asked.sum() for name, rule in rules.items()}
    print(", ".join(f"{name} {mean:.2f}" for name, mean in told.items()))


def part(parents: Parents, rows: NDArray[np.int64]) -> Parents:
    """The parents in ``rows``."""
    entries, _ = gather_rows(parents.batch.compositions.offsets, rows)
    return Parents(
        parents.batch.take(rows), parents.ions[entries], parents.site_slots, parents.slot_signatures[entries]
    )


def volumes_without_ions() -> None:
    """Volume per atom of a crystal without ions that differs from another one in one element, taken over from it."""
    parents = ElementSubstitution().parents
    compositions, crystals = parents.batch.compositions, parents.batch.crystals
    own = crystals.volumes / crystals.site_counts
    amounts = np.rint(compositions.amounts * 1e4).astype(np.int64)
    groups = parents.batch.column("space_group_number")
    places = defaultdict(list)
    for row in range(len(parents.batch)):
        entries = range(*compositions.offsets[row : row + 2].tolist())
        filled = [(int(compositions.elements[k]), int(amounts[k]), int(parents.slot_signatures[k])) for k in entries]
        for at, k in enumerate(entries):
            others = tuple(sorted(filled[:at] + filled[at + 1 :]))
            places[groups[row], filled[at][1:], others].append((row, k))
    random = np.random.default_rng(0)
    pairs = [
        [members[one] for one in random.choice(len(members), 2, replace=False)]
        for members in places.values()
        for _ in range(min(20, 2 * len(members)) if len(members) > 1 else 0)
    ]
    ratios, plain = [], []
    for this, other in pairs:
        before = compositions.take(np.array([this[0]]))
        start = compositions.offsets[this[0]]
        elements_after = before.elements.copy()
        elements_after[this[1] - start] = compositions.elements[other[1]]
        made = Compositions(before.offsets, elements_after, before.amounts)
        ratios.append(volume_ratios(made, before)[0] * own[this[0]] / own[other[0]])
        plain.append(own[this[0]] / own[other[0]])
    scaled, unscaled = (np.median(np.abs(np.array(found) - 1)) for found in (ratios, plain))
    print(f"volume of {len(pairs):,} pairs without ions that differ in one element, median error: ", end="")
    print(f"unscaled {unscaled:.1%}, scaled {scaled:.1%}")


if __name__ == "__main__":
    print(describe("pymatgen"))
    rate()
    volumes()
    elements()
    volumes_without_ions()
