"""Phases that compete with a candidate: those it would decompose into, and known ones without an energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.properties.columns import Column, property_column


class CompetingPhase(NamedTuple):
    """A phase on the hull that a candidate would decompose into.

    Attributes:
        formula: Reduced formula.
        share: Share of the atoms of the candidate that would end in it.
        energy: Formation energy in eV/atom.
        material_id: Of a known crystal of the phase, the most stable one; empty where none is known.
        crystal: That crystal, a batch of one row; None where none is known.
    """

    formula: str
    share: float
    energy: float
    material_id: str = ""
    crystal: CandidateBatch | None = None


class Competition(NamedTuple):
    """What competes with a candidate.

    Attributes:
        phases: On the hull of the database, those it would decompose into; its own composition is left out.
        known: How many other compositions of its elements are known.
        with_energy: How many of these have an energy.
        without_energy: Formulas of some that have none.
    """

    phases: list[CompetingPhase]
    known: int
    with_energy: int
    without_energy: Sequence[str]

    def record(self, source: str) -> dict[str, Any]:
        """What competes as plain JSON values; energies in eV/atom.

        Args:
            source: Key of the source of all its numbers.
        """
        return {
            "source": source,
            "decomposes_into": [
                {"formula": phase.formula, "share_of_atoms": phase.share, "formation_energy": phase.energy,
                 "material_id": phase.material_id or None}
                for phase in self.phases
            ],
            "unit": "eV/atom",
            "known_compositions": self.known,
            "known_compositions_with_energy": self.with_energy,
            "without_energy": list(self.without_energy),
        }  # fmt: skip


def with_crystals(phases: Sequence[CompetingPhase], known: CandidateBatch) -> list[CompetingPhase]:
    """Name the known crystal of each phase, the most stable one where there are several.

    Args:
        phases: The phases.
        known: Known crystals with their ids and energies above hull.

    >>> from matloop.data.training.packaged_tables import packaged_crystals
    >>> (quartz,) = with_crystals([CompetingPhase("SiO2", 1.0, -3.2)], packaged_crystals())
    >>> quartz.material_id[:3], quartz.crystal.formulas
    ('mp-', ['SiO2'])
    """
    energies = np.nan_to_num(known.column(property_column("energy_above_hull", "dft")).astype(float), nan=np.inf)
    keys, names = composition_keys(known.compositions), known.table[Column.MATERIAL_ID].to_pylist()
    parsed = CandidateBatch.from_formulas([phase.formula for phase in phases]).batch
    own = dict(zip(parsed.formulas, composition_keys(parsed.compositions).tolist(), strict=True))
    found = []
    for phase in phases:
        rows = np.flatnonzero(keys == own[phase.formula]) if phase.formula in own else np.array([], np.int64)
        if len(rows):
            row = int(rows[np.argmin(energies[rows])])
            phase = phase._replace(material_id=str(names[row]), crystal=known.take(np.array([row])))
        found.append(phase)
    return found
