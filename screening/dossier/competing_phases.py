"""Phases that compete with a candidate: those it would decompose into, and known ones without an energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column


class CompetingPhase(NamedTuple):
    """A phase on the hull that a candidate would decompose into.

    Attributes:
        formula: Reduced formula.
        share: Share of the atoms of the candidate that would end in it.
        energy: Formation energy in eV/atom.
        material_id: Of a packaged crystal of the phase, the most stable one; empty where none is packaged.
        row: Its row among the packaged crystals; -1 where none is.
    """

    formula: str
    share: float
    energy: float
    material_id: str = ""
    row: int = -1


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


def with_crystals(phases: Sequence[CompetingPhase]) -> list[CompetingPhase]:
    """Name the packaged crystal of each phase, the most stable one where there are several.

    >>> [phase.material_id for phase in with_crystals([CompetingPhase("SiO2", 1.0, -3.2)])][0][:3]
    'mp-'
    """
    known = load_materials()
    parsed = CandidateBatch.from_formulas([phase.formula for phase in phases]).batch
    energies = np.nan_to_num(known.table["energy_above_hull_dft"].to_numpy().astype(float), nan=np.inf)
    keys, found = composition_keys(known.compositions), []
    names = known.table[Column.MATERIAL_ID].to_pylist()
    own = dict(zip(parsed.formulas, composition_keys(parsed.compositions).tolist(), strict=True))
    for phase in phases:
        rows = np.flatnonzero(keys == own.get(phase.formula, 0))
        if len(rows):
            row = int(rows[np.argmin(energies[rows])])
            phase = phase._replace(material_id=str(names[row]), row=row)
        found.append(phase)
    return found
