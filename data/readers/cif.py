"""Crystals from the text of one CIF block (Hall, Allen, Brown, Acta Cryst. A47, 655, 1991), without guessing.

A lenient reader drops an atom that it cannot interpret, and warns. This reader refuses the block, because a structure
without some of its atoms looks like a different material.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.parsed import ParsedCell, number, symbol_of
from matloop.data.readers.structure_split import Unreadable
from matloop.data.readers.symmetry import fit_cell, operations_of_symbol, operations_of_words

_TOKEN = re.compile(r"""#.*|'((?:[^']|'(?=\S))*)'(?=\s|$)|"((?:[^"]|"(?=\S))*)"(?=\s|$)|(\S+)""")
_LONGEST_LINE = 20_000
_SAME_PLACE = 0.1  # Å; images of an atom that are closer than this are one atom on a special position
_THIRDS = np.array([1 / 3, 2 / 3, 1 / 6, 5 / 6])
_FORMULA_TOLERANCE = 0.03  # atomic fraction

Block = dict[str, str | list[str]]


def read_cif(text: str) -> ParsedCell:
    """Read the crystal of one block.

    Raises:
        Unreadable: If the block holds no crystal or breaks the rules of CIF.
    """
    block = _read_block(text)
    lattice = _lattice(block)
    symbols, occupancies, frac = _sites(block)
    operations = _operations(block)
    if not fit_cell(operations, lattice):
        raise Unreadable("E-STRUCT-SYMMETRY", "the operations do not fit the cell")
    cell = _expanded(lattice, symbols, occupancies, frac, operations)
    _check_formula(block, cell)
    return cell


def _tokens(text: str) -> list[tuple[str, bool]]:
    """Yield the words of a block, and for each whether it was quoted."""
    words: list[tuple[str, bool]] = []
    field: list[str] | None = None
    for line in text.split("\n"):
        if line.startswith(";"):
            if field is None:
                field = [line[1:]]
                continue
            words.append(("\n".join(field), True))
            field, line = None, line[1:]
        if field is not None:
            field.append(line)
            continue
        if len(line) > _LONGEST_LINE:
            raise Unreadable("E-FILE-SYNTAX", f"a line of {len(line):,} characters")
        for match in _TOKEN.finditer(line):
            if match[3] is not None:
                words.append((match[3], False))
            elif not match[0].startswith("#"):
                words.append((match[1] if match[1] is not None else match[2], True))
    if field is not None:
        raise Unreadable("E-FILE-SYNTAX", "a text field is not closed")
    return words


def _read_block(text: str) -> Block:
    """Return values and columns by tag. Tags are in lower case, with underscores in place of dots."""
    block: Block = {}
    words = _tokens(text)
    at = 0
    while at < len(words):
        word, quoted = words[at]
        lower = word.lower()
        at += 1
        if not quoted and lower.startswith("_"):
            if at == len(words) or _is_reserved(words[at]):
                raise Unreadable("E-FILE-SYNTAX", f"{_short(word)} has no value")
            block[_tag(word)] = _value(words[at])
            at += 1
        elif not quoted and lower == "loop_":
            at = _read_loop(words, at, block)
    return block


def _read_loop(words: list[tuple[str, bool]], at: int, block: Block) -> int:
    tags = []
    while at < len(words) and not words[at][1] and words[at][0].startswith("_"):
        tags.append(_tag(words[at][0]))
        at += 1
    start = at
    while at < len(words) and not _is_reserved(words[at]):
        at += 1
    if not tags or (at - start) % len(tags):
        matters = any(tag.startswith(("_atom_site_", "_symmetry", "_space_group")) for tag in tags)
        if matters or not tags:
            raise Unreadable("E-FILE-SYNTAX", f"{at - start} values in a loop of {len(tags)} columns")
        return at  # a broken table that does not describe the crystal, such as the references
    values = [_value(word) for word in words[start:at]]
    for column, tag in enumerate(tags):
        block[tag] = values[column :: len(tags)]
    return at


def _tag(word: str) -> str:
    return word.lower().replace(".", "_")


def _value(word: tuple[str, bool]) -> str:
    """Return a value; a missing one (an unquoted dot or question mark) becomes an empty text."""
    text, quoted = word
    return "" if not quoted and text in (".", "?") else text


def _is_reserved(word: tuple[str, bool]) -> bool:
    text, quoted = word
    return not quoted and (text.startswith("_") or text.lower().startswith(("loop_", "data_", "save_")))


def _short(text: str) -> str:
    return text[:60]


def _text(block: Block, *tags: str) -> str:
    for tag in tags:
        value = block.get(tag, "")
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _column(block: Block, *tags: str) -> list[str]:
    for tag in tags:
        value = block.get(tag)
        if value:
            return value if isinstance(value, list) else [value]
    return []


def _lattice(block: Block) -> NDArray[np.float64]:
    """Row vectors of the cell in Å, with a along x and b in the xy plane."""
    words = [_text(block, f"_cell_length_{axis}") for axis in "abc"]
    angles = [_text(block, f"_cell_angle_{axis}") for axis in ("alpha", "beta", "gamma")]
    if not all(words):
        raise Unreadable("E-STRUCT-NOCELL")
    a, b, c = (number(word) for word in words)
    alpha, beta, gamma = (np.radians(number(word)) if word else np.pi / 2 for word in angles)
    if (np.array([a, b, c]) == 1).all() and not any(re.search(r"[2-9]", word) for word in words):
        raise Unreadable("E-STRUCT-NOCELL", "a cell of 1 Å stands for no cell")
    if not (min(a, b, c) > 0 and all(0 < angle < np.pi for angle in (alpha, beta, gamma))):
        raise Unreadable("E-STRUCT-CELL", "cell lengths and angles span no cell")
    cos_a, cos_b, cos_g = (0.0 if abs(x - np.pi / 2) < 1e-12 else np.cos(x) for x in (alpha, beta, gamma))
    sin_g = np.sin(gamma)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = (cos_a - cos_b * cos_g) / sin_g
        z = np.sqrt(1 - cos_b**2 - y**2)
        lattice = np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c * cos_b, c * y, c * z]])
    if not np.isfinite(lattice).all():
        raise Unreadable("E-STRUCT-CELL", "cell lengths and angles span no cell")
    return lattice


def _sites(block: Block) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Symbols, occupancies and fractional coordinates of the atoms listed."""
    columns = [_column(block, f"_atom_site_fract_{axis}") for axis in "xyz"]
    count = len(columns[0])
    if not count or any(len(column) != count for column in columns):
        raise Unreadable("E-STRUCT-NOATOMS")
    if count > 4 * MAX_SITES:
        raise Unreadable("E-STRUCT-SIZE", f"{count:,} atoms listed")
    types = _column(block, "_atom_site_type_symbol")
    labels = _column(block, "_atom_site_label") or types
    flags = _column(block, "_atom_site_calc_flag") or [""] * count
    given = _column(block, "_atom_site_occupancy") or [""] * count
    hydrogens = _column(block, "_atom_site_attached_hydrogens")
    if any(len(column) != count for column in (labels, flags, given)):
        raise Unreadable("E-FILE-SYNTAX", "columns of atoms of different length")
    if any(word and number(word) > 0 for word in hydrogens):
        raise Unreadable("E-STRUCT-FORMULA", "hydrogen is stated without coordinates")
    if any(not word for column in columns for word in column):
        raise Unreadable("E-STRUCT-NOATOMS", "an atom has no coordinates")
    frac = np.array([[number(word) for word in column] for column in columns]).T
    occupancies = np.array([number(word) if word else 1.0 for word in given])
    if not ((occupancies >= 0) & (occupancies <= 1.02)).all():
        raise Unreadable("E-STRUCT-OCCUPANCY", f"{occupancies.min():g} to {occupancies.max():g}")
    real = [row for row in range(count) if flags[row].lower() != "dum" and occupancies[row] > 0]
    if not real:
        raise Unreadable("E-STRUCT-NOATOMS", "all atoms are dummies or have no occupancy")
    symbols = [_symbol(types[row] if row < len(types) else "", labels[row]) for row in real]
    return symbols, np.minimum(occupancies[real], 1.0), frac[real]


def _symbol(kind: str, label: str) -> str:
    """Symbol of the element of an atom, from its type or otherwise from its label.

    >>> [_symbol("Fe3+", "M1"), _symbol("", "HO1"), _symbol("", "Ho1"), _symbol("CA", "")]
    ['Fe', 'H', 'Ho', 'Ca']
    """
    if kind:
        return symbol_of(kind)
    letters = re.match(r"[A-Za-z]*", label)[0]  # type: ignore[index]  # matches always
    if letters[:3].lower() in ("wat", "dum", "cen"):
        raise Unreadable("E-STRUCT-ELEMENT", _short(label))
    for symbol in (letters[:2], letters[:1]):
        if symbol in ATOMIC_NUMBERS:
            return symbol
    return symbol_of(letters[:2] or _short(label))


def _operations(block: Block) -> NDArray[np.float64]:
    """Symmetry operations, shape (n, 3, 4)."""
    words = _column(
        block, "_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_space_group_symop_magn_operation_xyz"
    )
    if any(words):
        return operations_of_words(words, _column(block, "_space_group_symop_magn_centering_xyz"))
    return operations_of_symbol(
        _text(block, "_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m"),
        _text(block, "_space_group_it_number", "_symmetry_int_tables_number", "_space_group_name_hall"),
    )


def _expanded(
    lattice: NDArray[np.float64],
    symbols: list[str],
    occupancies: NDArray[np.float64],
    frac: NDArray[np.float64],
    operations: NDArray[np.float64],
) -> ParsedCell:
    """Apply the symmetry operations to the listed atoms, which gives all atoms of the cell."""
    near = np.abs((frac % 1.0)[..., None] - _THIRDS) < 1.01e-4  # 0.3333 is meant to be one third
    frac = np.where(near.any(-1), _THIRDS[near.argmax(-1)] + np.floor(frac), frac)
    places: list[Any] = []
    owners: list[int] = []
    for site, coordinates in enumerate(frac):
        images = (operations[:, :, :3] @ coordinates + operations[:, :, 3]) % 1.0
        kept = images[:1]
        for image in images[1:]:
            apart = kept - image
            apart -= np.rint(apart)
            if ((apart @ lattice) ** 2).sum(1).min() > _SAME_PLACE**2:
                kept = np.vstack([kept, image])
        places.append(kept)
        owners += [site] * len(kept)
        if len(owners) > 8 * MAX_SITES:
            raise Unreadable("E-STRUCT-SIZE", f"more than {8 * MAX_SITES:,} atoms in the cell")
    return ParsedCell(lattice, np.concatenate(places), [{symbols[i]: float(occupancies[i])} for i in owners])


def _check_formula(block: Block, cell: ParsedCell) -> None:
    """Refuse a cell whose composition differs from the formula that the file states.

    Raises:
        Unreadable: If an element is missing or the proportions differ.
    """
    stated: dict[str, float] = {}
    text = re.sub(r"\s", "", _text(block, "_chemical_formula_sum"))
    if len(text) > 300 or not re.fullmatch(r"(?:[A-Z][a-z]?(?:\d+(?:\.\d*)?|\.\d+)?)+", text):
        return  # the file states no formula, or one with variables
    for symbol, amount in re.findall(r"([A-Z][a-z]?)([\d.]*)", text):
        stated[symbol] = stated.get(symbol, 0.0) + float(amount or 1)
    found = cell.amounts()
    missing = {symbol for symbol, amount in stated.items() if amount > 0} - set(found)
    if missing:
        raise Unreadable("E-STRUCT-FORMULA", f"{text} is stated, {', '.join(sorted(missing))} has no atoms")
    if not sum(stated.values()):
        return
    of_stated, of_found = sum(stated.values()), sum(found.values())
    gaps = {s: abs(found[s] / of_found - stated.get(s, 0.0) / of_stated) for s in found}
    worst = max(gaps, key=gaps.__getitem__)
    if gaps[worst] > _FORMULA_TOLERANCE:
        raise Unreadable("E-STRUCT-FORMULA", f"{text} is stated; {worst} differs most")
