"""Read the POSCAR and CONTCAR files of VASP (https://www.vasp.at/wiki/index.php/POSCAR)."""

from __future__ import annotations

import itertools
import re

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.parsed import ParsedCell, fractional, number, numbers, read_vectors, site_count, symbol_of
from matloop.data.readers.structure_split import Unreadable

_COMMENT = re.compile(r"[!#].*")
_POTENTIAL = re.compile(r"([A-Za-z]{1,2}[\d+-]*)(?:_[\w.+-]*)?(?:/\w*)?")
_LABEL = re.compile(r"([A-Z][a-z]?)(?:[\d_+-].*)?")
_FLAG = re.compile(r"\.?[TF](?:RUE|ALSE)?\.?", re.IGNORECASE)


def read_poscar(text: str) -> ParsedCell:
    """Read a POSCAR that names its elements in the sixth line. What follows ``!`` or ``#`` in a line is a comment.

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
    if symbols and symbols[0].isdecimal():
        raise Unreadable("E-STRUCT-SYMBOLS", "a POSCAR of VASP 4; write the symbols of its elements above the numbers")
    each = _amounts(symbols, _uncommented(lines[6]), len(lines))
    total = site_count(str(sum(each)), len(lines) - 7)
    species = [symbol for symbol, count in zip(map(_element, symbols), each, strict=True) for _ in range(count)]
    is_selective = lines[7].strip()[:1] in ("S", "s")
    at = 8 if is_selective else 7
    mode = lines[at].strip()[:1].lower() if at < len(lines) else ""
    if lines[at : at + 1] and lines[at].split()[:1] and lines[at].split()[0].lower() == "fractional":
        mode = "d"  # VASP takes every word that begins with another letter for Direct
    if mode not in ("d", "c", "k"):
        raise Unreadable("E-FILE-SYNTAX", "neither Direct nor Cartesian")
    if "configuration" in lines[at].lower():
        raise Unreadable("E-FILE-FORMAT", "a trajectory (XDATCAR); write each image to a file of its own")
    coordinates = lines[at + 1 : at + 1 + total]
    if len(coordinates) < total:
        raise Unreadable("E-FILE-SYNTAX", f"{total} atoms declared, {len(coordinates)} given")
    _check_labels(coordinates, species, is_selective)
    _check_end(lines[at + 1 + total :], total)
    places = read_vectors(coordinates)
    if mode != "d":
        places = fractional(places * factors, lattice)
    return ParsedCell(lattice, places, [{symbol: 1.0} for symbol in species])


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
    counts = list(itertools.takewhile(str.isdecimal, words))
    if not symbols or len(counts) != len(symbols):
        raise Unreadable(
            "E-FILE-SYNTAX",
            f"{len(symbols)} symbols and {len(counts)} numbers of atoms; write one number below each symbol",
        )
    return [site_count(word, lines) for word in counts]


def _element(word: str) -> str:
    """Symbol of an element, of which a potential (``_pv``) and the hash of its file (``/3a7c``) may follow.

    Raises:
        Unreadable: If the word is something else, such as the hydrogen of fractional charge ``H.5``.
    """
    match = _POTENTIAL.fullmatch(word)
    if match is None:
        raise Unreadable("E-STRUCT-ELEMENT", word[:40])
    return symbol_of(match[1])


def _check_labels(coordinates: list[str], species: list[str], is_selective: bool) -> None:
    """Compare the symbols behind the coordinates, where every line has one, with the line of symbols.

    Raises:
        Unreadable: If they name other elements.
    """
    labels = []
    for line in coordinates:
        words = _uncommented(line)[3:]
        if is_selective or (len(words) >= 3 and all(map(_FLAG.fullmatch, words[:3]))):
            words = words[3:]
        match = _LABEL.fullmatch(words[0]) if words else None
        if match is None or match[1] not in ATOMIC_NUMBERS:
            return
        labels.append(match[1])
    for row, (label, symbol) in enumerate(zip(labels, species, strict=True), 1):
        if label != symbol:
            raise Unreadable("E-STRUCT-SYMBOLS", f"atom {row} is {symbol} by the symbols, and {label} by its own line")


def _check_end(lines: list[str], total: int) -> None:
    """Refuse coordinates beyond the declared atoms. Velocities stand after a blank line or a line of words."""
    words = _uncommented(lines[0]) if lines else []
    if total and len(words) >= 3 and all(map(_is_number, words[:3])):
        raise Unreadable("E-FILE-SYNTAX", f"{total} atoms declared, and coordinates of more given")
