"""Benchmarks for the command line: results in a folder, progress while they run, and a way to go on after a break."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def search_and_write(
    output: Path | None,
    data: str,
    targets: Sequence[str],
    *,
    top: str,
    strategies: Sequence[str] | None,
    formula_column: str,
    features: Sequence[str] | None,
    **settings: Any,
) -> None:
    """Search labelled data for what meets all targets, and write and print how soon each strategy found it.

    Args:
        output: Folder of the results.
        data: File or packaged table.
        targets: As on the command line, see :func:`matloop.workflows.bench.wanted_targets.read_target`.
        top: Share that a target without a threshold follows.
        strategies: Names of strategies; all by default.
        formula_column: Column of the formulas of a file.
        features: Names of featurizers.
        settings: Further ones of :class:`matloop.workflows.bench.discovery_search.SearchSettings`.
    """
    from matloop.data.registry import lookup
    from matloop.models.registry import MODELS
    from matloop.workflows.bench.discovery_search import SearchSettings, run_search
    from matloop.workflows.bench.discovery_search_report import print_search, write_search
    from matloop.workflows.bench.discovery_settings import share_named
    from matloop.workflows.bench.strategies import STRATEGIES
    from matloop.workflows.bench.target_labels import read_target_labels
    from matloop.workflows.bench.wanted_targets import read_target

    lookup("model", MODELS, settings["family"])
    wanted = tuple(map(read_target, targets))
    chosen = SearchSettings(wanted, top=share_named(top), strategies=tuple(strategies or STRATEGIES), **settings)
    labels = read_target_labels(
        data, wanted, formula_column=formula_column, features=features, family=settings["family"]
    )
    run_and_write(
        output, "discovery", lambda folder, progress: run_search(labels, chosen, folder=folder, progress=progress),
        write=write_search, show=print_search,
    )  # fmt: skip


def replay_and_write(
    output: Path | None,
    data: str,
    property_name: str,
    *,
    top: str,
    labelled: str,
    family: str,
    transform: str,
    column: str | None,
    formula_column: str,
    features: Sequence[str] | None,
    workers: int,
    **settings: Any,
) -> None:
    """Replay the labels of one property, and write and print what shortlists would have found.

    Args:
        output: Folder of the results.
        data: File or packaged table.
        property_name: A property, or a column of one.
        top: Share of the rows that counts as the best.
        labelled: Share of the rows that is labelled from the start.
        family: Model family.
        transform: Scale on which it learns.
        column: Column of the labels.
        formula_column: Column of the formulas of a file.
        features: Names of featurizers.
        workers: Seeds worked on at once.
        settings: Further ones of :class:`matloop.workflows.bench.discovery_settings.DiscoverySettings`.
    """
    from rich.console import Console

    from matloop.workflows.bench.discovery import run_discovery
    from matloop.workflows.bench.discovery_report import print_discovery, write_discovery
    from matloop.workflows.bench.discovery_settings import DiscoverySettings, share_named
    from matloop.workflows.bench.labelled import model_choice, read_labelled

    chosen = DiscoverySettings(
        top=share_named(top), labelled=share_named(labelled), model=model_choice(family, transform), **settings
    )
    rows = read_labelled(
        data, property_name, column=column, formula_column=formula_column, features=features, family=family
    )
    folder = results_folder(output, f"discovery-{rows.known.name}")
    run = run_discovery(rows, chosen, workers=workers)
    write_discovery(run, folder)
    console = Console()
    print_discovery(run, console)
    console.print(f"\nReport: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
