"""Read the text of one structure, and return a checked cell or a row code. All structure files pass through here.

The reader runs in a child process (see :mod:`matloop.data.guard.guarded`). It compares the counts that a file declares
with what the file holds before it allocates memory for them. JSON is read as plain data; no name in it is imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES, VOLUME_PER_ATOM_BOUNDS, Crystals
from matloop.data.elements import SYMBOLS
from matloop.data.guard.messages import pack
from matloop.data.readers.cif import read_cif
from matloop.data.readers.disorder import resolve_disorder
from matloop.data.readers.parsed import ParsedCell, numbers, symbol_of
from matloop.data.readers.structure_json import read_json
from matloop.data.readers.structure_split import TextRow, Unreadable

_LONGEST_HEADER = 20_000  # characters of a comment line


def request(row: TextRow, disorder: str) -> bytes:
    """Pack the message that :func:`read_row` takes."""
    head = f"{row.format} {disorder}\n"
    return (head + row.text).encode("utf-8", "replace")


def read_row(message: bytes) -> bytes:
    """Read one structure.

    Args:
        message: Made by :func:`request`.

    Returns:
        A message (:mod:`matloop.data.guard.messages`) with ``code``, ``detail`` and ``formula``. If the code is empty
        and the cell is ordered, it also has the arrays ``lattice`` (3, 3) in Å, ``species`` and ``frac_coords``.
    """
    head, _, text = message.decode("utf-8").partition("\n")
    kind, _, disorder = head.partition(" ")
    try:
        return _read(kind, text, disorder)
    except Unreadable as error:
        return pack({"code": error.code, "detail": error.detail, "formula": error.formula})
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # the file broke a rule none of the readers names
        detail = f"{type(error).__name__}: {error}"[:200]
        return pack({"code": "E-FILE-SYNTAX", "detail": detail, "formula": ""})


def _read(kind: str, text: str, disorder: str) -> bytes:
    cell = read_cell(kind, text)
    if not cell.is_ordered:
        gate(cell)
        resolved = resolve_disorder(cell, disorder)
        if resolved is None:
            return pack({"code": "", "detail": "", "formula": cell.formula()})
        cell = resolved
    gate(cell)
    arrays = {"lattice": cell.lattice, "species": cell.numbers(), "frac_coords": cell.frac_coords}
    return pack({"code": "", "detail": "", "formula": cell.formula()}, arrays)


def read_cell(kind: str, text: str) -> ParsedCell:
    """Parse the cell of a structure, without checking it.

    Args:
        kind: Format.
        text: One structure.

    Raises:
        Unreadable: If the text holds no cell.
    """
    cell = _READERS[kind](text)
    if not len(cell.frac_coords):
        raise Unreadable("E-STRUCT-NOATOMS")
    return cell


def gate(cell: ParsedCell) -> None:
    """Refuse an unsound cell, see :meth:`Crystals.row_codes`. In a disordered cell, sites may lie close to each other.

    Raises:
        Unreadable: With the row code.
    """
    numbers_of_sites = cell.numbers() if cell.is_ordered else np.ones(len(cell.occupancies), np.uint8)
    offsets = np.array([0, len(numbers_of_sites)])
    if cell.is_ordered or len(numbers_of_sites) > MAX_SITES:
        crystals = Crystals(cell.lattice[None], offsets, numbers_of_sites, cell.frac_coords)
    else:  # shared and partly filled sites are too close by nature, so the cell is checked with one atom
        crystals = Crystals(cell.lattice[None], np.array([0, 1]), numbers_of_sites[:1], cell.frac_coords[:1])
    code = str(crystals.row_codes()[0])
    if code == "E-STRUCT-VOLUME" and not cell.is_ordered:
        volume = float(crystals.volumes[0]) / sum(cell.amounts().values())
        code = "" if VOLUME_PER_ATOM_BOUNDS[0] <= volume <= VOLUME_PER_ATOM_BOUNDS[1] else code
    if code:
        raise Unreadable(code, "", cell.formula())


def _fractional(cartesian: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(lattice).all() or not abs(np.linalg.det(lattice)) > 1e-12:
        raise Unreadable("E-STRUCT-CELL", "the cell vectors lie in a plane")
    return np.asarray(np.linalg.solve(lattice.T, cartesian.T).T)


def _vectors(lines: list[str]) -> NDArray[np.float64]:
    """Read the three numbers at the start of each line, shape (len(lines), 3)."""
    rows = [line.split(None, 3)[:3] for line in lines]
    if any(len(row) != 3 for row in rows):
        raise Unreadable("E-FILE-SYNTAX", "a line with fewer than three numbers")
    return np.array([numbers(row) for row in rows]).reshape(-1, 3)


def _site_count(word: str, lines_left: int) -> int:
    """Read the declared number of atoms, and check it against the limit and the number of lines."""
    if not (word.isascii() and word.isdecimal()):
        raise Unreadable("E-FILE-SYNTAX", f"'{word[:40]}' is no number of atoms")
    count = int(word) if len(word) < 12 else 10**12
    if count > MAX_SITES:
        raise Unreadable("E-STRUCT-SIZE", f"{count:,} atoms declared")
    if count > lines_left:
        raise Unreadable("E-FILE-SYNTAX", f"{count:,} atoms declared, {lines_left:,} lines left")
    return count


def _read_poscar(text: str) -> ParsedCell:
    lines = text.split("\n")
    if len(lines) < 8:
        raise Unreadable("E-FILE-SYNTAX", "fewer than 8 lines")
    lattice = _vectors(lines[2:5])
    factors = _factors(lattice, lines[1].split())
    lattice = lattice * factors
    symbols, at = lines[5].split()[: MAX_SITES + 1], 6
    if symbols and symbols[0].isdecimal():
        raise Unreadable("E-STRUCT-SYMBOLS", "a POSCAR of VASP 4 without the line of symbols")
    counts = lines[at].split("!")[0].split()
    if not symbols or len(counts) < len(symbols):
        raise Unreadable("E-FILE-SYNTAX", f"{len(symbols)} symbols and {len(counts)} numbers of atoms")
    each = [_site_count(word, len(lines)) for word in counts[: len(symbols)]]
    total = _site_count(str(sum(each)), len(lines) - at - 1)
    at += 1
    if lines[at].strip()[:1] in ("S", "s"):  # selective dynamics
        at += 1
    mode = lines[at].strip()[:1].lower() if at < len(lines) else ""
    if mode not in ("d", "c", "k"):
        raise Unreadable("E-FILE-SYNTAX", "neither Direct nor Cartesian")
    if "configuration" in lines[at].lower():
        raise Unreadable("E-FILE-FORMAT", "a trajectory (XDATCAR); write each image to a file of its own")
    coordinates = lines[at + 1 : at + 1 + total]
    if len(coordinates) < total:
        raise Unreadable("E-FILE-SYNTAX", f"{total} atoms declared, {len(coordinates)} given")
    species = [{symbol_of(symbol): 1.0} for symbol, count in zip(symbols, each, strict=True) for _ in range(count)]
    places = _vectors(coordinates)
    if mode != "d":
        places = _fractional(places * factors, lattice)
    return ParsedCell(lattice, places, species)


def _factors(lattice: NDArray[np.float64], words: list[str]) -> NDArray[np.float64]:
    """Read the scaling along x, y and z: one factor, three factors, or the cell volume as a negative number."""
    factors = np.array(numbers(words[:3]))
    if len(factors) == 1 and factors[0] < 0:
        volume = abs(np.linalg.det(lattice))
        if not volume > 1e-12:
            raise Unreadable("E-STRUCT-CELL", "the cell vectors lie in a plane")
        return np.full(3, np.cbrt(-factors[0] / volume))
    if len(factors) not in (1, 3) or (factors <= 0).any():
        raise Unreadable("E-FILE-SYNTAX", "no usable scaling factor")
    return np.broadcast_to(factors, 3)


_PAIR = re.compile(r"""([A-Za-z_][\w-]*)\s*=\s*("[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|\S+)""")


def _read_extxyz(text: str) -> ParsedCell:
    lines = text.rstrip().split("\n")
    if len(lines) < 2:
        raise Unreadable("E-FILE-SYNTAX", "fewer than 2 lines")
    count = _site_count(lines[0].strip(), len(lines) - 2)
    if len(lines[1]) > _LONGEST_HEADER:
        raise Unreadable("E-FILE-SYNTAX", f"a comment of {len(lines[1]):,} characters")
    if len(lines) > count + 2:
        raise Unreadable("E-FILE-SYNTAX", f"{count} atoms declared, {len(lines) - 2} lines given")
    values = {key.lower(): value.strip("\"'{}[]") for key, value in _PAIR.findall(lines[1])}
    if "lattice" not in values:
        raise Unreadable("E-STRUCT-NOCELL")
    lattice = np.array(numbers(values["lattice"].replace(",", " ").split()[:10]))
    if len(lattice) != 9:
        raise Unreadable("E-FILE-SYNTAX", f"a lattice of {len(lattice)} numbers")
    periodic = values.get("pbc", "T T T").replace(",", " ").split()
    if any(word[:1].upper() not in ("T", "1") for word in periodic):
        raise Unreadable("E-STRUCT-NOCELL", f"periodic: {' '.join(periodic)[:40]}")
    columns, width = _columns(values.get("properties", "species:S:1:pos:R:3"))
    if "pos" not in columns or not {"species", "z"} & set(columns):
        raise Unreadable("E-STRUCT-SYMBOLS" if "pos" in columns else "E-STRUCT-NOATOMS")
    rows = [line.split() for line in lines[2:]]
    at = columns["pos"]
    if any(len(row) < max(width, at + 3) for row in rows):
        raise Unreadable("E-FILE-SYNTAX", "a line with too few columns")
    places = np.array([numbers(row[at : at + 3]) for row in rows]).reshape(-1, 3)
    which = columns.get("species", columns.get("z", 0))
    return ParsedCell(
        lattice.reshape(3, 3), _fractional(places, lattice.reshape(3, 3)), [{element(row[which]): 1.0} for row in rows]
    )


def _columns(properties: str) -> tuple[dict[str, int], int]:
    """Return the first column of each property of an extended XYZ file, and the number of columns."""
    words = properties.split(":")
    columns: dict[str, int] = {}
    width = 0
    for name, count in zip(words[0::3], words[2::3], strict=False):
        columns[name.lower()] = width
        width += int(count) if count.isdecimal() and len(count) < 5 else 1
    return columns, width


def element(word: str) -> str:
    """Symbol of an element that is given by its symbol or its atomic number."""
    if word.isascii() and word.isdecimal() and len(word) < 4:
        if 0 < int(word) < len(SYMBOLS):
            return SYMBOLS[int(word)]
        raise Unreadable("E-STRUCT-ELEMENT", word)
    return symbol_of(word)


def _read_xsf(text: str) -> ParsedCell:
    lines = [line.split("#")[0].strip() for line in text.split("\n")]
    lines = [line for line in lines if line]
    marks = {line.split()[0].upper(): at for at, line in reversed(list(enumerate(lines)))}  # the first of each
    if "ANIMSTEPS" in marks:
        raise Unreadable("E-FILE-FORMAT", "an animated XSF; write each image to a file of its own")
    if {"MOLECULE", "POLYMER", "SLAB"} & set(marks):
        raise Unreadable("E-STRUCT-NOCELL", "the file says MOLECULE, POLYMER or SLAB")
    if "PRIMVEC" not in marks:
        raise Unreadable("E-STRUCT-NOCELL")
    if "PRIMCOORD" not in marks or marks["PRIMCOORD"] + 1 >= len(lines):
        raise Unreadable("E-STRUCT-NOATOMS")
    lattice = _vectors(lines[marks["PRIMVEC"] + 1 : marks["PRIMVEC"] + 4])
    at = marks["PRIMCOORD"] + 1
    count = _site_count(lines[at].split()[0], len(lines) - at - 1)
    rows = [line.split(None, 1) for line in lines[at + 1 : at + 1 + count]]
    if len(lattice) != 3 or any(len(row) != 2 for row in rows):
        raise Unreadable("E-FILE-SYNTAX", "too few numbers in PRIMVEC or PRIMCOORD")
    places = _vectors([row[1] for row in rows])
    return ParsedCell(lattice, _fractional(places, lattice), [{element(row[0]): 1.0} for row in rows])


def _read_json_text(text: str) -> ParsedCell:
    try:
        return read_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Unreadable("E-FILE-SYNTAX", f"no JSON: {error}"[:200]) from error


_READERS: dict[str, Callable[[str], ParsedCell]] = {
    "cif": read_cif, "poscar": _read_poscar, "extxyz": _read_extxyz, "xsf": _read_xsf, "json": _read_json_text,
}  # fmt: skip
