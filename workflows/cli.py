"""The ``matloop`` command. Everything heavy is imported inside the commands, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from matloop.data.errors import MatloopError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="High-throughput screening of materials: candidates in, a ranked shortlist with uncertainties out.",
    epilog="Exit codes: 0 done, 1 refused with a coded message, 2 wrong command line, 130 interrupted.",
)


def main() -> None:
    """Run the command line; a coded error becomes one message and exit code 1."""
    try:
        app()
    except MatloopError as error:
        print(f"matloop: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def screen(
    campaign: Annotated[str, typer.Argument(help="A campaign file, or the name of a packaged one (optical_window).")],
    output: Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/NAME-DATE-TIME.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes on this machine.")] = 2,
) -> None:
    """Run a campaign and print its shortlist."""
    from rich.console import Console

    from matloop.workflows.progress import BarProgress, LineProgress, Progress
    from matloop.workflows.screen import screen as run_screen
    from matloop.workflows.summary import print_run

    console = Console()
    progress: Progress = BarProgress(console) if console.is_terminal else LineProgress()
    try:
        run = run_screen(campaign, output=output, workers=workers, progress=progress)
    except KeyboardInterrupt:
        print("matloop: interrupted; what was finished stays in the run directory", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        progress.close()
    print_run(run, console)


@app.command()
def validate(
    campaign: Annotated[str, typer.Argument(help="A campaign file, or the name of a packaged one.")],
) -> None:
    """Check a campaign without running it; reports every problem with its line."""
    from matloop.workflows.validation import campaign_path
    from matloop.workflows.validation import validate as find_problems

    path = campaign_path(campaign)
    _, problems = find_problems(path)
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem(s)", file=sys.stderr)
        raise typer.Exit(1)
    print(f"{path}: no problems")


@app.command()
def datasets(
    name: Annotated[str | None, typer.Argument(help="materials or transport: list its columns with units.")] = None,
) -> None:
    """List the packaged data."""
    from matloop.workflows.summary import print_dataset, print_datasets

    if name is None:
        print_datasets()
    else:
        print_dataset(name)


@app.command()
def features(
    names: Annotated[
        list[str] | None, typer.Argument(help="Featurizers, side by side; all are listed without.")
    ] = None,
    table: Annotated[Path | None, typer.Option("--input", help="CSV or Parquet with a column 'formula'.")] = None,
    output: Annotated[Path | None, typer.Option(help="Parquet file for the features.")] = None,
) -> None:
    """List the feature sets, or compute features of a table of formulas."""
    from matloop.workflows.summary import print_features, write_features

    if names and table and output:
        print(write_features(names, table, output))
    elif names or table or output:
        raise typer.BadParameter("computing features takes names, --input and --output")
    else:
        print_features()


@app.command()
def models(
    run: Annotated[Path | None, typer.Argument(help="A run directory: show what its surrogates are worth.")] = None,
) -> None:
    """List the model families, or the scores of a run's surrogates."""
    from matloop.workflows.summary import print_families, print_scores

    if run is None:
        print_families()
    else:
        print_scores(run)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> Any:
    if version:
        from importlib.metadata import version as installed

        print(installed("matloop"))
        raise typer.Exit


if __name__ == "__main__":
    main()
