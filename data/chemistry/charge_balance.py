"""Check whether the usual oxidation states of its elements can neutralise a composition.

The rule is that of Davies et al., Chem 1, 617 (2016): every element takes one of its oxidation states, the charges add
up to zero, and no cation is more electronegative than an anion. That rule refuses four things that occur in real
solids, and which are allowed here (``benchmarks/data/generators.py`` counts the known and the invented compounds that
pass either rule):

- *order with tolerance*: a cation may be more electronegative than an anion by up to 0.3 on Pauling's scale, as in
  PtAs2 or RhSb, where the difference carries no information;
- *mixed valence*: one element may spread over two neighbouring oxidation states of its own, as iron in Fe3O4;
- *bonds between like anions*: one element of groups 13 to 16 may carry a smaller charge than its octet asks for, as in
  peroxides, pyrite, polysulfides and Zintl phases (Zintl-Klemm rule), next to cations electropositive enough for it;
- *metals*: charges do not apply to alloys and to metal-rich borides, carbides, silicides, germanides and pnictides;
  these are marked as metallic instead.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.oxidation_states import LIKE_ANIONS, METAL_FORMERS, METALS, MIXED_VALENCE, OXIDATION_STATES
from matloop.data.elements import SYMBOLS, element_table

ORDER_TOLERANCE = 0.3
MOST_WAYS = 1_000_000
_LARGEST_UNIT = 2000  # atoms; larger or fractional formula units are rounded to this many


class ChargeBalance(NamedTuple):
    """Charge balance of n compositions.

    An assignment names, for each element, one of its oxidation states; at most one element of it is spread over two
    neighbouring states (mixed valence) or bonds to itself (like anions).

    Attributes:
        ways: Number of neutral assignments, at most ``MOST_WAYS``, shape (n,).
        imbalance: Smallest absolute total charge over all assignments that keep the order of electronegativity, in
            elementary charges per atom, shape (n,). Always finite; of an alloy it is the charge that its cations leave
            over.
        neutral: Whether there is a neutral assignment, shape (n,). An element alone is neutral.
        metallic: Whether the composition is one of metals, or rich in them, so that charges need not balance.
    """

    ways: NDArray[np.int64]
    imbalance: NDArray[np.float64]
    neutral: NDArray[np.bool_]
    metallic: NDArray[np.bool_]


class Roles(NamedTuple):
    """Roles that each element can take in a solid. The row is the atomic number.

    Attributes:
        electronegativity: Pauling's values, 0 if there is none (light noble gases), shape (119,).
        cations: Positive states (and 0 for the inert gases), ascending, padded with -1, shape (119, k).
        anion: The negative state as a positive number, 0 where there is none, shape (119,).
        mixes: Whether the element occurs in two oxidation states at once, shape (119,).
        like: Most electronegative cation beside which the element may bond to itself (-1 for never), and its smallest
            and largest negative charge per atom then, shape (119, 3).
    """

    electronegativity: NDArray[np.float64]
    cations: NDArray[np.int64]
    anion: NDArray[np.int64]
    mixes: NDArray[np.bool_]
    like: NDArray[np.float64]


@functools.cache
def element_roles() -> Roles:
    """Return the roles of all elements, from the table of oxidation states."""
    electronegativity = element_table().columns(("pauling_electronegativity",))[:, 0].copy()
    electronegativity[np.isnan(electronegativity)] = 0.0
    positive = [sorted(state for state in OXIDATION_STATES.get(symbol, (0,)) if state >= 0) for symbol in SYMBOLS]
    cations = np.full((len(SYMBOLS), max(map(len, positive))), -1, np.int64)
    anion = np.array([-min(0, *OXIDATION_STATES.get(symbol, (0,)), 0) for symbol in SYMBOLS], np.int64)
    like = np.array([LIKE_ANIONS.get(symbol, (-1.0, 0.0, 0.0)) for symbol in SYMBOLS])
    for z, states in enumerate(positive):
        cations[z, : len(states)] = states
    mixes = np.array([symbol in MIXED_VALENCE for symbol in SYMBOLS])
    return Roles(electronegativity, cations, anion, mixes, like)


def charge_balance(compositions: Compositions) -> ChargeBalance:
    """Determine whether, in how many ways, and how nearly the usual oxidation states neutralise each composition.

    The work per composition is limited. It grows with the number of elements, states and atoms of the formula unit, not
    with the number of assignments. Units of more than 2,000 atoms and fractional ones are rounded to 2,000 atoms and
    count as neutral within that rounding.

    Args:
        compositions: n compositions.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> found = charge_balance(parse_formulas(["NaCl", "Fe3O4", "BaO2", "NaCl2", "Ni3Al"])[0])
    >>> found.neutral.tolist(), found.metallic.tolist(), found.imbalance.round(2).tolist()
    ([True, True, True, False, False], [False, False, False, False, True], [0.0, 0.0, 0.0, 0.33, 1.5])
    """
    reduced, whole = compositions.reduced()
    roles = element_roles()
    ways, imbalance = _balance(reduced.offsets, reduced.elements.astype(np.int64), reduced.amounts, whole, *roles)
    return ChargeBalance(ways, imbalance, ways > 0, _metallic(reduced))


def _metallic(compositions: Compositions) -> NDArray[np.bool_]:
    """Whether there are only metals, or at least as many metal atoms as atoms that bind them like metals."""
    kinds = metal_kinds()[compositions.elements]
    metal = np.bincount(compositions.rows, np.where(kinds == 1, compositions.amounts, 0.0), len(compositions))
    other = np.bincount(compositions.rows, kinds == 0, len(compositions))
    return (other == 0) & (metal >= 0.5 * compositions.totals) & (metal > 0)


@functools.cache
def metal_kinds() -> NDArray[np.int64]:
    """Return by atomic number: 1 for a metal, 2 for an element that forms metallic compounds with metals, else 0."""
    return np.array([1 if s in METALS else 2 if s in METAL_FORMERS else 0 for s in SYMBOLS], np.int64)


@numba.njit(cache=True, nogil=True)
def _balance(offsets, elements, amounts, whole, electronegativity, cations, anion, mixes, like):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    ways, imbalance = np.zeros(n, np.int64), np.zeros(n)
    largest = cations.max()
    for row in range(n):
        start, width = offsets[row], offsets[row + 1] - offsets[row]
        if width <= 1:
            ways[row] = 1
            continue
        total = amounts[start : start + width].sum()
        exact = whole[row] and total <= _LARGEST_UNIT
        scale = 1.0 if exact else _LARGEST_UNIT / total
        order = np.argsort(-electronegativity[elements[start : start + width]], kind="mergesort")
        z, a = np.empty(width, np.int64), np.empty(width, np.int64)
        slack = 0.0
        for k in range(width):
            z[k] = elements[start + order[k]]
            a[k] = np.int64(np.rint(amounts[start + order[k]] * scale))
            slack += 0.0 if exact else 0.5 * max(largest, anion[z[k]])
        span = largest * a.sum()
        nearest = 8.0 * a.sum()
        # The most electronegative cation decides which elements may be anions; the last round has no cation.
        for pivot in range(width + 1):
            if pivot > 0 and anion[z[pivot - 1]] == 0:
                break
            ceiling = electronegativity[z[pivot]] if pivot < width else np.inf
            counts = _charges(z, a, pivot, ceiling, span, electronegativity, cations, anion, mixes, like)
            for charge in range(len(counts)):
                if counts[charge] > 0:
                    left = abs(charge - span)
                    nearest = min(nearest, max(left - slack, 0.0))
                    if left <= slack:
                        ways[row] = min(ways[row] + counts[charge], MOST_WAYS)
        imbalance[row] = nearest / a.sum()
    return ways, imbalance


@numba.njit(cache=True, nogil=True)
def _charges(z, a, pivot, ceiling, span, electronegativity, cations, anion, mixes, like):  # type: ignore[no-untyped-def]
    """Count assignments by total charge (shifted by ``span``) in which ``pivot`` is the most electronegative cation."""
    # The first row has one state for every element. In the second, one element is spread over a range of charges.
    old = np.zeros((2, 2 * span + 1), np.int64)
    old[0, span] = 1
    low = high = span
    for k in range(len(z)):
        new = np.zeros_like(old)
        element, count = z[k], a[k]
        below, above = low, high
        if anion[element] > 0 and (k < pivot or (k > pivot and electronegativity[element] > ceiling - ORDER_TOLERANCE)):
            octet = anion[element] * count
            below = low - octet
            _shift(old, new, low, high, -octet)
            if ceiling <= like[element, 0]:
                most = min(int(np.floor(like[element, 2] * count)), octet - 1)
                least = max(int(np.ceil(like[element, 1] * count)), 1)
                _spread(old, new, low, high, -most, -least)
        if k >= pivot:
            for s in range(cations.shape[1]):
                state = cations[element, s]
                if state < 0:
                    break
                above = max(above, high + state * count)
                _shift(old, new, low, high, state * count)
                if s > 0 and mixes[element]:
                    _spread(old, new, low, high, cations[element, s - 1] * count + 1, state * count - 1)
        low, high = below, above
        for layer in range(2):
            for charge in range(low, high + 1):
                new[layer, charge] = min(new[layer, charge], MOST_WAYS)
        old = new
    return old[0] + old[1]


@numba.njit(cache=True, nogil=True)
def _shift(old, new, low, high, change):  # type: ignore[no-untyped-def]
    """Add assignments in which an element carries the charge ``change``."""
    for layer in range(2):
        for charge in range(low, high + 1):
            new[layer, charge + change] += old[layer, charge]


@numba.njit(cache=True, nogil=True)
def _spread(old, new, low, high, first, last):  # type: ignore[no-untyped-def]
    """Add assignments in which an element carries any whole charge from ``first`` to ``last``, by a running sum."""
    if last < first:
        return
    running = np.int64(0)
    for charge in range(low + first, high + last + 1):
        if charge - first <= high:
            running += old[0, charge - first]
        if charge - last > low:
            running -= old[0, charge - last - 1]
        new[1, charge] += running
