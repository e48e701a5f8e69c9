"""Formation energies and energies above the hull of computed phases, from the energies of their own elements.

Nothing is borrowed from another calculation: the elements that formation energies count from, and the phases of the
hull, are among the phases themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS
from matloop.data.errors import EnergySourceError
from matloop.data.own_labels.derived_labels import Derivation
from matloop.data.plain_text import counted
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import Hull, PhaseEnergies

SOURCE = "own energies"
ROUNDING = 1e-9  # eV/atom
NO_ELEMENT = "E-HULL-ELEMENT"


def formation_energies(compositions: Compositions, energies: NDArray[np.float64]) -> Derivation:
    """Count the energies of n phases from those of the pure elements among them.

    Args:
        compositions: Elements and amounts.
        energies: Total energies in eV/atom, shape (n,).

    Returns:
        Formation energies. A phase with an element of which there is no pure phase has a code and names the element.

    Raises:
        EnergySourceError: If nothing can be derived, because elements are missing; the message names them.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> phases, _ = parse_formulas(["Na", "Cl2", "NaCl", "NaBr"])
    >>> found = formation_energies(phases, np.array([-1.3, -1.8, -3.4, -3.1]))
    >>> found.values.round(3).tolist(), found.details[3]
    ([0.0, 0.0, -1.85, nan], 'there is no energy of pure Br')
    """
    formation = _formation(compositions, energies)
    missing = missing_elements(compositions, np.isnan(_elements(compositions, energies).energies))
    codes = np.array([NO_ELEMENT if symbols else "" for symbols in missing], dtype="<U32")
    lacking = sorted({symbol for symbols in missing for symbol in symbols}, key=SYMBOLS.index)
    if len(codes) and not ((codes == "") & (compositions.lengths > 1)).any():
        raise EnergySourceError(
            f"energies of {counted(len(codes), 'phase')} without one of pure {', '.join(lacking) or 'compounds'}",
            "the energy of each element in its pure form, computed as the compounds are",
            "add the elements to the file; their energies cannot come from another calculation",
        )
    details = [f"there is no energy of pure {', '.join(symbols)}" if symbols else "" for symbols in missing]
    remarks = []
    if lacking:
        rows = int((codes != "").sum())
        remarks.append(f"no energy of pure {', '.join(lacking)}, so that {counted(rows, 'row')} teach nothing")
    return Derivation(formation.energies, codes, details, remarks)


def energies_above_hull(compositions: Compositions, energies: NDArray[np.float64]) -> Derivation:
    """Place n phases on the convex hull that they form together.

    Args:
        compositions: Elements and amounts.
        energies: Total energies in eV/atom, shape (n,).

    Returns:
        Energies above the hull, never negative, because each phase is compared with itself too; codes as in
        :func:`formation_energies`.

    Raises:
        EnergySourceError: If nothing can be derived, because elements are missing; the message names them.
    """
    found = formation_energies(compositions, energies)
    formation = _formation(compositions, energies)
    distances = Hull(formation).distances(formation)
    sparse = int((distances.sparse & (found.codes == "") & (compositions.lengths > 1)).sum())
    remarks = list(found.remarks)
    if sparse:
        remarks.append(
            f"{counted(sparse, 'row')} have few competing phases in the file; their energy above the hull is a lower "
            "bound"
        )
    above = distances.energy_above_hull
    return found._replace(values=np.where(above < ROUNDING, 0.0, above), remarks=remarks)


def missing_elements(compositions: Compositions, lacks: NDArray[np.bool_]) -> list[list[str]]:
    """Return the symbols of the elements of each of n phases that have no pure phase.

    Args:
        compositions: Elements and amounts.
        lacks: Whether there is no pure phase, by atomic number, shape (119,).
    """
    missing: list[list[str]] = [[] for _ in range(len(compositions))]
    for row, element in zip(compositions.rows.tolist(), compositions.elements.tolist(), strict=True):
        if lacks[element]:
            missing[row].append(SYMBOLS[element])
    return missing


def _elements(compositions: Compositions, energies: NDArray[np.float64]) -> ElementalReferences:
    return ElementalReferences.of_crystals(_phases(compositions, energies))


def _formation(compositions: Compositions, energies: NDArray[np.float64]) -> PhaseEnergies:
    return _elements(compositions, energies).formation_energies(_phases(compositions, energies))


def _phases(compositions: Compositions, energies: NDArray[np.float64]) -> PhaseEnergies:
    return PhaseEnergies(SOURCE, compositions, energies, [str(row) for row in range(len(energies))])
