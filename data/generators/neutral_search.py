"""Compiled search for charge-neutral compositions.

The total charges that some of the elements can carry together form a set of whole numbers, which is stored as bits of
a few machine words. Adding an element shifts the set by each charge that its atoms may have. The elements of a
combination are split into two halves, and the sets of each half are computed once for all its amounts. A composition
can be neutral if the set of one half and the negated set of the other share a number. This is the rule of
:mod:`matloop.data.chemistry.charge_balance`, except that the ways to be neutral are not counted.
"""

from __future__ import annotations

import numba
import numpy as np

_CATION, _ANION, _LIKE = 1, 2, 4  # bits of the roles that an element may have


@numba.njit(cache=True, nogil=True)
def search(  # type: ignore[no-untyped-def]
    combination, position, pool, required, first_amounts, second_amounts, zero, words, metallic, tolerance,
    electronegativity, cations, anion, mixes, like, kinds, out_elements, out_amounts, room,
):  # fmt: skip
    """Continue the search over combinations of elements and their amounts.

    Args:
        combination: Indices into ``pool``, ascending, shape (m,); the first is -1 at the end. Changed in place.
        position: Number of the next pair of rows of the amounts, shape (1,). Changed in place.
        pool: Atomic numbers, ascending.
        required: Whether each element of the pool must be present.
        first_amounts: All amounts of the first half of the elements, shape (f, h).
        second_amounts: All amounts of the other elements, shape (s, m - h).
        zero: Bit that stands for charge 0: the largest charge on which cations and anions can agree.
        words: Machine words of 64 bits per set of charges.
        metallic: Whether metallic compositions are kept too.
        tolerance: By how much a cation may be more electronegative than an anion.
        electronegativity: Values by atomic number, like the next four arguments (see ``element_roles``).
        cations: Positive states.
        anion: Negative state.
        mixes: Whether the element may have two positive states at once.
        like: Under which conditions its anions may bond to each other, see ``element_roles``.
        kinds: 1 for metals, 2 for elements that form metallic compounds with them, else 0.
        out_elements: Array to fill, shape (room, m), or (0, m) if only the number is wanted; likewise the next one.
        out_amounts: Atoms of each element.
        room: Largest number of compositions to find before the search pauses.

    Returns:
        Number of compositions found.
    """
    m, half = len(combination), first_amounts.shape[1]
    f, s = len(first_amounts), len(second_amounts)
    first_sets = np.empty((f, m, 2, words), np.uint64)
    second_sets = np.empty((s, m, 2, words), np.uint64)
    first_divisors, second_divisors = _common_divisors(first_amounts), _common_divisors(second_amounts)
    coprime = _coprime(max(first_divisors.max(), second_divisors.max()))
    roles = np.empty((m, m), np.int64)
    states = (cations, anion, mixes, like)
    found = 0
    while combination[0] >= 0:
        z = pool[combination]
        patterns, may_be_metal = 0, False
        if required[combination].sum() == required.sum():
            patterns = _patterns(z, electronegativity, tolerance, cations, anion, like, roles)
            may_be_metal = metallic and (kinds[z] > 0).all()
        if patterns > 0 or may_be_metal:
            for p in range(patterns):
                _fill_sets(first_sets, p, z[:half], first_amounts, roles[p, :half], 1, zero, states)
                _fill_sets(second_sets, p, z[half:], second_amounts, roles[p, half:], -1, zero, states)
            is_metal = kinds[z] == 1
            for pair in range(position[0], f * s):
                i, j = pair // s, pair % s
                if not coprime[first_divisors[i], second_divisors[j]]:
                    continue
                kept = _share_a_charge(first_sets[i], second_sets[j], patterns)
                if not kept and may_be_metal:
                    metal = (first_amounts[i] * is_metal[:half]).sum() + (second_amounts[j] * is_metal[half:]).sum()
                    kept = 2 * metal >= first_amounts[i].sum() + second_amounts[j].sum()
                if kept:
                    if found == room:
                        position[0] = pair
                        return found
                    if len(out_elements) > 0:
                        out_elements[found] = z
                        out_amounts[found, :half] = first_amounts[i]
                        out_amounts[found, half:] = second_amounts[j]
                    found += 1
        position[0] = 0
        _next_combination(combination, len(pool))
    return found


@numba.njit(cache=True, nogil=True)
def _next_combination(combination, size):  # type: ignore[no-untyped-def]
    m = len(combination)
    k = m - 1
    while k >= 0 and combination[k] == size - m + k:
        k -= 1
    if k < 0:
        combination[0] = -1
        return
    combination[k] += 1
    for later in range(k + 1, m):
        combination[later] = combination[later - 1] + 1


@numba.njit(cache=True, nogil=True)
def _divisor(one, other):  # type: ignore[no-untyped-def]
    while other:
        one, other = other, one % other
    return one


@numba.njit(cache=True, nogil=True)
def _common_divisors(amounts):  # type: ignore[no-untyped-def]
    divisors = amounts[:, 0].copy()
    for row in range(len(amounts)):
        for amount in amounts[row, 1:]:
            divisors[row] = _divisor(divisors[row], amount)
    return divisors


@numba.njit(cache=True, nogil=True)
def _coprime(largest):  # type: ignore[no-untyped-def]
    table = np.zeros((largest + 1, largest + 1), np.bool_)
    for one in range(1, largest + 1):
        for other in range(1, largest + 1):
            table[one, other] = _divisor(one, other) == 1
    return table


@numba.njit(cache=True, nogil=True)
def _patterns(z, electronegativity, tolerance, cations, anion, like, roles):  # type: ignore[no-untyped-def]
    """Fill the roles of each element for each choice of the most electronegative cation; return how many there are."""
    m = len(z)
    order = np.argsort(-electronegativity[z], kind="mergesort")
    count = 0
    for top in range(m):
        if top > 0 and anion[z[order[top - 1]]] == 0:
            break
        ceiling = electronegativity[z[order[top]]]
        possible = True
        for k in range(m):
            element, role = z[order[k]], 0
            if k >= top and cations[element, 0] >= 0:
                role |= _CATION
            if k != top and anion[element] > 0 and (k < top or electronegativity[element] > ceiling - tolerance):
                role |= _ANION | (_LIKE if ceiling <= like[element, 0] else 0)
            possible &= role > 0
            roles[count, order[k]] = role
        count += possible
    return count


@numba.njit(cache=True, nogil=True)
def _fill_sets(sets, p, z, amounts, roles, sign, zero, states):  # type: ignore[no-untyped-def]
    """Fill the sets of charges that some of the elements can carry together, for each row of amounts.

    The first set has one state for each element; in the second, one element is spread over several states.
    """
    cations, anion, mixes, like = states
    words = sets.shape[3]
    old, new = np.empty((2, words), np.uint64), np.empty((2, words), np.uint64)
    for row in range(len(amounts)):
        new[:] = 0
        new[0, zero // 64] = np.uint64(1) << np.uint64(zero % 64)
        for k in range(len(z)):
            old[:] = new
            new[:] = 0
            element, count = z[k], amounts[row, k]
            if roles[k] & _ANION:
                octet = anion[element] * count
                _add_shifted(new[0], old[0], -sign * octet)
                _add_shifted(new[1], old[1], -sign * octet)
                if roles[k] & _LIKE:
                    most = min(int(np.floor(like[element, 2] * count)), octet - 1)
                    least = max(int(np.ceil(like[element, 1] * count)), 1)
                    for charge in range(least, most + 1):
                        _add_shifted(new[1], old[0], -sign * charge)
            if roles[k] & _CATION:
                for s in range(cations.shape[1]):
                    state = cations[element, s]
                    if state < 0:
                        break
                    _add_shifted(new[0], old[0], sign * state * count)
                    _add_shifted(new[1], old[1], sign * state * count)
                    if s > 0 and mixes[element]:
                        for charge in range(cations[element, s - 1] * count + 1, state * count):
                            _add_shifted(new[1], old[0], sign * charge)
        sets[row, p] = new


@numba.njit(cache=True, nogil=True)
def _share_a_charge(first, second, patterns):  # type: ignore[no-untyped-def]
    for p in range(patterns):
        for word in range(first.shape[2]):
            plain = first[p, 0, word]
            if (plain & (second[p, 0, word] | second[p, 1, word])) | (first[p, 1, word] & second[p, 0, word]):
                return True
    return False


@numba.njit(cache=True, nogil=True)
def _add_shifted(target, source, shift):  # type: ignore[no-untyped-def]
    """Add the numbers of ``source``, shifted by ``shift``, to the set ``target``; numbers out of range are dropped."""
    n = len(target)
    whole, bits = abs(shift) // 64, np.uint64(abs(shift) % 64)
    rest = np.uint64(64) - bits
    for word in range(n - whole):
        if shift >= 0:
            low, high, to = n - 1 - word - whole - 1, n - 1 - word - whole, n - 1 - word
            moved = source[high] << bits
            if bits > 0 and low >= 0:
                moved |= source[low] >> rest
        else:
            low, high, to = word + whole, word + whole + 1, word
            moved = source[low] >> bits
            if bits > 0 and high < n:
                moved |= source[high] << rest
        target[to] |= moved
