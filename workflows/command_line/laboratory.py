"""Commands about what a laboratory sends back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matloop.workflows.command_line.options import AsJson, CampaignName

commands = typer.Typer()

Records = Annotated[
    str | None,
    typer.Option(
        help="The records database: an SQLite file or postgresql://USER@HOST/NAME; by default $MATLOOP_RECORDS."
    ),
]
Language = Annotated[str, typer.Option("--lang", help="Language of what is printed: en or zh.")]


@commands.command("import", epilog="Example: matloop import sheet.xlsx --run runs/oxides --laboratory lab-a")
def import_results(
    files: Annotated[list[Path], typer.Argument(help="Result sheets that were filled in, .xlsx or .csv.")],
    run: Annotated[list[Path] | None, typer.Option(help="A run whose candidates were made; may be repeated.")] = None,
    laboratory: Annotated[str, typer.Option(help="Who measured.")] = "",
    records: Records = None,
    lang: Language = "en",
) -> None:
    """Take result sheets of a laboratory into the records; rows that are in doubt wait for an answer."""
    from matloop.workflows.commands.records import import_and_print

    import_and_print(files, run or [], records=records, laboratory=laboratory, language=lang)


@commands.command(epilog="Example: matloop questions --output questions.csv")
def questions(
    output: Annotated[Path | None, typer.Option(help="Write them to this CSV file, with columns to answer in.")] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="QUESTION=as written, QUESTION=refuse or 'QUESTION=instead: TEXT'; may be repeated."),
    ] = None,
    answers: Annotated[Path | None, typer.Option(help="The file of questions with the answers filled in.")] = None,
    refuse_sheet: Annotated[str, typer.Option(help="Take back all held rows of the sheet of this name.")] = "",
    note: Annotated[str, typer.Option(help="Why it is answered so.")] = "",
    records: Records = None,
    lang: Language = "en",
) -> None:
    """List what is asked about rows of result sheets that are held, or settle it."""
    from matloop.workflows.commands.records import answer_and_print, print_questions, refuse_and_print

    if refuse_sheet:
        refuse_and_print(records, refuse_sheet, note=note, language=lang)
    elif answer or answers is not None:
        answer_and_print(records, answer or [], file=answers, note=note, language=lang)
    else:
        print_questions(records, output=output, language=lang)


@commands.command("records", epilog="Example: matloop records --export values.csv --property band_gap")
def show_records(
    export: Annotated[
        Path | None, typer.Option(help="Write the values to this .csv, .parquet, .json or .eln file.")
    ] = None,
    samples: Annotated[bool, typer.Option(help="Write the samples with their outcome, failures included.")] = False,
    property_name: Annotated[
        list[str] | None, typer.Option("--property", help="Only values of this property; may be repeated.")
    ] = None,
    records: Records = None,
) -> None:
    """Tell how much the records of a laboratory hold, or write it to a file."""
    from matloop.workflows.commands.records import print_contents

    print_contents(records, export=export, samples=samples, properties=property_name or [])


@commands.command(epilog="Example: matloop withdraw 3f9c2a7b41de --reason 'the furnace is down'")
def withdraw(
    candidates: Annotated[
        list[str], typer.Argument(help="Ids of proposed candidates, or 6 or more characters with which each begins.")
    ],
    reason: Annotated[str, typer.Option(help="Why they will not be made.")],
    records: Records = None,
    lang: Language = "en",
) -> None:
    """Take back proposals that have no result, so that their candidates may be proposed again."""
    from matloop.workflows.commands.records import withdraw_and_print

    withdraw_and_print(records, candidates, reason=reason, language=lang)


@commands.command(epilog="Example: matloop retract msr-3f9c2a7b --reason 'the film was not aligned'")
def retract(
    values: Annotated[
        list[str],
        typer.Argument(help="Ids of values (measurement_id of an export), or 10 or more characters of each."),
    ],
    reason: Annotated[str, typer.Option(help="Why they are wrong.")],
    records: Records = None,
    lang: Language = "en",
) -> None:
    """Take accepted values back, so that they count and teach no more; the records keep them."""
    from matloop.workflows.commands.records import retract_and_print

    retract_and_print(records, values, reason=reason, language=lang)


@commands.command(epilog="Example: matloop retrain oxides.yaml --laboratory lab-a")
def retrain(
    campaign: CampaignName,
    laboratory: Annotated[str, typer.Option(help="Whose results teach; by default those of all laboratories.")] = "",
    property_name: Annotated[
        list[str] | None, typer.Option("--property", help="Only the model of this property; may be repeated.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Put the model back that was in use before.")] = False,
    models: Annotated[Path | None, typer.Option(help="Folder of the models; by default beside the records.")] = None,
    records: Records = None,
    as_json: AsJson = False,
    lang: Language = "en",
) -> None:
    """Learn from the records of a laboratory; a new model is used only if it wins on results that none has seen."""
    from matloop.workflows.commands.retrain import retrain_and_print

    retrain_and_print(
        campaign, records=records, laboratory=laboratory, models=models, properties=property_name or [], back=back,
        as_json=as_json, language=lang,
    )  # fmt: skip


@commands.command(epilog="Example: matloop propose runs/oxides --batch 8 --lab lab.yaml --records records.sqlite")
def propose(
    run: Annotated[str, typer.Argument(help="A run directory, or a campaign with a finished run in runs/.")],
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Candidates in the batch.")] = 8,
    strategy: Annotated[
        str,
        typer.Option(
            help="probability, improvement, expected_improvement, upper_confidence_bound, thompson or "
            "expected_hypervolume."
        ),
    ] = "probability",
    explore: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the batch that is to tell most about the others.")
    ] = 0.25,
    seed: Annotated[int, typer.Option(min=0, help="Seed of draws.")] = 0,
    lab: Annotated[Path | None, typer.Option(help="YAML file with limits of the laboratory.")] = None,
    elements: Annotated[str, typer.Option(help="Elements in house, such as 'Ba Ti O'.")] = "",
    precursor: Annotated[
        list[str] | None, typer.Option(help="A precursor on the shelf, such as BaCO3; may be repeated.")
    ] = None,
    most_per_kilogram: Annotated[float | None, typer.Option(help="Most that elements may cost, in USD/kg.")] = None,
    most_per_mole: Annotated[float | None, typer.Option(help="Most that elements may cost, in USD/mol.")] = None,
    same_furnace: Annotated[bool, typer.Option(help="One furnace temperature must suit the whole batch.")] = False,
    hottest_furnace: Annotated[float | None, typer.Option(help="Highest furnace temperature in °C.")] = None,
    records: Records = None,
    models: Annotated[Path | None, typer.Option(help="Folder of the models; by default beside the records.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Print the batch, and write neither records nor files.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder of the files; by default proposal-ID.")] = None,
    again: Annotated[
        str, typer.Option(help="Choose nothing; write the files of this recorded batch again: its ID, or last.")
    ] = "",
    as_json: AsJson = False,
    lang: Language = "en",
) -> None:
    """Choose the next batch from what a run has scored; what is measured or pending is never proposed again."""
    from matloop.workflows.commands.propose import print_again, propose_and_print
    from matloop.workflows.proposing.proposal import Wish

    if again:
        print_again(run, again, records=records, output=output, language=lang, printed_json=as_json)
        return
    limits = {
        "elements": elements.replace(",", " ").split(), "precursors": precursor or [],
        "most_per_kilogram": most_per_kilogram, "most_per_mole": most_per_mole, "same_furnace": same_furnace,
        "hottest_furnace": hottest_furnace,
    }  # fmt: skip
    propose_and_print(
        run, Wish(batch, strategy, explore, seed), lab=lab, limits=limits, records=records, models=models,
        dry_run=dry_run, output=output, language=lang, printed_json=as_json,
    )  # fmt: skip
