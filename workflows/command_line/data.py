"""Commands about packaged data and features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer()


@commands.command(epilog="Example: matloop datasets materials")
def datasets(
    name: Annotated[str | None, typer.Argument(help="materials or transport: list its columns with units.")] = None,
) -> None:
    """List the packaged data."""
    from matloop.workflows.commands.printed import print_dataset, print_datasets

    if name is None:
        print_datasets()
    else:
        print_dataset(name)


@commands.command(epilog="Example: matloop features magpie --input labels.csv --output features.csv")
def features(
    names: Annotated[
        list[str] | None, typer.Argument(help="Featurizers, side by side; all are listed without.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--input", help="A .csv, .xlsx or .parquet table of formulas, or structure files.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File for the features: .csv or .parquet.")] = None,
    formula_column: Annotated[str, typer.Option(help="Column of the formulas in a table.")] = "formula",
    id_column: Annotated[str | None, typer.Option(help="Column of ids in a table, kept as text.")] = None,
) -> None:
    """List the feature sets, or compute features beside the columns of a table; refused rows stay, with their code."""
    if names and table and output:
        from matloop.workflows.commands.feature_table import write_features

        written = write_features(names, table, output, formula_column=formula_column, id_column=id_column)
        print("\n".join(written.lines()))
        raise typer.Exit(int(written.all_refused))
    if names or table or output:
        raise typer.BadParameter("computing features takes names, --input and --output")
    from matloop.workflows.commands.printed import print_features

    print_features()
