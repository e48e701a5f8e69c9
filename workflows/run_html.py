"""A run as a notebook shows it: what became of the candidates, and the shortlist."""

from __future__ import annotations

from matloop.data.errors import MatloopError
from matloop.data.html_table import MOST_ROWS, html_table, html_text
from matloop.data.plain_text import counted
from matloop.data.properties.columns import Column
from matloop.screening.language.back_test import list_words
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.shortlist_cells import shortlist_cells


@in_catalogue_of_run
def run_html(view: RunView) -> str:
    """Write a run as HTML, escaped and at most some rows long; a run that cannot be shown says why.

    Args:
        view: The run.
    """
    try:
        view.require_finished()
        summary = view.summary
        shortlist = view.shortlisted.table.to_pandas()
        headings, rows = shortlist_cells(shortlist, list(summary.ranges))
    except MatloopError as error:
        return f"<p>{html_text(error)}</p>"
    outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(summary.outcomes.items()))
    title = f"{view.campaign.name}: {counted(summary.rows_in, 'candidate')}, {outcomes}"
    left_out = f" The first {MOST_ROWS} of {len(rows):,} are shown." if len(rows) > MOST_ROWS else ""
    note = f"Predictions with 90 % intervals.{left_out} Report: {view.paths.report}"
    lead = [f"{words.en}." for words in list_words(summary, shortlist[Column.PROBABILITY].to_numpy())]
    shown = html_table([heading.text for heading in headings], rows)
    return f"<p>{html_text(title)}</p><p>{html_text(' '.join(lead))}</p>{shown}<p>{html_text(note)}</p>"
