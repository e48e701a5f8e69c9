"""How many known stable crystals raise each flag, and how many of the ranked candidates of a run.

A flag that known compounds raise as often as candidates says nothing. The packaged crystals on the hull are put through
the same rules as candidates; bond lengths are corrected by one half of their formulas and judged on the other half, in
turn. Flags about a substitution or a relaxation cannot be raised by them.

``python benchmarks/screening/flags.py [RUN]``
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.packaged.crystals_near_hull import MOST_SITES, crystals_near_hull
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column
from matloop.screening.flags.flags import Flag, raised_in, with_flags
from matloop.screening.flags.site_chemistry import bond_corrections_of
from matloop.screening.runs.run_view import RunView

TOP = 20
OF_UNLIKE_CHARGES = 3
"""Semicolons in what is told of an ordered slice whose two cations have unlike charges."""


def known_stable() -> CandidateBatch:
    """The packaged crystals on the hull, at most as large as those that correct bond lengths, without elements."""
    materials = load_materials()
    assert materials.crystals is not None
    small = materials.crystals.site_counts <= MOST_SITES
    on_hull = materials.column("energy_above_hull_dft") <= 0
    return materials.take(np.flatnonzero(small & on_hull & (materials.compositions.lengths > 1)))


def judged_by_the_other_half(crystals: CandidateBatch) -> list[CandidateBatch]:
    """The crystals with their flags, in parts; each is judged by bond lengths of other formulas."""
    reference = crystals_near_hull()
    halves = composition_keys(reference.compositions) % 2
    own = composition_keys(crystals.compositions) % 2
    parts = []
    for half in (0, 1):
        corrections = bond_corrections_of(reference.take(np.flatnonzero(halves != half)))
        rows = np.flatnonzero(own == half)
        for start in range(0, len(rows), 500):
            parts.append(with_flags(crystals.take(rows[start : start + 500]), corrections=corrections))
    return parts


def raised_by(parts: list[CandidateBatch]) -> tuple[dict[Flag, int], int, int, int]:
    """Crystals by flag; crystals in all, those with oxidation states, and those with a judged bond-valence sum."""
    counts, rows, assigned, judged = dict.fromkeys(Flag, 0), 0, 0, 0
    for part in parts:
        for codes in part.table[Column.FLAGS].to_pylist():
            for flag in raised_in(codes):
                counts[flag] += 1
        rows += len(part)
        assigned += sum(bool(text) for text in part.table[Column.OXIDATION_STATES].to_pylist())
        judged += sum(bool(text) for text in part.table[Column.BOND_VALENCE_SUMS].to_pylist())
    return counts, rows, assigned, judged


def main() -> None:
    """Print the shares."""
    crystals = known_stable()
    parts = judged_by_the_other_half(crystals)
    counts, rows, assigned, judged = raised_by(parts)
    told = f"{assigned:,} have oxidation states, {judged:,} a bond-valence sum"
    print(f"{rows:,} packaged crystals on the hull of at most {MOST_SITES} sites: {told}")
    ranked = None
    if len(sys.argv) > 1:
        batch = RunView(Path(sys.argv[1])).ranked
        ranked = batch if Column.FLAGS in batch.table.column_names else with_flags(batch)
        print(f"{len(ranked):,} ranked candidates of the run")
    print(f"{'flag':22} {'known':>6} {'share':>7} {'of judged':>10}" + ("   ranked   top 20" if ranked else ""))
    for flag in Flag:
        judges = {Flag.BOND_VALENCE: judged, Flag.ORDERED_SLICE: assigned, Flag.OPEN_SHELL: assigned}.get(flag, rows)
        share, of_judged = counts[flag] / rows, counts[flag] / judges
        line = f"{flag:22} {counts[flag]:6,} {share:7.1%} {of_judged:10.1%}"
        if ranked is not None:
            raised = [flag in raised_in(codes) for codes in ranked.table[Column.FLAGS].to_pylist()]
            line += f" {np.mean(raised):8.1%} {sum(raised[:TOP]):8}"
        print(line)
    slices = [text for part in parts for text in part.table[Column.ORDERED_SLICE].to_pylist() if text]
    unlike = sum(text.count(";") == OF_UNLIKE_CHARGES for text in slices)
    print(f"{'ordered slices of unlike charges':34} {unlike:6,} {unlike / assigned:7.1%} of judged")
    raised = [set(raised_in(codes)) for part in parts for codes in part.table[Column.FLAGS].to_pylist()]
    for name, chosen in (("any", set(Flag)), ("any but open_shells", set(Flag) - {Flag.OPEN_SHELL})):
        count = sum(bool(flags & chosen) for flags in raised)
        print(f"{name:22} {count:6,} {count / rows:7.1%}")


if __name__ == "__main__":
    main()
