"""The command ``matloop runs``: list the runs in a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from matloop.data.plain_text import one_line
from matloop.workflows.inspecting.run_list import runs_in
from matloop.workflows.inspecting.status_text import clock_text
from matloop.workflows.wording import json_text

_RIGHT = ("candidates", "shortlist")


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
        console.print(Text(f"No runs in {one_line(str(folder))}."))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "campaign", "state", "candidates", "shortlist", "last heard of"):
        table.add_column(heading, justify="right" if heading in _RIGHT else "left", overflow="fold")
    for run in runs:
        shortlisted = "" if run.shortlisted is None else f"{run.shortlisted:,}"
        state = f"{run.state}, {run.code}" if run.code else run.state
        when = clock_text(run.updated)[: len("2026-01-01 00:00")]
        cells = (Path(run.run).name, run.campaign, state, f"{run.candidates:,}", shortlisted, when)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    console.print(table)
