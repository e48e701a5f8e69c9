"""Read the text of one structure, and return a checked cell or a row code. All structure files pass through here.

The reader runs in a child process (see :mod:`matloop.data.guard.guarded`). It compares the counts that a file declares
with what the file holds before it allocates memory for them. JSON is read as plain data; no name in it is imported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from matloop.data.candidates.crystal_faults import fault_detail
from matloop.data.candidates.crystals import MAX_SITES, VOLUME_PER_ATOM_BOUNDS, Crystals
from matloop.data.guard.messages import pack
from matloop.data.readers.cif import read_cif
from matloop.data.readers.disorder import resolve_disorder
from matloop.data.readers.extended_xyz import read_extended_xyz
from matloop.data.readers.parsed import ParsedCell, element, fractional, read_vectors, site_count
from matloop.data.readers.poscar import read_poscar
from matloop.data.readers.structure_json import parse_json, read_json
from matloop.data.readers.structure_split import TextRow, Unreadable


def request(row: TextRow, disorder: str) -> bytes:
    """Pack the message that :func:`read_row` takes."""
    head = f"{row.format} {disorder}\n"
    return (head + row.text).encode("utf-8", "replace")


def read_row(message: bytes) -> bytes:
    """Read one structure.

    Args:
        message: Made by :func:`request`.

    Returns:
        A message (:mod:`matloop.data.guard.messages`) with ``code``, ``detail`` and ``formula``. If the code is empty,
        it has ``stated``, numbers of the file by column name, and ``settings`` with which they were computed. If the
        cell is ordered too, it has the arrays ``lattice`` (3, 3) in Å, ``species`` and ``frac_coords``.
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
    stated = {"stated": dict(cell.stated), "settings": cell.settings}
    if not cell.is_ordered:
        gate(cell)
        resolved = resolve_disorder(cell, disorder)
        if resolved is None:
            return pack({"code": "", "detail": "", "formula": cell.formula(), **stated})
        cell = resolved
    gate(cell)
    arrays = {"lattice": cell.lattice, "species": cell.numbers(), "frac_coords": cell.frac_coords}
    return pack({"code": "", "detail": "", "formula": cell.formula(), **stated}, arrays)


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
        detail = fault_detail(crystals, 0, code) if len(crystals.species) == len(cell.occupancies) else ""
        raise Unreadable(code, detail, cell.formula())


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
    lattice = read_vectors(lines[marks["PRIMVEC"] + 1 : marks["PRIMVEC"] + 4])
    at = marks["PRIMCOORD"] + 1
    count = site_count(lines[at].split()[0], len(lines) - at - 1)
    rows = [line.split(None, 1) for line in lines[at + 1 : at + 1 + count]]
    if len(lattice) != 3 or any(len(row) != 2 for row in rows):
        raise Unreadable("E-FILE-SYNTAX", "too few numbers in PRIMVEC or PRIMCOORD")
    places = read_vectors([row[1] for row in rows])
    return ParsedCell(lattice, fractional(places, lattice), [{element(row[0]): 1.0} for row in rows])


def _read_json_text(text: str) -> ParsedCell:
    return read_json(parse_json(text))


_READERS: dict[str, Callable[[str], ParsedCell]] = {
    "cif": read_cif, "poscar": read_poscar, "extxyz": read_extended_xyz, "xsf": _read_xsf, "json": _read_json_text,
}  # fmt: skip
