"""What opens, locks, watches and closes a run, whatever is done in between."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from matloop.data.errors import LockLostError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.lock import RunLock
from matloop.data.runs.lock_file import LOCK_NAME
from matloop.data.runs.manifest import Manifest
from matloop.data.whole_files import remove_drafts, writing_under
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
        earlier: The run this one was forked from.
        store: Whether surrogates come from the user's store, and go there.
    """

    workers: int
    cluster: ClusterSettings = LOCAL
    partition_rows: int = PARTITION_ROWS
    prepare_only: bool = False
    earlier: Manifest | None = None
    store: bool = True


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
    """Name the run in what stops it from outside, and give every error of its file system a code.

    Raises:
        RunInterrupted: In place of a plain interrupt.
        DiskFullError: In place of the plain error where there is no room.
        RunFilesError: In place of any other error of the file system.
    """
    try:
        with one_interrupt():
            yield
    except KeyboardInterrupt:
        raise RunInterrupted(run.folder) from None
    except OSError as error:
        raise files_error(error) from error


@contextlib.contextmanager
def one_interrupt() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM interrupt, and ignore the others: everything is being put away by then.

    A signal that does nothing, or ends the process, is left as it is; so are those of other threads.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    told = False

    def interrupt(kind: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            before[signal.Signals(kind)](kind, frame)  # type: ignore[operator, misc]

    ours = [kind for kind, handler in before.items() if callable(handler)]
    for kind in ours:
        signal.signal(kind, interrupt)
    try:
        yield
    finally:
        for kind in ours:
            signal.signal(kind, before[kind])


@contextlib.contextmanager
def work_on(run: RunDirectory, *, name: str = LOCK_NAME) -> Iterator[RunLock]:
    """Hold the lock of a run, and write nothing once it is lost, neither here nor in workers.

    At the end nothing is left of files that were being written here or by workers, however it ends.

    Args:
        run: The run directory.
        name: Name of the lock.

    Raises:
        LockedError: If somebody else works on the run.
        LockLostError: If the run was taken over.
    """
    with interruptible(run), RunLock(run.folder, name) as lock, writing_under(lock.claim):
        try:
            yield lock
        finally:
            with contextlib.suppress(OSError):  # whoever works on the run next removes them
                remove_drafts(run.folder, of=lock.claim)


@contextlib.contextmanager
def engine_of(
    run: RunDirectory, settings: Settings, watch: Progress, *, manifest: str = "manifest.jsonl"
) -> Iterator[Engine]:
    """An engine with its workers."""
    kept = Manifest(run.folder, name=manifest)
    with workers_of(settings.cluster, settings.workers, folder=run.folder) as client:
        yield Engine(
            client, run, kept, watch, in_flight=2 * max(settings.workers, len(client.nthreads())),
            earlier=settings.earlier,
            patience=PATIENCE if settings.cluster.kind == "local" else settings.cluster.patience,
        )  # fmt: skip
