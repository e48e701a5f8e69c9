"""Ionic substitution: how many candidates, how fast on one core, and how well the scaled cells fit.

``python benchmarks/substitution.py``
"""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np
from machine import describe

from matloop.data.known import known_composition_keys
from matloop.data.oxidation import load_ions
from matloop.data.substitution import IonicSubstitution

LIMIT = 160_000


def rate() -> None:
    """Candidates per second, planning included."""
    load_ions()
    known_composition_keys()  # tables read once per process
    for _ in IonicSubstitution(limit=2000).intakes(1000):  # compiles the kernels
        pass
    start = time.process_time()
    source = IonicSubstitution(limit=LIMIT)
    total = new = 0
    ids: set[str] = set()
    for intake in source.intakes(10_000):
        total += len(intake.batch)
        new += int((~intake.batch.column("known")).sum())
        ids.update(intake.batch.ids)
    elapsed = time.process_time() - start
    print(f"{total:,} candidates in {elapsed:.1f} s of processor time: {total / elapsed:,.0f}/s (target: 20,000/s)")
    print(f"distinct ids {len(ids):,}; not known compounds {new:,} (target: 100,000)")


def volumes() -> None:
    """Volume per atom predicted from an isostructural packaged crystal against the computed one."""
    ions = load_ions()
    parents = IonicSubstitution().parents
    batch = parents.batch
    volume = batch.crystals.volumes / batch.crystals.site_counts
    families = defaultdict(list)
    for row in range(len(batch)):
        span = slice(*batch.compositions.offsets[row : row + 2])
        key = sorted(zip(parents.slot_signatures[span].tolist(), ions.charges[parents.ions[span]].tolist(),
                         parents.ions[span].tolist(), batch.compositions.amounts[span].tolist(), strict=True))  # fmt: skip
        prototype = tuple((signature, charge) for signature, charge, _, _ in key)
        group = batch.table["space_group_number"][row].as_py()
        families[group, prototype].append((volume[row], [k[2] for k in key], np.array([k[3] for k in key])))
    plain, scaled = [], []
    random = np.random.default_rng(0)
    for members in families.values():
        for _ in range(min(20, 2 * len(members)) if len(members) > 1 else 0):
            (v1, s1, amounts), (v2, s2, _) = (members[i] for i in random.choice(len(members), 2, replace=False))
            if s1 != s2:
                ratio = 1.0
                for one, sign in ((s2, 1), (s1, -1)):
                    charge, radius = ions.charges[one], ions.radii[one]
                    parts = [amounts[charge * side > 0] @ radius[charge * side > 0] / amounts[charge * side > 0].sum()
                             for side in (1, -1)]  # fmt: skip
                    ratio *= sum(parts) ** (3 * sign)
                plain.append(abs(v1 - v2) / v2)
                scaled.append(abs(v1 * ratio - v2) / v2)
    print(f"volume of {len(plain):,} isostructural pairs, median error: parent's cell {np.median(plain):.1%}, "
          f"scaled {np.median(scaled):.1%}")  # fmt: skip


if __name__ == "__main__":
    print(describe("pymatgen"))
    rate()
    volumes()
