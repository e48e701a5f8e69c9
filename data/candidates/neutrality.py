"""Whether the usual charges of its elements can neutralise a formula as somebody wrote it.

A formula that is typed without its dot or with a label behind it has several readings. The reading that is neutral is
the likely one. This rough check serves that choice alone; compositions are screened with
:mod:`matloop.data.chemistry.charge_balance`.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

from matloop.data.elements import ATOMIC_NUMBERS

_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*+(?:\.\d++)?+)|\(|\)(\d*+(?:\.\d++)?+)")

# Lowest and highest charge of the elements that form cations; a compound may hold an element with several of them.
_RANGES: dict[str, tuple[int, int]] = {
    **dict.fromkeys("H Li Na K Rb Cs Ag".split(), (1, 1)),
    **dict.fromkeys("Be Mg Ca Sr Ba Zn Cd".split(), (2, 2)),
    **dict.fromkeys("B Al Ga Sc Y La Gd Lu".split(), (3, 3)),
    **dict.fromkeys("In Tl Au".split(), (1, 3)),
    **dict.fromkeys("Cu Hg".split(), (1, 2)),
    **dict.fromkeys("Fe Co Ni Eu Sm Yb".split(), (2, 3)),
    **dict.fromkeys("Ti V Nb Cr Mo W Re Mn U Ru Os Ta Np Pu".split(), (2, 6)),
    **dict.fromkeys("Zr Hf Th".split(), (4, 4)),
    "C": (-4, 4),
}  # fmt: skip
_OTHER_METALS = (2, 4)
_ANIONS = dict.fromkeys("O S Se Te".split(), -2) | dict.fromkeys("F Cl Br I".split(), -1)
_ANIONS |= dict.fromkeys("N P As Sb".split(), -3) | {"Si": -4}
# Groups with carbon -> a symbol that stands for their charge here.
_GROUPS = (
    (re.compile(r"(?:CH3CO2|C2H3O2|HCO2)(?!\d)|CH3COO|HCOO|SCN(?![a-z])|CN(?![a-z])"), "At"),
    (re.compile(r"(?:CO3|C2O4)(?!\d)"), "Po"),
)
_ANIONS |= {"At": -1, "Po": -2}
# Charges beside oxygen or fluorine, where each element of a compound has one of them throughout.
_IN_ANIONS = {
    "S": (-2, 4, 6), "Se": (-2, 4, 6), "Te": (-2, 4, 6), "N": (-3, 3, 5), "P": (-3, 3, 5), "As": (-3, 3, 5),
    "Sb": (-3, 3, 5), "Cl": (-1, 5, 7), "Br": (-1, 5, 7), "I": (-1, 5, 7), "Si": (4,),
}  # fmt: skip


def amounts_in(formula: str) -> dict[str, float]:
    """Amount of each element of a formula with plain numbers and round brackets; empty where it cannot be read.

    >>> amounts_in("Mg(NO3)2"), amounts_in("MgXx")
    ({'Mg': 1.0, 'N': 2.0, 'O': 6.0}, {})
    """
    opened: list[dict[str, float]] = [defaultdict(float)]
    position = 0
    for match in _TOKEN.finditer(formula):
        if match.start() != position or (match[0] == "(" and len(opened) > 8):
            return {}
        position = match.end()
        if match[1]:
            if match[1] not in ATOMIC_NUMBERS:
                return {}
            opened[-1][match[1]] += float(match[2] or 1)
        elif match[0] == "(":
            opened.append(defaultdict(float))
        elif len(opened) == 1:
            return {}
        else:
            for symbol, amount in opened.pop().items():
                opened[-1][symbol] += amount * float(match[3] or 1)
    return dict(opened[0]) if position == len(formula) and len(opened) == 1 else {}


def is_neutral(formula: str) -> bool:
    """Whether the usual charges can neutralise a formula of at least two elements.

    >>> is_neutral("MgCl2"), is_neutral("MgCl26"), is_neutral("Fe3O4"), is_neutral("GaAs216")
    (True, False, True, False)
    """
    for group, symbol in _GROUPS:
        formula = group.sub(symbol, formula)
    amounts = amounts_in(formula)
    if len(amounts) < 2:
        return False
    bound = {"O", "F"} & amounts.keys()
    lowest = highest = 0.0
    choices = []
    for symbol, amount in amounts.items():
        if symbol == "Sb" and not bound and amounts.keys() & set(_ANIONS) - {"Sb"}:
            choices.append([3 * amount, 5 * amount])
        elif symbol in _IN_ANIONS and bound:
            choices.append([charge * amount for charge in _IN_ANIONS[symbol]])
        elif symbol in _ANIONS:
            choices.append([_ANIONS[symbol] * amount, *([4 * amount] if symbol == "Si" else [])])
        else:
            low, high = _RANGES.get(symbol, _OTHER_METALS)
            lowest, highest = lowest + low * amount, highest + high * amount
    return any(-highest - 1e-6 <= sum(charges) <= -lowest + 1e-6 for charges in itertools.product(*choices))
