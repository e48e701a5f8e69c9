"""Read crystals from an ASE database, with the numbers among the key-value pairs of the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.identity import text_id
from matloop.data.errors import RELATIVE_PATHS, InputFileError
from matloop.data.properties.carried import MOST_COLUMNS, carried_name
from matloop.data.properties.columns import Column
from matloop.data.readers.ase_files import AseFile, Damaged, JsonFile, SqliteFile, StoredRow, conditions

_FILES: dict[str, type[SqliteFile] | type[JsonFile]] = {".db": SqliteFile, ".json": JsonFile}


class AseDatabase:
    """Crystals of an ASE database, in the order of their ids.

    A row that is not periodic in all three directions is refused with ``E-STRUCT-NOCELL``. Every other row must pass
    the check of all crystals (:meth:`matloop.data.candidates.crystals.Crystals.row_codes`).

    Keys whose values are numbers become columns of the candidates, as float64; a row without the key has a null. The
    column has the prefix ``ase_``. A property column that :mod:`matloop.data.properties.catalogue` defines, such as
    ``band_gap_dft``, keeps its name and must be in the unit defined there. Energies of a calculator become the columns
    ``entry_energy`` (eV) and ``entry_energy_per_atom``. Keys with text, forces and ``data`` are not read.

    Args:
        path: A ``.db`` (SQLite) or ``.json`` file.
        select: Which rows to read, in the language of ASE, such as ``"Ti,O>2,natoms<20,band_gap>1"``.

    Raises:
        InputFileError: If the file does not exist, is not an ASE database, is damaged or locked, or the selection
            cannot be parsed.
    """

    name = "ase_database"

    def __init__(self, path: str | Path, *, select: str | None = None) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_file() or self.path.suffix.lower() not in _FILES:
            got = f"no file {path}" if not self.path.is_file() else f"{self.path.name} is no ASE database"
            fix = RELATIVE_PATHS if not self.path.is_file() else "write it with ase.db"
            raise InputFileError(got, "a .db or .json file of ASE", fix)
        self.select, self._conditions = select, conditions(select)
        self._file = self._opened()

    def files(self) -> list[Path]:
        """The file that the source reads."""
        return [self.path]

    def count(self) -> int:
        """Number of selected rows."""
        return len(self._file.ids)

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` rows, with the columns ``origin`` (file and row id) and ``known``."""
        ids = self._file.ids
        for start in range(0, len(ids), size):
            some = ids[start : start + size]
            yield self._intake(some, list(self._file.rows(some)))

    def _opened(self) -> AseFile:
        file = _FILES[self.path.suffix.lower()](self.path, self._conditions)
        if len(file.keys) > MOST_COLUMNS:
            raise InputFileError(f"{self.path.name} has more than {MOST_COLUMNS:,} keys with numbers", "fewer keys")
        return file

    def _intake(self, ids: list[int], rows: list[StoredRow | Damaged]) -> Intake:
        from ase import Atoms

        stored = [(place, row) for place, row in enumerate(rows) if isinstance(row, StoredRow)]
        gated = CandidateBatch.from_atoms(
            [Atoms(row.numbers, row.positions, cell=row.cell, pbc=True) for _, row in stored]
        )
        unsound = {stored[refused.row][0]: refused for refused in gated.refused}
        good = [(place, row) for place, row in stored if place not in unsound]
        refused = []
        for place, row in enumerate(rows):
            origin = f"{self.path.name} row {ids[place]}"
            if isinstance(row, Damaged):
                detail = f"{origin}: {row.detail}" if row.detail else origin
                refused.append(Refused(place, text_id(origin), "", row.code, detail))
            elif place in unsound:
                detail = ": ".join(filter(None, [origin, unsound[place].detail]))
                refused.append(unsound[place]._replace(row=place, detail=detail))
        columns = {
            carried_name("ase", key): pa.array([row.pairs.get(key) for _, row in good], pa.float64())
            for key in self._file.keys
        }
        if self._file.has_energies:
            columns[Column.ENTRY_ENERGY] = pa.array([row.energy for _, row in good], pa.float64())
            columns[Column.ENTRY_ENERGY_PER_ATOM] = pa.array(
                [None if row.energy is None else row.energy / len(row.numbers) for _, row in good], pa.float64()
            )
        batch = gated.batch.with_columns(
            {
                Column.ORIGIN: pa.array([f"{self.path.name} row {ids[place]}" for place, _ in good], pa.string()),
                **columns,
            }
        )
        return Intake(batch, refused)
