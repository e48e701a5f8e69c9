"""Write candidates into the files that other programs read: extended XYZ, ASE database, pymatgen JSON, CSV, XLSX."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import SYMBOLS
from matloop.data.errors import RunError
from matloop.data.plain_text import counted, one_line
from matloop.data.properties.columns import Column
from matloop.data.whole_files import write_csv, write_json, write_whole, write_xlsx
from matloop.screening.dossier.exported_table import ExportedTable
from matloop.screening.flags.symmetric_sites import SymmetricSites, symmetric_sites

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

NAMES_IN_ASE = {str(Column.FORMULA): "reduced_formula"}
"""Names of columns that an ASE database keeps for itself -> the key that stands for them there."""
BEFORE = "crystal_before_symmetrising"
"""Key of the crystal as it was relaxed or given, among the properties of a symmetrised one."""
_DECIMALS = 4  # of oxidation states and bond-valence sums
EVERYTHING = "matloop"
"""Key under which the data of a row of an ASE database hold all columns, also those that no key-value pair can hold."""


@dataclass(frozen=True)
class WrittenExport:
    """What came of an export.

    Attributes:
        path: The file that was written.
        rows: Candidates in it.
        without_crystal: Candidates that are not in it, because the format holds crystals and they have none.
    """

    path: Path
    rows: int
    without_crystal: int = 0

    def lines(self) -> list[str]:
        """What happened, in lines for people."""
        lines = [f"{one_line(str(self.path))}: {counted(self.rows, 'candidate')}"]
        if self.without_crystal:
            told = f"  {counted(self.without_crystal, 'candidate')} without a crystal left out"
            lines.append(f"{told}: {self.path.suffix} holds crystals only; .csv and .xlsx hold all")
        return lines


def write_export(table: ExportedTable, path: str | Path) -> WrittenExport:
    """Write candidates to a file whose name says the format.

    Args:
        table: The candidates.
        path: File to write: ``.xyz`` or ``.extxyz``, ``.db``, ``.json``, ``.csv`` or ``.xlsx``. A file of that name is
            replaced.

    Raises:
        RunError: If the suffix names no format, the folder does not exist, or a file of crystals would be empty.
    """
    path = Path(path).expanduser()
    check_export_name(path)
    suffix = path.suffix.lower()
    if suffix in OF_TABLES:
        OF_TABLES[suffix](table, path)
        return WrittenExport(path, len(table))
    rows = np.flatnonzero(table.batch.has_crystal).tolist()
    if not rows:
        raise RunError(
            f"none of {counted(len(table), 'candidate')} has a crystal, and {suffix} holds nothing else",
            ", ".join(OF_TABLES), f"such as {path.stem}.csv",
        )  # fmt: skip
    OF_CRYSTALS[suffix](table, rows, path)
    return WrittenExport(path, len(rows), len(table) - len(rows))


def check_export_name(path: Path) -> None:
    """Make sure that a file can be written, and in which format.

    Raises:
        RunError: If the suffix names no format, or the folder does not exist.
    """
    formats = [*OF_CRYSTALS, *OF_TABLES]
    if path.suffix.lower() not in formats:
        raise RunError(
            f"{path.name} names no format that candidates are exported to", ", ".join(formats),
            f"such as {path.stem or 'candidates'}.xyz",
        )  # fmt: skip
    if not path.absolute().parent.is_dir():
        raise RunError(f"no folder {path.parent} to write {path.name} into", "an existing folder")


def _write_csv(table: ExportedTable, path: Path) -> None:
    write_csv(path, list(table.meanings), ([_empty(cell) for cell in row.values()] for row in table.rows()))


def _empty(cell: Any) -> Any:
    return "" if cell is None else cell


def _write_xlsx(table: ExportedTable, path: Path) -> None:
    """Write the candidates on the first sheet, what the columns mean on the second, and notes on lists on the third."""
    meanings = [("column", "unit", "meaning")]
    meanings += [(name, about.unit, about.description) for name, about in table.meanings.items()]
    rows = [list(table.meanings), *(list(row.values()) for row in table.rows())]
    notes = [("notes", "说明"), *table.notes]
    write_xlsx(path, {"candidates": rows, "columns": meanings, "notes": notes})


def _write_json(table: ExportedTable, rows: list[int], path: Path) -> None:
    """Write structures of pymatgen with their properties; entries with their data where a potential gave an energy.

    Crystals are symmetrised, in their conventional cells; how they were before stands among their properties.
    """
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    values = table.rows()
    written = []
    for row in rows:
        about = {name: value for name, value in values[row].items() if value is not None}
        sites = symmetric_sites(table.batch, row)
        structure, energy = _symmetrised(sites), table.energy(row, sites=len(sites.atoms))
        about |= {BEFORE: _as_it_was(table.batch, row)}
        structure.properties = about
        if energy is None:
            written.append(structure.as_dict())
        else:
            entry = ComputedStructureEntry(
                structure, energy, parameters={"potential": table.potential}, data=about, entry_id=about["candidate_id"]
            )
            written.append(entry.as_dict())
    write_json(path, written)


def _symmetrised(sites: SymmetricSites) -> Structure:
    """A symmetrised crystal as a structure of pymatgen whose sites know their Wyckoff letters and oxidation states."""
    from pymatgen.core import Lattice, Structure

    known = sites.chemistry
    properties: dict[str, list[Any]] = {"wyckoff": sites.letters}
    for name, values in (("oxidation_state", known.states), ("bond_valence_sum", known.sums)):
        if np.isfinite(values).all():
            properties[name] = np.round(values, _DECIMALS).tolist()
    species = [SYMBOLS[element] for element in sites.cell.species[sites.atoms]]
    return Structure(Lattice(sites.cell.lattice), species, sites.places, site_properties=properties)


def _as_it_was(batch: CandidateBatch, row: int) -> dict[str, Any]:
    """A crystal before it was symmetrised, as plain lists."""
    lattice, species, places = batch.cell(row)
    return {
        "lattice": lattice.tolist(),
        "species": [SYMBOLS[element] for element in species],
        "frac_coords": places.tolist(),
    }


def _atoms(table: ExportedTable, row: int, about: Mapping[str, Any]) -> Atoms:
    """A crystal with what is known about it, and with its energy where a potential gave one."""
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms, energy = table.batch.atoms(row), table.energy(row)
    atoms.info.update({name: value for name, value in about.items() if value is not None})
    if energy is not None:
        atoms.info["potential"] = table.potential
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        atoms.calc.name = table.potential
    return atoms


def _write_xyz(table: ExportedTable, rows: list[int], path: Path) -> None:
    """Write one frame for each crystal; predictions stand in its comment line."""
    from ase.io.extxyz import write_xyz

    values = table.rows()

    def images() -> Iterator[Atoms]:
        for row in rows:
            yield _atoms(table, row, {name: _in_xyz(value) for name, value in values[row].items()})

    def fill(draft: Path) -> None:
        with draft.open("w", encoding="utf-8") as file:
            write_xyz(file, images())

    write_whole(path, fill)


def _in_xyz(value: Any) -> Any:
    """A value that is read back as it is: ASE takes the text ``12`` for a number unless it is written as JSON."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    for written in (text, f"_JSON {json.dumps(text, ensure_ascii=False)}"):
        if _read_by_ase(written) == text:
            return written
    return "".join("'" if mark == '"' else "/" if mark == "\\" else mark for mark in text)


def _read_by_ase(written: str) -> str | None:
    """The text that ASE reads where another was written in the comment line of extended XYZ, None if it is no text."""
    from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict

    try:
        found = key_val_str_to_dict(key_val_dict_to_str({"text": written}))
    except ValueError:
        return None
    return found["text"] if list(found) == ["text"] and isinstance(found["text"], str) else None


def _write_database(table: ExportedTable, rows: list[int], path: Path) -> None:
    """Write one row for each crystal, with key-value pairs that can be searched for; notes go into the metadata."""
    from ase.db import connect

    values = table.rows()

    def fill(draft: Path) -> None:
        draft.unlink()  # ASE makes the file
        with connect(draft, type="db", use_lock_file=False) as database:
            database.metadata = {"title": EVERYTHING, "notes": [words.en for words in table.notes]}
            for row in rows:
                atoms = _atoms(table, row, values[row])
                about, atoms.info = dict(atoms.info), {}
                named = {NAMES_IN_ASE.get(name, name): value for name, value in about.items()}
                database.write(atoms, key_value_pairs=_pairs(named), data={EVERYTHING: about})

    write_whole(path, fill)


def _pairs(about: Mapping[str, Any]) -> dict[str, Any]:
    """What an ASE database takes as key-value pairs; it refuses text that looks like a number, among others."""
    from ase.db.core import check

    pairs = {}
    for name, value in about.items():
        with contextlib.suppress(ValueError):
            check({name: value})
            pairs[name] = value
    return pairs


OF_CRYSTALS: Mapping[str, Callable[[ExportedTable, list[int], Path], None]] = {
    ".xyz": _write_xyz,
    ".extxyz": _write_xyz,
    ".db": _write_database,
    ".json": _write_json,
}
"""Formats of crystals by suffix."""
OF_TABLES: Mapping[str, Callable[[ExportedTable, Path], None]] = {".csv": _write_csv, ".xlsx": _write_xlsx}
"""Formats of tables by suffix, which hold candidates without crystals too."""
