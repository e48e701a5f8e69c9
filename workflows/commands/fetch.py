"""Fetch a snapshot: ask a database page by page, store each page, and continue from there after an interruption."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from matloop.data.errors import ROW_CODES, SnapshotError
from matloop.data.providers.snapshot_writer import Database, Page, SnapshotDraft
from matloop.data.sources.snapshot import read_provenance
from matloop.workflows.running.progress import Progress, SilentProgress


class Provider(Protocol):
    """A database with a query.

    Attributes:
        query: The query as plain data; two fetches of one query may continue each other.
        properties: Property column -> its unit and method.
    """

    @property
    def query(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def properties(self) -> dict[str, dict[str, str]]: ...  # noqa: D102

    def connect(self, notify: Any) -> None:
        """Make the first contact; ``notify`` is told why the fetch waits."""
        ...

    def describe(self) -> Database:
        """The database as it stands now."""
        ...

    def pages(self, next_page: str) -> Iterator[Page]:
        """The pages from ``next_page`` (empty for the first) on."""
        ...


class Fetched(NamedTuple):
    """Result of a fetch.

    Attributes:
        provenance: Description of the snapshot.
        was_there: Whether the snapshot had been finished before.
    """

    provenance: dict[str, Any]
    was_there: bool


def fetch(provider: Provider, output: str | Path, *, progress: Progress | None = None) -> Fetched:
    """Fetch a snapshot: describe -> page after page -> one Parquet file.

    Args:
        provider: A database with a query.
        output: File of the snapshot. Until it is complete, its pages are in the folder ``OUTPUT.parts``.
        progress: Told of each page.

    Raises:
        SnapshotError: If the file holds something else, or the database changed since the first page.
        ProviderError: If the database cannot be asked; pages that were fetched are kept.
    """
    output = Path(output)
    if output.exists():
        return Fetched(_finished(provider, output), True)
    watch = progress or SilentProgress()
    watch.start("asking the database", 1)
    provider.connect(lambda text: watch.advance(0, text))
    database = provider.describe()
    watch.advance(1, database.provider)
    draft = SnapshotDraft(output, provider.query, properties=provider.properties)
    started = False
    for page in provider.pages(draft.next_page) if draft.next_page is not None else ():
        if not started:
            watch.start("fetching entries", max(page.total or 0, draft.rows))
            watch.advance(draft.rows, "taken up again" if draft.rows else "")
            started = True
        draft.add(page)
        watch.advance(len(page.rows), f"{draft.rows - sum(draft.codes.values()):,} candidates")
    return Fetched(draft.finish(database), False)


def _finished(provider: Provider, output: Path) -> dict[str, Any]:
    provenance = read_provenance(output)
    if provenance["query"] != provider.query:
        raise SnapshotError(
            f"{output} is the snapshot of another query", "the query it was fetched with", "choose another --output"
        )
    return provenance


def fetch_and_print(provider: Provider, output: Path) -> None:
    """Fetch for the command line: progress while it runs, counts by code at the end."""
    from rich.console import Console

    from matloop.workflows.running.progress import BarProgress, LineProgress

    console = Console()
    progress: Progress = BarProgress(console) if console.is_terminal else LineProgress()
    try:
        fetched = fetch(provider, output, progress=progress)
    except KeyboardInterrupt:
        print(
            "matloop: interrupted; what was fetched is kept, and the same command goes on from there", file=sys.stderr
        )
        raise
    finally:
        progress.close()
    print("\n".join(summary_lines(fetched, output)))


def summary_lines(fetched: Fetched, output: Path) -> list[str]:
    """Return lines about the rows that were fetched or refused, and how to name the file in a campaign."""
    about = fetched.provenance
    if fetched.was_there:
        return [f"{output}: this query was fetched on {about['retrieved']}; nothing to do"]
    refused = about["refused"]
    candidates = about["rows"] - sum(refused.values())
    lines = [f"{output}: {about['rows']:,} entries of {about['provider']} (version: {about['version']})"]
    lines.append(f"  candidates {candidates:,}, refused {sum(refused.values()):,}")
    lines += [f"  {count:,} {code}: {ROW_CODES[code]}" for code, count in refused.items()]
    lines += [f"  {count:,} {note}" for note, count in about["notes"].items()]
    lines.append(f"  licence: {about['licence'] or 'not stated'}")
    return [*lines, f"  sha256 {about['sha256']}", f"In a campaign: sources: [{{snapshot: {{path: {output}}}}}]"]
