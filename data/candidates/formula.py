"""Chemical formulas read and written by the hundred thousand.

A general parser makes one object per formula (about 90,000/s). Here all formulas of a batch are one byte buffer;
repeats are factorised and a compiled loop fills element and amount arrays.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table

# Result of the compiled parser per formula; index into this tuple.
_PARSE_CODES = ("", "E-FORMULA-EMPTY", "E-FORMULA-SYNTAX", "E-FORMULA-ELEMENT", "E-FORMULA-AMOUNT")
_OK, _EMPTY, _SYNTAX, _ELEMENT, _AMOUNT = range(5)
_AMBIGUOUS = "E-FORMULA-AMBIGUOUS"
_MAX_AMOUNT = 1e6
_MAX_DEPTH = 8
_MAX_LENGTH = 256


def parse_formulas(formulas: Sequence[str | None] | pa.Array) -> tuple[Compositions, NDArray[np.str_]]:
    """Read formulas into compositions.

    Subscripts, full-width characters, square brackets and hydrates with a middle dot are understood. What cannot be
    read gets a row code (see :data:`matloop.data.errors.ROW_CODES`) and an empty row.

    Args:
        formulas: Formulas as text.

    Returns:
        Compositions with one row per formula, and the codes, shape (n,), empty where the formula was read.

    >>> compositions, codes = parse_formulas(["Ca3(PO4)2", "CuSO4·5H2O", "Xx2"])
    >>> compositions.totals.tolist(), codes.tolist()
    ([13.0, 21.0, 0.0], ['', '', 'E-FORMULA-ELEMENT'])
    """
    array = formulas if isinstance(formulas, pa.Array) else _text_array(formulas)
    encoded = array.fill_null("").dictionary_encode()
    inverse = encoded.indices.to_numpy(zero_copy_only=False)
    unique, refused = _normalised(encoded.dictionary.to_pylist())
    buffer = np.frombuffer("".join(unique).encode("ascii") or b"\0", np.uint8)
    bounds = np.concatenate([[0], np.cumsum([len(text) for text in unique])]).astype(np.int64)
    counts, elements, amounts, status = _parse(buffer, bounds, _SYMBOL_LOOKUP)
    codes = np.array([*_PARSE_CODES, _AMBIGUOUS])[status]
    codes[refused] = _AMBIGUOUS
    counts[refused] = 0
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    # A token takes at least one character, so each formula's entries fit in its own stretch of the buffer.
    picked = np.arange(offsets[-1]) + np.repeat(bounds[:-1] - offsets[:-1], counts)
    distinct = Compositions(offsets, elements[picked], amounts[picked])
    return distinct.take(inverse), codes[inverse]


def _text_array(formulas: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(formulas, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair, which is no text and becomes a question mark
        clean = [None if text is None else text.encode("utf-8", "replace").decode() for text in formulas]
        return pa.array(clean, pa.string())


# ASCII dot before water: "CuSO4.5H2O" is either 4.5 oxygen or five waters.
_AMBIGUOUS_DOT = re.compile(r"\d\.\d*\(?H2O\)?$")
_TRANSLATION = str.maketrans({"[": "(", "]": ")", "{": "(", "}": ")", "•": "·", "∙": "·", "⋅": "·", "・": "·"})
_HYDRATE_PART = re.compile(r"(\d*+(?:\.\d*+)?+)(.+)")  # possessive: no backtracking on hostile text


def _normalised(texts: Iterable[str]) -> tuple[list[str], NDArray[np.bool_]]:
    """ASCII spellings of formulas, and which are ambiguous. Anything not ASCII afterwards is a syntax error."""
    out, ambiguous = [], []
    for text in texts:
        plain = text.strip()
        pieces: list[str] = []
        if len(plain) > _MAX_LENGTH:
            plain = "?"
        elif not plain.isascii() or not plain.isalnum():
            head, *parts = unicodedata.normalize("NFKC", plain).translate(_TRANSLATION).replace(" ", "").split("·")
            read = [_HYDRATE_PART.fullmatch(part) for part in parts]
            pieces = [head, *(match[2] for match in read if match)]
            plain = head + "".join(f"({match[2]}){match[1]}" if match else "?" for match in read)
        ambiguous.append(any(_AMBIGUOUS_DOT.search(piece) for piece in pieces))
        out.append(plain if plain.isascii() and len(plain) <= _MAX_LENGTH else "?")
    return out, np.array(ambiguous, bool)


def _symbol_lookup() -> NDArray[np.int16]:
    """Atomic number by first and second letter; -1 where there is no such element. Second index 26 means none."""
    lookup = np.full((26, 27), -1, np.int16)
    for symbol, number in ATOMIC_NUMBERS.items():
        second = ord(symbol[1]) - 97 if len(symbol) == 2 else 26
        lookup[ord(symbol[0]) - 65, second] = number
    return lookup


_SYMBOL_LOOKUP = _symbol_lookup()


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
def _parse_one(text, start, stop, lookup, elements, amounts):  # type: ignore[no-untyped-def]
    """Fill ``elements`` and ``amounts`` from one formula; returns (number of distinct elements, status)."""
    opened = np.empty(_MAX_DEPTH, np.int64)
    depth, used, position = 0, 0, start
    if start == stop:
        return 0, _EMPTY
    while position < stop:
        character = text[position]
        position += 1
        if character == 40:  # (
            if depth == _MAX_DEPTH:
                return 0, _SYNTAX
            opened[depth] = used
            depth += 1
            continue
        if character == 41:  # )
            if depth == 0 or opened[depth - 1] == used:
                return 0, _SYNTAX
            depth -= 1
            first = opened[depth]
        elif 65 <= character <= 90:
            second = 26
            if position < stop and 97 <= text[position] <= 122:
                second = text[position] - 97
                position += 1
            number = lookup[character - 65, second]
            if number < 0:
                return 0, _ELEMENT
            elements[used], amounts[used] = number, 1.0
            first = used
            used += 1
        else:
            return 0, _SYNTAX
        amount, position = _read_amount(text, position, stop)
        if not 0.0 < amount <= _MAX_AMOUNT:
            return 0, _AMOUNT
        for k in range(first, used):
            amounts[k] *= amount
            if amounts[k] > _MAX_AMOUNT:
                return 0, _AMOUNT
    if depth != 0:
        return 0, _SYNTAX
    return _merge_repeats(elements, amounts, used), _OK


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
def _parse(text, bounds, lookup):  # type: ignore[no-untyped-def]
    n = len(bounds) - 1
    counts = np.zeros(n, np.int64)
    status = np.zeros(n, np.int64)
    elements = np.zeros(len(text), np.uint8)
    amounts = np.zeros(len(text))
    for i in range(n):
        start, stop = bounds[i], bounds[i + 1]
        counts[i], status[i] = _parse_one(text, start, stop, lookup, elements[start:stop], amounts[start:stop])
    return counts, elements, amounts, status


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
