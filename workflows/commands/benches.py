"""Benchmarks for the command line: results in a folder, progress while they run, and a way to go on after a break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from matloop.workflows.bench.finished_parts import UNFINISHED, FinishedParts, kept_when_interrupted, results_folder
from matloop.workflows.running.progress import Progress

Run = TypeVar("Run")


def run_and_write(
    output: Path | None,
    name: str,
    run: Callable[[Path, Progress], Run],
    *,
    write: Callable[[Run, Path], None],
    show: Callable[[Run, Any], None],
    report: str = "report.html",
) -> None:
    """Run a benchmark, write its files and print it.

    Args:
        output: Folder of the results, by default ``runs/NAME-DATE-TIME``.
        name: Name of the benchmark.
        run: Runs it; parts that are finished are kept in the folder.
        write: Writes the files of a finished benchmark.
        show: Prints it on a console.
        report: Name of the file to point to at the end.
    """
    from rich.console import Console

    from matloop.workflows.running.progress import BarProgress, LineProgress

    folder = results_folder(output, name)
    console = Console()
    progress: Progress = BarProgress(console) if console.is_terminal else LineProgress()
    with kept_when_interrupted(folder):
        try:
            finished = run(folder, progress)
        finally:
            progress.close()
        write(finished, folder)
        FinishedParts(folder / UNFINISHED).remove()
    show(finished, console)
    console.print(f"\nReport: {folder / report}", markup=False, highlight=False, soft_wrap=True)
