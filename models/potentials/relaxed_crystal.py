"""The result of a relaxation: its limits, the outcomes, and the relaxed crystal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Outcome(StrEnum):
    """How a relaxation ended."""

    CONVERGED = "converged"
    NOT_CONVERGED = "not_converged"
    EXPLODED = "exploded"
    FAILED = "failed"


@dataclass(frozen=True)
class RelaxationLimits:
    """Limits at which a relaxation ends.

    Attributes:
        largest_force: In eV/Å; a relaxation has converged when no force exceeds it, and no row of stress times volume
            per atom (eV).
        steps: Largest number of steps of the optimiser.
        seconds: Longest wall time for one crystal; a single step is never interrupted.
        volume_ratio: Smallest and largest volume relative to the start; beyond them the crystal has exploded.
        shortest_distance: In Å; a crystal with two atoms closer than that has exploded.
    """

    largest_force: float = 0.05
    steps: int = 300
    seconds: float = 60.0
    volume_ratio: tuple[float, float] = (0.5, 2.0)
    shortest_distance: float = 0.6


class RelaxedCrystal(NamedTuple):
    """One crystal after relaxation.

    Attributes:
        outcome: How it ended.
        cell: Row vectors in Å, shape (3, 3); of the start where the outcome is exploded or failed.
        frac_coords: Fractional coordinates, shape (sites, 3); likewise.
        energies: First and last energy in eV/atom; nan for last where the outcome is exploded or failed.
        steps: Steps taken.
        seconds: Wall time.
        largest_force: Of the last step, eV/Å, stress included; nan likewise.
        code: Row code, where the outcome is failed.
        detail: Text about the explosion or failure.
    """

    outcome: Outcome
    cell: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    energies: tuple[float, float]
    steps: int
    seconds: float
    largest_force: float
    code: str = ""
    detail: str = ""


def failed(cell: Any, frac_coords: Any, *, code: str, detail: str, seconds: float = 0.0) -> RelaxedCrystal:
    """Return a relaxation that failed before it gave any result."""
    nothing = (np.nan, np.nan)
    return RelaxedCrystal(Outcome.FAILED, cell, frac_coords, nothing, 0, seconds, np.nan, code, detail)


def unconverged_detail(steps: int, force: float) -> str:
    """Tell after how many steps, and at which largest force in eV/Å, a relaxation stopped without converging."""
    return f"stopped after {steps} steps at {force:.3f} eV/Å"
