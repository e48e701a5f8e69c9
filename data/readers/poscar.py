"""Read the POSCAR and CONTCAR files of VASP (https://www.vasp.at/wiki/index.php/POSCAR)."""

from __future__ import annotations

import itertools
import re

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.parsed import (
    ParsedCell,
    fractional,
    no_element,
    number,
    numbers,
    read_vectors,
    site_count,
    symbol_of,
)
from matloop.data.readers.structure_split import Unreadable

_COMMENT = re.compile(r"[!#].*")
_POTENTIAL = re.compile(r"([A-Za-z]{1,2}[\d+-]*)(?:_[\w.+-]*)?(?:/\w*)?")
_LABEL = re.compile(r"([A-Z][a-z]?)(?:[\d_+-].*)?")
_VELOCITIES = re.compile(r"\s*[cdk]", re.IGNORECASE)  # the line above velocities says Cartesian or Direct
_FLAG = re.compile(r"\.?[TF](?:RUE|ALSE)?\.?", re.IGNORECASE)


def read_poscar(text: str) -> ParsedCell:
    """Read a POSCAR that names its elements. What follows ``!`` or ``#`` in a line is a comment.

    The elements stand in the sixth line. A POSCAR of VASP 4 lacks that line; it is read if every line of coordinates
    ends with the symbol of its atom, as AFLOW writes them.

    Raises:
        Unreadable: If the file breaks the rules of the format, or does not say which elements its atoms are.
    """
    lines = text.split("\n")
    if len(lines) < 8:
        raise Unreadable("E-FILE-SYNTAX", "fewer than 8 lines")
    lattice = read_vectors(lines[2:5])
    factors = _factors(lattice, _uncommented(lines[1]))
    lattice = lattice * factors
    symbols = _uncommented(lines[5])[: MAX_SITES + 1]
    is_unnamed = bool(symbols) and symbols[0].isdecimal()
    at = 6 if is_unnamed else 7
    each = _counts(symbols, len(lines)) if is_unnamed else _amounts(symbols, _uncommented(lines[6]), len(lines))
    total = site_count(str(sum(each)), len(lines) - at)
    is_selective = lines[at].strip()[:1] in ("S", "s")
    at += is_selective
    is_direct = _is_direct(lines[at] if at < len(lines) else "")
    coordinates = lines[at + 1 : at + 1 + total]
    if len(coordinates) < total:
        raise Unreadable("E-FILE-SYNTAX", f"{total} atoms declared, {len(coordinates)} given")
    labels = _labels(coordinates, is_selective)
    elements = _labelled_elements(labels, each) if is_unnamed else [_element(symbol) for symbol in symbols]
    species = [symbol for symbol, count in zip(elements, each, strict=True) for _ in range(count)]
    for row, (label, symbol) in enumerate(zip(labels, species, strict=True), 1):
        if label not in ("", symbol):
            raise Unreadable("E-STRUCT-SYMBOLS", f"atom {row} is {symbol} by the symbols, and {label} by its own line")
    _check_end(lines[at + 1 + total :], total)
    places = read_vectors(coordinates)
    if not is_direct:
        places = fractional(places * factors, lattice)
    return ParsedCell(lattice, places, [{symbol: 1.0} for symbol in species])


def _is_direct(line: str) -> bool:
    """Whether the line above the coordinates says that they are fractional.

    Raises:
        Unreadable: If it says neither Direct nor Cartesian, or belongs to a trajectory.
    """
    if "configuration" in line.lower():
        raise Unreadable("E-FILE-FORMAT", "a trajectory (XDATCAR); write each image to a file of its own")
    word = line.strip().lower()
    if word.startswith("frac"):  # VASP takes every word that begins with another letter than C or K for Direct
        return True
    if word[:1] not in ("d", "c", "k"):
        raise Unreadable("E-FILE-SYNTAX", "neither Direct nor Cartesian")
    return word[0] == "d"


def _uncommented(line: str) -> list[str]:
    return _COMMENT.sub("", line).split()


def _factors(lattice: NDArray[np.float64], words: list[str]) -> NDArray[np.float64]:
    """Read the scaling along x, y and z: one factor, three factors, or the cell volume as a negative number.

    Words after the numbers are a comment.
    """
    leading = [
        word for word, _ in itertools.takewhile(lambda pair: pair[1], ((word, _is_number(word)) for word in words))
    ]
    factors = np.array(numbers(leading or words[:1]))
    if len(factors) == 1 and factors[0] < 0:
        volume = abs(np.linalg.det(lattice))
        if not volume > 1e-12:
            raise Unreadable("E-STRUCT-CELL", "the cell vectors lie in a plane")
        return np.full(3, np.cbrt(-factors[0] / volume))
    if len(factors) not in (1, 3) or (factors <= 0).any():
        raise Unreadable("E-FILE-SYNTAX", "no usable scaling factor; write one factor, or three")
    return np.broadcast_to(factors, 3)


def _is_number(word: str) -> bool:
    try:
        number(word)
    except Unreadable as error:
        return error.code == "E-STRUCT-NONFINITE"  # it is read again, and refused
    return True


def _amounts(symbols: list[str], words: list[str], lines: int) -> list[int]:
    """Read one number of atoms for each symbol. Words after the numbers are a comment.

    Raises:
        Unreadable: If there are more or fewer numbers than symbols.
    """
    counts = _counts(words, lines)
    if not symbols or len(counts) != len(symbols):
        raise Unreadable(
            "E-FILE-SYNTAX",
            f"{len(symbols)} symbols and {len(counts)} numbers of atoms; write one number below each symbol",
        )
    return counts


def _counts(words: list[str], lines: int) -> list[int]:
    return [site_count(word, lines) for word in itertools.takewhile(str.isdecimal, words)]


def _element(word: str) -> str:
    """Symbol of an element, of which a potential (``_pv``) and the hash of its file (``/3a7c``) may follow.

    Raises:
        Unreadable: If the word is something else, such as the hydrogen of fractional charge ``H.5``.
    """
    match = _POTENTIAL.fullmatch(word)
    if match is None:
        raise no_element(word)
    return symbol_of(match[1])


def _labels(coordinates: list[str], is_selective: bool) -> list[str]:
    """Return the symbol behind the coordinates of each line, empty where there is none.

    Flags of selective dynamics and the number of the atom may stand before the symbol. Where some lines have none, a
    symbol with further words behind it is taken for a remark.
    """
    labels = []
    for line in coordinates:
        words = _uncommented(line)[3:]
        flags = len(list(itertools.takewhile(_FLAG.fullmatch, words[:3])))
        words = words[flags:] if is_selective or flags == 3 else words
        words = list(itertools.dropwhile(str.isdecimal, words))
        match = _LABEL.fullmatch(words[0]) if words else None
        labels.append((match[1] if match and match[1] in ATOMIC_NUMBERS else "", len(words) > 1))
    if all(label for label, _ in labels):
        return [label for label, _ in labels]
    return ["" if has_remark else label for label, has_remark in labels]


def _labelled_elements(labels: list[str], each: list[int]) -> list[str]:
    """Return the element of each run of atoms of a POSCAR that has no line of symbols.

    Raises:
        Unreadable: If an atom has no symbol, or the atoms of one run have different ones.
    """
    if not all(labels):
        raise Unreadable("E-STRUCT-SYMBOLS", "a POSCAR of VASP 4; write the symbols of its elements above the numbers")
    found, start = [], 0
    for count in each:
        run = set(labels[start : start + count])
        if len(run) > 1:
            raise Unreadable(
                "E-STRUCT-SYMBOLS",
                f"{count} atoms of one element are declared, which are {' and '.join(sorted(run))} by their lines",
            )
        found.append(run.pop() if run else "")
        start += count
    return found


def _check_end(lines: list[str], total: int) -> None:
    """Refuse coordinates beyond the declared atoms.

    After a blank line or a word such as Cartesian, velocities may stand, which are as many as the atoms.

    Raises:
        Unreadable: If coordinates of more atoms are given.
    """
    if not total:
        return
    more = list(itertools.takewhile(_has_three_numbers, itertools.islice(lines, total + 1)))
    if not more:
        after = itertools.dropwhile(lambda line: not line.strip(), lines)
        first = next(after, "")
        rest = after if _VELOCITIES.match(first) else itertools.chain([first], after)
        block = list(itertools.islice(itertools.takewhile(_has_three_numbers, rest), total + 1))
        if len(block) in (0, total) and not any(_labels(block, is_selective=False)):
            return
        more = block
    raise Unreadable(
        "E-FILE-SYNTAX",
        f"{total} atoms declared, and {len(more)} more lines of coordinates given; velocities are as many as the atoms",
    )


def _has_three_numbers(line: str) -> bool:
    words = _uncommented(line)
    return len(words) >= 3 and all(map(_is_number, words[:3]))
