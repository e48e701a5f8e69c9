"""Phases that may form before the target: where two precursors meet, the phase with the largest driving force.

Reactions between powders begin where two grains touch, and the first phase is often the one with the largest driving
force of that pair (M. Bianchini et al., Nature Materials 19, 1088 (2020), doi:10.1038/s41563-020-0688-6). For each
pair of precursors, the phases are searched that form from their two residues and oxygen of the air.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from matloop.data.elements import SYMBOLS
from matloop.data.synthesis.amounts import Amounts
from matloop.data.synthesis.gases import entropy_term
from matloop.data.synthesis.precursors import Precursor
from matloop.data.synthesis.residues import residue
from matloop.models.synthesis.phase_hull import PhaseHull

_BALANCED = 1e-6
_SMALLEST = 1e-3  # eV/atom; a smaller driving force is none


class CompetingPhase(NamedTuple):
    """The phase that a pair of precursors would form first.

    Attributes:
        first: Formula of one precursor.
        second: Of the other.
        formula: Of the phase; empty where the two form none.
        driving_force: eV/atom of the phase at the temperature, negative; nan where there is none.
    """

    first: str
    second: str
    formula: str
    driving_force: float


def competing_phases(
    precursors: Sequence[Precursor], target: Amounts, *, hull: PhaseHull, temperature: float, oxygen: bool
) -> list[CompetingPhase]:
    """Find the phase that each pair of precursors would form first.

    Args:
        precursors: Of one route.
        target: Atoms in a formula unit of the target, which is no competitor of itself.
        hull: Where the energies come from.
        temperature: K.
        oxygen: Whether the phases may take up oxygen, or give it off, at 1 bar.
    """
    return [
        _first_phase(one, other, target, hull, temperature, oxygen)
        for one, other in itertools.combinations(precursors, 2)
    ]


def _first_phase(
    one: Precursor, other: Precursor, target: Amounts, hull: PhaseHull, temperature: float, oxygen: bool
) -> CompetingPhase:
    pair = [residue(one), residue(other)]
    none = CompetingPhase(one.formula, other.formula, "", float("nan"))
    if not all(pair):
        return none
    energies = hull.mixture_energies(pair)
    if any(energy is None for energy in energies):
        return none
    symbols = sorted({symbol for part in pair for symbol in part} | ({"O"} if oxygen else set()), key=SYMBOLS.index)
    phases = hull.phases_within(symbols)
    if not len(phases.ids):
        return none
    columns = [[float(part.get(symbol, 0)) for symbol in symbols] for part in pair]
    costs = [float(energy or 0.0) for energy in energies]
    if oxygen:
        columns.append([2.0 * (symbol == "O") for symbol in symbols])
        costs.append(-entropy_term("O2", temperature))
    fractions = np.zeros((len(phases.ids), len(symbols)))
    places = {SYMBOLS.index(symbol): place for place, symbol in enumerate(symbols)}
    fractions[phases.compositions.rows, [places[int(n)] for n in phases.compositions.elements]] = (
        phases.compositions.fractions
    )
    matrix = np.array(columns).T
    amounts, *_ = np.linalg.lstsq(matrix, fractions.T, rcond=None)
    rest = np.abs(matrix @ amounts - fractions.T).max(axis=0)
    own = np.array([float(target.get(symbol, 0)) for symbol in symbols])
    is_target = (
        np.abs(fractions - own / max(own.sum(), 1e-12)).max(axis=1) < _BALANCED
        if set(target) <= set(symbols)
        else np.zeros(len(fractions), bool)
    )
    fits = (rest < _BALANCED) & (amounts[:2] > _BALANCED).all(axis=0) & ~is_target
    forces = np.where(fits, phases.energies - np.array(costs) @ amounts, np.inf)
    best = int(forces.argmin())
    if not forces[best] < -_SMALLEST:
        return none
    return CompetingPhase(one.formula, other.formula, phases.ids[best], float(forces[best]))
