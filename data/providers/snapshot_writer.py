"""Write a snapshot page by page, so that an interrupted fetch can continue where it stopped.

Pages lie in the folder ``NAME.parts`` next to the target. Each is one Parquet file whose metadata say where to get the
next page, so that rows and state always agree. A file gets its final name only when it is complete.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.errors import ProviderError, SnapshotError
from matloop.data.guard.messages import unpack
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.providers.polite_session import plain_line
from matloop.data.readers.structure_split import TextRow
from matloop.data.readers.structure_text import read_row, request
from matloop.data.sources.snapshot import ENTRY_COLUMNS, ContentHash, with_provenance
from matloop.data.whole_files import write_json, write_table, write_whole

_STATE = b"matloop_page"
_ROWS_PER_GROUP = 5000
REPEATED = "repeated entries left out"
MOST_ROWS = 20_000_000
_MOST_BARREN_PAGES = 3


@dataclass(frozen=True)
class Database:
    """Description of a database, as it is stored in the snapshot.

    Attributes:
        provider: Name of the database.
        base_url: Its address.
        version: Version of the data, or the closest equivalent.
        licence: Licence of the data, empty if the provider states none.
        thermo_type: Scheme of the energies, empty if there are none.
    """

    provider: str
    base_url: str
    version: str
    licence: str = ""
    thermo_type: str = ""


@dataclass(frozen=True)
class Page:
    """One answer of a database.

    Attributes:
        rows: Entries, by the names of :data:`~matloop.data.sources.snapshot.ENTRY_COLUMNS` and of properties.
        next_page: Where to get the next page; None after the last page.
        version: Version of the data.
        total: Number of entries of the whole answer, if the database states it.
        notes: Kind of values that were left out -> how many.
        left_out: Number of entries of the answer that gave no row.
    """

    rows: list[dict[str, Any]]
    next_page: str | None
    version: str
    total: int | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0


def entry_row(entry_id: str, structure: Any, *, formula: str, disorder: str, properties: Mapping[str, Any]) -> Any:
    """Make a row of one entry of a database, with the reader of structure files, which never raises an error.

    Args:
        entry_id: The provider's id.
        structure: A pymatgen or OPTIMADE structure as plain JSON data.
        formula: Formula that the provider states; used if the structure gives none.
        disorder: How to treat shared or partly filled sites, see :mod:`matloop.data.readers.disorder`.
        properties: Further columns.
    """
    message = unpack(read_row(request(TextRow("json", "", json.dumps(structure)), disorder)))
    code, detail, found = (str(message.values[key]) for key in ("code", "detail", "formula"))
    row = {
        Column.ENTRY_ID: plain_line(entry_id, 120),
        Column.FORMULA: found or plain_line(formula, 120),
        Column.CODE: code,
    }
    row[Column.DETAIL] = plain_line(detail)
    arrays = {name: array.reshape(-1) for name, array in message.arrays.items()}
    return {**row, Column.LATTICE: None, Column.SPECIES: None, Column.FRAC_COORDS: None, **arrays, **properties}


def refused_row(entry_id: str, code: str, detail: str, *, formula: str = "") -> dict[str, Any]:
    """Make a row for an entry that cannot become a candidate."""
    return {
        Column.ENTRY_ID: plain_line(entry_id, 120), Column.FORMULA: plain_line(formula, 120),
        Column.CODE: code, Column.DETAIL: plain_line(detail),
    }  # fmt: skip


def plausible(property_name: str, value: Any) -> float | None:
    """Return a number if it lies within the physical bounds of a property, otherwise None.

    >>> plausible("bulk_modulus_vrh", 160), plausible("bulk_modulus_vrh", -9e5)
    (160.0, None)
    """
    known = property_named(property_name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if known.lower <= value <= known.upper else None


class SnapshotDraft:
    """Pages of an unfinished snapshot.

    Args:
        target: Where the snapshot will be.
        query: The query as plain data. It decides whether pages in the folder belong to the same fetch.
        properties: Property column -> its metadata (``unit``, ``method``).

    Raises:
        SnapshotError: If the folder holds pages of another query.
    """

    def __init__(self, target: Path, query: Mapping[str, Any], *, properties: Mapping[str, Mapping[str, str]]) -> None:
        self.target, self.query = target, dict(query)
        self.folder = target.with_name(target.name + ".parts")
        fields = [pa.field(name, pa.float64(), metadata=dict(about)) for name, about in properties.items()]
        self.schema = pa.schema([*ENTRY_COLUMNS, *fields])
        self.notes: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.rows = 0
        self._delivered = self._barren_pages = 0
        self._total: int | None = None
        self._pages: list[Path] = []
        self._seen: set[str] = set()
        self._state: dict[str, Any] = {"next_page": "", "version": ""}
        self._open()

    @property
    def next_page(self) -> str | None:
        """Page at which to continue: empty at the start, None if all pages are there."""
        return self._state["next_page"]

    def add(self, page: Page) -> None:
        """Store a page.

        Raises:
            SnapshotError: If the version of the database has changed since earlier pages, or the disk is full.
            ProviderError: If the database sends more entries than it announces, or page after page without new ones.
        """
        if self._pages and page.version != self._state["version"]:
            raise SnapshotError(
                f"the database was '{self._state['version']}' when the fetch began and is '{page.version}' now",
                "pages of one version",
                f"remove {self.folder} and fetch again",
            )
        fresh, notes = [], Counter(page.notes)
        for row in page.rows:
            if row[Column.ENTRY_ID] in self._seen:
                notes[REPEATED] += 1
            else:
                self._seen.add(row[Column.ENTRY_ID])
                fresh.append(row)
        new = len(fresh) + page.left_out
        self._check_end_is_near(page, new)
        state = {
            "next_page": page.next_page, "version": page.version, "notes": dict(notes), "new": new, "total": page.total,
        }  # fmt: skip
        table = pa.Table.from_pylist(fresh, schema=self.schema)
        if not self._pages:
            self._make_folder()
        path = self._page(len(self._pages))
        write_table(path, table.replace_schema_metadata({_STATE: json.dumps(state).encode()}))
        self._keep(path, table, state)

    def finish(self, database: Database) -> dict[str, Any]:
        """Write the snapshot, remove the pages and return its provenance.

        Raises:
            SnapshotError: If pages are missing or gave no rows.
            ProviderError: If the database announced more entries than it sent.
        """
        if self.next_page is not None:
            raise SnapshotError(f"{self.folder} lacks pages", "all pages of the answer", "go on with the fetch")
        if self._total is not None and self._delivered < self._total:
            raise ProviderError(
                f"the database announced {self._total:,} entries and sent {self._delivered:,}", "all that it announces",
                f"remove {self.folder} and fetch again with a narrower query, or tell the provider",
            )  # fmt: skip
        if not self.rows:
            raise SnapshotError("the database has no entry that fits the query", "at least one", "widen the query")
        content = ContentHash()
        for table in self._tables():
            content.update(table)
        provenance = {
            **asdict(database),
            "version": self._state["version"],
            "query": self.query,
            "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": self.rows,
            "refused": dict(sorted(self.codes.items())),
            "notes": dict(sorted(self.notes.items())),
            "matloop": version("matloop"),
            "sha256": content.hexdigest(),
        }
        write_whole(self.target, lambda draft: self._write(draft, provenance))
        for path in [*self._pages, self._query_file]:
            path.unlink()
        self.folder.rmdir()
        return provenance

    def _check_end_is_near(self, page: Page, new: int) -> None:
        """Stop at a database that never ends its pages, before the page is stored."""
        self._barren_pages = 0 if new else self._barren_pages + 1
        delivered = self._delivered + new
        if page.next_page is not None and self._barren_pages >= _MOST_BARREN_PAGES:
            raise ProviderError(
                f"the database sent {self._barren_pages} pages in a row without a new entry, and names a next page",
                "pages with new entries", "tell the provider",
            )  # fmt: skip
        if delivered > (MOST_ROWS if page.total is None else min(page.total, MOST_ROWS)):
            announced = "" if page.total is None else f", and announced {page.total:,}"
            raise ProviderError(
                f"the database sent {delivered:,} entries{announced}",
                f"as many entries as are announced, at most {MOST_ROWS:,}", "narrow the query, or tell the provider",
            )  # fmt: skip

    @property
    def _query_file(self) -> Path:
        return self.folder / "query.json"

    def _open(self) -> None:
        """Read the pages that lie in the folder."""
        if not self._page(0).exists():
            return
        try:
            same = json.loads(self._query_file.read_text("utf-8")) == self.query
        except (OSError, ValueError):
            same = False
        if not same:
            raise SnapshotError(
                f"{self.folder} holds pages of another query",
                "the query they were fetched with",
                "repeat that query, choose another --output, or remove the folder",
            )
        for number in itertools.count():
            if not self._page(number).exists() or not self._take_up(self._page(number)):
                break
        for path in self.folder.iterdir():  # temporary files that a crash of the machine left behind
            if path not in (*self._pages, self._query_file) and path.name.startswith(("page-", ".page-", ".query")):
                path.unlink()

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self._query_file, self.query)
        except OSError as error:
            raise SnapshotError(f"cannot use {self.folder}: {error.strerror}", "a folder you may write to") from error

    def _page(self, number: int) -> Path:
        return self.folder / f"page-{number:06d}.parquet"

    def _take_up(self, path: Path) -> bool:
        try:
            table = pq.read_table(path)
            state = json.loads(table.schema.metadata[_STATE])
            self._keep(path, table.select(self.schema.names), state)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return False  # the page is fetched again
        self._seen.update(table[Column.ENTRY_ID].to_pylist())
        return True

    def _keep(self, path: Path, table: pa.Table, state: dict[str, Any]) -> None:
        self.codes.update(code for code in table[Column.CODE].to_pylist() if code)
        self.notes.update(state["notes"])
        self.rows += table.num_rows
        self._delivered += state["new"]
        self._total = state["total"]
        self._pages.append(path)
        self._state = state

    def _tables(self) -> Iterator[pa.Table]:
        return (pq.read_table(path).select(self.schema.names).cast(self.schema) for path in self._pages)

    def _write(self, draft: Path, provenance: Mapping[str, Any]) -> None:
        schema = with_provenance(self.schema, provenance)
        with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
            for group in _groups(self._tables()):
                writer.write_table(group.cast(schema), row_group_size=_ROWS_PER_GROUP)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join tables into row groups, because pages of twenty rows would compress badly."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(part.num_rows for part in waiting) >= _ROWS_PER_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
