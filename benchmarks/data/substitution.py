"""Ionic substitution: how many candidates, how fast on one core, and how well the scaled cells fit.

``python benchmarks/data/substitution.py``
"""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np

from matloop.data.chemistry.ions import load_ions
from matloop.data.generators.ionic_substitution import IonicSubstitution, ideal_bond_lengths
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


if __name__ == "__main__":
    print(describe("pymatgen"))
    rate()
    volumes()
