"""What the command line prints: shortlists, packaged data, feature sets and model families."""

from __future__ import annotations

import datetime as dt

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from matloop.data.errors import PlugInError, unknown_name
from matloop.data.plain_text import counted, one_line, plain
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import Column
from matloop.data.registry import lookup
from matloop.data.training.packaged_tables import TRAINING_SETS, labelled_table
from matloop.screening.filters.used_facts import used_fact_tables
from matloop.screening.language.aged_facts import expiry_words
from matloop.screening.language.back_test import list_words
from matloop.screening.language.relaxing import relaxing_words
from matloop.screening.report.tradeoffs import about_list
from matloop.screening.runs.run_summary import RunSummary
from matloop.screening.runs.run_view import in_catalogue_of_run
from matloop.workflows.commands.feature_table import names_without_options
from matloop.workflows.commands.shortlist_notes import shortlist_notes
from matloop.workflows.inspecting.plug_ins import TABLES, brought_by
from matloop.workflows.screen import ScreeningRun
from matloop.workflows.shortlist_cells import shortlist_cells
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS
from matloop.workflows.terminal_tables import Heading, print_table
from matloop.workflows.wording import reason_text


@in_catalogue_of_run
def print_run(run: ScreeningRun, console: Console) -> None:
    """The funnel, the shortlist and where the report lies."""
    summary = run.summary
    rows = []
    for stage in summary.funnel:
        reasons = ", ".join(
            f"{reason_text(lost.code, lost.value, lost.limit)} {lost.rows:,}" for lost in stage.lost[:_MOST_REASONS]
        )
        rows.append((stage.stage, f"{stage.rows_out:,}", reasons))
    print_table(console, counted(summary.rows_in, "candidate"), _FUNNEL, rows)
    outcomes = ", ".join(f"{name} {rows:,}" for name, rows in sorted(summary.outcomes.items()))
    account = f"\nEvery candidate accounted for: {outcomes}; together {sum(summary.outcomes.values()):,}.\n"
    console.print(Text(plain(account)))
    if len(run.shortlist):
        for words in list_words(summary, run.shortlist[Column.PROBABILITY].to_numpy()):
            console.print(Text(f"{words.en}."))
        for words in about_list(run.view):
            console.print(Text(plain(f"{words.en}.")))
        headings, cells = shortlist_cells(run.shortlist, list(summary.ranges))
        print_table(console, "Shortlist, predictions with 90 % intervals", headings, cells, keys=2)
    else:
        for line in why_empty(summary):
            console.print(Text(plain(line)))
    for note in shortlist_notes(run.shortlist, summary.supported):
        console.print(Text(note))
    for words in expiry_words(used_fact_tables(run.view.campaign), dt.date.today()):
        console.print(Text(f"Facts {words.en}."))
    console.print(f"\n{sum(summary.seconds.values()):.0f} s on {counted(summary.workers, 'worker')}.", highlight=False)
    console.print(f"Report: {run.report}\nTable:  {run.view.paths.shortlist}", markup=False, soft_wrap=True)


_FUNNEL = (Heading("stage"), Heading("left", right=True), Heading("most frequent reasons for leaving", breaks=True))
_MOST_REASONS = 3


def why_empty(summary: RunSummary) -> list[str]:
    """Say why nothing is shortlisted, and what would relax the most frequent reasons."""
    lost = sorted(
        ((lost, stage.stage) for stage in summary.funnel for lost in stage.lost), key=lambda one: -one[0].rows
    )
    if not lost:
        return ["The shortlist is empty: the sources gave no candidates. Look at their paths and limits."]
    lines = ["The shortlist is empty. Why most candidates ended, and what would relax it:"]
    for found, stage in lost[:_MOST_REASONS]:
        reason = one_line(reason_text(found.code, found.value, found.limit))
        lines.append(f"  {stage}: {reason} {found.rows:,}; {relaxing_words(found.code).en}")
    return lines


def print_datasets() -> None:
    """Packaged data sets and how many rows have each property."""
    table = Table()
    for heading in ("data set", "rows", "property", "unit", "rows with it"):
        table.add_column(heading, justify="right" if "rows" in heading else "left")
    for name in TRAINING_SETS:
        labelled = labelled_table(name)
        rows = labelled.published
        for prop in catalogue().values():
            if labelled.has(prop.name):
                found = rows.num_rows - rows.column(prop.column(labelled.suffix)).null_count
                table.add_row(name, f"{rows.num_rows:,}", prop.name, prop.unit, f"{found:,}")
    Console().print(table)


def print_dataset(name: str) -> None:
    """Columns of one data set, with units and descriptions.

    Raises:
        UnknownNameError: If there is no such data set.
    """
    if name not in TRAINING_SETS:
        raise unknown_name("data set", name, TRAINING_SETS)
    rows = labelled_table(name).published
    table = Table()
    for heading in ("column", "unit", "rows", "description"):
        table.add_column(heading)
    for field in rows.schema:
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        found = rows.num_rows - rows.column(field.name).null_count
        table.add_row(field.name, about.get("unit", ""), f"{found:,}", escape(about.get("description", "")))
    Console().print(table)


def print_features() -> None:
    """Featurizers, how many columns each gives, and the package that brings it."""
    table = Table()
    table.add_column("featurizer", no_wrap=True)
    for heading in ("columns", "needs", "first columns", "from"):
        table.add_column(heading, overflow="fold")
    known = names_without_options()
    packages = brought_by("featurizer")
    for name in known:
        table.add_row(name, *map(escape, _about_featurizer(name)), packages[name])
    Console().print(table)
    others = ", ".join(name for name in packages if name not in known)
    if others:
        print(f"With options, in a campaign only: {others}")


def _about_featurizer(name: str) -> tuple[str, str, str]:
    """Columns, needs and first columns of a featurizer that needs no options."""
    try:
        factory = lookup("featurizer", CAMPAIGN_FEATURIZERS, name)
    except PlugInError as error:
        return "", "", str(error)
    featurizer = factory()
    needs = ", ".join(sorted(featurizer.needs))
    return str(len(featurizer.feature_names)), needs, ", ".join(featurizer.feature_names[:3])


def print_families() -> None:
    """Model families and potentials, and the package that brings each."""
    for kind, heading in (("model", "family"), ("potential", "potential")):
        table = Table()
        for title in (heading, "where", "from"):
            table.add_column(title, overflow="fold")
        for name, package in brought_by(kind).items():
            table.add_row(name, TABLES[kind].get(name, ""), package)
        Console().print(table)
