"""The ``matloop`` command. Everything heavy is imported inside the commands, so that ``--help`` answers at once."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from matloop.data.errors import FileAccessError, LockedError, LockLostError, MatloopError
from matloop.data.plain_text import counted
from matloop.data.properties.durations import read_duration

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="High-throughput screening of materials: candidates in, a ranked shortlist with uncertainties out.",
    epilog="Example: matloop screen optical_window --output runs/first\n\n"
    "Exit codes: 0 done, 1 refused with a coded message, 2 wrong command line, 3 no workers, 4 stopped in the "
    "middle and resumable, 130 interrupted before or after a run.",
)


def main() -> None:
    """Run the command line; a coded error becomes one message and its exit code."""
    try:
        app(prog_name="matloop")
    except MatloopError as error:
        _end(error)
    except OSError as error:  # of a command that looks at a folder; what works on a run has a code already
        place = f"{error.filename}: " if error.filename else ""
        _end(FileAccessError(f"{place}{error.strerror or error}", "files and folders that can be read and written"))
    except KeyboardInterrupt:
        sys.exit(130)


def _end(error: MatloopError) -> NoReturn:
    """Print a coded error and end; a batch script is told that it is one, which no later job would do better with."""
    print(f"matloop: {error}", file=sys.stderr)
    code = error.exit_code if error.exit_code != _RESUMABLE or error.in_run else 1
    place = os.environ.get("MATLOOP_REFUSAL", "")
    if place and code == 1 and not isinstance(error, LockedError | LockLostError):
        with contextlib.suppress(OSError):
            Path(place).write_text(f"{error.code}\n", encoding="utf-8")
    sys.exit(code)


_RESUMABLE = 4


def _campaigns(incomplete: str) -> list[str]:
    """Names for a shell that completes a campaign: the packaged ones, and files in the folder that is typed."""
    packaged = [path.stem for path in (Path(__file__).parent / "campaigns").glob("*.yaml")]
    folder, _, start = incomplete.rpartition("/")
    beside = sorted(Path(f"{folder}/" if folder or incomplete.startswith("/") else ".").expanduser().glob(f"{start}*"))
    prefix = incomplete[: len(incomplete) - len(start)]
    files = [f"{prefix}{path.name}/" if path.is_dir() else f"{prefix}{path.name}" for path in beside[:_MOST_COMPLETED]]
    return [name for name in [*packaged, *files] if name.startswith(incomplete)]


_MOST_COMPLETED = 200
CampaignName = Annotated[
    str,
    typer.Argument(help="A campaign file, or the name of a packaged one (optical_window).", autocompletion=_campaigns),
]
WorkerCount = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Worker processes; by default one for each core that memory allows."),
]
Workers = Annotated[
    str | None,
    typer.Option(help="Where workers are: local, slurm, pbs, lsf, sge, a scheduler's tls:// address or .json file."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(help="Module of another package that the campaign may call: mace.calculators; may be repeated."),
]
PrepareOnly = Annotated[bool, typer.Option(help="Stop when candidates are in and surrogates trained.")]
UseStore = Annotated[
    bool, typer.Option("--store/--no-store", help="Take surrogates that were trained before from your store.")
]


@app.command(epilog="Example: matloop screen oxides.yaml --output runs/oxides --workers 4")
def screen(
    campaign: CampaignName,
    output: Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/NAME-DATE-TIME.")] = None,
    workers: WorkerCount = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Choose model families within this time, all surrogates together: 90s, 5m, 1h."),
    ] = None,
    cluster: Workers = None,
    partition_rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="Candidates in a unit of work.")] = 10_000,
    prepare_only: PrepareOnly = False,
    store: UseStore = True,
    allow: Allow = None,
    dossiers: Annotated[
        str | None, typer.Option(help="Write dossiers of the first three finalists too, in this language: en or zh.")
    ] = None,
) -> None:
    """Run a campaign and print its shortlist."""
    from matloop.data.allowed_modules import allowing
    from matloop.workflows.commands.run import run_and_print
    from matloop.workflows.inspecting.validation import checked_campaign
    from matloop.workflows.screen import screen as run_screen

    if dossiers is not None:
        from matloop.workflows.dossiers.run_dossiers import language_named

        language_named(dossiers)  # before an hour of computing, not after it
    with allowing(allow or ()):
        chosen = checked_campaign(campaign)
    if budget is not None:
        chosen = chosen.with_budget(read_duration(budget))
    run = run_and_print(
        lambda progress: run_screen(
            chosen, output=output, workers=workers, progress=progress, cluster=cluster,
            partition_rows=partition_rows, prepare_only=prepare_only, store=store, allow=allow or (),
        )
    )  # fmt: skip
    if dossiers is not None and run is not None:
        from matloop.workflows.commands.dossier import write_and_print

        write_and_print(run.folder, language=dossiers)


@app.command(epilog="Example: matloop resume runs/oxides")
def resume(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    fork: Annotated[Path | None, typer.Option(help="Start a new run here and reuse what still fits.")] = None,
    share: Annotated[str | None, typer.Option(help="Only score this share of the candidates: 3/8.")] = None,
    workers: WorkerCount = None,
    cluster: Workers = None,
    prepare_only: PrepareOnly = False,
    store: UseStore = True,
    allow: Allow = None,
) -> None:
    """Go on with a run that was cut off; the result is that of an unbroken run."""
    from matloop.workflows import resume as resuming
    from matloop.workflows.commands.run import run_and_print

    if fork is not None and share is not None:
        raise typer.BadParameter("--fork starts a new run, --share works on this one")
    if fork is not None:
        run_and_print(
            lambda progress: resuming.fork(
                run, fork, workers=workers, progress=progress, cluster=cluster, store=store, allow=allow or ()
            )
        )
    elif share is not None:
        task = resuming.read_share(share)
        run_and_print(
            lambda progress: resuming.score_share(run, task, workers=workers or 1, progress=progress, allow=allow or ())
        )
    else:
        run_and_print(
            lambda progress: resuming.resume(
                run,
                workers=workers,
                progress=progress,
                cluster=cluster,
                prepare_only=prepare_only,
                store=store,
                allow=allow or (),
            )
        )


@app.command(epilog="Example: matloop submit oxides.yaml --cluster slurm --time 1-00:00:00")
def submit(
    campaign: CampaignName,
    cluster: Annotated[str, typer.Option(help="Batch queue: slurm, pbs, lsf or sge.")],
    output: Annotated[Path | None, typer.Option(help="Folder of the run; by default runs/NAME-DATE-TIME.")] = None,
    array: Annotated[int | None, typer.Option(min=2, max=1000, help="Spread the first stage over an array.")] = None,
    time: Annotated[str, typer.Option(help="Wall-time of each job: H:MM:SS, D-HH:MM:SS or minutes.")] = "2:00:00",
    memory: Annotated[str | None, typer.Option(help="Memory of each job on a node, such as 16GB.")] = None,
    gpus: Annotated[str | None, typer.Option(help="GPUs of each job: 1, or under Slurm a100:1.")] = None,
    qos: Annotated[str | None, typer.Option(help="Quality of service, under Slurm.")] = None,
    module: Annotated[list[str] | None, typer.Option(help="Module each job loads; may be repeated.")] = None,
    directive: Annotated[
        list[str] | None,
        typer.Option(help="Further option in the words of the queue, such as --constraint=milan; may be repeated."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes of a job.")] = 2,
    nodes: Annotated[int, typer.Option(min=1, max=1000, help="Nodes of the allocation; several need TLS.")] = 1,
    interface: Annotated[str | None, typer.Option(help="Network interface between several nodes, such as ib0.")] = None,
    partition: Annotated[str | None, typer.Option(help="Partition or queue.")] = None,
    account: Annotated[str | None, typer.Option(help="Account or project.")] = None,
    most_submissions: Annotated[int, typer.Option(min=1, max=1000, help="Most jobs in a row for the run.")] = 10,
    store: UseStore = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the scripts; submit nothing.")] = False,
    allow: Allow = None,
) -> None:
    """Hand a campaign to a batch queue; jobs that reach their wall-time go on in the next one."""
    from matloop.workflows.commands.submit import submit_and_print

    submit_and_print(
        campaign, output, dry_run=dry_run, system=cluster, array=array, time=time, workers=workers, nodes=nodes,
        interface=interface, partition=partition, account=account, most_submissions=most_submissions, memory=memory,
        gpus=gpus, qos=qos, modules=tuple(module or ()), directives=tuple(directive or ()), store=store,
        allow=tuple(allow or ()),
    )  # fmt: skip


def _templates(incomplete: str) -> list[str]:
    """Names of templates for a shell."""
    from matloop.workflows.commands.campaign_templates import TEMPLATES

    return [name for name in TEMPLATES if name.startswith(incomplete)]


@app.command(epilog="Example: matloop init --template alloys --lang zh my-alloys")
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write campaign.yaml and what it needs.")],
    template: Annotated[
        str,
        typer.Option(
            help="What to begin from: compound-list, own-labels, cif-folder, alloys or optical.",
            autocompletion=_templates,
        ),
    ] = "compound-list",
    lang: Annotated[str, typer.Option(help="Language of the comments: en or zh.")] = "en",
) -> None:
    """Write a commented campaign that runs as it is; nothing is overwritten."""
    from matloop.workflows.commands.init import begin_and_print

    begin_and_print(folder.expanduser(), template, lang)


@app.command(epilog="Example: matloop validate oxides.yaml")
def validate(
    campaign: CampaignName,
    allow: Allow = None,
) -> None:
    """Check a campaign without running it; reports every problem with its line."""
    from matloop.data.allowed_modules import allowing
    from matloop.workflows.inspecting.validation import campaign_path
    from matloop.workflows.inspecting.validation import validate as find_problems
    from matloop.workflows.validate import ValidCampaign

    path = campaign_path(campaign)
    with allowing(allow or ()):
        text, problems = find_problems(path)
    for problem in problems:
        print(f"{path}: {problem.coded()}", file=sys.stderr)
    if text.campaign is None or problems:
        print(counted(len(problems), "problem"), file=sys.stderr)
        raise typer.Exit(1)
    for line in ValidCampaign.of(text.campaign).lines():
        print(line)
    print(f"{path}: no problems")


@app.command(epilog="Example: matloop schema")
def schema() -> None:
    """Print the JSON Schema of a campaign file, with which an editor completes and checks it.

    Redirect it to a file beside the campaign, and name that file in the first line of the campaign:
    # yaml-language-server: $schema=campaign.schema.json
    """
    from matloop.data.whole_files import json_file
    from matloop.workflows.inspecting.campaign_schema import campaign_schema

    print(json_file(campaign_schema()), end="")


@app.command(epilog="Example: matloop synthesis BaTiO3 --mass 10 --purity BaCO3=99.5%")
def synthesis(
    formula: Annotated[str, typer.Argument(help="Formula of the compound to make.")],
    mass: Annotated[float, typer.Option(help="Grams of the compound.")] = 10.0,
    precursors: Annotated[str, typer.Option(help="Only these precursors: BaCO3,TiO2.")] = "",
    purity: Annotated[
        list[str] | None, typer.Option(help="Mass fraction of a precursor: BaCO3=99.5%; may be repeated.")
    ] = None,
    loss: Annotated[
        list[str] | None, typer.Option(help="Excess of an element that evaporates: Li=5%; may be repeated.")
    ] = None,
    energy: Annotated[
        float | None, typer.Option(help="Formation energy in eV/atom on the scale of the packaged hull.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Temperature in K of the entropies of gases.")] = 1000.0,
    routes: Annotated[int, typer.Option(min=1, max=100, help="How many routes to print.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    lang: Annotated[str, typer.Option(help="Language: en or zh.")] = "en",
) -> None:
    """Tell how one would make a compound: balanced routes, masses, hazards, and what speaks for it being made."""
    from matloop.workflows.commands.synthesis import plan_and_print

    found = plan_and_print(
        formula, grams=mass, precursors=precursors, purity=purity or (), loss=loss or (), energy=energy,
        temperature=temperature, routes=routes, as_json=json, language=lang,
    )  # fmt: skip
    raise typer.Exit(int(not found))


@app.command(epilog="Example: matloop datasets materials")
def datasets(
    name: Annotated[str | None, typer.Argument(help="materials or transport: list its columns with units.")] = None,
) -> None:
    """List the packaged data."""
    from matloop.workflows.commands.printed import print_dataset, print_datasets

    if name is None:
        print_datasets()
    else:
        print_dataset(name)


@app.command(epilog="Example: matloop features magpie --input labels.csv --output features.csv")
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


@app.command(epilog="Example: matloop models runs/oxides")
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


@app.command(epilog="Example: matloop train optical_window --property band_gap --output models/gap")
def train(
    campaign: Annotated[
        str | None, typer.Argument(help="A campaign file, or the name of a packaged one.", autocompletion=_campaigns)
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


@app.command(epilog="Example: matloop predict models/gap candidates.csv --output predicted.csv")
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


@app.command(epilog="Example: matloop substitute --material CdS --replace Cd --keep 'refractive_index within 5%'")
def substitute(
    replace: Annotated[str, typer.Option(help="Symbol of the element that is replaced, all of it.")],
    material: Annotated[str | None, typer.Option(help="A formula, a structure file or a table of formulas.")] = None,
    shortlist: Annotated[Path | None, typer.Option(help="A run directory, whose shortlist is taken.")] = None,
    with_: Annotated[
        str, typer.Option("--with", help="Elements that may replace it, such as Ni,Mn; all elements without.")
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Property to keep: 'band_gap within 0.3 eV', 'band_gap >= 2 eV'; may be repeated."),
    ] = None,
    region: Annotated[str, typer.Option(help="Whose lists and facts count: cn, eu, us or world.")] = "world",
    facts: Annotated[Path | None, typer.Option(help="A .csv file with facts of your own about elements.")] = None,
    company: Annotated[str, typer.Option(help="A company that the file names, whose facts count.")] = "",
    model: Annotated[
        list[Path] | None, typer.Option(help="Model of your own, a folder of matloop train; may be repeated.")
    ] = None,
    near_hull: Annotated[
        float, typer.Option(min=0, max=1, help="eV/atom above the hull up to which a phase counts as makeable.")
    ] = 0.05,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many replacements are printed.")] = 20,
    out: Annotated[Path | None, typer.Option(help="File for all of them: .csv or .json.")] = None,
    lang: Annotated[str, typer.Option(help="Language of what is printed: en or zh.")] = "en",
    store: UseStore = True,
) -> None:
    """Replace an element: what may take its place, what becomes of properties, phase, supply, price and hazards."""
    if (material is None) == (shortlist is None):
        raise typer.BadParameter("give --material or --shortlist")
    from dataclasses import replace as changed

    from matloop.data.element_facts.element_facts import ElementFacts
    from matloop.workflows.commands.substitute import search_and_print
    from matloop.workflows.substituting.search import read_wish

    own = ElementFacts.read(None if facts is None else facts.expanduser(), region=region, company=company)
    by = [symbol.strip() for symbol in with_.split(",")] if with_ else None
    wish = changed(
        read_wish(replace, by=by, keep=keep or (), facts=own), models=tuple(model or ()), near_hull=near_hull
    )  # fmt: skip
    search_and_print(
        wish, material=material, shortlist=shortlist, top=top, lang=lang, store=store,
        output=None if out is None else out.expanduser(),
    )  # fmt: skip


RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON with stable names.")]


@app.command(epilog="Example: matloop status runs/oxides --json")
def status(run: RunFolder, as_json: AsJson = False) -> None:
    """Tell what a run is doing, how far it is and how to go on with it."""
    from matloop.workflows.inspecting.status_text import print_status

    raise typer.Exit(0 if print_status(run, as_json=as_json) else 1)


@app.command(epilog="Example: matloop runs runs")
def runs(
    folder: Annotated[Path, typer.Argument(help="A folder of run directories.")] = Path("runs"), as_json: AsJson = False
) -> None:
    """List the runs in a folder: campaign, state, candidates, shortlist and when; the latest first."""
    from matloop.workflows.commands.runs import print_runs

    print_runs(folder, as_json=as_json)


@app.command(epilog="Example: matloop report runs/oxides")
def report(run: RunFolder) -> None:
    """Write the report of a finished run again, from the files of its directory."""
    from matloop.workflows.commands.report import rewrite_report

    rewrite_report(run)


@app.command(epilog="Example: matloop dossier runs/oxides --language zh")
def dossier(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="Folder for them; by default dossiers/LANGUAGE in the run.")] = None,
    top: Annotated[int, typer.Option(min=1, max=30, help="How many finalists.")] = 3,
    language: Annotated[str, typer.Option(help="Language of all texts: en or zh.")] = "en",
    radiation: Annotated[
        str, typer.Option(help="Of powder patterns: CuKa, CuKa1, CoKa, FeKa, CrKa, MoKa or AgKa.")
    ] = "CuKa",
) -> None:
    """Write what a lab receives of each finalist: page, JSON, CIF, result sheet, and packages (.zip, .eln) of all."""
    from matloop.workflows.commands.dossier import write_and_print

    write_and_print(run, out=out, top=top, language=language, radiation=radiation)


@app.command(epilog="Example: matloop export runs/oxides --to oxides.xyz --shortlisted")
def export(
    run: RunFolder,
    to: Annotated[Path, typer.Option(help="File to write: .xyz, .extxyz, .db (ASE), .json (pymatgen), .csv or .xlsx.")],
    shortlisted: Annotated[bool, typer.Option("--shortlisted", help="Only the shortlist.")] = False,
) -> None:
    """Write the ranked candidates of a finished run, with predictions, intervals, probabilities and units."""
    from matloop.screening.dossier.export import check_export_name, write_export
    from matloop.screening.dossier.exported_table import exported_table
    from matloop.screening.runs.run_view import RunView

    check_export_name(to.expanduser())
    print("\n".join(write_export(exported_table(RunView(run), shortlisted=shortlisted), to).lines()))


Records = Annotated[
    str | None,
    typer.Option(
        help="The records database: an SQLite file or postgresql://USER@HOST/NAME; by default $MATLOOP_RECORDS."
    ),
]
Language = Annotated[str, typer.Option("--lang", help="Language of questions: en or zh.")]


@app.command("import", epilog="Example: matloop import sheet.xlsx --run runs/oxides --laboratory lab-a")
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


@app.command(epilog="Example: matloop questions --output questions.csv")
def questions(
    output: Annotated[Path | None, typer.Option(help="Write them to this CSV file, with columns to answer in.")] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(help="QUESTION=as written, QUESTION=refuse or 'QUESTION=instead: TEXT'; may be repeated."),
    ] = None,
    answers: Annotated[Path | None, typer.Option(help="The file of questions with the answers filled in.")] = None,
    note: Annotated[str, typer.Option(help="Why it is answered so.")] = "",
    records: Records = None,
    lang: Language = "en",
) -> None:
    """List what is asked about rows of result sheets that are held, or settle it."""
    from matloop.workflows.commands.records import answer_and_print, print_questions

    if answer or answers is not None:
        answer_and_print(records, answer or [], file=answers, note=note, language=lang)
    else:
        print_questions(records, output=output, language=lang)


@app.command("records", epilog="Example: matloop records --export values.csv --property band_gap")
def show_records(
    export: Annotated[Path | None, typer.Option(help="Write the values to this .csv, .parquet or .json file.")] = None,
    samples: Annotated[bool, typer.Option(help="Write the samples with their outcome, failures included.")] = False,
    property_name: Annotated[
        list[str] | None, typer.Option("--property", help="Only values of this property; may be repeated.")
    ] = None,
    records: Records = None,
) -> None:
    """Tell how much the records of a laboratory hold, or write it to a file."""
    from matloop.workflows.commands.records import print_contents

    print_contents(records, export=export, samples=samples, properties=property_name or [])


@app.command(epilog="Example: matloop why runs/oxides SrTiO3")
def why(
    run: RunFolder,
    candidate: Annotated[str, typer.Argument(help="An id or its first 6 characters, a formula, or an id of your own.")],
    as_json: AsJson = False,
) -> None:
    """Tell a candidate's whole story in a run: where it came from, what became of it and why."""
    from matloop.workflows.inspecting.why_text import print_why

    raise typer.Exit(0 if print_why(run, candidate, as_json=as_json) else 1)


@app.command(epilog="Example: matloop doctor --folder runs")
def doctor(
    folder: Annotated[Path, typer.Option(help="Where runs are to be written.")] = Path("runs"), as_json: AsJson = False
) -> None:
    """Check whether this machine can run a campaign; exit code 1 if it cannot."""
    from matloop.workflows.inspecting.doctor import print_doctor

    raise typer.Exit(0 if print_doctor(folder, as_json=as_json) else 1)


fetch_commands = typer.Typer(
    no_args_is_help=True,
    help="Fetch a snapshot of a database, so that a campaign needs no network. A fetch cut off goes on where it was.",
    epilog="Example: matloop fetch materials-project --thermo-type R2SCAN --elements Ti-O --output oxides.parquet\n\n"
    "Exit codes: 0 done, 1 refused with a coded message, 2 wrong command line, 130 interrupted.",
)
app.add_typer(fetch_commands, name="fetch")
Output = Annotated[Path, typer.Option(help="Parquet file of the snapshot.")]
Disorder = Annotated[str, typer.Option(help="Shared or partly filled sites: reject, composition_only or order.")]


@fetch_commands.command(
    "optimade",
    epilog="Example: matloop fetch optimade --base-url https://example.org/optimade --filter 'nelements=2' "
    "--output binaries.parquet",
)
def fetch_optimade(
    base_url: Annotated[str, typer.Option(help="Address of the provider, with or without /v1.")],
    output: Output,
    filter_: Annotated[str, typer.Option("--filter", help='Such as: elements HAS ALL "Ti","O" AND nelements=2')] = "",
    disorder: Disorder = "reject",
) -> None:
    """Structures of any provider that speaks OPTIMADE."""
    from matloop.data.providers.optimade import Optimade
    from matloop.workflows.commands.fetch import fetch_and_print

    fetch_and_print(Optimade(base_url, filter_, disorder=disorder), output)


@fetch_commands.command(
    "materials-project",
    epilog="Example: matloop fetch materials-project --thermo-type R2SCAN --elements Ti-O --output oxides.parquet",
)
def fetch_materials_project(
    thermo_type: Annotated[str, typer.Option(help="Scheme of the energies: GGA_GGA+U, R2SCAN or GGA_GGA+U_R2SCAN.")],
    output: Output,
    chemical_system: Annotated[list[str] | None, typer.Option(help="Exactly these elements: Ti-O, Li-*-O.")] = None,
    elements: Annotated[str, typer.Option(help="These elements and perhaps others: Ti-O.")] = "",
    exclude: Annotated[str, typer.Option(help="None of these elements: Cd-Hg.")] = "",
    window: Annotated[list[str] | None, typer.Option(help="Such as band_gap=1.5:3 or energy_above_hull=:0.05.")] = None,
    disorder: Disorder = "reject",
    endpoint: Annotated[str | None, typer.Option(help="Another address of the service.")] = None,
) -> None:
    """Crystals and properties of the Materials Project; the key is read from MP_API_KEY."""
    from matloop.data.providers.materials_project import API, MaterialsProject, read_window
    from matloop.workflows.commands.fetch import fetch_and_print

    provider = MaterialsProject(
        thermo_type=thermo_type,
        chemical_systems=chemical_system or (),
        elements=elements.split("-") if elements else (),
        exclude=exclude.split("-") if exclude else (),
        windows=dict(map(read_window, window or ())),
        disorder=disorder,
        endpoint=endpoint or API,
    )
    fetch_and_print(provider, output)


bench_commands = typer.Typer(
    no_args_is_help=True,
    help="Run a benchmark: scores beside those of others, with a page.",
    epilog="Example: matloop bench calibration --data materials --property band_gap",
)
app.add_typer(bench_commands, name="bench")


@bench_commands.command(
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


@bench_commands.command(
    "discovery",
    epilog="Example: matloop bench discovery --data materials --target 'refractive_index>=2' --target 'band_gap>=3'",
)
def bench_discovery(
    data: Data,
    property_: Annotated[
        str | None, typer.Option("--property", help="Such as band_gap, or its column band_gap_exp; or give --target.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Target of a search, all to be met: 'band_gap>=2.5', 'band_gap:max'; may be repeated."),
    ] = None,
    direction: Direction = "max",
    top: Annotated[str | None, typer.Option(help="Share that counts as the best; 1%, in a search 10%.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Value from which a row is a hit, in place of --top.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of random splits.")] = 10,
    labelled: Annotated[str, typer.Option(help="Share of the rows labelled from the start.")] = "50%",
    first: Annotated[int, typer.Option(help="Candidates labelled before the first round of a search.")] = 50,
    shortlist: Annotated[int | None, typer.Option(help="Rows on the shortlist; by default the top share.")] = None,
    max_false_discovery: Annotated[float, typer.Option(help="Share of misses allowed in conformal selection.")] = 0.1,
    batch: Annotated[int, typer.Option(help="Rows labelled in each round.")] = 20,
    rounds: Annotated[int | None, typer.Option(help="Rounds of labelling and training: none; in a search 20.")] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Strategy of a search: greedy, explore, thompson; may be repeated.")
    ] = None,
    family: OneFamily = "extra_trees",
    features_: FeatureNames = None,
    transform: Scale = "identity",
    column: LabelledColumn = None,
    formula_column: FormulaColumn = "formula",
    output: Results = None,
    workers: SeedWorkers = 1,
) -> None:
    """Replay on labelled data: does the shortlist find the best, and how much sooner than drawing at random?"""
    from matloop.workflows.commands.benches import replay_and_write, search_and_write

    if bool(target) == (property_ is not None):
        raise MatloopError("--property and --target" if target else "no --property", "either --property or --target")
    if target:
        search_and_write(
            output, data, target, top=top or "10%", first=first, batch=batch, rounds=rounds or 20, seeds=seeds,
            strategies=strategy, family=family, formula_column=formula_column, features=features_,
        )  # fmt: skip
        return
    replay_and_write(
        output, data, str(property_), direction=direction, top=top or "1%", threshold=threshold, seeds=seeds,
        labelled=labelled, shortlist=shortlist, max_false_discovery=max_false_discovery, batch=batch,
        rounds=rounds or 0, family=family, transform=transform, column=column, formula_column=formula_column,
        features=features_, workers=workers,
    )  # fmt: skip


@bench_commands.command("calibration", epilog="Example: matloop bench calibration --data materials --property band_gap")
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
    from rich.console import Console

    from matloop.workflows.bench.calibration import CalibrationSettings, run_calibration
    from matloop.workflows.bench.calibration_report import print_calibration, write_calibration
    from matloop.workflows.bench.discovery_settings import share_named
    from matloop.workflows.bench.finished_parts import results_folder
    from matloop.workflows.bench.labelled import model_choice, read_labelled

    settings = CalibrationSettings(direction, splits, share_named(held_out), model_choice(family, transform))
    rows = read_labelled(
        data, property_, column=column, formula_column=formula_column, features=features_, family=family
    )
    folder = results_folder(output, f"calibration-{rows.known.name}")
    run = run_calibration(rows, settings, workers=workers)
    write_calibration(run, folder)
    console = Console()
    print_calibration(run, console)
    console.print(f"\nReport: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


@bench_commands.command("families", epilog="Example: matloop bench families --property band_gap --rows 1000")
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
