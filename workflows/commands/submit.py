"""The command ``matloop submit``: show the batch scripts of a campaign and hand them to the queue."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from matloop.data.allowed_modules import allowed_modules, allowing
from matloop.workflows.clusters.queue_systems import queue_system
from matloop.workflows.clusters.submission import Submission, scripts_of, submit
from matloop.workflows.inspecting.validation import PACKAGED_CAMPAIGNS, campaign_path, checked_campaign


def submit_and_print(
    campaign: str, output: Path | None, *, dry_run: bool, allow: tuple[str, ...] = (), **options: Any
) -> None:
    """Check the campaign, print the scripts, submit them and print the job ids.

    Args:
        campaign: A campaign file, or the name of a packaged one.
        output: The run directory to be; by default ``runs/NAME-DATE-TIME``.
        dry_run: Whether to stop after the scripts are printed.
        allow: Modules of other packages that the campaign may call. The jobs get them, and those that are allowed here
            in any other way, on their command lines.
        options: Further attributes of :class:`matloop.workflows.clusters.submission.Submission`.

    Raises:
        CampaignError: If the campaign is wrong: better here than in a job.
        RunError: As :func:`matloop.workflows.clusters.submission.submit`.
    """
    with allowing(allow):
        name, allowed = checked_campaign(campaign).name, allowed_modules()
    run = output or Path("runs") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    path = campaign_path(campaign)
    # A link to a campaign stays one: relative paths start at the folder that the user names.
    named = campaign if path.parent == PACKAGED_CAMPAIGNS else str(path.absolute())
    submission = Submission(campaign=named, run=run, allow=allowed, **options)
    console = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)
    for file, text in scripts_of(submission).items():
        console.rule(str(submission.folder / file), align="left", style="none")
        console.print(text, end="")
    console.rule(style="none")
    if dry_run:
        console.print("Nothing was submitted (--dry-run).")
        return
    jobs = submit(submission)
    for line in jobs:
        console.print(f"Submitted: {line.strip()}")
    ids = " ".join(line.split()[1] for line in jobs)
    console.print(f"\nTo see how it goes: matloop status {run}")
    console.print(f"Logs: {submission.folder / 'logs'}")
    if submission.system == "slurm":  # jobs submit each other under one name
        console.print(f"To stop all of it: scancel --name=matloop-{run.name}")
    else:
        console.print(f"To stop all of it: {queue_system(submission.system).cancel} {ids}, and the job submitted last")
