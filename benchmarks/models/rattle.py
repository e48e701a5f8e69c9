"""A small displacement of all atoms and a second relaxation: how many new compounds fall, how far, and in what time.

Sixty children of the default generator, compositions that no packaged crystal has, are relaxed with CHGNet under the
limits of the packaged campaign. Then all atoms are moved and the crystals relax again, as in a campaign. Two rivals
stand beside it. The symmetric crystals are relaxed further under a fifth of the limit of forces, without any
displacement: what they fall by is not due to symmetry. From there the test is repeated under that strict limit: so
many falls are there to be found. The size of the displacement was chosen on another draw of sixty children.

``python benchmarks/models/rattle.py``, with the extra ``potentials``; some ten minutes.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column
from matloop.featurizers.crystal import space_group_numbers
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.rattling import FALL_TOLERANCE, rattle_and_relax
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.bench.hardware import describe

CHILDREN = 60
EXCLUDED = {"Cd", "Hg", "Pb", "As", "Tl", "Be", "Tc", "Pm", "Po", "Ac", "Th", "Pa", "U", "Np", "Pu"}
STAGE = PotentialStage()
LIMITS = RelaxationLimits(largest_force=0.1, steps=150, seconds=300)
STRICT = RelaxationLimits(largest_force=0.02, steps=300, seconds=300)


def new_children() -> CandidateBatch:
    """Children drawn at random among all whose composition no packaged crystal has."""
    batches = [intake.batch for intake in IonicSubstitution(limit=160_000).intakes(20_000)]
    known = set(load_materials().formulas)
    new = [
        (number, row)
        for number, batch in enumerate(batches)
        for row, formula in enumerate(batch.formulas)
        if formula not in known and not EXCLUDED & set(re.findall("[A-Z][a-z]?", formula))
    ]
    drawn = np.random.default_rng(1).choice(len(new), CHILDREN, replace=False)
    print(f"{CHILDREN} of {len(new):,} children with a composition that is new to the packaged crystals")
    tables = [batches[new[k][0]].take([new[k][1]]).to_arrow() for k in np.sort(drawn).tolist()]
    return CandidateBatch.from_arrow(pa.concat_tables(tables))


def spent(batch: CandidateBatch) -> NDArray[np.float64]:
    """Seconds and steps that the relaxations of a batch took together."""
    return np.array([np.nansum(batch.column(name)) for name in (Column.RELAXATION_SECONDS, Column.RELAXATION_STEPS)])


def told(name: str, falls: NDArray[np.float64], more: NDArray[np.float64], first: NDArray[np.float64]) -> None:
    """Print how many fell by more than 5 meV/atom, how far, and in what time."""
    fell = 1000 * np.sort(falls[falls >= FALL_TOLERANCE])[::-1]
    print(f"{name}: {len(fell)} of {np.isfinite(falls).sum()} fell by {1000 * FALL_TOLERANCE:.0f} meV/atom or more")
    if len(fell):
        print(f"  by {', '.join(f'{fall:.0f}' for fall in fell)} meV/atom (median {np.median(fell):.0f})")
    (seconds, steps), (before, steps_before) = more, first
    print(
        f"  {seconds:.0f} s and {steps:.0f} steps beside {before:.0f} s and {steps_before:.0f} steps of the first one"
    )


def main() -> None:
    """Print everything."""
    print(describe("torch", "chgnet"))
    usual, strict = GuardedRelaxationSettings(limits=LIMITS), GuardedRelaxationSettings(limits=STRICT)
    first = relax_guarded("chgnet", new_children(), usual)
    converged = np.flatnonzero(first.column(Column.RELAXATION_OUTCOME) == "converged")
    alone = spent(first)
    first = first.take(converged)
    print(f"{len(converged)} converged at {LIMITS.largest_force} eV/Å; the others are left out below")
    moved = rattle_and_relax("chgnet", first, usual, displacement=STAGE.rattle)
    gains = moved.column(Column.RELAXATION_RATTLE_GAIN)
    told(f"moved by {STAGE.rattle} Å", gains, spent(moved) - spent(first), alone)
    fell = np.flatnonzero(gains > 0)
    further = relax_guarded("chgnet", first, strict)
    slope = first.column(Column.RELAXATION_ENERGY) - further.column(Column.RELAXATION_ENERGY)
    told(f"relaxed further to {STRICT.largest_force} eV/Å, not moved", slope, spent(further), alone)
    deep = rattle_and_relax("chgnet", further, strict, displacement=STAGE.rattle)
    there = deep.column(Column.RELAXATION_RATTLE_GAIN)
    told(f"moved by {STAGE.rattle} Å under that limit", there, spent(deep) - spent(further), alone)
    saddles = there > 0
    print(
        f"of the {saddles.sum()} that fall under the strict limit the test of the campaign finds {saddles[fell].sum()}"
    )
    assert first.crystals is not None
    assert moved.crystals is not None
    before, after = space_group_numbers(first.crystals), space_group_numbers(moved.crystals)
    print("what fell in the campaign: space group before and after, fall, fall without displacement, in meV/atom")
    for row in fell.tolist():
        print(
            f"  {first.formulas[row]:<16} {before[row]:3.0f} -> {after[row]:3.0f}  {1000 * gains[row]:5.0f} "
            f"{1000 * slope[row]:5.0f}"
        )
    print(f"{np.sum(before[fell] != after[fell])} of {len(fell)} left their space group")


if __name__ == "__main__":
    main()
