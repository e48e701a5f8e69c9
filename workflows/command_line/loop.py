"""Commands about the loop from results to the next batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matloop.workflows.command_line.laboratory import Language, Records
from matloop.workflows.command_line.options import AsJson, CampaignName

commands = typer.Typer(
    no_args_is_help=True,
    help="How the loop stands from results to the next batch.",
    epilog="Example: matloop loop status oxides.yaml --run runs/oxides",
)


@commands.callback()
def _loop() -> None:
    """Make a group of one command."""


@commands.command("status", epilog="Example: matloop loop status oxides.yaml --run runs/oxides --cost 800")
def loop_status(
    campaign: CampaignName,
    run: Annotated[Path | None, typer.Option(help="The run whose ranked candidates are the pool.")] = None,
    cost: Annotated[float | None, typer.Option(min=0, help="Of one experiment, in any currency.")] = None,
    laboratory: Annotated[str, typer.Option(help="Whose results count; by default those of all laboratories.")] = "",
    models: Annotated[Path | None, typer.Option(help="Folder of the models; by default beside the records.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write it as a page, such as loop.html.")] = None,
    records: Records = None,
    as_json: AsJson = False,
    lang: Language = "en",
) -> None:
    """Tell what was proposed, made and measured, whether predictions held on real results, and when to stop."""
    from matloop.workflows.commands.loop_status import print_loop_status

    print_loop_status(
        campaign, records=records, laboratory=laboratory, models=models, run=run, cost=cost, output=output,
        as_json=as_json, language="zh" if lang == "zh" else "en",
    )  # fmt: skip
