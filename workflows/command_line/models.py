"""Commands that train models and predict with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from matloop.data.properties.durations import read_duration
from matloop.workflows.command_line.options import UseStore, campaign_names

commands = typer.Typer()


@commands.command(epilog="Example: matloop models runs/oxides")
def models(
    run: Annotated[
        Path | None, typer.Argument(help="A run directory, or a model of matloop train: show what it is worth.")
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="List the surrogates that were stored for later runs.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="With --store: remove them.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="With a model: write its card as a page, such as card.html.")
    ] = None,
    lang: Annotated[str, typer.Option(help="Language in which the page opens: en or zh.")] = "en",
) -> None:
    """List the model families, the scores of a run's surrogates or of a model, or the store of surrogates.

    MATLOOP_STORE_LIMIT, such as 500MB, limits the size of the store; 0 turns it off.
    """
    if (run is not None and store) or (clear and not store):
        raise typer.BadParameter("--store takes no run directory, and --clear goes with --store")
    if output is not None and run is None:
        raise typer.BadParameter("--output goes with a model")
    if store:
        from matloop.workflows.commands.stored_models import clear_store, print_store

        (clear_store if clear else print_store)()
    elif run is None:
        from matloop.workflows.commands.printed import print_families

        print_families()
    elif output is not None:
        from matloop.workflows.commands.models import write_page

        write_page(run, output.expanduser(), lang)
    elif (run / "model.json").is_file():
        from matloop.workflows.commands.models import print_model

        print_model(run)
    else:
        from matloop.workflows.commands.model_scores import print_scores

        print_scores(run)


@commands.command(epilog="Example: matloop train optical_window --property band_gap --output models/gap")
def train(
    campaign: Annotated[
        str | None,
        typer.Argument(help="A campaign file, or the name of a packaged one.", autocompletion=campaign_names),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the model, which must be new.")] = None,
    property_name: Annotated[
        str | None, typer.Option("--property", help="Property; may be left out where a campaign has one target.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Model family; several are chosen from; by default those of the campaign.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Time for the choice of a family: 90s, 5m, 1h.")] = None,
    stage: Annotated[str, typer.Option(help="Stage of the campaign: surrogates or structure.")] = "surrogates",
    data: Annotated[
        Path | None,
        typer.Option(help="A .csv, .xlsx or .parquet table, or the name of a packaged one, in place of a campaign."),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="With --data and a file: column of the labels, with --property.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="With --data and a file: their unit, unless the header names it.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="With --data and a file: where they come from, such as exp (default) or dft:pbe.")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="With --data and a file: column of the formulas, by default formula.")
    ] = None,
    feature: Annotated[list[str] | None, typer.Option(help="With --data: featurizer; may be repeated.")] = None,
    store: UseStore = True,
) -> None:
    """Train a model of one property and leave it in a folder, for matloop predict on any machine."""
    if (campaign is None) == (data is None) or output is None:
        raise typer.BadParameter("give a campaign, or --data with a table of labels, and --output")
    from matloop.data.training.packaged_tables import TRAINING_SETS
    from matloop.workflows.commands.models import require_options_of_a_file, show_model
    from matloop.workflows.train import campaign_of_packaged_table, campaign_of_table
    from matloop.workflows.train import train as train_model
    from matloop.workflows.validate import validate as check

    of_a_file = {"--column": column, "--unit": unit, "--source": source, "--formula": formula}
    require_options_of_a_file(data, of_a_file | ({"--feature": feature} if data is None else {}))
    chosen: Any = campaign
    if data is not None and str(data) in TRAINING_SETS:
        chosen = campaign_of_packaged_table(str(data), property_name=property_name, features=feature or ())
    elif data is not None:
        if property_name is None or column is None:
            raise typer.BadParameter("--data with a file takes --property and --column")
        chosen = campaign_of_table(
            data, property_name=property_name, column=column, source=source or "exp", unit=unit,
            formula_column=formula or "formula", features=feature or (),
        )  # fmt: skip
    for line in check(chosen).lines(property_name):
        print(line)
    show_model(
        train_model(
            chosen, output=output, property_name=property_name, families=family or (), stage=stage, store=store,
            budget=None if budget is None else read_duration(budget), with_probability=data is None,
        )
    )  # fmt: skip


@commands.command(epilog="Example: matloop predict models/gap candidates.csv --output predicted.csv")
def predict(
    model: Annotated[Path, typer.Argument(help="A folder that matloop train wrote.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="A .csv, .xlsx or .parquet table of formulas, an ASE .db, or structure files."
        ),
    ],
    output: Annotated[Path, typer.Option(help="File for the predictions: .csv or .parquet.")],
    formula_column: Annotated[str, typer.Option(help="Column of the formulas in a table.")] = "formula",
    id_column: Annotated[str | None, typer.Option(help="Column of ids in a table, kept as text.")] = None,
    at: Annotated[
        list[str] | None, typer.Option(help="Condition of all rows, such as temperature=300K; may be repeated.")
    ] = None,
) -> None:
    """Predict a property beside the columns of an input; rows keep their order, refused ones stay, with their code."""
    from matloop.workflows.predict import predict as write_predictions

    if wrong := [one for one in at or () if not all(one.partition("="))]:
        raise typer.BadParameter(f"--at {wrong[0]}: write a condition and its value, such as temperature=300K")
    conditions = {name: value for name, _, value in (one.partition("=") for one in at or ())}
    written = write_predictions(model, table, output, formula_column=formula_column, id_column=id_column, at=conditions)
    print("\n".join(written.lines()))
    raise typer.Exit(int(written.all_refused))
