"""Read snapshots. A snapshot is one Parquet file with the answer of a database, so that a run needs no network.

A row is an entry of the database: a crystal, a composition, or an unreadable entry with its row code. The metadata of
the file say where it comes from. A sha256 over the rows shows any later change. The columns are::

    entry_id      identifier of the entry at the provider
    formula       computed from the sites, or as the provider states it
    code, detail  row code and its details, empty for a candidate
    lattice       Å, nine numbers; null where only the composition is known
    species, frac_coords
    ..._dft       properties; a name of the schema is followed by the functional where that is not the schema's own
                  (``band_gap_dft``, ``energy_above_hull_r2scan_dft``); a snapshot has no other columns
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS, Block
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.identity import text_id
from matloop.data.errors import RELATIVE_PATHS, ROW_CODES, InputFileError, SnapshotError
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import Column
from matloop.data.readers.parquet_trial import BUFFER, check_parquet

PROVENANCE = b"matloop_snapshot"
"""Key in the metadata of the file under which the provenance is stored as JSON."""

PROVENANCE_SHA256 = b"matloop_snapshot_sha256"
ENTRY_COLUMNS = pa.schema(
    [
        (Column.ENTRY_ID, pa.string()),
        (Column.FORMULA, pa.string()),
        (Column.CODE, pa.string()),
        (Column.DETAIL, pa.string()),
        (Column.LATTICE, pa.list_(pa.float64(), 9)),
        (Column.SPECIES, pa.list_(pa.uint8())),
        (Column.FRAC_COORDS, pa.list_(pa.float64())),
    ]
)
"""Columns of every snapshot; columns of properties (float64) follow them."""

_ROWS_AT_ONCE = 8192
_FETCH_AGAIN = "fetch it again, or take an unharmed copy"


class Snapshot:
    """Entries of a database as candidates; all of them are known compounds.

    Args:
        path: A file written by ``matloop fetch``.
        sha256: Expected sha256 of the rows, which ties a campaign to one snapshot.

    Raises:
        InputFileError: If the file does not exist.
        SnapshotError: If the file is not a snapshot, or has another sha256. Changed rows are found on the first pass.
    """

    name = "snapshot"

    def __init__(self, path: str | Path, *, sha256: str | None = None) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise InputFileError(f"no file {path}", "a snapshot written by matloop fetch", RELATIVE_PATHS)
        self.provenance = read_provenance(self.path)
        if sha256 is not None and sha256.strip().lower() != self.provenance["sha256"]:
            raise SnapshotError(
                f"{self.path.name} has sha256 {self.provenance['sha256']}", sha256, "name the other file or its sha256"
            )

    def files(self) -> list[Path]:
        """The file that the source reads."""
        return [self.path]

    def count(self) -> int:
        """Number of entries. The first call reads the whole file to check its sha256."""
        return self._checked_rows

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` rows. Unreadable entries are refused with their code.

        Candidates have the columns ``origin`` (the provider's id), ``known`` and the properties of the file.
        """
        assert self._checked_rows >= 0
        for table in _tables(self.path, size):
            yield _intake(table)

    @cached_property
    def _checked_rows(self) -> int:
        check_parquet(self.path, rows=_ROWS_AT_ONCE)
        rows, found = 0, ContentHash()
        for table in _tables(self.path, _ROWS_AT_ONCE):
            rows += table.num_rows
            found.update(table)
        if found.hexdigest() != self.provenance["sha256"] or rows != self.provenance["rows"]:
            raise SnapshotError(
                f"the rows of {self.path.name} are not the ones that were written (sha256 {found.hexdigest()})",
                f"sha256 {self.provenance['sha256']}, {self.provenance['rows']:,} rows",
                _FETCH_AGAIN,
            )
        return rows


class ContentHash:
    """A sha256 over rows that does not depend on how they are split into tables or packed in a file."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}

    def update(self, table: pa.Table) -> None:
        """Add the rows of a table. All tables must have the same columns."""
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            parts = self._columns.setdefault(name, [hashlib.sha256() for _ in range(3)])
            for hashed, content in zip(parts, _contents(column), strict=True):
                hashed.update(content)

    def hexdigest(self) -> str:
        """The hash of all rows so far."""
        whole = hashlib.sha256()
        for name in sorted(self._columns):
            whole.update(f"{name}\0{' '.join(part.hexdigest() for part in self._columns[name])}\n".encode())
        return whole.hexdigest()


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Read the provenance of a snapshot: provider, database_version, query, licence, rows, sha256 and more.

    Raises:
        SnapshotError: If the file is not a snapshot or is incomplete, has columns of unknown properties, or its
            provenance was changed.
    """
    path = Path(path)
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise SnapshotError(f"{path.name} cannot be read: {reason}", "a whole Parquet file", _FETCH_AGAIN) from error
    metadata = schema.metadata or {}
    text = metadata.get(PROVENANCE, b"")
    missing = [field.name for field in ENTRY_COLUMNS if field.name not in schema.names]
    if not text or missing:
        raise SnapshotError(f"{path.name} is no snapshot", "a file written by matloop fetch", "fetch one")
    if len(set(schema.names)) < len(schema.names):
        raise SnapshotError(f"{path.name} has two columns of one name", "", _FETCH_AGAIN)
    properties = [field for field in schema if field.name not in ENTRY_COLUMNS.names]
    if any(schema.field(field.name).type != _stored(field.type) for field in ENTRY_COLUMNS) or any(
        field.type != pa.float64() for field in properties
    ):
        raise SnapshotError(f"{path.name} has columns of other types than a snapshot", "", _FETCH_AGAIN)
    if strange := [field.name for field in properties if not _is_property(field.name)]:
        raise SnapshotError(
            f"{path.name} has the columns {', '.join(strange)}"[:300],
            "properties such as band_gap_dft or band_gap_r2scan_dft",
            _FETCH_AGAIN,
        )
    if hashlib.sha256(text).hexdigest().encode() != metadata.get(PROVENANCE_SHA256):
        raise SnapshotError(f"the provenance of {path.name} was changed", "that which was written", _FETCH_AGAIN)
    provenance: dict[str, Any] = json.loads(text)
    return provenance


def with_provenance(schema: pa.Schema, provenance: Mapping[str, Any]) -> pa.Schema:
    """Return the schema with the provenance in its metadata."""
    text = json.dumps(provenance, ensure_ascii=False, sort_keys=True).encode("utf-8")
    return schema.with_metadata({PROVENANCE: text, PROVENANCE_SHA256: hashlib.sha256(text).hexdigest().encode()})


def _stored(kind: pa.DataType) -> pa.DataType:
    """Return the type as Parquet reads it back, which names the values of a list ``element``."""
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(pa.field("element", kind.value_type), kind.list_size)
    return pa.list_(pa.field("element", kind.value_type)) if isinstance(kind, pa.ListType) else kind


def _tables(path: Path, size: int) -> Iterator[pa.Table]:
    """Yield the rows in tables of at most ``size``.

    Raises:
        SnapshotError: If the file is damaged.
    """
    try:
        with pq.ParquetFile(path, buffer_size=BUFFER) as file:
            for batch in file.iter_batches(batch_size=size):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise SnapshotError(f"{path.name} is damaged: {reason}", "", _FETCH_AGAIN) from error


def _contents(column: pa.Array) -> tuple[bytes, bytes, bytes]:
    """Return three parts of a column as bytes: which values exist, the length of each, and the values."""
    valid = column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).tobytes()
    if pa.types.is_string(column.type):
        words = [(word or "").encode("utf-8") for word in column.to_pylist()]
        return valid, np.array([len(word) for word in words], "<i8").tobytes(), b"".join(words)
    if pa.types.is_floating(column.type):
        return valid, b"", pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False).astype("<f8").tobytes()
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype("<i8")
    values = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    return valid, lengths.tobytes(), values.tobytes()


def _intake(table: pa.Table) -> Intake:
    """Return the candidates and refused rows of a part of a snapshot.

    The sha256 shows changes, but not whether the file is benign. So its crystals are checked like any others.
    """
    codes = np.array(pc.fill_null(table[Column.CODE], "E-FILE-SYNTAX").to_pylist(), object)
    readable = np.flatnonzero(codes == "")
    bare = readable[~table[Column.LATTICE].is_valid().to_numpy()[readable]]
    _judge_crystals(table, np.setdiff1d(readable, bare), codes)
    formulas = CandidateBatch.from_formulas(table[Column.FORMULA].take(bare).to_pylist(), exact=True)
    codes[bare[[row.row for row in formulas.refused]]] = [row.code for row in formulas.refused]
    good = np.flatnonzero(codes == "")
    kept = table.take(pa.array(good))
    batch = _batch(kept, formulas.batch)
    columns = [name for name in table.column_names if name not in ENTRY_COLUMNS.names]
    batch = batch.with_columns(
        {
            Column.ORIGIN: kept[Column.ENTRY_ID],
            Column.KNOWN: np.ones(len(kept), bool),
            **{name: kept[name] for name in columns},
        }
    )
    return Intake(batch, list(_refused(table, codes)))


def _is_property(column: str) -> bool:
    """Whether a column belongs to a property, with or without the functional in its name."""
    return any(re.fullmatch(rf"{re.escape(name)}(_[a-z0-9_]+)?_dft", column) for name in catalogue())


def _judge_crystals(table: pa.Table, rows: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> None:
    """Set the row codes of unsound crystals."""
    part = table.take(pa.array(rows))
    sites = pc.list_value_length(part[Column.SPECIES]).to_numpy()
    fitting = pc.list_value_length(part[Column.FRAC_COORDS]).to_numpy() == 3 * sites
    codes[rows[~fitting]] = "E-FILE-SYNTAX"
    codes[rows[fitting]] = _crystals(part.filter(pa.array(fitting))).row_codes()


def _crystals(table: pa.Table) -> Any:
    arrays = {name: table[name].combine_chunks() for name in Crystals.columns}
    return Crystals.from_columns(arrays)


def _batch(kept: pa.Table, bare: CandidateBatch) -> CandidateBatch:
    """Make one batch of crystals and of candidates without a crystal (``bare``), in the order of the file."""
    crystals = _crystals(kept)
    has_crystal = crystals.site_counts > 0
    with_cells = CandidateBatch.from_crystals(crystals.take(np.flatnonzero(has_crystal)))
    if not len(bare):
        return with_cells
    order = np.argsort(np.concatenate([np.flatnonzero(has_crystal), np.flatnonzero(~has_crystal)]))
    one, other = with_cells.compositions, bare.compositions
    compositions = Compositions(
        np.concatenate([one.offsets, one.offsets[-1] + other.offsets[1:]]),
        np.concatenate([one.elements, other.elements]),
        np.concatenate([one.amounts, other.amounts]),
    ).take(order)
    table = pa.concat_tables([with_cells.table, bare.table]).take(pa.array(order))
    blocks: dict[str, Block] = {COMPOSITIONS: compositions}
    return CandidateBatch(table, blocks | {CRYSTALS: crystals} if has_crystal.any() else blocks)


def _refused(table: pa.Table, codes: Iterable[str]) -> Iterator[Refused]:
    words = (table[name].to_pylist() for name in (Column.ENTRY_ID, Column.FORMULA, Column.DETAIL))
    for row, (code, entry_id, formula, detail) in enumerate(zip(codes, *words, strict=True)):
        if code:
            known = code if code in ROW_CODES else "E-FILE-SYNTAX"
            said = ": ".join(filter(None, [entry_id, detail]))
            yield Refused(row, text_id(f"{entry_id}\0{formula}"), formula or "", known, said)
