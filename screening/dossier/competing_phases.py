"""Phases that compete with a candidate: those it would decompose into, and known ones without an energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.properties.columns import Column


class CompetingPhase(NamedTuple):
    """A phase on the hull that a candidate would decompose into.

    Attributes:
        formula: Reduced formula.
        share: Share of the atoms of the candidate that would end in it.
        energy: Formation energy in eV/atom.
        material_id: Of its known crystal of lowest energy; empty where none is known.
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


def with_crystals(
    phases: Sequence[CompetingPhase], known: CandidateBatch, energies: NDArray[np.float64]
) -> list[CompetingPhase]:
    """Name the known crystal of each phase, of several polymorphs the one of lowest energy.

    Args:
        phases: The phases.
        known: n known crystals with their ids.
        energies: Of these by one potential, in eV/atom, shape (n,); a crystal with nan comes last.

    >>> from matloop.data.training.packaged_tables import packaged_crystals
    >>> crystals = packaged_crystals()
    >>> (zincite,) = with_crystals([CompetingPhase("ZnO", 1.0, -1.8)], crystals, np.zeros(len(crystals)))
    >>> zincite.material_id[:3], zincite.crystal.formulas
    ('mp-', ['ZnO'])
    """
    keys, names = composition_keys(known.compositions), known.table[Column.MATERIAL_ID].to_pylist()
    parsed = CandidateBatch.from_formulas([phase.formula for phase in phases]).batch
    own = dict(zip(parsed.formulas, composition_keys(parsed.compositions).tolist(), strict=True))
    found = []
    for phase in phases:
        rows = np.flatnonzero(keys == own[phase.formula]) if phase.formula in own else np.array([], np.int64)
        if len(rows):
            row = int(rows[np.argmin(np.nan_to_num(energies[rows], nan=np.inf))])
            phase = phase._replace(material_id=str(names[row]), crystal=known.take(np.array([row])))
        found.append(phase)
    return found
