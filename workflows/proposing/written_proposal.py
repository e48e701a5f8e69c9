"""The files of a batch: what was chosen and why, result sheets for the laboratory, and the crystals."""

from __future__ import annotations

from pathlib import Path

from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import property_named
from matloop.data.records.result_sheet import Language
from matloop.data.whole_files import write_csv, write_json, write_text
from matloop.screening.dossier.result_sheet_files import SheetFor, write_result_sheet
from matloop.screening.dossier.shortlist_files import safe_name
from matloop.workflows.proposing.proposal import Proposal
from matloop.workflows.proposing.proposal_words import (
    HEADINGS,
    PURPOSES,
    as_json,
    in_language,
    shown_probability,
    why,
)

CSV, JSON = "proposal.csv", "proposal.json"


def write_proposal(folder: Path, proposal: Proposal, *, language: Language) -> None:
    """Write the files of a batch.

    Args:
        folder: An empty folder.
        proposal: The batch.
        language: Of headings and sentences.
    """
    names = list(proposal.chosen[0].predictions) if proposal.chosen else []
    write_said(folder, proposal)
    _write_table(folder / CSV, proposal, names, language)
    wanted = [SheetFor(one.candidate_id, one.formula, names) for one in proposal.chosen]
    write_result_sheet(folder, wanted, language=language)
    _write_crystals(folder / "cif", proposal)


def write_said(folder: Path, proposal: Proposal) -> None:
    """Write what is said of a batch for programs, with the action that recorded it."""
    write_json(folder / JSON, as_json(proposal))


def _write_table(path: Path, proposal: Proposal, names: list[str], language: Language) -> None:
    labels = []
    for name in names:
        known = property_named(name)
        label, unit = (known.label_zh if language == "zh" else known.label_en), known.unit
        labels += [f"{label} ({unit})", f"{label}, 5 % ({unit})", f"{label}, 95 % ({unit})"]
    keys = ("place", "candidate", "formula", "purpose", "probability", "corrected", "price", "route", "why")
    heads = [in_language(HEADINGS[key], language) for key in keys]
    rows = [
        [
            place, one.candidate_id, one.formula, in_language(PURPOSES[one.choice.purpose], language),
            shown_probability(one.probability), shown_probability(one.corrected), f"{one.price:.4g}".replace("nan", ""),
            " + ".join(one.precursors),
            in_language(why(one, proposal.wish.strategy), language),
            *(f"{value:.5g}".replace("nan", "") for name in names for value in one.predictions[name]),
        ]
        for place, one in enumerate(proposal.chosen, start=1)
    ]  # fmt: skip
    write_csv(path, [*heads, *labels], rows)


def _write_crystals(folder: Path, proposal: Proposal) -> None:
    """One file for each candidate of a kind that has one, such as the CIF of a crystal."""
    for place, kind in enumerate(proposal.batch.kinds):
        if not kind.file_ending:
            continue
        folder.mkdir(exist_ok=True)
        one = proposal.chosen[place]
        name = f"{place + 1:02d}_{safe_name(one.formula)}_{safe_name(one.candidate_id)}.{kind.file_ending}"
        write_text(folder / name, kind.export(proposal.batch, place, facts={"candidate_id": one.candidate_id}))


def written_lines(folder: Path) -> str:
    """Where the files lie, in a line for people."""
    return f"{folder}: {counted(sum(path.is_file() for path in folder.rglob('*')), 'file')}"
