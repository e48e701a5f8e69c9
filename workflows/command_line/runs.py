"""Commands that make runs and look into them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matloop.data.properties.durations import read_duration
from matloop.workflows.command_line.options import (
    Allow,
    AsJson,
    CampaignName,
    PrepareOnly,
    RunFolder,
    UseStore,
    WorkerCount,
    Workers,
)

commands = typer.Typer()


@commands.command(epilog="Example: matloop screen oxides.yaml --output runs/oxides --workers 4")
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


@commands.command(epilog="Example: matloop resume runs/oxides")
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


@commands.command(epilog="Example: matloop submit oxides.yaml --cluster slurm --time 1-00:00:00")
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


@commands.command(epilog="Example: matloop status runs/oxides --json")
def status(run: RunFolder, as_json: AsJson = False) -> None:
    """Tell what a run is doing, how far it is and how to go on with it."""
    from matloop.workflows.inspecting.status_text import print_status

    raise typer.Exit(0 if print_status(run, as_json=as_json) else 1)


@commands.command(epilog="Example: matloop runs runs")
def runs(
    folder: Annotated[Path, typer.Argument(help="A folder of run directories.")] = Path("runs"), as_json: AsJson = False
) -> None:
    """List the runs in a folder: campaign, state, candidates, shortlist and when; the latest first."""
    from matloop.workflows.commands.runs import print_runs

    print_runs(folder, as_json=as_json)


@commands.command(epilog="Example: matloop report runs/oxides")
def report(run: RunFolder) -> None:
    """Write the report of a finished run again, from the files of its directory."""
    from matloop.workflows.commands.report import rewrite_report

    rewrite_report(run)


@commands.command(epilog="Example: matloop dossier runs/oxides --language zh")
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


@commands.command(epilog="Example: matloop export runs/oxides --to oxides.xyz --shortlisted")
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


@commands.command(epilog="Example: matloop why runs/oxides SrTiO3")
def why(
    run: RunFolder,
    candidate: Annotated[str, typer.Argument(help="An id or its first 6 characters, a formula, or an id of your own.")],
    as_json: AsJson = False,
) -> None:
    """Tell a candidate's whole story in a run: where it came from, what became of it and why."""
    from matloop.workflows.inspecting.why_text import print_why

    raise typer.Exit(0 if print_why(run, candidate, as_json=as_json) else 1)
