"""What opens, locks, watches and closes a run, whatever is done in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matloop.data.errors import LockLostError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest
from matloop.screening.campaign.cluster_settings import LOCAL, ClusterSettings
from matloop.workflows.clusters.workers import workers_of
from matloop.workflows.running.dispatch import PATIENCE, files_error
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.progress import FileProgress, Progress, Progresses

PARTITION_ROWS = 10_000


@dataclass(frozen=True)
class Settings:
    """How a run is worked on; no result depends on any of it.

    Attributes:
        workers: Worker processes.
        cluster: Where they are.
        partition_rows: Candidates in a partition of the first stage.
        prepare_only: Whether to stop before candidates are scored.
        alive: Raises if another process took the run over.
        earlier: The run this one was forked from.
    """

    workers: int
    cluster: ClusterSettings = LOCAL
    partition_rows: int = PARTITION_ROWS
    prepare_only: bool = False
    alive: Callable[[], None] = lambda: None
    earlier: Manifest | None = None


class RunInterrupted(KeyboardInterrupt):
    """When a run was stopped from outside; it can be resumed.

    Attributes:
        folder: The run directory.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder


@contextlib.contextmanager
def watched(run: RunDirectory, progress: Progress | None) -> Iterator[Progress]:
    """Tell ``progress`` and the file that ``matloop status`` reads how the run goes, and how it ended.

    Raises:
        RunInterrupted: In place of a plain interrupt.
    """
    kept = FileProgress(run.folder)
    try:
        with interruptible(run):
            yield Progresses(kept, progress) if progress else kept
    except RunInterrupted:
        kept.finish("interrupted", "stopped from outside")
        raise
    except LockLostError:  # the file belongs to whoever works on the run now
        raise
    except Exception as error:
        kept.finish("failed", str(error))
        raise
    kept.finish("complete" if run.is_complete else "prepared")


@contextlib.contextmanager
def interruptible(run: RunDirectory) -> Iterator[None]:
    """Name the run in what stops it from outside.

    Raises:
        RunInterrupted: In place of a plain interrupt.
        DiskFullError: In place of the plain error where there is no room.
        RunFilesError: In place of any other error of the file system.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise RunInterrupted(run.folder) from None
    except OSError as error:
        raise files_error(error) from error


@contextlib.contextmanager
def engine_of(
    run: RunDirectory, settings: Settings, watch: Progress, *, manifest: str = "manifest.jsonl"
) -> Iterator[Engine]:
    """An engine with its workers."""
    kept = Manifest(run.folder, name=manifest)
    with workers_of(settings.cluster, settings.workers, folder=run.folder) as client:
        yield Engine(
            client, run, kept, watch, in_flight=2 * max(settings.workers, len(client.nthreads())),
            earlier=settings.earlier, alive=settings.alive,
            patience=PATIENCE if settings.cluster.kind == "local" else settings.cluster.patience,
        )  # fmt: skip
