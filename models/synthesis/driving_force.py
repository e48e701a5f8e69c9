"""Driving forces of reactions: energies of the hull at 0 K, and a stated correction for the entropy of gases.

Two numbers are told for each route. The reaction energy as written needs an energy of every precursor and gas. That of
the residues, what the precursors become when they decompose (:mod:`matloop.data.synthesis.residues`), needs none of the
salts: the energy of a residue is that of the cheapest mixture of phases of its composition. At a temperature T the
entropies of the gases are taken into account by their standard values at 298 K; those of solids are taken to cancel,
as in an Ellingham diagram. Energies of the hull carry corrections of its database for oxides, and its condensed gases
(CO2, H2O) stand for the gases, so that errors of carbonates and hydroxides cancel in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from matloop.data.synthesis.amounts import Amounts
from matloop.data.synthesis.gases import entropy_term
from matloop.data.synthesis.precursors import Precursor
from matloop.data.synthesis.reactions import Reaction
from matloop.data.synthesis.residues import residue
from matloop.models.synthesis.phase_hull import PhaseHull

USUAL_ERROR = 0.024
"""Standard deviation of reaction energies between oxides in eV/atom: G. Hautier, S. P. Ong, A. Jain, C. J. Moore and
G. Ceder, Phys. Rev. B 85, 155208 (2012), doi:10.1103/PhysRevB.85.155208."""
SELF_HEATING = -0.39
"""Reaction energy in eV/atom from which a powder may heat itself to 1800 K and react at once: (1800 K - 298 K) times
the heat capacity 3 R of an atom by Dulong and Petit. From this adiabatic temperature on reactions sustain themselves
(Z. A. Munir and U. Anselmi-Tamburini, Materials Science Reports 3, 277 (1989), doi:10.1016/0920-2307(89)90001-7)."""
_OXYGEN_STEPS = 24


class DrivingForce(NamedTuple):
    """Energies of a route in eV for an atom of the target; negative ones drive the reaction.

    Attributes:
        as_written: Reaction energy at 0 K; None where an energy lacks.
        as_written_hot: The same with the entropy of the gases at the temperature.
        without_energy: Precursors and gases that the hull does not list.
        of_residues: Reaction energy at 0 K from the residues; None where they do not balance with oxygen alone.
        of_residues_hot: The same with the entropy of the oxygen that is taken up or leaves.
        decomposes: Whether a precursor decomposes, so that the residues are not what is heated.
    """

    as_written: float | None
    as_written_hot: float | None
    without_energy: tuple[str, ...]
    of_residues: float | None
    of_residues_hot: float | None
    decomposes: bool = False

    @property
    def deciding(self) -> float | None:
        """The number by which routes are compared: of the residues if known, else as written, at the temperature."""
        return self.as_written_hot if self.of_residues_hot is None else self.of_residues_hot

    @property
    def uphill(self) -> bool:
        """Whether the reaction costs energy by more than the usual error."""
        return self.deciding is not None and self.deciding > USUAL_ERROR

    @property
    def self_heating(self) -> bool:
        """Whether the heat of the reaction, all of it kept by the target, may make it run away.

        As written; where that is not known, from the residues, unless a precursor decomposes, which takes heat.
        """
        heat = self.of_residues if self.as_written is None and not self.decomposes else self.as_written
        return heat is not None and heat <= SELF_HEATING


def driving_force(
    reaction: Reaction,
    precursors: Sequence[Precursor],
    target: Amounts,
    energy: float,
    *,
    hull: PhaseHull,
    temperature: float,
) -> DrivingForce:
    """Compute the driving force of a route.

    Args:
        reaction: To one mole of the target.
        precursors: Those of the reaction, in its order.
        target: Atoms in a formula unit of the target.
        energy: Of a formula unit of the target in eV.
        hull: Where the energies come from.
        temperature: K.
    """
    atoms = float(sum(target.values()))
    solids = [(term, float(term.amount), hull.energy_of_substance(term.amounts)) for term in reaction.solids]
    gases = [(term, float(term.amount), hull.energy_of_substance(term.amounts)) for term in reaction.gases]
    without = tuple(term.formula for term, _, found in (*solids, *gases) if found is None)
    written = hot = None
    if not without:
        written = energy + sum(amount * (found or 0.0) for _, amount, found in gases)
        written -= sum(amount * (found or 0.0) for _, amount, found in solids)
        hot = written - sum(amount * entropy_term(term.formula, temperature) for term, amount, _ in gases)
    cold_residues, hot_residues = _of_residues(reaction, precursors, target, energy, hull, temperature)
    values = (None if value is None else value / atoms for value in (written, hot, cold_residues, hot_residues))
    first, second, third, fourth = values
    decomposes = any(residue(one) != one.amounts for one in precursors)
    return DrivingForce(first, second, without, third, fourth, decomposes)


def _of_residues(
    reaction: Reaction,
    precursors: Sequence[Precursor],
    target: Amounts,
    energy: float,
    hull: PhaseHull,
    temperature: float,
) -> tuple[float | None, float | None]:
    """Energy of the target less that of the residues and of the oxygen that balances them, in eV for a formula unit."""
    residues = [residue(precursor) for precursor in precursors]
    left = dict(target)
    for term, one in zip(reaction.solids, residues, strict=True):
        for symbol, amount in one.items():
            left[symbol] = left.get(symbol, Fraction(0)) - term.amount * amount
    if any(amount for symbol, amount in left.items() if symbol != "O"):
        return None, None
    oxygen = float(left.get("O", Fraction(0))) / 2
    energies = hull.mixture_energies([one for one in residues if one])
    if any(found is None for found in energies) or not all(residues):
        return None, None
    cold = energy - sum(
        float(term.amount) * (found or 0.0) for term, found in zip(reaction.solids, energies, strict=True)
    )
    return cold, cold + oxygen * entropy_term("O2", temperature)


def takes_up_oxygen(target: Amounts, *, hull: PhaseHull, temperature: float) -> bool:
    """Whether the cheapest phases of a composition and oxygen are more oxidised than the composition.

    Oxygen counts at 1 bar and the temperature. A gain of energy below the usual error does not count.

    Args:
        target: Atoms in a formula unit.
        hull: Where the energies come from.
        temperature: K.
    """
    atoms = sum(target.values())
    shares = [Fraction(step, 2 * _OXYGEN_STEPS) * atoms for step in range(_OXYGEN_STEPS + 1)]  # moles of O2
    mixtures = [{**target, "O": target.get("O", Fraction(0)) + 2 * share} for share in shares]
    mixtures[0] = dict(target)
    found = hull.mixture_energies(mixtures)
    if any(energy is None for energy in found):
        return False
    costs = np.array([float(share) * entropy_term("O2", temperature) for share in shares])
    gains = np.array(found, float) + costs
    return bool((gains - gains[0]).min() < -USUAL_ERROR * float(atoms))
