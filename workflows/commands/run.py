"""Running a campaign from the command line: progress, signals, and what is said at the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from rich.console import Console

from matloop.data.compiled_code import compiled_code_is_lost
from matloop.data.errors import FileAccessError, MatloopError
from matloop.workflows.commands.printed import print_run
from matloop.workflows.running.progress import BarProgress, LineProgress, Progress
from matloop.workflows.running.session import RunInterrupted, one_interrupt
from matloop.workflows.screen import ScreeningRun

INTERRUPTED = 4


def run_and_print(start: Callable[[Progress], ScreeningRun | int]) -> ScreeningRun | None:
    """Run to the end and print the shortlist; SIGTERM, which a batch queue sends before it kills, is taken like Ctrl-C.

    Args:
        start: Begins or goes on, and tells the progress it is given; the number of partitions where that was all.

    Returns:
        The run if it came to its end.

    Raises:
        typer.Exit: With code 4 if the run was interrupted; it can be resumed.
    """
    console = Console()
    if lost := compiled_code_is_lost():
        print(f"matloop: {lost}", file=sys.stderr)
    progress: Progress = BarProgress(console) if console.is_terminal else LineProgress()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with one_interrupt():
            done = start(progress)
    except MatloopError as error:
        error.in_run = True
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        stopped_by = FileAccessError(
            f"{place}{error.strerror or error}", "files and folders that can be read and written"
        )
        stopped_by.in_run = True
        raise stopped_by from error
    except RunInterrupted as stopped:
        before = signal.SIG_IGN  # the process ends now, and its exit code is to tell how
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        progress.close()
        print(f"matloop: interrupted; go on with: matloop resume {stopped.folder}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        progress.close()
        signal.signal(signal.SIGTERM, before)
    if isinstance(done, int):
        console.print(f"{done} partitions of this share are finished.")
        return None
    if not done.is_complete:
        console.print(f"Prepared: {done.folder}", markup=False, highlight=False, soft_wrap=True)
        return None
    print_run(done, console)
    return done


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt
