"""``matloop bench``: benchmarks, with a page each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matloop.data.properties.durations import read_duration

commands = typer.Typer(
    no_args_is_help=True,
    help="Run a benchmark: scores beside those of others, with a page.",
    epilog="Example: matloop bench calibration --data materials --property band_gap",
)
Data = Annotated[str, typer.Option(help="A .csv, .xlsx or .parquet file with formulas, or materials or transport.")]
LabelledProperty = Annotated[str, typer.Option("--property", help="Such as band_gap, or its column band_gap_exp.")]
LabelledColumn = Annotated[str | None, typer.Option(help="Column of its values, in the unit of the property.")]
FormulaColumn = Annotated[str, typer.Option(help="Column of the formulas of a file.")]
Direction = Annotated[str, typer.Option(help="Whether high or low values are wanted: max or min.")]
OneFamily = Annotated[str, typer.Option(help="Model family.")]
FeatureNames = Annotated[list[str] | None, typer.Option("--features", help="Featurizer; may be repeated.")]
Scale = Annotated[str, typer.Option(help="Scale the model works on: identity or log10.")]
Results = Annotated[Path | None, typer.Option(help="Folder of the results; by default runs/NAME-DATE-TIME.")]
SeedWorkers = Annotated[int, typer.Option(min=1, max=256, help="Seeds worked on at once.")]


@commands.command(
    "matbench",
    epilog="Example: matloop bench matbench --task matbench_log_kvrh --file log_kvrh.json.gz",
)
def bench_matbench(
    task: Annotated[str, typer.Option(help="One of the 13 tasks, such as matbench_log_kvrh.")],
    file: Annotated[Path, typer.Option(help="Its published json.gz, or Parquet with mbid, the input and the target.")],
    output: Annotated[Path | None, typer.Option(help="Folder of the results; by default runs/TASK-DATE-TIME.")] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Model family to choose from; may be repeated; by default those of a campaign."),
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds, from the first one on.")] = 5,
    budget: Annotated[
        str | None, typer.Option(help="Time for choosing and training in all folds together: 90s, 10m, 1h.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the models; the folds have their own.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=5, help="Folds worked on at once.")] = 2,
) -> None:
    """A task of Matbench 0.1 by its own protocol, beside the published scores."""
    from matloop.workflows.bench.matbench import MatbenchSettings, run_matbench
    from matloop.workflows.bench.matbench_report import print_matbench, write_matbench
    from matloop.workflows.bench.matbench_tasks import task_named
    from matloop.workflows.commands.benches import run_and_write

    settings = MatbenchSettings(tuple(family or ()), seed, folds, None if budget is None else read_duration(budget))
    run_and_write(
        output,
        task_named(task).name,
        lambda folder, progress: run_matbench(
            task, file, settings=settings, workers=workers, folder=folder, progress=progress
        ),
        write=lambda run, folder: write_matbench(run, folder, file.name),
        show=print_matbench,
    )


@commands.command("discovery", epilog="Example: matloop bench discovery --data materials --property band_gap --top 1%")
def bench_discovery(
    data: Data,
    property_: LabelledProperty,
    direction: Direction = "max",
    top: Annotated[str, typer.Option(help="Share that counts as the best.")] = "1%",
    threshold: Annotated[float | None, typer.Option(help="Value from which a row is a hit, in place of --top.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of random splits.")] = 10,
    labelled: Annotated[str, typer.Option(help="Share of the rows labelled from the start.")] = "50%",
    shortlist: Annotated[int | None, typer.Option(help="Rows on the shortlist; by default the top share.")] = None,
    max_false_discovery: Annotated[float, typer.Option(help="Share of misses allowed in conformal selection.")] = 0.1,
    batch: Annotated[int, typer.Option(help="Rows labelled in each round.")] = 20,
    rounds: Annotated[int, typer.Option(help="Rounds of labelling and training; matloop bench loop is quicker.")] = 0,
    family: OneFamily = "extra_trees",
    features_: FeatureNames = None,
    transform: Scale = "identity",
    column: LabelledColumn = None,
    formula_column: FormulaColumn = "formula",
    output: Results = None,
    workers: SeedWorkers = 1,
) -> None:
    """Replay on labelled data: does the shortlist of a surrogate hold the best, and how many more than chance?"""
    from matloop.workflows.commands.benches import replay_and_write

    replay_and_write(
        output, data, property_, direction=direction, top=top, threshold=threshold, seeds=seeds, labelled=labelled,
        shortlist=shortlist, max_false_discovery=max_false_discovery, batch=batch, rounds=rounds, family=family,
        transform=transform, column=column, formula_column=formula_column, features=features_, workers=workers,
    )  # fmt: skip


@commands.command(
    "loop", epilog="Example: matloop bench loop --data mine.csv --target 'band_gap>=3' --target 'refractive_index>=2'"
)
def bench_loop(
    data: Data,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="What a hit meets, all at once: 'band_gap>=2.5', 'band_gap:1..2', 'my column:max'; may be repeated. "
            "Without it a hit has 1 in the column is_hit."
        ),
    ] = None,
    top: Annotated[str, typer.Option(help="Share that is good enough for a target without a limit.")] = "1%",
    first: Annotated[int, typer.Option(help="Candidates measured at random at first.")] = 50,
    batch: Annotated[int, typer.Option(help="Candidates measured at a time.")] = 20,
    budget: Annotated[int, typer.Option(help="The most measurements after the first ones.")] = 400,
    goal: Annotated[str, typer.Option(help="Share of the hits to be found.")] = "50%",
    seeds: Annotated[int, typer.Option(help="Number of replays.")] = 10,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="loop, greedy, forest (a plain random forest), physbo; may be repeated; the first is judged."
        ),
    ] = None,
    features_: FeatureNames = None,
    formula_column: Annotated[
        str | None, typer.Option(help="Column of the formulas of a file; by default formula, composition or structure.")
    ] = None,
    output: Results = None,
) -> None:
    """Replay labelled data as if measured batch by batch: how many measurements does the loop save on your data?"""
    from matloop.workflows.commands.benches import loop_and_write

    loop_and_write(
        output, data, target or (), top=top, goal=goal, first=first, batch=batch, budget=budget, seeds=seeds,
        strategies=strategy, formula_column=formula_column, features=features_,
    )  # fmt: skip


@commands.command("calibration", epilog="Example: matloop bench calibration --data materials --property band_gap")
def bench_calibration(
    data: Data,
    property_: LabelledProperty,
    direction: Direction = "max",
    splits: Annotated[int, typer.Option(help="Number of random splits.")] = 10,
    held_out: Annotated[str, typer.Option(help="Share of the rows that is predicted.")] = "35%",
    family: OneFamily = "extra_trees",
    features_: FeatureNames = None,
    transform: Scale = "identity",
    column: LabelledColumn = None,
    formula_column: FormulaColumn = "formula",
    output: Results = None,
    workers: SeedWorkers = 1,
) -> None:
    """Test on labelled data whether intervals hold: overall, among the best, far from the training data."""
    from matloop.workflows.commands.benches import calibrate_and_write

    calibrate_and_write(
        output, data, property_, direction=direction, splits=splits, held_out=held_out, family=family,
        transform=transform, column=column, formula_column=formula_column, features=features_, workers=workers,
    )  # fmt: skip


@commands.command("families", epilog="Example: matloop bench families --property band_gap --rows 1000")
def bench_families(
    property_: Annotated[
        list[str] | None, typer.Option("--property", help="Packaged property; may be repeated; by default all six.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Most rows of a property, drawn by whole formulas; by default all.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Most fits with families hidden, and with elements hidden; by default all.")
    ] = None,
    family: OneFamily = "extra_trees",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the models and of the draw.")] = 0,
    output: Results = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Families and elements worked on at once.")] = 1,
) -> None:
    """Hide whole chemical families and elements of the packaged crystals: do predictions and intervals hold there?"""
    from matloop.workflows.bench.families import PROPERTIES, FamiliesSettings, run_families
    from matloop.workflows.bench.families_report import print_families, write_families
    from matloop.workflows.commands.benches import run_and_write

    settings = FamiliesSettings(tuple(property_ or PROPERTIES), rows, folds, family, seed)
    run_and_write(
        output,
        "families",
        lambda folder, progress: run_families(settings, folder=folder, workers=workers, progress=progress),
        write=write_families,
        show=print_families,
        report="families.json",
    )
