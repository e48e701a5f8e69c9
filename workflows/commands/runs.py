"""The command ``matloop runs``: list the runs in a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from matloop.data.plain_text import one_line
from matloop.screening.runs.run_view import RunView
from matloop.workflows.inspecting.run_list import runs_in
from matloop.workflows.inspecting.status_text import clock_text
from matloop.workflows.terminal_tables import Heading, print_table
from matloop.workflows.wording import json_text

_HEADINGS = (
    Heading("run"), Heading("campaign"), Heading("state"), Heading("candidates", right=True),
    Heading("shortlist", right=True), Heading("last heard of"),
)  # fmt: skip


def print_runs(folder: Path, *, as_json: bool = False) -> None:
    """Print the runs in a folder, the latest first; a damaged one is a line with its code.

    Raises:
        RunError: If there is no such folder.
    """
    runs = runs_in(folder)
    if as_json:
        print(json_text([asdict(run) for run in runs]))
        return
    console = Console(highlight=False)
    if not runs:
        place = one_line(str(folder.absolute()))
        own = " It is a run itself: matloop status tells of it." if RunView(folder).is_there else ""
        console.print(Text(f"No runs in {place}.{own}"), soft_wrap=True)
        return
    rows = []
    for run in runs:
        shortlisted = "" if run.shortlisted is None else f"{run.shortlisted:,}"
        state = f"{run.state}, {run.code}" if run.code else run.state
        when = clock_text(run.updated)[: len("2026-01-01 00:00")]
        rows.append((Path(run.run).name, run.campaign, state, f"{run.candidates:,}", shortlisted, when))
    print_table(console, "", _HEADINGS, rows)
