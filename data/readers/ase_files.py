"""Read ASE databases without trusting them: select rows, and return what each row stores as plain numbers.

ASE is used to interpret a selection: it parses the text and writes the SQL. ASE does not open the file, because it
would create missing tables in it. ASE does not decode the file either. Its JSON decoder only makes objects from a
closed list, but it allocates arrays of any shape that a text states. Here JSON is decoded to plain values. The field
``data``, constraints and calculators are never read.

Structure files are read in a child process; databases are not, because no parser of a text format is involved. A row
consists of arrays of known width. Their lengths are compared before they become numbers, and every crystal is checked
before native code sees it. SQLite is built to withstand damaged files. The file is opened read-only, its views are not
used (a view may hide an endless query), functions that it names are not trusted, and each query has a time limit.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.deep_parsing import parsing_deeply
from matloop.data.errors import InputFileError
from matloop.data.properties.carried import MOST_COLUMNS

LOCK_SECONDS = 10.0  # how long to wait until another process has finished writing
QUERY_SECONDS = 600.0
_STEPS = 10_000  # instructions of SQLite between two checks of the time limit
MAX_JSON_BYTES = 200_000_000  # held in memory as a whole
_MAX_PAIRS = 1_000_000  # characters of the key-value pairs of one row
_VERSIONS = range(6, 10)
_AT_ONCE = 500  # rows per query
_BREAKS = (ValueError, LookupError, TypeError, AssertionError, AttributeError, ArithmeticError, RecursionError)

Conditions = tuple[list[str], list[tuple[Any, str, Any]]]


class Damaged(Exception):
    """Raised when a row holds no usable crystal.

    Args:
        code: Row code.
        detail: Details about the code.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class StoredRow(NamedTuple):
    """Content of one row.

    Attributes:
        numbers: Atomic numbers, shape (sites,).
        positions: Cartesian coordinates in Å, shape (sites, 3).
        cell: Row vectors of the cell in Å, shape (3, 3).
        pairs: Numbers that the user stored, by key.
        energy: Energy of all atoms in eV that a calculator gave; None where there is none.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pairs: dict[str, float]
    energy: float | None = None


class AseFile(Protocol):
    """A database file that was opened with a selection.

    Attributes:
        ids: Ids of the selected rows, ascending.
        keys: Keys whose values are numbers in every row that has them, sorted.
        has_energies: Whether some row may hold the energy of a calculator.
    """

    ids: list[int]
    keys: list[str]
    has_energies: bool

    def rows(self, ids: Sequence[int]) -> Iterator[StoredRow | Damaged]:
        """What each of these rows stores, or why it cannot be used."""
        ...


def conditions(select: str | None) -> Conditions:
    """Parse a selection in the language of ASE.

    Args:
        select: A selection such as ``"Ti>1,O,band_gap<2"``; see ``ase db --help``.

    Raises:
        InputFileError: If it cannot be parsed, or uses the age of a row, which changes from day to day.

    >>> conditions("O,natoms<5")
    ([], [(8, '>', 0), ('natoms', '<', 5)])
    """
    from ase.db.core import parse_selection

    allowed = "a selection of ASE, such as 'Ti,O>2,natoms<20,band_gap>1'"
    try:
        keys, comparisons = parse_selection(select)
    except _BREAKS as error:
        raise InputFileError(f"select: '{select}' ({error})"[:300], allowed) from error
    if re.search(r"\bage\b", select or ""):
        raise InputFileError("select: 'age' gives other rows on other days", f"{allowed}, or ctime")
    return keys, comparisons


class SqliteFile:
    """A database in SQLite.

    Args:
        path: The file; it is opened for reading only.
        selection: What :func:`conditions` gave.

    Raises:
        InputFileError: If it is no such database, damaged, or locked.
    """

    def __init__(self, path: Path, selection: Conditions) -> None:
        self.path = path
        with self._open() as connection:
            self._check_tables(connection)
            sql, values = _statement(selection)
            self.ids = [row_id for (row_id,) in connection.execute(sql, values)]
            if not all(isinstance(row_id, int) for row_id in self.ids):
                raise InputFileError(f"{path.name} has a row without a number as id", "an ASE database")
            (has_energies,) = connection.execute("SELECT EXISTS(SELECT 1 FROM systems WHERE energy IS NOT NULL)")
            self.has_energies = bool(has_energies[0])
            self.keys = sorted(
                str(key)
                for (key,) in connection.execute(
                    "SELECT DISTINCT key FROM number_key_values WHERE length(key) < 200 AND typeof(key) = 'text' "
                    "AND key NOT IN (SELECT key FROM text_key_values WHERE key IS NOT NULL) LIMIT ?",
                    (MOST_COLUMNS + 1,),
                )
            )

    def rows(self, ids: Sequence[int]) -> Iterator[StoredRow | Damaged]:
        """What each of these rows stores, or why it cannot be used."""
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            # A row that is too long for the largest allowed crystal is not loaded into memory.
            sql = (
                "SELECT id, CASE WHEN length(numbers) <= ? THEN numbers END, "
                "CASE WHEN length(positions) <= ? THEN positions END, "
                "CASE WHEN length(cell) <= 72 THEN cell END, pbc, natoms, "
                "CASE WHEN length(key_value_pairs) <= ? THEN key_value_pairs END, "
                "CASE WHEN typeof(energy) IN ('real', 'integer') THEN energy END "
                f"FROM systems WHERE id IN ({','.join('?' * len(some))})"
            )
            with self._open() as connection:
                limits = (4 * MAX_SITES, 24 * MAX_SITES, _MAX_PAIRS)
                found = {values[0]: values for values in connection.execute(sql, (*limits, *some))}
            for row_id in some:
                try:
                    yield _stored_blobs(found.get(row_id))
                except Damaged as damage:
                    yield damage

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        deadline = time.monotonic() + QUERY_SECONDS
        try:
            address = f"file:{quote(str(self.path.absolute()))}?mode=ro"
            connection = sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
            yield connection
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error
        finally:
            connection.close()

    def _unusable(self, error: Exception) -> InputFileError:
        fix = "let the program that writes to it finish" if "locked" in str(error) else ""
        return InputFileError(f"{self.path.name}: {error}"[:300], "a sound ASE database of SQLite (.db)", fix)

    def _check_tables(self, connection: sqlite3.Connection) -> None:
        tables = ("systems", "species", "keys", "text_key_values", "number_key_values", "information")
        plain = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND sql NOT LIKE '%GENERATED%' "
            "AND sql NOT LIKE '% AS (%'"
        )
        missing = sorted(set(tables) - {name for (name,) in plain})
        if missing:
            raise InputFileError(f"{self.path.name} has no table '{missing[0]}'", "an ASE database of SQLite (.db)")
        version = connection.execute("SELECT value FROM information WHERE name = 'version' LIMIT 1").fetchone()
        if version is None or str(version[0]) not in map(str, _VERSIONS):
            raise InputFileError(
                f"{self.path.name} has the database version {version and version[0]}",
                f"{_VERSIONS[0]} to {_VERSIONS[-1]}",
                "convert it with 'ase db old.db --insert-into new.db'",
            )


def _statement(selection: Conditions) -> tuple[str, list[Any]]:
    from ase.db.sqlite import SQLite3Database

    writer = SQLite3Database(None)
    writer.version = _VERSIONS[-1]
    try:
        sql, values = writer.create_select_statement(*selection, what="systems.id")
    except _BREAKS as error:
        raise InputFileError(f"select: {error}"[:300], "comparisons that ASE knows") from error
    return f"{sql}\nORDER BY systems.id", values


def _stored_blobs(values: Sequence[Any] | None) -> StoredRow:
    if values is None:
        raise Damaged("E-FILE-CHANGED", "the row is gone")
    _, numbers, positions, cell, pbc, natoms, pairs, energy = values
    if numbers is None and isinstance(natoms, int) and natoms > MAX_SITES:
        raise Damaged("E-STRUCT-SIZE", f"{natoms:,} atoms")
    if not isinstance(pbc, int) or pbc & 7 != 7:
        raise Damaged("E-STRUCT-NOCELL", f"periodic: {pbc}" if not isinstance(pbc, int) else _periodic(pbc))
    blobs = [numbers, positions, cell]
    if not all(isinstance(blob, bytes) for blob in blobs) or len(numbers) % 4 or len(cell) != 72:
        raise Damaged("E-FILE-SYNTAX", "arrays of atoms that are missing or of the wrong length")
    if len(positions) != 6 * len(numbers):
        raise Damaged("E-FILE-SYNTAX", f"{len(numbers) // 4} atoms, positions of {len(positions) // 24}")
    return StoredRow(
        np.frombuffer(numbers, "<i4").astype(np.int64),
        np.frombuffer(positions, "<f8").reshape(-1, 3),
        np.frombuffer(cell, "<f8").reshape(3, 3),
        _pairs(_json(pairs)),
        _energy(energy),
    )


def _energy(found: Any) -> float | None:
    """Return an energy, or None where there is no finite number."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and abs(found) < 1e300 else None


def _periodic(bits: int) -> str:
    return "periodic: " + "".join("FT"[bits >> axis & 1] for axis in range(3))


def _json(text: Any) -> Any:
    try:
        with parsing_deeply():
            return json.loads(text) if isinstance(text, str) else None
    except _BREAKS as error:
        raise Damaged("E-FILE-SYNTAX", f"key-value pairs: {error}"[:200]) from error


def _pairs(found: Any) -> dict[str, float]:
    if not isinstance(found, dict):
        raise Damaged("E-FILE-SYNTAX", "key-value pairs that are missing or too long")
    numbers = {key: value for key, value in found.items() if isinstance(value, int | float)}
    # An integer may have any number of digits, and isfinite would overflow.
    return {key: float(value) for key, value in numbers.items() if abs(value) < 1e300}


class JsonFile:
    """A database in JSON. The whole file is held in memory.

    Args:
        path: The file.
        selection: What :func:`conditions` gave.

    Raises:
        InputFileError: If it is no such database or too large.
    """

    def __init__(self, path: Path, selection: Conditions) -> None:
        self.path, self._selection = path, selection
        self.ids = self._selected_ids()
        kinds: dict[str, bool] = {}
        for row in self._content.values():
            pairs = row.get("key_value_pairs")
            for key, value in pairs.items() if isinstance(pairs, dict) else ():
                kinds[key] = kinds.get(key, True) and isinstance(value, int | float)
        self.keys = sorted(key for key, is_number in kinds.items() if is_number)
        self.has_energies = any(row.get("energy") is not None for row in self._content.values())

    def rows(self, ids: Sequence[int]) -> Iterator[StoredRow | Damaged]:
        """What each of these rows stores, or why it cannot be used."""
        for row_id in ids:
            try:
                yield _stored_values(self._content[row_id])
            except Damaged as damage:
                yield damage

    @cached_property
    def _content(self) -> dict[int, dict[str, Any]]:
        """Rows by id."""
        allowed = "an ASE database of JSON, in UTF-8"
        try:
            if self.path.stat().st_size > MAX_JSON_BYTES:
                fix = "convert it with 'ase db file.json --insert-into file.db'"
                raise InputFileError(f"{self.path.name} is larger than {MAX_JSON_BYTES:,} bytes", "an SQLite file", fix)
            with parsing_deeply():
                content = json.loads(self.path.read_bytes())
            ids = _flat(content.get("ids", [1]))
            rows = {int(row_id): content[str(int(row_id))] for row_id in sorted(ids)}
            if len(rows) != len(ids) or not all(isinstance(row, dict) for row in rows.values()):
                raise ValueError("two rows of one id, or one that is no row")
        except (OSError, MemoryError, *_BREAKS) as error:
            raise InputFileError(f"{self.path.name}: {type(error).__name__} {error}"[:300], allowed) from error
        return rows

    def _selected_ids(self) -> list[int]:
        """Ids of the rows that ASE selects; ASE sees the rows as plain values only."""
        if not any(self._selection):
            return list(self._content)
        from ase.db.jsondb import JSONDatabase

        shown = {row_id: _shown_to_ase(row) for row_id, row in self._content.items()}

        class Shown(JSONDatabase):
            def _read_json(self) -> tuple[dict[int, Any], list[int], int]:
                return shown, list(shown), 0

        try:
            return [row.id for row in Shown(None)._select(*self._selection)]
        except _BREAKS as error:
            raise InputFileError(f"select: {error}"[:300], "comparisons that fit the values of the rows") from error


def _shown_to_ase(row: Mapping[str, Any]) -> dict[str, Any]:
    """Row with what a selection may speak of; keys that would stand in the way of ASE's own names are left out."""
    from ase.db.core import reserved_keys
    from ase.db.row import AtomsRow

    scalars = ("unique_id", "ctime", "mtime", "user", "calculator", "energy", "free_energy", "magmom")
    shown = {key: row[key] for key in scalars if isinstance(row.get(key), str | int | float)}
    pairs = row.get("key_value_pairs")
    plain = {
        key: value
        for key, value in (pairs if isinstance(pairs, dict) else {}).items()
        if isinstance(value, str | int | float) and key not in reserved_keys and not hasattr(AtomsRow, key)
    }
    try:
        stored = _stored_values({**row, "pbc": [True] * 3})
        atoms = {"numbers": stored.numbers, "positions": stored.positions, "cell": stored.cell}
    except Damaged:
        atoms = {"numbers": np.zeros(0, int), "positions": np.zeros((0, 3))}
    periodic = [flag is True or flag == 1 for flag in _flat(row.get("pbc"))]
    pbc = periodic if len(periodic) == 3 else [False] * 3
    return {**shown, **atoms, "pbc": pbc, "key_value_pairs": plain}


def _stored_values(row: Mapping[str, Any]) -> StoredRow:
    try:
        numbers, periodic = _flat(row.get("numbers")), [bool(flag) for flag in _flat(row.get("pbc"))]
        if len(numbers) > MAX_SITES:
            raise Damaged("E-STRUCT-SIZE", f"{len(numbers):,} atoms")
        if periodic != [True] * 3:
            raise Damaged("E-STRUCT-NOCELL", "periodic: " + "".join("FT"[flag] for flag in periodic[:3]))
        species = np.array(numbers, np.int64).reshape(-1)
        positions = np.array(_flat(row.get("positions")), np.float64).reshape(len(species), 3)
        cell = np.array(_flat(row.get("cell")), np.float64).reshape(3, 3)
    except _BREAKS as error:
        raise Damaged("E-FILE-SYNTAX", f"arrays of atoms: {error}"[:200]) from error
    return StoredRow(species, positions, cell, _pairs(row.get("key_value_pairs", {})), _energy(row.get("energy")))


def _flat(value: Any) -> list[Any]:
    """Values of an array without its shape, in any of the forms that versions of ASE have written."""
    if isinstance(value, dict):
        value = value.get("__ndarray__", value.get("array"))
        value = value[2] if isinstance(value, list) and len(value) == 3 and isinstance(value[1], str) else value
        if isinstance(value, dict):  # ASE wraps the array of a cell in an object
            return _flat(value)
    if not isinstance(value, list):
        return []
    return [entry for part in value for entry in (part if isinstance(part, list) else [part])]
