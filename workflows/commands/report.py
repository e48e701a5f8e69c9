"""The command ``matloop report``: write the report of a finished run again, from the files of its directory."""

from __future__ import annotations

from pathlib import Path

from matloop.data.plain_text import one_line
from matloop.data.runs.manifest import Manifest
from matloop.screening.report.page import write_report
from matloop.screening.runs.run_view import RunView
from matloop.workflows.running.results import REPORT, keep_results
from matloop.workflows.running.session import work_on
from matloop.workflows.stages.citations import citations_of


def rewrite_report(folder: Path) -> None:
    """Write ``report.html`` again and say where it lies.

    Raises:
        RunError: If there is no finished run in the folder, or somebody works on it.
        RunFilesError: If nothing can be written there.
        DamagedFileError: If a file is not what a run writes.
        CampaignError: If the resolved campaign cannot be read back.
    """
    view = RunView(folder)
    view.require_finished()
    campaign = view.campaign
    with work_on(view.paths):
        write_report(folder, further=citations_of(campaign, folder))
        keep_results(Manifest(view.folder), REPORT, [view.paths.report])
    print(f"Report: {one_line(str(view.paths.report))}")
