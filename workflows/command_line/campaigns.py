"""Commands that write and check campaign files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from matloop.data.plain_text import counted
from matloop.workflows.command_line.options import Allow, CampaignName

commands = typer.Typer()


def _templates(incomplete: str) -> list[str]:
    """Names of templates for a shell."""
    from matloop.workflows.commands.campaign_templates import TEMPLATES

    return [name for name in TEMPLATES if name.startswith(incomplete)]


@commands.command(epilog="Example: matloop init --template alloys --lang zh my-alloys")
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


@commands.command(epilog="Example: matloop validate oxides.yaml")
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


@commands.command(epilog="Example: matloop schema")
def schema() -> None:
    """Print the JSON Schema of a campaign file, with which an editor completes and checks it.

    Redirect it to a file beside the campaign, and name that file in the first line of the campaign:
    # yaml-language-server: $schema=campaign.schema.json
    """
    from matloop.data.whole_files import json_file
    from matloop.workflows.inspecting.campaign_schema import campaign_schema

    print(json_file(campaign_schema()), end="")
