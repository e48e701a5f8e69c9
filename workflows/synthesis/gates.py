"""Makeability, question by question: what charges, valences, phases and relatives say of a compound.

No gate outweighs another, and they are never added up.
"""

from __future__ import annotations

import numpy as np

from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.assigned_states import assigned_states, states_in_words
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.synthesis.amounts import Amounts
from matloop.data.synthesis.plan import Gate, Verdict
from matloop.models.stability.coverage import REACH
from matloop.models.stability.makeable import present_kinship
from matloop.models.stability.packaged_stability import known_phases
from matloop.models.synthesis.driving_force import USUAL_ERROR
from matloop.models.synthesis.phase_hull import PhaseHull, compositions_of

COVERED = 0.5
"""Share of the known compositions of a chemical system that must have an energy."""
NEIGHBOURS = 1.0
"""Sum of likeness to known compounds: that of one relative whose element replaces the own as often as chance has it."""


def makeability_gates(
    target: Amounts, energy: float | None, reaction_energy: float | None, *, oxidises: bool, hull: PhaseHull
) -> tuple[Gate, ...]:
    """Ask every question.

    Args:
        target: Atoms in a formula unit.
        energy: Of a formula unit in eV, where it is known rather than assumed.
        reaction_energy: Of the simplest route in eV for an atom of the target; None where it is not known.
        oxidises: Whether the target takes up oxygen from air.
        hull: Where the energies come from.
    """
    compositions = compositions_of([target])
    return (
        *_charge(compositions),
        *_coverage(compositions),
        _above_hull(target, energy, hull),
        _reaction(reaction_energy),
        _neighbours(compositions),
        Gate(
            key="oxygen", verdict="failed" if oxidises else "passed", value=None, unit="", limit=None, source="hull"
        ),
    )  # fmt: skip


def _verdict(passed: bool) -> Verdict:
    return "passed" if passed else "failed"


def _charge(compositions: Compositions) -> tuple[Gate, Gate]:
    """Whether charges balance, and with which oxidation states."""
    balance = charge_balance(compositions.reduced()[0])
    neutral, metallic = bool(balance.neutral[0]), bool(balance.metallic[0])
    charge = Gate(
        key="charge", verdict="not_applicable" if metallic and not neutral else _verdict(neutral),
        value=round(float(balance.imbalance[0]), 4), unit="e/atom", limit=0.0, source="charge_balance",
    )  # fmt: skip
    words = "" if len(compositions.elements) == 1 else states_in_words(assigned_states(compositions), compositions, 0)
    missing: Verdict = "not_applicable" if metallic else "failed" if not neutral else "unknown"
    valence = Gate(
        key="valence", verdict="passed" if words else missing, value=words or None, unit="", limit=None,
        source="oxidation_states",
    )  # fmt: skip
    return charge, valence


def _coverage(compositions: Compositions) -> tuple[Gate, Gate]:
    """How many of the known compositions of the system have an energy, and whether one holds all its elements."""
    found = known_phases().coverage(compositions)
    known = int(found.known[0])
    share = float(found.shares[0])
    coverage = Gate(
        key="coverage", verdict="unknown" if not known else _verdict(share >= COVERED),
        value=round(share, 3) if known else None, unit="", limit=COVERED, source="known_compositions",
    )  # fmt: skip
    spans = Gate(
        key="spans_system", verdict=_verdict(bool(found.spans_system[0])), value=float(known), unit="", limit=None,
        source="known_compositions",
    )  # fmt: skip
    return coverage, spans


def _above_hull(target: Amounts, energy: float | None, hull: PhaseHull) -> Gate:
    """How far above the hull of all other compositions the target lies."""
    above = None if energy is None else hull.decomposition(target, energy)[0]
    known = above is not None and bool(np.isfinite(above))
    return Gate(
        key="above_hull", verdict="unknown" if not known or above is None else _verdict(above <= REACH),
        value=round(above, 4) if known and above is not None else None, unit="eV/atom", limit=REACH, source="hull",
    )  # fmt: skip


def _reaction(energy: float | None) -> Gate:
    """Whether energy drives the simplest route; a route from metals that burn would prove nothing."""
    return Gate(
        key="reaction", verdict="unknown" if energy is None else _verdict(energy <= USUAL_ERROR),
        value=None if energy is None else round(energy, 4), unit="eV/atom", limit=USUAL_ERROR, source="hull",
    )  # fmt: skip


def _neighbours(compositions: Compositions) -> Gate:
    """How closely known compounds are related to the target by the exchange of one element."""
    score = float(present_kinship().scores(compositions)[0])
    return Gate(
        key="neighbours", verdict=_verdict(score >= NEIGHBOURS), value=round(score, 2), unit="", limit=NEIGHBOURS,
        source="kinship",
    )  # fmt: skip
