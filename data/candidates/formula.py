"""Chemical formulas read and written by the hundred thousand.

A general parser makes one object per formula (about 90,000/s). Here all formulas of a batch are one byte buffer;
repeats are factorised and a compiled loop fills element and amount arrays. The loop also marks the formulas that may
be a slip or have two readings; those, and all that it cannot read, go to :mod:`matloop.data.candidates.spellings`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.slips import ANIONS, DOUBTFUL_PAIRS, NICKNAMES
from matloop.data.candidates.spelling.refusals import AMBIGUOUS
from matloop.data.candidates.spelling.spellings import MAX_LENGTH, Spelling, explained, spelled_plainly
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table

# Result of the compiled parser per formula; index into this tuple.
_PARSE_CODES = ("", "E-FORMULA-EMPTY", "E-FORMULA-SYNTAX", "E-FORMULA-ELEMENT", "E-FORMULA-AMOUNT", AMBIGUOUS)
_OK, _EMPTY, _SYNTAX, _ELEMENT, _AMOUNT = range(5)
_MAX_AMOUNT = 1e6
_MAX_DEPTH = 8


def parse_formulas(
    formulas: Sequence[str | None] | pa.Array, *, exact: bool = False
) -> tuple[Compositions, NDArray[np.str_]]:
    """Read formulas into compositions.

    Subscripts, full-width characters, square brackets, hydrates with a dot, Stock numbers and labels of phases are
    understood. What cannot be read, or can be read in two ways, gets a row code (see
    :data:`matloop.data.errors.ROW_CODES`) and an empty row; :func:`explain_refusal` tells more.

    Args:
        formulas: Formulas as text.
        exact: Whether a program wrote the formulas. Then every symbol and amount is taken as it stands, and nothing
            is held to be a slip of somebody who typed.

    Returns:
        Compositions with one row per formula, and the codes, shape (n,), empty where the formula was read.

    >>> compositions, codes = parse_formulas(["Ca3(PO4)2", "CuSO4·5H2O", "Xx2", "Li2C03"])
    >>> compositions.totals.tolist(), codes.tolist()
    ([13.0, 21.0, 0.0, 0.0], ['', '', 'E-FORMULA-ELEMENT', 'E-FORMULA-AMBIGUOUS'])
    """
    array = formulas if isinstance(formulas, pa.Array) else _text_array(formulas)
    encoded = array.cast(pa.string()).fill_null("").dictionary_encode()
    inverse = encoded.indices.to_numpy(zero_copy_only=False)
    texts = pc.utf8_trim_whitespace(encoded.dictionary)
    buffer, bounds = _bytes_of(texts)
    counts, elements, amounts, status, doubtful = _parse(buffer, bounds, _SYMBOL_LOOKUP, DOUBTFUL_PAIRS)
    again = status > _EMPTY
    if not exact:
        again |= doubtful | pc.is_in(texts, value_set=_NICKNAMES).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(again | (np.diff(bounds) > MAX_LENGTH))
    starts = bounds[:-1].copy()
    if len(rows):
        spellings = [spelled_plainly(text, exact=exact) for text in texts.take(pa.array(rows)).to_pylist()]
        counts[rows], status[rows], *more, firsts = _parse_plain(spellings)
        starts[rows] = firsts + len(elements)
        elements, amounts = (np.concatenate(both) for both in zip((elements, amounts), more, strict=True))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    # A token takes at least one character, so each formula's entries fit in its own stretch of the buffer.
    picked = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    distinct = Compositions(offsets, elements[picked], amounts[picked])
    return distinct.take(inverse), np.array(_PARSE_CODES)[status[inverse]]


def explain_refusal(formula: str | None) -> str:
    """Why a formula was refused, where more can be said than its code does: the readings, and how to write it.

    >>> explain_refusal("CuSO4.5H2O")
    'may mean CuSO4·5H2O or (CuSO4.5)(H2O); write it in one of these ways'
    """
    return explained(formula or "")


def _text_array(formulas: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(formulas, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair, which is no text and becomes a question mark
        clean = [None if text is None else text.encode("utf-8", "replace").decode() for text in formulas]
        return pa.array(clean, pa.string())


def _bytes_of(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all texts, one after the other, and where each begins and the last ends."""
    if not len(texts):
        return np.zeros(1, np.uint8), np.zeros(1, np.int64)
    _, offsets, content = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    buffer = np.frombuffer(content, np.uint8)[bounds[0] : bounds[-1]] if content else np.zeros(1, np.uint8)
    return buffer, bounds - bounds[0]


def _parse_plain(spellings: Sequence[Spelling]) -> tuple[NDArray[Any], ...]:
    """Counts, statuses, elements, amounts and the first entry of each of some plain spellings."""
    buffer, bounds = _bytes_of(pa.array([spelling.plain for spelling in spellings], pa.string()))
    counts, elements, amounts, status, _ = _parse(buffer, bounds, _SYMBOL_LOOKUP, DOUBTFUL_PAIRS)
    own = np.array([_PARSE_CODES.index(spelling.code) for spelling in spellings])
    status = np.where(own != _OK, own, status)
    return np.where(status == _OK, counts, 0), status, elements, amounts, bounds[:-1]


def _symbol_lookup() -> NDArray[np.int16]:
    """Atomic number by first and second letter; -1 where there is no such element. Second index 26 means none."""
    lookup = np.full((26, 27), -1, np.int16)
    for symbol, number in ATOMIC_NUMBERS.items():
        second = ord(symbol[1]) - 97 if len(symbol) == 2 else 26
        lookup[ord(symbol[0]) - 65, second] = number
    return lookup


_SYMBOL_LOOKUP = _symbol_lookup()
_ANIONS = np.isin(SYMBOLS, sorted(ANIONS))
_RARE_SYMBOLS = np.isin(SYMBOLS, ("Ac", "Ts"))  # also acetate and tosyl
_O, _PR = ATOMIC_NUMBERS["O"], ATOMIC_NUMBERS["Pr"]
_NICKNAMES = pa.array(sorted(NICKNAMES), pa.string())


@numba.njit(cache=True, nogil=True)
def _read_amount(text, start, stop):  # type: ignore[no-untyped-def]
    """Decimal number at ``start``; (1, start) where there is none, a negative number where it is malformed."""
    position, value, scale, seen_dot, digits = start, 0.0, 1.0, False, 0
    while position < stop:
        character = text[position]
        if 48 <= character <= 57:
            value = value * 10.0 + (character - 48)
            digits += 1
            if seen_dot:
                scale *= 10.0
        elif character == 46 and not seen_dot:
            seen_dot = True
        else:
            break
        position += 1
    if position == start:
        return 1.0, position
    if digits == 0:
        return -1.0, position
    return value / scale, position


@numba.njit(cache=True, nogil=True)
def _parse_one(text, start, stop, lookup, pairs, elements, amounts):  # type: ignore[no-untyped-def]
    """Fill ``elements`` and ``amounts`` from one formula.

    Returns:
        Number of distinct elements, status, and whether the formula may be a slip or have two readings.
    """
    opened = np.empty(_MAX_DEPTH, np.int64)
    opened_at = np.empty(_MAX_DEPTH, np.int64)
    depth, used, position, doubtful, has_anion = 0, 0, start, False, False
    if start == stop:
        return 0, _EMPTY, False
    while position < stop:
        character = text[position]
        position += 1
        if character == 40:  # (
            if depth == _MAX_DEPTH:
                return 0, _SYNTAX, True
            opened[depth], opened_at[depth] = used, position
            depth += 1
            continue
        number, symbol_end = 0, position
        if character == 41:  # )
            if depth == 0 or opened[depth - 1] == used:
                return 0, _SYNTAX, True
            depth -= 1
            first = opened[depth]
            doubtful |= _is_lone(text, opened_at[depth], position - 1, position < stop and text[position] < 58)
            doubtful |= position == stop and 65 <= text[position - 3] <= 90 and 48 <= text[position - 2] <= 57
        elif 65 <= character <= 90:
            second = 26
            if position < stop and 97 <= text[position] <= 122:
                second = text[position] - 97
                position += 1
            number = lookup[character - 65, second]
            if number < 0:
                return 0, _ELEMENT, True
            elements[used], amounts[used] = number, 1.0
            first, symbol_end = used, position
            used += 1
            has_anion |= _ANIONS[number]
            doubtful |= _RARE_SYMBOLS[number] or (number == _PR and first > 0 and elements[first - 1] == _O)
            if second == 26:
                doubtful |= _is_doubtful_pair(text, position, stop, character, pairs)
        else:
            return 0, _SYNTAX, True
        amount, position = _read_amount(text, position, stop)
        if not 0.0 < amount <= _MAX_AMOUNT:
            return 0, _AMOUNT, True
        doubtful |= _is_doubtful_amount(text, symbol_end, position, stop, number, has_anion, used == 1)
        for k in range(first, used):
            amounts[k] *= amount
            if amounts[k] > _MAX_AMOUNT:
                return 0, _AMOUNT, True
    if depth != 0:
        return 0, _SYNTAX, True
    return _merge_repeats(elements, amounts, used), _OK, doubtful


@numba.njit(cache=True, nogil=True)
def _is_lone(text, start, stop, has_amount):  # type: ignore[no-untyped-def]
    """Whether brackets hold one symbol without any amount, or letters that are a Roman number."""
    roman = True
    for k in range(start, stop):
        roman &= text[k] == 73 or text[k] == 86  # I or V
    if roman:
        return True
    return not has_amount and (stop - start == 1 or (stop - start == 2 and text[start + 1] >= 97))


@numba.njit(cache=True, nogil=True)
def _is_doubtful_pair(text, position, stop, character, pairs):  # type: ignore[no-untyped-def]
    """Whether a one-letter symbol and the next one look like a symbol of two letters in capitals, such as SI."""
    if position == stop or not 65 <= text[position] <= 90 or not pairs[character - 65, text[position] - 65]:
        return False
    return position + 1 == stop or not 97 <= text[position + 1] <= 122


@numba.njit(cache=True, nogil=True)
def _is_doubtful_amount(text, start, end, stop, number, has_anion, is_first):  # type: ignore[no-untyped-def]
    """Whether an amount may hold a letter O, a letter l, an isotope or a dot that separates two compounds."""
    if start == end:
        return False
    dot = start
    while dot < end and text[dot] != 46:
        dot += 1
    length = dot - start
    if length > 1 and text[start] == 48:
        return True
    if end + 2 < stop and _begins_solvent(text, end, stop):
        return True
    if number == 8 and end + 2 < stop and dot == end and 65 <= text[end] <= 90 and text[stop - 2] == 79:
        return True  # several oxides without dots
    if number == 17 and length > 1 and end < stop and dot == end and 65 <= text[end] <= 90:
        return True
    if dot < end:
        if end == stop:
            return length == 0 and number == 8
        return has_anion and not (length == 1 and text[start] == 48)
    for k in range(start, end - 1):
        if text[k] == 48 and text[k + 1] != 48:
            return True
    if number == 6 and text[start] == 49 and (length == 1 or (length == 2 and 50 <= text[start + 1] <= 54)):
        return True
    if length == 2 and text[start] == 50 and text[start + 1] == 48 and (number == 1 or (is_first and end == stop)):
        return True
    if not (number == 1 or is_first) or end == stop:
        return False
    if number == 1 and text[end - 1] == 48 and text[end] == 72:
        return True
    return text[end] == 79 and length > 1 and text[end - 2] == 49 and text[end - 1] in (55, 56)


@numba.njit(cache=True, nogil=True)
def _begins_solvent(text, start, stop):  # type: ignore[no-untyped-def]
    """Whether H2O or NH3 stands at a place, in brackets or not, so that a dot before it may have been left out."""
    if text[start] == 40 and start + 3 < stop:
        start += 1
    if text[start] == 72:
        return text[start + 1] == 50 and text[start + 2] == 79
    return text[start] == 78 and text[start + 1] == 72 and text[start + 2] == 51


@numba.njit(cache=True, nogil=True)
def _merge_repeats(elements, amounts, used):  # type: ignore[no-untyped-def]
    """Sort the first ``used`` entries by element and add repeats up; returns how many remain."""
    for i in range(1, used):
        element, amount, j = elements[i], amounts[i], i - 1
        while j >= 0 and elements[j] > element:
            elements[j + 1], amounts[j + 1] = elements[j], amounts[j]
            j -= 1
        elements[j + 1], amounts[j + 1] = element, amount
    kept = 0
    for i in range(1, used):
        if elements[i] == elements[kept]:
            amounts[kept] += amounts[i]
        else:
            kept += 1
            elements[kept], amounts[kept] = elements[i], amounts[i]
    return kept + 1


@numba.njit(cache=True, nogil=True)
def _parse(text, bounds, lookup, pairs):  # type: ignore[no-untyped-def]
    n = len(bounds) - 1
    counts = np.zeros(n, np.int64)
    status = np.zeros(n, np.int64)
    doubtful = np.zeros(n, np.bool_)
    elements = np.zeros(len(text), np.uint8)
    amounts = np.zeros(len(text))
    for i in range(n):
        start, stop = bounds[i], bounds[i + 1]
        counts[i], status[i], doubtful[i] = _parse_one(
            text, start, stop, lookup, pairs, elements[start:stop], amounts[start:stop]
        )
    return counts, elements, amounts, status, doubtful


_GROUPED = 1.65  # difference in electronegativity from which a repeated pair is not put in parentheses
# Written with twice the reduced amounts, since the half does not occur.
_WRITTEN_DOUBLE = {
    "LiO": "Li2O2", "NaO": "Na2O2", "KO": "K2O2", "RbO": "Rb2O2", "CsO": "Cs2O2", "HO": "H2O2",
    "O": "O2", "N": "N2", "F": "F2", "Cl": "Cl2", "H": "H2",
}  # fmt: skip


def write_formulas(compositions: Compositions) -> list[str]:
    """Reduced formulas, spelled as pymatgen's ``reduced_formula``.

    Elements stand in order of electronegativity; a repeated pair of the last two, where their electronegativities
    differ by less than 1.65, is put in parentheses.

    Args:
        compositions: What to write; rows that are not whole numbers keep their amounts.

    >>> write_formulas(parse_formulas(["O8Li2Fe2P2", "O12Ca3P2N0.5"])[0])
    ['LiFePO4', 'Ca6P4NO24']
    """
    reduced, whole = compositions.reduced()
    ranks, electronegativity = _writing_order()
    order = np.lexsort((ranks[compositions.elements], compositions.rows))
    elements, whole_entry = compositions.elements[order], whole[compositions.rows]
    amounts = np.where(whole_entry, reduced.amounts[order], compositions.amounts[order])
    parts = [
        SYMBOLS[z] + (_whole(amount) if is_whole else _decimal(amount))
        for z, amount, is_whole in zip(elements.tolist(), amounts.tolist(), whole_entry.tolist(), strict=True)
    ]
    last = np.maximum(compositions.offsets[1:] - 1, 1)
    pairs = whole & (compositions.lengths >= 3)
    with np.errstate(invalid="ignore"):  # infinite ones have no difference and are no pair
        pairs[pairs] = np.subtract(*(electronegativity[elements[last[pairs] - back]] for back in (0, 1))) < _GROUPED
    factors = np.ones(len(whole), np.int64)
    factors[pairs] = np.gcd(*(amounts[last[pairs] - back].astype(np.int64) for back in (0, 1)))
    for row in np.flatnonzero(factors > 1).tolist():
        k = int(last[row])
        first, second = (SYMBOLS[elements[at]] + _whole(amounts[at] / factors[row]) for at in (k - 1, k))
        parts[k - 1], parts[k] = f"({first}{second}", f"){factors[row]}"
    written = ["".join(parts[start:stop]) for start, stop in itertools.pairwise(compositions.offsets.tolist())]
    for row in np.flatnonzero(whole).tolist():
        written[row] = _WRITTEN_DOUBLE.get(written[row], written[row])
    return written


@functools.cache
def _writing_order() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """By atomic number: rank in a formula, and the Pauling electronegativity that decides it, then the symbol.

    The electronegativity is infinite where none is defined, so that such elements come last.
    """
    values = element_table().columns(("pauling_electronegativity",))[:, 0]
    values = np.where(np.isnan(values), np.inf, values)
    return np.argsort(np.lexsort((np.array(SYMBOLS[: len(values)]), values))), values


def _whole(amount: float) -> str:
    return "" if amount == 1 else str(int(amount))


@functools.lru_cache(maxsize=100_000)
def _decimal(amount: float) -> str:
    """Six significant digits, never with an exponent, which a formula cannot hold."""
    return np.format_float_positional(amount, precision=6, fractional=False, trim="-")
