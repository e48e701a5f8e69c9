"""Powder diffraction in a dossier: the pattern of a candidate over those of the phases that compete with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matloop.data.errors import DiffractionError
from matloop.screening.dossier.competing_phases import CompetingPhase
from matloop.screening.dossier.diffraction import Pattern, Peak, Radiation, powder_pattern, telling_peaks
from matloop.screening.dossier.identity import Identity, identity_of

MOST_RIVALS = 5
_IN_TABLE = 25


class Rival(NamedTuple):
    """A competing phase with its pattern.

    Attributes:
        phase: The phase.
        pattern: Its pattern.
    """

    phase: CompetingPhase
    pattern: Pattern


class Diffraction(NamedTuple):
    """Powder diffraction of a candidate.

    Attributes:
        radiation: With which.
        pattern: Of the candidate; None where it was refused.
        refused: Why there is none; empty where there is one.
        rivals: Competing phases with a known crystal.
        without_crystal: Competing phases without one, or with one that is too large, by formula.
        telling: Peaks that tell the candidate from the rivals.
    """

    radiation: Radiation
    pattern: Pattern | None
    refused: str
    rivals: list[Rival]
    without_crystal: list[str]
    telling: list[Peak]

    @property
    def listed(self) -> list[Peak]:
        """The strongest peaks in the order of 2θ, as many as a table has room for."""
        return [] if self.pattern is None else self.pattern.strongest(_IN_TABLE)

    def record(self, source: str) -> dict[str, Any]:
        """The patterns as plain JSON values.

        Args:
            source: Key of the source of all their numbers.
        """
        return {
            "source": source,
            "radiation": self.radiation._asdict(),
            "units": {"wavelength": "Å", "d": "Å", "two_theta": "deg", "intensity": "% of the strongest peak"},
            "refused": self.refused or None,
            "peaks": [] if self.pattern is None else _peaks(self.pattern.peaks),
            "telling_peaks": _peaks(self.telling),
            "competing": [
                {"formula": rival.phase.formula, "material_id": rival.phase.material_id,
                 "peaks": _peaks(rival.pattern.peaks)}
                for rival in self.rivals
            ],
            "without_crystal": self.without_crystal,
        }  # fmt: skip


def _peaks(peaks: Sequence[Peak]) -> list[dict[str, Any]]:
    return [
        {"hkl": list(peak.planes), "d": round(peak.spacing, 5), "two_theta": round(peak.two_theta, 4),
         "intensity": round(peak.intensity, 2)}
        for peak in peaks
    ]  # fmt: skip


def diffraction_of(
    crystal: Identity | None, phases: Sequence[CompetingPhase], *, radiation: Radiation
) -> Diffraction | None:
    """Powder diffraction of a candidate; None without a crystal.

    Args:
        crystal: The symmetrised candidate.
        phases: What competes with it.
        radiation: With which.
    """
    if crystal is None:
        return None
    rivals: list[Rival] = []
    without: list[str] = []
    for phase in phases:
        pattern = _pattern_of_phase(phase, radiation) if len(rivals) < MOST_RIVALS else None
        if pattern is None:
            without.append(phase.formula)
        else:
            rivals.append(Rival(phase, pattern))
    try:
        pattern = powder_pattern(crystal.lattice, crystal.species, crystal.places, radiation=radiation)
    except DiffractionError as error:
        return Diffraction(radiation, None, str(error), rivals, without, [])
    telling = telling_peaks(pattern, [rival.pattern for rival in rivals]) if rivals else []
    return Diffraction(radiation, pattern, "", rivals, without, telling)


def _pattern_of_phase(phase: CompetingPhase, radiation: Radiation) -> Pattern | None:
    known = None if phase.crystal is None else identity_of(phase.crystal, 0)
    if known is None:
        return None
    try:
        return powder_pattern(known.lattice, known.species, known.places, radiation=radiation)
    except DiffractionError:
        return None
