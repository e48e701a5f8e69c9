"""Ions of the published substitution table, and their charge-neutral assignment to compositions."""

from __future__ import annotations

import functools
import inspect
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import SYMBOLS, element_table

MOST_ELEMENTS = 6
_NEVER_OBSERVED = -5.0  # weight of pairs that are not in the table


class Ions(NamedTuple):
    """Ionic species, and how probably one replaces another in crystals.

    The table is that of Hautier, Fischer, Ehrlacher, Jain, Ceder, Inorg. Chem. 50, 656 (2011), as pymatgen ships it.

    Attributes:
        elements: Atomic number of each of the s species, sorted by (element, charge).
        charges: Charge of each species in elementary charges.
        log_prior: Log of the species' share in the table's substitutions.
        log_probability: Entry [i, j] is log P(j takes the site | i holds it), shape (s, s).
        radii: Shannon ionic radius in Å, or the atomic radius if there is none.
    """

    elements: NDArray[np.uint8]
    charges: NDArray[np.int64]
    log_prior: NDArray[np.float64]
    log_probability: NDArray[np.float64]
    radii: NDArray[np.float64]

    def label(self, ion: int) -> str:
        """The species as written in chemistry, for example ``Fe3+``."""
        charge = int(self.charges[ion])
        size = "" if abs(charge) == 1 else str(abs(charge))
        return f"{SYMBOLS[self.elements[ion]]}{size}{'+' if charge > 0 else '-'}"


@functools.cache
def load_ions() -> Ions:
    """Load the species table from the file of pymatgen, whose own reader takes seconds."""
    from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionProbability
    from pymatgen.core import Species

    beside = Path(inspect.getfile(SubstitutionProbability)).parent
    table = json.loads((beside / "data" / "lambda.json").read_text(encoding="utf-8"))
    table = [row for row in table if "D1+" not in row]  # deuterium
    ions = {name: Species.from_str(name) for row in table for name in row[:2]}
    names = sorted(ions, key=lambda name: (ions[name].element.Z, ions[name].oxi_state))
    species, number = [ions[name] for name in names], {name: row for row, name in enumerate(names)}
    one, other = np.array([[number[name] for name in row[:2]] for row in table]).T
    weights = np.full((len(species), len(species)), np.exp(_NEVER_OBSERVED))
    weights[one, other] = weights[other, one] = np.exp([row[2] for row in table])
    marginal = weights.sum(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every ion whose ionic radius it has to replace
        radii = np.array([float(ion.ionic_radius or ion.element.atomic_radius or np.nan) for ion in species])
    kept = np.flatnonzero(np.isfinite(radii))
    return Ions(
        np.array([ion.element.Z for ion in species], np.uint8)[kept],
        np.array([ion.oxi_state for ion in species], np.int64)[kept],
        np.log(marginal / weights.sum())[kept],
        np.log(weights / marginal[:, None])[np.ix_(kept, kept)],
        radii[kept],
    )


def assign_ions(compositions: Compositions, ions: Ions) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Choose one species per element: the most common choice that is charge-neutral.

    Args:
        compositions: Reduced compositions with whole amounts.
        ions: Species to choose from.

    Returns:
        Species of each composition entry (-1 if none was found), and which compositions have an assignment.
        The most electronegative element is always an anion.
        Compositions of more than six elements, with an element outside the table, or neutral only with mixed valence
        (Fe3O4) have none.
    """
    chosen = np.full(len(compositions.elements), -1, np.int64)
    electronegativity = element_table().columns(("pauling_electronegativity",))[:, 0]
    first = np.searchsorted(ions.elements, np.arange(len(SYMBOLS) + 1)).astype(np.int64)
    found = _assign(
        compositions.offsets, compositions.elements, compositions.amounts, electronegativity,
        first, ions.charges, ions.log_prior, chosen,
    )  # fmt: skip
    return chosen, found


@numba.njit(cache=True, nogil=True)
def _assign(offsets, elements, amounts, electronegativity, first, charges, log_prior, chosen):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    found = np.zeros(n, np.bool_)
    trial = np.empty(MOST_ELEMENTS, np.int64)
    for i in range(n):
        start, count = offsets[i], offsets[i + 1] - offsets[i]
        if count < 2 or count > MOST_ELEMENTS:
            continue
        combinations = 1
        for k in range(count):
            combinations *= first[elements[start + k] + 1] - first[elements[start + k]]
        anion, best = 0, -np.inf
        for k in range(count):
            if electronegativity[elements[start + k]] > electronegativity[elements[start + anion]]:
                anion = k
        for combination in range(combinations):
            rest, charge, score = combination, 0.0, 0.0
            for k in range(count):
                low = first[elements[start + k]]
                options = first[elements[start + k] + 1] - low
                trial[k] = low + rest % options
                rest //= options
                charge += charges[trial[k]] * amounts[start + k]
                score += log_prior[trial[k]]
            if charges[trial[anion]] < 0 and abs(charge) < 1e-6 and score > best:
                best = score
                found[i] = True
                for k in range(count):
                    chosen[start + k] = trial[k]
    return found
