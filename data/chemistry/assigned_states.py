"""Oxidation states that neutralise a composition, one of them a mean where an element is of mixed valence."""

from __future__ import annotations

import itertools
import re

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.ions import assign_ions, load_ions
from matloop.data.chemistry.oxidation_states import MIXED_VALENCE, OXIDATION_STATES
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table

_MOST_ELEMENTS = 6
_STATE = re.compile(r"([A-Z][a-z]?)([0-9.]*)([+-])")


def assigned_states(compositions: Compositions) -> NDArray[np.float64]:
    """Choose the oxidation state of each element of each composition.

    The most common ions that neutralise the composition are chosen (:func:`~matloop.data.chemistry.ions.assign_ions`).
    Where no ions do, one element that occurs with mixed valence may have the mean state that neutralises it, which must
    lie between two neighbouring states of its own, as that of iron in Fe3O4 does. Metals have none.

    Args:
        compositions: n compositions.

    Returns:
        State of each composition entry; nan throughout a composition that nothing neutralises.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> asked = parse_formulas(["ZrSc2O5", "Fe3O4", "NaCl2", "Al"])[0]
    >>> [states_in_words(states, asked, row) for states in [assigned_states(asked)] for row in range(4)]
    ['Sc3+ Zr4+ O2-', 'Fe2.67+ O2-', '', '']
    """
    reduced, _ = compositions.reduced()
    ions = load_ions()
    chosen, found = assign_ions(reduced, ions)
    states = np.where(chosen >= 0, ions.charges[chosen], np.nan)
    balance = charge_balance(reduced)
    for row in np.flatnonzero(~found & balance.neutral & ~balance.metallic):
        entries = slice(reduced.offsets[row], reduced.offsets[row + 1])
        states[entries] = _mixed(reduced.elements[entries], reduced.amounts[entries])
    return states


def _mixed(elements: NDArray[np.uint8], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """States of one composition with an element of mixed valence, nan where there are none.

    The most electronegative element has its octet. Of several possibilities that with the highest states of the other
    elements is taken.
    """
    none = np.full(len(elements), np.nan)
    if not 2 <= len(elements) <= _MOST_ELEMENTS:
        return none
    electronegativity = element_table().columns(("pauling_electronegativity",))[elements.astype(np.int64), 0]
    anion = int(np.nan_to_num(electronegativity).argmax())
    choices = [list(OXIDATION_STATES.get(SYMBOLS[element], (0,))) for element in elements]
    choices[anion] = [state for state in choices[anion] if state < 0]
    best = none
    for mixed, element in enumerate(elements):
        if SYMBOLS[element] not in MIXED_VALENCE or mixed == anion:
            continue
        own = [state for state in choices[mixed] if state > 0]
        for others in itertools.product(*(options if k != mixed else [0] for k, options in enumerate(choices))):
            states = np.array(others, np.float64)
            states[mixed] = -(states @ amounts) / amounts[mixed]
            between = any(low < states[mixed] < high for low, high in itertools.pairwise(own))
            if between and (np.isnan(best).any() or tuple(np.delete(states, mixed)) > tuple(np.delete(best, mixed))):
                best = states
    return best


def state_label(element: int, state: float) -> str:
    """An element with its oxidation state, as chemistry writes ions.

    >>> state_label(26, 8 / 3), state_label(11, 1), state_label(8, -2)
    ('Fe2.67+', 'Na+', 'O2-')
    """
    size = "" if abs(state) == 1 else f"{abs(state):.3g}"
    return f"{SYMBOLS[element]}{size}{'+' if state > 0 else '-'}"


def states_in_words(states: NDArray[np.float64], compositions: Compositions, row: int) -> str:
    """The oxidation states of one composition, cations first; empty where it has none.

    Args:
        states: As :func:`assigned_states` returns them.
        compositions: Their compositions.
        row: One of them.
    """
    entries = slice(compositions.offsets[row], compositions.offsets[row + 1])
    pairs = list(zip(compositions.elements[entries].tolist(), states[entries].tolist(), strict=True))
    if any(np.isnan(state) for _, state in pairs):
        return ""
    return " ".join(state_label(element, state) for element, state in sorted(pairs, key=lambda pair: pair[1] < 0))


def states_of_words(text: str) -> dict[int, float]:
    """Oxidation state by atomic number, from what :func:`states_in_words` wrote.

    >>> states_of_words("Fe2.67+ O2-")
    {26: 2.67, 8: -2.0}
    """
    found = (_STATE.fullmatch(part) for part in text.split())
    return {
        ATOMIC_NUMBERS[match[1]]: float(f"{'' if match[3] == '+' else '-'}{match[2] or 1}") for match in found if match
    }
