"""The command ``matloop propose``: choose the next batch of a finished run and hand it to a laboratory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from matloop.data.errors import RunError, RunFilesError
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import property_named
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.dossiers.run_dossiers import language_named
from matloop.workflows.inspecting.run_list import runs_in
from matloop.workflows.loop import propose, proposed
from matloop.workflows.proposing.claimed_folder import ClaimedFolder, claimed_folder
from matloop.workflows.proposing.laboratory import read_laboratory
from matloop.workflows.proposing.proposal import Proposal, Wish
from matloop.workflows.proposing.proposal_words import (
    HEADINGS,
    as_json,
    in_language,
    shown_prediction,
    shown_probability,
    summary,
    why,
)
from matloop.workflows.proposing.recorded_proposal import short_name
from matloop.workflows.proposing.written_proposal import write_proposal, write_said, written_lines
from matloop.workflows.terminal_tables import Heading, print_table

_SHOWN_ID = 12  # characters of an id on a terminal


def propose_and_print(
    of: str, wish: Wish, *, lab: Path | None, limits: Mapping[str, Any], records: str | None, models: Path | None,
    dry_run: bool, output: Path | None, language: str, printed_json: bool,
) -> None:  # fmt: skip
    """Choose a batch, write it into the records and into files, and print it.

    Args:
        of: A run directory, or the name of a campaign with a finished run in ``runs``.
        wish: What is asked of the batch.
        lab: YAML file with limits of the laboratory.
        limits: Limits stated by options.
        records: The records database.
        models: Folder of the models in use; beside the records if None.
        dry_run: Whether to write nothing at all.
        output: Folder of the files.
        language: ``en`` or ``zh``.
        printed_json: Whether to print JSON.

    Raises:
        MatloopError: See :func:`matloop.workflows.proposing.proposal.choose_proposal`.
    """
    chosen_language, laboratory = language_named(language), read_laboratory(lab, limits)
    view = RunView(run_folder(of))
    if dry_run:
        proposal = propose(view.folder, wish, laboratory, records=records, models=models, dry_run=True)
        _tell(view, proposal, [], language, printed_json=printed_json)
        return
    with claimed_folder(output) as claimed:
        proposal = propose(
            view.folder, wish, laboratory, records=records, models=models,
            prepare=lambda chosen: _write(view, claimed.draft, chosen, chosen_language),
        )  # fmt: skip
        folder = _put_in_place(claimed, proposal)
    _tell(view, proposal, [written_lines(folder)], language, printed_json=printed_json)


def print_again(
    of: str, batch: str, *, records: str | None, output: Path | None, language: str, printed_json: bool
) -> None:
    """Write the files of a batch that was recorded once more, and print it.

    Args:
        of: The run, as for :func:`propose_and_print`.
        batch: The id of the batch or the beginning of it, or ``last``.
        records: The records database.
        output: Folder of the files.
        language: ``en`` or ``zh``.
        printed_json: Whether to print JSON.

    Raises:
        RecordsError: If the records hold no such batch.
        RunFilesError: If the folder holds something, or cannot be written.
    """
    chosen_language, view = language_named(language), RunView(run_folder(of))
    with claimed_folder(output) as claimed:
        proposal = proposed(view.folder, batch, records=records)
        _write(view, claimed.draft, proposal, chosen_language)
        folder = _put_in_place(claimed, proposal)
    _tell(view, proposal, [written_lines(folder)], language, printed_json=printed_json)


def _put_in_place(claimed: ClaimedFolder, proposal: Proposal) -> Path:
    """Put the files of a recorded batch in place; where that fails, say how to get them."""
    try:
        write_said(claimed.draft, proposal)
        return claimed.put_in_place(f"proposal-{short_name(proposal.action)}")
    except OSError as error:
        raise RunFilesError(
            f"the batch is recorded, and its files could not be written: {error.strerror}", "a folder you may write to",
            f"matloop propose RUN --again {short_name(proposal.action)} --output FOLDER writes them again",
        ) from error  # fmt: skip


def run_folder(of: str, *, runs: Path = Path("runs")) -> Path:
    """The run directory that is named, or the latest finished run of a campaign.

    Args:
        of: A run directory, a campaign file, or the name of a campaign.
        runs: Folder in which runs of a campaign are looked for.

    Raises:
        RunError: If there is no such run.
    """
    if Path(of).is_dir():
        return Path(of)
    name = Path(of).stem
    found = (
        [run for run in runs_in(runs) if run.campaign == name and run.shortlisted is not None] if runs.is_dir() else []
    )
    if not found:
        raise RunError(
            f"no run directory '{of[:200]}', and no finished run of a campaign of that name in {runs}",
            "a folder that matloop screen wrote", "matloop runs lists the runs of a folder",
        )  # fmt: skip
    return runs / Path(found[0].run).name


@in_catalogue_of_run
def _write(view: RunView, folder: Path, proposal: Proposal, language: Any) -> None:
    write_proposal(folder, proposal, language=language)


def _tell(view: RunView, proposal: Proposal, lines: Sequence[str], language: str, *, printed_json: bool) -> None:
    if printed_json:
        print(json.dumps(as_json(proposal), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _print(view, proposal, lines, language)


@in_catalogue_of_run
def _print(view: RunView, proposal: Proposal, lines: Sequence[str], language: str) -> None:
    console = Console(highlight=False)
    for line in summary(proposal):
        console.print(Text(in_language(line, language)), soft_wrap=True)
    names = view.properties
    units = [property_named(name).unit for name in names]
    labels = [property_named(name).label_zh if language == "zh" else property_named(name).label_en for name in names]
    headings = [
        Heading(in_language(HEADINGS["place"], language), right=True),
        Heading(in_language(HEADINGS["formula"], language)), Heading(in_language(HEADINGS["candidate"], language)),
        Heading(in_language(HEADINGS["probability"], language), right=True), *(Heading(label) for label in labels),
        Heading(in_language(HEADINGS["why"], language), breaks=True),
    ]  # fmt: skip
    rows = [
        (
            str(place), one.formula, one.candidate_id[:_SHOWN_ID], shown_probability(one.probability),
            *(shown_prediction(one.predictions[name], unit) for name, unit in zip(names, units, strict=True)),
            in_language(why(one, proposal.wish.strategy), language),
        )
        for place, one in enumerate(proposal.chosen, start=1)
    ]  # fmt: skip
    print_table(console, "", headings, rows, keys=2)
    for text in lines:
        console.print(Text(one_line(text)), soft_wrap=True)
