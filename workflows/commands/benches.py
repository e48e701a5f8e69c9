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
    _show(finished, console, show, folder / report)


def _show(finished: Run, console: Any, show: Callable[[Run, Any], None], report: Path) -> None:
    show(finished, console)
    console.print(f"\nReport: {report}", markup=False, highlight=False, soft_wrap=True)


def loop_and_write(
    output: Path | None,
    data: str,
    targets: Sequence[str],
    *,
    top: str,
    goal: str,
    strategies: Sequence[str] | None,
    formula_column: str | None,
    features: Sequence[str] | None,
    **settings: Any,
) -> None:
    """Replay labelled data batch by batch, and write and print how soon each strategy finds what meets all targets.

    Args:
        output: Folder of the results.
        data: File or packaged table.
        targets: As on the command line, see :func:`matloop.workflows.bench.wanted_targets.read_target`; without any, a
            hit is a candidate with 1 in the column ``is_hit``.
        top: Share that a target without a limit follows.
        goal: Share of the hits to be found.
        strategies: Names of strategies; the default ones without any.
        formula_column: Column of the formulas of a file; ``formula`` or ``composition`` where it is left out.
        features: Names of featurizers.
        settings: Further ones of :class:`matloop.workflows.bench.loop_settings.LoopSettings`.
    """
    from matloop.workflows.bench.discovery_settings import share_named
    from matloop.workflows.bench.labelled import formula_column_of
    from matloop.workflows.bench.loop_replay import run_loop
    from matloop.workflows.bench.loop_report import print_loop, write_loop
    from matloop.workflows.bench.loop_settings import LoopSettings
    from matloop.workflows.bench.loop_strategies import DEFAULT
    from matloop.workflows.bench.target_labels import read_target_labels
    from matloop.workflows.bench.wanted_targets import IS_HIT, read_target

    wanted = tuple(map(read_target, targets)) or (IS_HIT,)
    chosen = LoopSettings(
        wanted, top=share_named(top), goal=share_named(goal), strategies=tuple(strategies or DEFAULT), **settings
    )
    labels = read_target_labels(
        data, wanted, formula_column=formula_column or formula_column_of(data), features=features
    )
    run_and_write(
        output, "loop", lambda folder, progress: run_loop(labels, chosen, folder=folder, progress=progress),
        write=write_loop, show=print_loop,
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
    _show(run, Console(), print_discovery, folder / "report.html")


def calibrate_and_write(
    output: Path | None,
    data: str,
    property_name: str,
    *,
    direction: str,
    splits: int,
    held_out: str,
    family: str,
    transform: str,
    column: str | None,
    formula_column: str,
    features: Sequence[str] | None,
    workers: int,
) -> None:
    """Test on the labels of one property whether intervals hold, and write and print how often they do.

    Args:
        output: Folder of the results.
        data: File or packaged table.
        property_name: A property, or a column of one.
        direction: Whether high or low values are wanted.
        splits: Number of random splits.
        held_out: Share of the rows that is predicted.
        family: Model family.
        transform: Scale on which it learns.
        column: Column of the labels.
        formula_column: Column of the formulas of a file.
        features: Names of featurizers.
        workers: Splits worked on at once.
    """
    from rich.console import Console

    from matloop.workflows.bench.calibration import CalibrationSettings, run_calibration
    from matloop.workflows.bench.calibration_report import print_calibration, write_calibration
    from matloop.workflows.bench.discovery_settings import share_named
    from matloop.workflows.bench.labelled import model_choice, read_labelled

    settings = CalibrationSettings(direction, splits, share_named(held_out), model_choice(family, transform))
    rows = read_labelled(
        data, property_name, column=column, formula_column=formula_column, features=features, family=family
    )
    folder = results_folder(output, f"calibration-{rows.known.name}")
    run = run_calibration(rows, settings, workers=workers)
    write_calibration(run, folder)
    _show(run, Console(), print_calibration, folder / "report.html")
